//! What is refused, in which words, and that the device works on afterwards.

mod common;

use common::*;
use tidegate_core::{
    Access, Batch, Code, Command, Device, DeviceError, Launch, MemoryId, MemoryKind, PipelineId,
    Span, Ticket,
};
use tidegate_vulkan::{OpenError, Select, VulkanDevice};

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

#[test]
fn damaged_spirv() {
    let rig = Rig::new(&checked());
    let good = spirv(LCG);
    let try_it = |words: Vec<u32>| {
        let code = Code::Spirv(words);
        detail(
            rig.device()
                .create_pipeline(PipelineId(0), &lcg_kernel(), &code),
        )
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
        .create_pipeline(PipelineId(0), &lcg_kernel(), &Code::Spirv(good))
        .unwrap();
}

#[test]
fn kernels_that_the_device_cannot_have() {
    let rig = Rig::new(&checked());
    let code = Code::Spirv(spirv(LCG));
    let try_it = |change: &dyn Fn(&mut tidegate_core::Kernel)| {
        let mut kernel = lcg_kernel();
        change(&mut kernel);
        detail(rig.device().create_pipeline(PipelineId(0), &kernel, &code))
    };
    assert!(try_it(&|it| it.name = "other".into()).contains("only: main"));
    assert!(try_it(&|it| it.workgroup_size = [1 << 20, 1, 1]).contains("workgroup"));
    assert!(try_it(&|it| it.workgroup_size = [0, 1, 1]).contains("workgroup"));
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
fn batches_outside_their_buffers() {
    for options in every_path() {
        let rig = Rig::new(&options);
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
    let rig = Rig::new(&checked());
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
    let rig = Rig::new(&checked());
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
    let rig = Rig::new(&checked());
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
    let by_name = VulkanDevice::open(&Select::Name(name), &options).unwrap();
    for kind in [MemoryKind::Device, MemoryKind::Upload, MemoryKind::Readback] {
        assert!(by_name.memory_available(kind).is_none_or(|it| it > 0));
    }
    let capabilities = by_name.capabilities();
    assert!(
        capabilities.allocation_bytes_max > 0
            && capabilities.allocation_bytes_max.is_multiple_of(16)
    );
    assert!(capabilities.binding_bytes_max >= 128 << 20);
    assert!(capabilities.bindings_max >= 4);
    assert!(!capabilities.driver.trim().is_empty());
}

/// Validation must be able to fail these tests, or its silence proves nothing.
#[test]
fn a_canary_is_heard() {
    let rig = Rig::new(&checked());
    // The kernel's binding 0 is not in this layout.
    let wrong = kernel(&[(0, 5, Access::ReadWrite, false)], None);
    rig.pipeline(LCG, &wrong);
    let messages = rig.end();
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
    let messages = rig.end();
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
    const ADD: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    y[id.x] = x[id.x] + 1u;
}";
    let messages = |between: bool| {
        let rig = Rig::new(&checked());
        let (x, y) = (rig.buffer(64), rig.buffer(64));
        let access = [
            (0, 0, Access::Read, false),
            (0, 1, Access::ReadWrite, false),
        ];
        let pipeline = rig.pipeline(ADD, &kernel(&access, None));
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        if between {
            barrier(&mut batch, ALL);
        }
        launch(&mut batch, pipeline, &[x, y], &[], [1, 1, 1]);
        rig.wait(rig.submit(&batch));
        rig.end()
    };
    assert_eq!(messages(true), Vec::<String>::new());
    let found = messages(false);
    let hazard = |it: &String| it.contains("SYNC-HAZARD-READ-AFTER-WRITE");
    assert!(found.iter().any(hazard), "{found:#?}");
}
