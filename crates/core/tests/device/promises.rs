//! What the contract of [`Device`] promises, on every backend. `rig.rs` says how a backend runs it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::mem::swap;

use super::*;
use tidegate_core::{Batch, Device, MemoryId, MemoryKind, PipelineId, Region, Stages, Ticket};

const WORDS: u64 = 1024;

/// Within this time another queue hears of a batch.
const SOON_NS: u64 = 5_000_000_000;

/// Starts from words 0, 1, 2... in `x`.
fn count_up(batch: &mut Batch, x: Region) {
    let words: Vec<u32> = (0..(x.bytes / 4) as u32).collect();
    upload(batch, x, &words);
}

fn expected(steps: usize) -> Vec<u32> {
    (0..WORDS as u32).map(|it| lcg(it, steps)).collect()
}

#[test]
fn a_chain_of_dependent_launches() {
    for rig in Rig::every() {
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(&STEP);
        let mut batch = Batch::default();
        count_up(&mut batch, x);
        barrier(&mut batch, between(Stages::TRANSFER, Stages::COMPUTE));
        for _ in 0..100 {
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            barrier(&mut batch, COMPUTE);
            swap(&mut x, &mut y);
        }
        barrier(&mut batch, between(Stages::COMPUTE, Stages::TRANSFER));
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(100));
    }
}

#[test]
fn the_opening_barrier_orders_batches() {
    for rig in Rig::every() {
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(&STEP);
        let mut batch = Batch::default();
        count_up(&mut batch, x);
        rig.submit(&batch);
        for _ in 0..50 {
            batch.clear();
            batch.opening = between(Stages::ALL, Stages::COMPUTE);
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            rig.submit(&batch);
            swap(&mut x, &mut y);
        }
        batch.clear();
        batch.opening = between(Stages::COMPUTE, Stages::TRANSFER);
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(50));
    }
}

#[test]
fn fills_copies_and_uploads_land_where_they_should() {
    for rig in Rig::every() {
        // Within one allocation, and at a byte that is no word's where the device can.
        let align = rig.device().capabilities().copy_align;
        let count = 64 * align;
        let (x, back) = (rig.buffer(count), rig.readback(count));
        let mut batch = Batch::default();
        fill(&mut batch, x, 7);
        barrier(&mut batch, ALL);
        fill(&mut batch, part(&x, 3, 5), 0xdead_beef);
        upload(&mut batch, part(&x, 10, 2), &[1, 2]);
        barrier(&mut batch, ALL);
        let at = |first: u64| region(x.memory, first * align, 3 * align);
        copy(&mut batch, at(13), at(81));
        barrier(&mut batch, ALL);
        let mut model = vec![7; count as usize];
        model[3..8].fill(0xdead_beef);
        model[10..12].copy_from_slice(&[1, 2]);
        let mut raw = bytes(&model);
        let align = align as usize;
        raw.copy_within(13 * align..16 * align, 81 * align);
        assert_eq!(rig.copy_and_read(&mut batch, x, back), words(&raw));
    }
}

#[test]
fn scalars_as_push_constants_change_between_launches() {
    for rig in Rig::every() {
        let (x, y, back) = (rig.buffer(64), rig.buffer(64), rig.readback(64));
        let pipeline = rig.pipeline(&PUSHED);
        // Push constants of another layout in between must not be taken for these.
        let other = rig.pipeline(&LCG);
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        fill(&mut batch, y, 0);
        barrier(&mut batch, ALL);
        for at in 0..8 {
            launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, at]), [1, 1, 1]);
            launch(&mut batch, other, &[y], &[], [1, 1, 1]);
            barrier(&mut batch, ALL);
            launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, at]), [1, 1, 1]);
            // The two write different words, but who watches sees what is bound.
            barrier(&mut batch, ALL);
            launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, 63]), [1, 1, 1]);
            barrier(&mut batch, ALL);
        }
        let got = rig.copy_and_read(&mut batch, x, back);
        for at in 0..8 {
            assert_eq!(got[at as usize], (3 + at) * 3 + at);
        }
        assert_eq!(got[63], (0..8).fold(1, |x: u32, at| x * 3 + at));
        batch.clear();
        batch.opening = ALL;
        let got = rig.copy_and_read(&mut batch, y, back);
        assert_eq!(got, vec![lcg(0, 8); 64]);
    }
}

#[test]
fn several_groups_and_a_uniform_block() {
    for rig in Rig::every() {
        let (a, b, c) = (rig.buffer(64), rig.buffer(64), rig.buffer(64));
        let (uniform, _) = rig.memory(1024, MemoryKind::Upload);
        let back = rig.readback(64);
        let pipeline = rig.pipeline(&THREE);
        let align = rig.device().capabilities().uniform_align;
        let data = bytes(&[10, 100, 0, 0]);
        rig.device().write(uniform.memory, align, &data).unwrap();
        let scale = region(uniform.memory, align, 16);
        let mut batch = Batch::default();
        fill(&mut batch, a, 3);
        fill(&mut batch, b, 4);
        barrier(&mut batch, ALL);
        launch(&mut batch, pipeline, &[c, a, b, scale], &[], [1, 1, 1]);
        barrier(&mut batch, ALL);
        assert_eq!(rig.copy_and_read(&mut batch, c, back), vec![430; 64]);
    }
}

#[test]
fn what_the_host_writes_is_seen_and_what_it_may_read_is_told() {
    for rig in Rig::every() {
        let (staging, upload_access) = rig.memory(256, MemoryKind::Upload);
        let (direct, device_access) = rig.memory(256, MemoryKind::Device);
        let back = rig.readback(256);
        assert!(upload_access.write);
        let data: Vec<u32> = (0..256).map(|it| it * 3).collect();
        let write = |to: Region, offset, words: &[u32]| {
            let written = rig.device().write(to.memory, offset, &bytes(words));
            written.unwrap();
        };
        write(staging, 0, &data);
        let mut batch = Batch::default();
        assert_eq!(rig.copy_and_read(&mut batch, staging, back), data);
        if device_access.write {
            write(direct, 4, &data[..9]);
            if device_access.read {
                assert_eq!(rig.read(&part(&direct, 1, 9)), data[..9]);
            }
            batch.clear();
            batch.opening = ALL;
            let got = rig.copy_and_read(&mut batch, direct, back);
            assert_eq!(got[1..10], data[..9]);
        }
    }
}

#[test]
fn queues_wait_for_each_other() {
    for rig in Rig::every() {
        let queues = rig.device().capabilities().queues;
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(&STEP);
        let mut batch = Batch::default();
        count_up(&mut batch, x);
        let mut last = rig.submit(&batch);
        for step in 0..20 {
            batch.clear();
            let queue = step % queues;
            after(&mut batch, queue, last);
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            swap(&mut x, &mut y);
            last = rig.submit_to(queue, &batch);
        }
        batch.clear();
        after(&mut batch, 0, last);
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(20));
    }
}

/// A ticket stands for every batch before it, even one that its own batch does not come after.
#[test]
fn a_signal_stands_for_every_batch_before_it() {
    for rig in Rig::every() {
        let (x, back) = (rig.buffer(1 << 16), rig.readback(1 << 16));
        let y = rig.buffer(64);
        let pipeline = rig.pipeline(&LCG);
        let mut batch = Batch::default();
        fill(&mut batch, x, 3);
        for _ in 0..30 {
            // Kernels wait, and transfers need not.
            barrier(&mut batch, between(Stages::ALL, Stages::COMPUTE));
            launch(&mut batch, pipeline, &[x], &[], [1 << 10, 1, 1]);
        }
        rig.submit(&batch);
        batch.clear();
        copy(&mut batch, part(&y, 0, 32), part(&y, 32, 32));
        let second = rig.submit(&batch);
        batch.clear();
        let queue = 1 % rig.device().capabilities().queues;
        after(&mut batch, queue, second);
        copy(&mut batch, x, back);
        batch.host_reads = true;
        rig.wait(rig.submit_to(queue, &batch));
        let words = rig.read(&back);
        let wrong = words.iter().find(|it| **it != lcg(3, 30));
        assert_eq!(wrong, None);
        rig.wait(second);
    }
}

#[test]
fn another_queue_hears_of_a_batch_soon() {
    for rig in Rig::every() {
        let (x, back) = (rig.buffer(64), rig.readback(64));
        let mut batch = Batch::default();
        fill(&mut batch, x, 9);
        let first = rig.submit(&batch);
        batch.clear();
        let queue = 1 % rig.device().capabilities().queues;
        after(&mut batch, queue, first);
        copy(&mut batch, x, back);
        batch.host_reads = true;
        let second = rig.submit_to(queue, &batch);
        assert!(rig.device().wait(second, SOON_NS).unwrap(), "a hang");
        assert_eq!(rig.read(&back), vec![9; 64]);
    }
}

#[test]
fn tickets_complete_in_order_and_a_timeout_is_no_error() {
    for rig in Rig::every() {
        assert_eq!(rig.device().completed(0), Ok(0));
        let x = rig.buffer(WORDS * 64);
        let pipeline = rig.pipeline(&LCG);
        let mut batch = Batch::default();
        batch.opening = ALL;
        for _ in 0..50 {
            launch(&mut batch, pipeline, &[x], &[], [WORDS as u32, 1, 1]);
            barrier(&mut batch, COMPUTE);
        }
        barrier(&mut batch, ALL);
        fill(&mut batch, x, 0);
        let tickets: Vec<Ticket> = (0..4).map(|_| rig.submit(&batch)).collect();
        // Nothing can have run that was not submitted, and no time is no wait.
        let _ = rig.device().wait(tickets[3], 0).unwrap();
        for ticket in tickets {
            rig.wait(ticket);
        }
    }
}

#[test]
fn the_device_may_be_dropped_with_work_in_flight_and_objects_alive() {
    for rig in Rig::every() {
        let x = rig.buffer(WORDS * 64);
        let pipeline = rig.pipeline(&LCG);
        let mut batch = Batch::default();
        fill(&mut batch, x, 1);
        barrier(&mut batch, ALL);
        for _ in 0..100 {
            launch(&mut batch, pipeline, &[x], &[], [WORDS as u32, 1, 1]);
            barrier(&mut batch, COMPUTE);
        }
        for _ in 0..3 {
            batch.opening = ALL;
            rig.submit(&batch);
        }
    }
}

#[test]
fn indices_are_used_again() {
    for rig in Rig::every() {
        let (device, code) = (rig.device(), Rig::code(&LCG));
        let (x, back) = (rig.buffer(64), rig.readback(64));
        let (id, memory) = (PipelineId(1000), MemoryId(2000));
        for round in 0..20 {
            device.create_pipeline(id, &LCG.kernel(), &code).unwrap();
            let size = 16 << round;
            device.allocate(memory, size, MemoryKind::Device).unwrap();
            let mut batch = Batch::default();
            batch.opening = ALL;
            fill(&mut batch, x, round);
            fill(&mut batch, region(memory, 0, size), 1);
            barrier(&mut batch, ALL);
            launch(&mut batch, id, &[x], &[], [1, 1, 1]);
            barrier(&mut batch, ALL);
            let got = rig.copy_and_read(&mut batch, x, back);
            assert_eq!(got, vec![lcg(round, 1); 64]);
            device.destroy_pipeline(id);
            device.free(memory);
        }
    }
}

#[test]
fn threads_share_a_device() {
    for rig in Rig::every() {
        let device = rig.device();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || (0..50).for_each(|round| take_part(device, thread, round)));
            }
        });
    }
}

/// Makes memory and a pipeline, uses them, and gives them back.
fn take_part(device: &impl Device, thread: u32, round: u32) {
    let (memory, id) = (MemoryId(thread), PipelineId(thread));
    let (size, own) = (1 << (10 + (thread + round) % 8), thread * 50 + round);
    let access = device.allocate(memory, size, MemoryKind::Readback).unwrap();
    if access.write {
        let data = vec![own as u8; 512];
        device.write(memory, 256, &data).unwrap();
        let mut got = vec![0; 512];
        device.read(memory, 256, &mut got).unwrap();
        assert_eq!(got, data);
    }
    let code = Rig::code(&LCG);
    device.create_pipeline(id, &LCG.kernel(), &code).unwrap();
    // A queue each: what they share is the memory, the pipelines and the device.
    if thread < device.capabilities().queues {
        let x = region(memory, 0, 256);
        let mut batch = Batch::default();
        fill(&mut batch, x, own);
        barrier(&mut batch, ALL);
        launch(&mut batch, id, &[x], &[], [1, 1, 1]);
        batch.host_reads = true;
        let ticket = Ticket {
            queue: thread,
            value: u64::from(round) + 1,
        };
        device.submit(&batch, ticket).unwrap();
        assert!(device.wait(ticket, WAIT_NS).unwrap(), "a hang");
        let mut got = vec![0; 256];
        device.read(memory, 0, &mut got).unwrap();
        assert_eq!(words(&got), [lcg(own, 1); 64]);
    }
    assert!(device.completed(0).is_ok());
    device.destroy_pipeline(id);
    device.free(memory);
}

#[test]
fn capabilities_are_what_callers_count_on() {
    for rig in Rig::every() {
        for kind in [MemoryKind::Device, MemoryKind::Upload, MemoryKind::Readback] {
            let available = rig.device().memory_available(kind);
            assert!(available.is_none_or(|it| it > 0), "{kind:?}");
        }
        let capabilities = rig.device().capabilities();
        let most = capabilities.allocation_bytes_max;
        assert!(most > 0 && most.is_multiple_of(16));
        assert!(capabilities.binding_bytes_max >= 128 << 20);
        assert!(capabilities.bindings_max >= 4);
        assert!(capabilities.queues >= 1);
        assert!(!capabilities.driver.trim().is_empty());
    }
}
