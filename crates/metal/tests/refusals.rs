//! What is refused, in which words, and that the device works on afterwards.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod common;
#[path = "../../core/tests/device/refusals.rs"]
mod contract;

use common::*;
use contract::detail;
use tidegate_core::{Code, Device, MetalArguments, MetalSizes, PipelineId};
use tidegate_metal::{MetalDevice, OpenError, Options, Select};

/// The parts of a kernel's code.
fn parts(code: Code) -> (String, MetalArguments) {
    match code {
        Code::Msl { source, arguments } => (source, arguments),
        other => panic!("not MSL: {other:?}"),
    }
}

#[test]
fn source_that_is_none() {
    let rig = Rig::new(&Options::default());
    let (source, arguments) = parts(Rig::code(&LCG));
    let try_it = |source: String, entry_point: &str| {
        let arguments = MetalArguments {
            entry_point: entry_point.to_owned(),
            ..arguments.clone()
        };
        let code = Code::Msl { source, arguments };
        let made = rig
            .device()
            .create_pipeline(PipelineId(0), &LCG.kernel(), &code);
        let said = detail(made);
        assert!(said.starts_with("kernel main: "), "{said}");
        said
    };
    let said = try_it(
        source.replace("1664525u", "nonsense"),
        &arguments.entry_point,
    );
    assert!(said.contains("nonsense"), "{said}");
    let said = try_it(source.clone(), "other");
    assert!(said.contains("no function other"), "{said}");
    assert!(said.contains(&arguments.entry_point), "{said}");
    // The same index still works.
    rig.device()
        .create_pipeline(PipelineId(0), &LCG.kernel(), &Rig::code(&LCG))
        .unwrap();
}

#[test]
fn code_of_other_kinds() {
    let rig = Rig::new(&Options::default());
    let try_it = |code: Code| {
        let made = rig
            .device()
            .create_pipeline(PipelineId(0), &LCG.kernel(), &code);
        detail(made)
    };
    assert!(try_it(Code::Spirv(vec![0x0723_0203])).contains("Metal takes MSL"));
    let (_, arguments) = parts(Rig::code(&LCG));
    for bytes in [Vec::new(), b"not a library".to_vec()] {
        let arguments = arguments.clone();
        let said = try_it(Code::Metallib { bytes, arguments });
        assert!(said.starts_with("kernel main: "), "{said}");
    }
}

#[test]
fn slots_that_are_not_the_kernels() {
    let rig = Rig::new(&Options::default());
    let (source, arguments) = parts(Rig::code(&LCG));
    let try_it = |change: &dyn Fn(&mut MetalArguments)| {
        let mut arguments = arguments.clone();
        change(&mut arguments);
        let code = Code::Msl {
            source: source.clone(),
            arguments,
        };
        let made = rig
            .device()
            .create_pipeline(PipelineId(0), &LCG.kernel(), &code);
        detail(made)
    };
    assert!(try_it(&|it| it.buffers.push(7)).contains("binds 1 buffers and 2 slots"));
    assert!(try_it(&|it| it.buffers.clear()).contains("0 slots"));
    assert!(try_it(&|it| it.buffers[0] = 31).contains("31 buffer slots"));
    assert!(try_it(&|it| it.scalars = Some(9)).contains("push constants"));
    let same = |it: &mut MetalArguments| {
        let slot = it.buffers[0];
        it.sizes = Some(MetalSizes {
            slot,
            regions: vec![0],
        });
    };
    assert!(try_it(&same).contains("same slot"));
    let beyond = |it: &mut MetalArguments| {
        it.sizes = Some(MetalSizes {
            slot: 8,
            regions: vec![1],
        });
    };
    assert!(try_it(&beyond).contains("does not bind"));
    assert!(try_it(&|it| it.threadgroup_bytes = vec![8]).contains("multiples of 16"));
    assert!(try_it(&|it| it.threadgroup_bytes = vec![1 << 30]).contains("workgroup memory"));
}

#[test]
fn a_device_that_is_not_there() {
    let options = Options::default();
    let name = Select::Name("no such device".into());
    let error = MetalDevice::open(&name, &options).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchDevice { .. }), "{error}");
    assert!(error.to_string().contains("0 ("), "{error}");
    let error = MetalDevice::open(&Select::Index(1000), &options).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchDevice { .. }), "{error}");
}

#[test]
fn devices_are_listed_and_open_by_index_and_name() {
    let options = Options::default();
    let devices = tidegate_metal::physical_devices(&options).unwrap();
    let first = devices.iter().find(|it| it.refusal.is_none()).unwrap();
    let by_index = MetalDevice::open(&Select::Index(first.index), &options).unwrap();
    assert_eq!(*by_index.capabilities(), first.capabilities);
    let name = first.capabilities.name[1..].to_uppercase();
    let by_name = MetalDevice::open(&Select::Name(name.clone()), &options).unwrap();
    assert!(by_name.capabilities().name.to_uppercase().contains(&name));
}
