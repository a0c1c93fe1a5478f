//! What is refused, in which words, and that the device works on afterwards; and that validation is heard.

mod common;
#[path = "../../core/tests/device/refusals.rs"]
mod contract;

use common::*;
use contract::detail;
use tidegate_core::{Access, Batch, Code, Device, Kernel, PipelineId};
use tidegate_vulkan::{OpenError, Select, VulkanDevice};

#[test]
fn damaged_spirv() {
    let rig = Rig::new(&checked());
    let good = spirv(LCG.wgsl);
    let try_it = |words: Vec<u32>| {
        let code = Code::Spirv(words);
        let made = rig
            .device()
            .create_pipeline(PipelineId(0), &LCG.kernel(), &code);
        detail(made)
    };
    assert!(try_it(vec![]).contains("0 words"));
    assert!(try_it(good[..4].to_vec()).contains("4 words"));
    assert!(try_it(good.iter().map(|it| it.swap_bytes()).collect()).contains("begins with"));
    for cut in 1..40 {
        let said = try_it(good[..good.len() - cut].to_vec());
        assert!(said.contains("cut short"), "{said}");
    }
    let mut zero = good.clone();
    zero[5] = 0;
    assert!(try_it(zero).contains("damaged at word 5"));
    let mut version = good.clone();
    version[1] = 0x0002_0000;
    assert!(try_it(version).contains("version 2.0"));
    let mut bound = good.clone();
    bound[3] = 0;
    assert!(try_it(bound).contains("0 ids"));
    let mut capability = good.clone();
    assert_eq!(
        capability[5],
        2 << 16 | 17,
        "naga writes a capability first"
    );
    capability[6] = 5;
    let said = try_it(capability);
    assert!(said.contains("SPIR-V capability 5"), "{said}");
    // The same index still works.
    rig.device()
        .create_pipeline(PipelineId(0), &LCG.kernel(), &Code::Spirv(good))
        .unwrap();
}

#[test]
fn interfaces_that_the_device_cannot_have() {
    let rig = Rig::new(&checked());
    let code = Code::Spirv(spirv(LCG.wgsl));
    let try_it = |change: &dyn Fn(&mut Kernel)| {
        let mut kernel = LCG.kernel();
        change(&mut kernel);
        detail(rig.device().create_pipeline(PipelineId(0), &kernel, &code))
    };
    assert!(try_it(&|it| it.name = "other".into()).contains("only: main"));
    assert!(try_it(&|it| it.bindings[0].group = 1000).contains("group 1000"));
    let twice = try_it(&|it| it.bindings.push(it.bindings[0].clone()));
    assert!(twice.contains("there twice"), "{twice}");
    let many = try_it(&|it| {
        for binding in 1..200 {
            let mut next = it.bindings[0].clone();
            next.binding = binding;
            it.bindings.push(next);
        }
    });
    assert!(many.contains("200 buffers"), "{many}");
}

#[test]
fn a_device_that_is_not_there() {
    let options = checked();
    let name = Select::Name("no such device".into());
    let error = VulkanDevice::open(&name, &options).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchDevice { .. }), "{error}");
    assert!(error.to_string().contains("0 ("), "{error}");
    let error = VulkanDevice::open(&Select::Index(1000), &options).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchDevice { .. }), "{error}");
}

#[test]
fn devices_are_listed_and_open_by_index_and_name() {
    let options = checked();
    let devices = tidegate_vulkan::physical_devices(&options).unwrap();
    let first = devices
        .iter()
        .find(|it| it.refusal.is_none())
        .expect("no Vulkan device: run `cargo xtask test`, which installs one");
    let by_index = VulkanDevice::open(&Select::Index(first.index), &options).unwrap();
    assert_eq!(*by_index.capabilities(), first.capabilities);
    let name = first.capabilities.name[2..].to_uppercase();
    let by_name = VulkanDevice::open(&Select::Name(name.clone()), &options).unwrap();
    assert!(by_name.capabilities().name.to_uppercase().contains(&name));
}

/// Validation must be able to fail these tests, or its silence proves nothing.
#[test]
fn a_canary_is_heard() {
    let rig = Rig::new(&checked());
    // The kernel's binding 0 is not in this layout.
    rig.pipeline(&Source {
        bindings: &[(0, 5, Access::ReadWrite)],
        ..LCG
    });
    let messages = rig.into_backend().end();
    assert!(
        messages
            .iter()
            .any(|it| it.contains("VUID-VkComputePipelineCreateInfo-layout")),
        "{messages:#?}"
    );
}

/// So must its checks of synchronisation: two copies without the barrier between them.
#[test]
fn a_missing_barrier_is_heard() {
    let rig = Rig::new(&checked());
    let (x, y) = (rig.buffer(64), rig.buffer(64));
    let mut batch = Batch::default();
    fill(&mut batch, x, 1);
    copy(&mut batch, x, y);
    rig.wait(rig.submit(&batch));
    let messages = rig.into_backend().end();
    assert!(
        messages
            .iter()
            .any(|it| it.contains("SYNC-HAZARD-READ-AFTER-WRITE")
                || it.contains("SYNC-HAZARD-READ_AFTER_WRITE")),
        "{messages:#?}"
    );
}

/// The same for what a kernel reads, bound as a descriptor. What it finds by address no layer looks at.
#[test]
fn a_missing_barrier_before_a_kernel_is_heard() {
    let messages = |between: bool| {
        let rig = Rig::new(&checked());
        let (x, y) = (rig.buffer(64), rig.buffer(64));
        let pipeline = rig.pipeline(&STEP);
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        if between {
            barrier(&mut batch, ALL);
        }
        launch(&mut batch, pipeline, &[x, y], &[], [1, 1, 1]);
        rig.wait(rig.submit(&batch));
        rig.into_backend().end()
    };
    assert_eq!(messages(true), Vec::<String>::new());
    let found = messages(false);
    let hazard = |it: &String| it.contains("SYNC-HAZARD-READ-AFTER-WRITE");
    assert!(found.iter().any(hazard), "{found:#?}");
}
