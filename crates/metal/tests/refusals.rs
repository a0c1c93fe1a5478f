//! What is refused, in which words, and that the device works on afterwards.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod common;

use common::*;
use tidegate_core::{
    Batch, Code, Command, Device, DeviceError, Kernel, Launch, MemoryId, MemoryKind,
    MetalArguments, MetalSizes, PipelineId, Span, Ticket,
};
use tidegate_metal::{MetalDevice, OpenError, Options, Select};

fn detail<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> String {
    match result {
        Err(DeviceError::Refused { detail }) => detail,
        other => panic!("not refused: {other:?}"),
    }
}

/// Submits a batch that must be refused, and then one that must run, with the same ticket.
fn refuses(rig: &Rig, batch: &Batch, words: &str) {
    let ticket = rig.ticket(0);
    let said = detail(rig.device().submit(batch, ticket));
    assert!(said.contains(words), "{said}");
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let mut good = Batch::default();
    fill(&mut good, x, 5);
    barrier(&mut good, ALL);
    copy(&mut good, x, back);
    good.host_reads = true;
    assert_eq!(rig.device().submit(&good, ticket), Ok(()));
    rig.wait(ticket);
    assert_eq!(rig.read(&back), vec![5; 64]);
}

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
    let (source, arguments) = parts(code(LCG, &lcg_kernel()));
    let try_it = |source: String, entry_point: &str| {
        let arguments = MetalArguments {
            entry_point: entry_point.to_owned(),
            ..arguments.clone()
        };
        let code = Code::Msl { source, arguments };
        let made = rig
            .device()
            .create_pipeline(PipelineId(0), &lcg_kernel(), &code);
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
        .create_pipeline(PipelineId(0), &lcg_kernel(), &code(LCG, &lcg_kernel()))
        .unwrap();
}

#[test]
fn code_of_other_kinds() {
    let rig = Rig::new(&Options::default());
    let try_it = |code: Code| {
        detail(
            rig.device()
                .create_pipeline(PipelineId(0), &lcg_kernel(), &code),
        )
    };
    assert!(try_it(Code::Spirv(vec![0x0723_0203])).contains("Metal takes MSL"));
    let (_, arguments) = parts(code(LCG, &lcg_kernel()));
    for bytes in [Vec::new(), b"not a library".to_vec()] {
        let arguments = arguments.clone();
        let said = try_it(Code::Metallib { bytes, arguments });
        assert!(said.starts_with("kernel main: "), "{said}");
    }
}

#[test]
fn slots_that_are_not_the_kernels() {
    let rig = Rig::new(&Options::default());
    let (source, arguments) = parts(code(LCG, &lcg_kernel()));
    let try_it = |change: &dyn Fn(&mut MetalArguments)| {
        let mut arguments = arguments.clone();
        change(&mut arguments);
        let code = Code::Msl {
            source: source.clone(),
            arguments,
        };
        detail(
            rig.device()
                .create_pipeline(PipelineId(0), &lcg_kernel(), &code),
        )
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
fn kernels_that_the_device_cannot_have() {
    let rig = Rig::new(&Options::default());
    let code = code(LCG, &lcg_kernel());
    let try_it = |size: [u32; 3]| {
        let kernel = Kernel {
            workgroup_size: size,
            ..lcg_kernel()
        };
        detail(rig.device().create_pipeline(PipelineId(0), &kernel, &code))
    };
    assert!(try_it([1 << 20, 1, 1]).contains("workgroup"));
    assert!(try_it([0, 1, 1]).contains("workgroup"));
    assert!(try_it([512, 512, 1]).contains("workgroup"));
}

#[test]
fn batches_outside_their_buffers() {
    {
        let rig = Rig::new(&Options::default());
        let x = rig.buffer(64);
        let pipeline = rig.pipeline(LCG, &lcg_kernel());
        let outside = region(x.memory, 4, 256);
        let nowhere = region(MemoryId(99), 0, 256);

        for (target, words) in [
            (outside, "outside"),
            (nowhere, "outside"),
            (region(x.memory, 2, 8), "whole words"),
            (region(x.memory, 0, 6), "whole words"),
            (region(x.memory, 0, 0), "whole words"),
            (region(x.memory, u64::MAX - 3, 4), "outside"),
        ] {
            let mut batch = Batch::default();
            fill(&mut batch, target, 1);
            refuses(&rig, &batch, words);
            let mut batch = Batch::default();
            fill(&mut batch, x, 1);
            barrier(&mut batch, ALL);
            upload(&mut batch, target, &[1, 2]);
            let ticket = rig.ticket(0);
            detail(rig.device().submit(&batch, ticket));
        }
        let mut batch = Batch::default();
        launch(&mut batch, pipeline, &[outside], &[], [1, 1, 1]);
        refuses(&rig, &batch, "outside");
        let mut batch = Batch::default();
        copy(&mut batch, part(&x, 0, 8), part(&x, 7, 8));
        refuses(&rig, &batch, "overlap");
        let mut batch = Batch::default();
        copy(&mut batch, part(&x, 0, 8), part(&x, 8, 7));
        refuses(&rig, &batch, "sizes are equal");
        let mut batch = Batch::default();
        launch(&mut batch, pipeline, &[], &[], [1, 1, 1]);
        refuses(&rig, &batch, "1 buffers gives 0");
        let mut batch = Batch::default();
        launch(&mut batch, pipeline, &[x], &[0; 4], [1, 1, 1]);
        refuses(&rig, &batch, "0 bytes of scalars gives 4");
        let mut batch = Batch::default();
        launch(&mut batch, PipelineId(77), &[x], &[], [1, 1, 1]);
        refuses(&rig, &batch, "no pipeline 77");
        let mut batch = Batch::default();
        batch.commands.push(Command::Launch(Launch {
            pipeline,
            bindings: Span { start: 5, len: 1 },
            scalars: Span::default(),
            grid: [1, 1, 1],
        }));
        refuses(&rig, &batch, "gives 1");
    }
}

#[test]
fn tickets_that_make_no_sense() {
    let rig = Rig::new(&Options::default());
    let x = rig.buffer(64);
    let mut batch = Batch::default();
    fill(&mut batch, x, 1);
    let ticket = rig.submit(&batch);
    assert!(detail(rig.device().submit(&batch, ticket)).contains("not after the last"));
    let queue = rig.device().capabilities().queues;
    let nowhere = Ticket { queue, value: 1 };
    assert!(detail(rig.device().submit(&batch, nowhere)).contains("no queue"));
    assert!(detail(rig.device().completed(queue)).contains("no queue"));
    assert!(detail(rig.device().wait(nowhere, 0)).contains("no queue"));
    // A wait for what was never submitted would never end.
    batch.opening = ALL;
    batch.waits.push(Ticket {
        queue: 0,
        value: 1_000_000,
    });
    refuses(&rig, &batch, "never submitted");
}

#[test]
fn host_accesses_out_of_bounds() {
    let rig = Rig::new(&Options::default());
    let (x, _) = rig.memory(4, MemoryKind::Upload);
    let device = rig.device();
    for offset in [1, 16, u64::MAX] {
        assert!(detail(device.write(x.memory, offset, &[0; 16])).contains("outside"));
        assert!(detail(device.read(x.memory, offset, &mut [0; 16])).contains("outside"));
    }
    assert!(detail(device.write(MemoryId(50), 0, &[0])).contains("outside"));
    device.write(x.memory, 16, &[]).unwrap();
}

#[test]
fn too_much_memory() {
    let rig = Rig::new(&Options::default());
    let most = rig.device().capabilities().allocation_bytes_max;
    let id = MemoryId(0);
    for bytes in [0, most + 16, u64::MAX] {
        let said = detail(rig.device().allocate(id, bytes, MemoryKind::Device));
        assert!(said.contains(&most.to_string()), "{said}");
    }
    rig.device().allocate(id, 16, MemoryKind::Device).unwrap();
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
    let by_name = MetalDevice::open(&Select::Name(name), &options).unwrap();
    assert!(
        by_name
            .memory_available(MemoryKind::Device)
            .is_none_or(|it| it > 0)
    );
    let capabilities = by_name.capabilities();
    assert!(
        capabilities.allocation_bytes_max > 0
            && capabilities.allocation_bytes_max.is_multiple_of(16)
    );
    assert!(capabilities.binding_bytes_max >= 128 << 20);
    assert!(capabilities.bindings_max >= 4);
    assert!(!capabilities.driver.trim().is_empty());
}
