//! What a backend says to calls that core does not make, so that a mistake in core is told in words, and that the device works on afterwards. Every backend says it in
//! these words but the simulated device, which writes down a violation instead.

use super::*;
use tidegate_core::{
    Batch, Command, Device, DeviceError, Kernel, Launch, MemoryId, MemoryKind, PipelineId, Span,
    Ticket,
};

/// Why a call was refused, which it must be.
pub(crate) fn detail<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> String {
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
fn kernels_that_the_device_cannot_have() {
    for rig in Rig::every() {
        let code = Rig::code(&LCG);
        for size in [[1 << 20, 1, 1], [0, 1, 1], [512, 512, 1]] {
            let kernel = Kernel {
                workgroup_size: size,
                ..LCG.kernel()
            };
            let made = rig.device().create_pipeline(PipelineId(0), &kernel, &code);
            let said = detail(made);
            assert!(said.contains("kernel main"), "{said}");
            assert!(said.contains("workgroup"), "{said}");
        }
    }
}

#[test]
fn batches_outside_their_buffers() {
    for rig in Rig::every() {
        let x = rig.buffer(64);
        for (target, words) in [
            (region(x.memory, 4, 256), "outside"),
            (region(MemoryId(99), 0, 256), "outside"),
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
            detail(rig.device().submit(&batch, rig.ticket(0)));
        }
        let mut batch = Batch::default();
        copy(&mut batch, part(&x, 0, 8), part(&x, 7, 8));
        refuses(&rig, &batch, "overlap");
        let mut batch = Batch::default();
        copy(&mut batch, part(&x, 0, 8), part(&x, 8, 7));
        refuses(&rig, &batch, "sizes are equal");
    }
}

#[test]
fn launches_that_do_not_fit_their_kernel() {
    for rig in Rig::every() {
        let x = rig.buffer(64);
        let pipeline = rig.pipeline(&LCG);
        let outside = region(x.memory, 4, 256);
        let nowhere = PipelineId(77);
        for (pipeline, regions, scalars, words) in [
            (pipeline, &[outside][..], &[][..], "outside"),
            (pipeline, &[], &[], "1 buffers gives 0"),
            (pipeline, &[x], &[0; 4], "0 bytes of scalars gives 4"),
            (nowhere, &[x], &[], "no pipeline 77"),
        ] {
            let mut batch = Batch::default();
            launch(&mut batch, pipeline, regions, scalars, [1, 1, 1]);
            refuses(&rig, &batch, words);
        }
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
    for rig in Rig::every() {
        let device = rig.device();
        let x = rig.buffer(64);
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        let ticket = rig.submit(&batch);
        assert!(detail(device.submit(&batch, ticket)).contains("not after the last"));
        let queue = device.capabilities().queues;
        let nowhere = Ticket { queue, value: 1 };
        assert!(detail(device.submit(&batch, nowhere)).contains("no queue"));
        assert!(detail(device.completed(queue)).contains("no queue"));
        assert!(detail(device.wait(nowhere, 0)).contains("no queue"));
        // A wait for what was never submitted would never end.
        let never = Ticket {
            queue: 0,
            value: 1_000_000,
        };
        assert_eq!(device.wait(never, 2_000_000), Ok(false));
        batch.opening = ALL;
        batch.waits.push(never);
        refuses(&rig, &batch, "never submitted");
    }
}

#[test]
fn host_accesses_out_of_bounds() {
    for rig in Rig::every() {
        let (x, _) = rig.memory(4, MemoryKind::Upload);
        let device = rig.device();
        for offset in [1, 16, u64::MAX] {
            assert!(detail(device.write(x.memory, offset, &[0; 16])).contains("outside"));
            assert!(detail(device.read(x.memory, offset, &mut [0; 16])).contains("outside"));
        }
        assert!(detail(device.write(MemoryId(50), 0, &[0])).contains("outside"));
        device.write(x.memory, 16, &[]).unwrap();
        for kind in [MemoryKind::Device, MemoryKind::Upload, MemoryKind::Readback] {
            let (x, access) = rig.memory(4, kind);
            assert_eq!(device.write(x.memory, 0, &[0]).is_ok(), access.write);
            assert!(access.write || kind == MemoryKind::Device);
        }
    }
}

#[test]
fn too_much_memory() {
    for rig in Rig::every() {
        let most = rig.device().capabilities().allocation_bytes_max;
        let id = MemoryId(0);
        for bytes in [0, most + 16, u64::MAX] {
            let said = detail(rig.device().allocate(id, bytes, MemoryKind::Device));
            assert!(said.contains(&most.to_string()), "{said}");
        }
        rig.device().allocate(id, 16, MemoryKind::Device).unwrap();
    }
}

#[test]
fn indices_that_are_taken() {
    for rig in Rig::every() {
        let (x, back) = (rig.buffer(64), rig.readback(64));
        let pipeline = rig.pipeline(&LCG);
        let (device, code) = (rig.device(), Rig::code(&STEP));
        let again = device.create_pipeline(pipeline, &STEP.kernel(), &code);
        assert!(again.is_err());
        assert!(device.allocate(x.memory, 16, MemoryKind::Device).is_err());
        // What has them is as it was.
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        barrier(&mut batch, ALL);
        launch(&mut batch, pipeline, &[x], &[], [1, 1, 1]);
        barrier(&mut batch, ALL);
        let got = rig.copy_and_read(&mut batch, x, back);
        assert_eq!(got, vec![lcg(1, 1); 64]);
    }
}
