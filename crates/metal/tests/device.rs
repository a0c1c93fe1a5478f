//! The device's contract.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod common;

use common::*;
use tidegate_core::{Access, Barrier, Batch, Device, MemoryKind, ScalarPlace, Stages};
use tidegate_metal::Options;

const WORDS: u64 = 1024;

/// Starts from words 0, 1, 2... in `x`.
fn count_up(batch: &mut Batch, x: &tidegate_core::Region) {
    let words: Vec<u32> = (0..(x.bytes / 4) as u32).collect();
    upload(batch, *x, &words);
}

fn expected(steps: usize) -> Vec<u32> {
    (0..WORDS as u32).map(|it| lcg(it, steps)).collect()
}

#[test]
fn a_chain_of_dependent_launches() {
    {
        let rig = Rig::new(&Options::default());
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(STEP, &step_kernel());
        let mut batch = Batch::default();
        count_up(&mut batch, &x);
        barrier(
            &mut batch,
            Barrier {
                before: Stages::TRANSFER,
                after: Stages::COMPUTE,
            },
        );
        for _ in 0..100 {
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            barrier(&mut batch, COMPUTE);
            std::mem::swap(&mut x, &mut y);
        }
        barrier(
            &mut batch,
            Barrier {
                before: Stages::COMPUTE,
                after: Stages::TRANSFER,
            },
        );
        copy(&mut batch, x, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back), expected(100));
    }
}

#[test]
fn the_opening_barrier_orders_batches() {
    {
        let rig = Rig::new(&Options::default());
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(STEP, &step_kernel());
        let mut batch = Batch::default();
        count_up(&mut batch, &x);
        rig.submit(&batch);
        for _ in 0..50 {
            batch.clear();
            batch.opening = Barrier {
                before: Stages::ALL,
                after: Stages::COMPUTE,
            };
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            rig.submit(&batch);
            std::mem::swap(&mut x, &mut y);
        }
        batch.clear();
        batch.opening = Barrier {
            before: Stages::COMPUTE,
            after: Stages::TRANSFER,
        };
        copy(&mut batch, x, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back), expected(50));
    }
}

#[test]
fn fills_copies_and_uploads_land_where_they_should() {
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let mut batch = Batch::default();
    fill(&mut batch, x, 7);
    barrier(&mut batch, ALL);
    fill(&mut batch, part(&x, 3, 5), 0xdead_beef);
    upload(&mut batch, part(&x, 10, 2), &[1, 2]);
    barrier(&mut batch, ALL);
    // Within one allocation, and at a byte that is no word's.
    let odd = region(x.memory, 13, 3);
    let to = region(x.memory, 81, 3);
    copy(&mut batch, odd, to);
    barrier(&mut batch, ALL);
    copy(&mut batch, x, back);
    batch.host_reads = true;
    let mut model = vec![7; 64];
    model[3..8].fill(0xdead_beef);
    model[10..12].copy_from_slice(&[1, 2]);
    let mut raw = bytes(&model);
    raw.copy_within(13..16, 81);
    assert_eq!(rig.run_and_read(&batch, &back), words(&raw));
}

#[test]
fn scalars_as_push_constants_change_between_launches() {
    let wgsl = "
struct Scalars { add: u32, mul: u32, at: u32 }
var<immediate> s: Scalars;
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x == 0u { x[s.at] = x[s.at] * s.mul + s.add; }
}";
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let scalars = Some((ScalarPlace::PushConstants, 12));
    let pipeline = rig.pipeline(wgsl, &kernel(&[(0, 0, Access::ReadWrite, false)], scalars));
    // Push constants of another layout in between must not be taken for these.
    let other = rig.pipeline(LCG, &lcg_kernel());
    let y = rig.buffer(64);
    let mut batch = Batch::default();
    fill(&mut batch, x, 1);
    fill(&mut batch, y, 0);
    barrier(&mut batch, ALL);
    for at in 0..8 {
        launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, at]), [1, 1, 1]);
        launch(&mut batch, other, &[y], &[], [1, 1, 1]);
        barrier(&mut batch, ALL);
        launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, at]), [1, 1, 1]);
        launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, 63]), [1, 1, 1]);
        barrier(&mut batch, ALL);
    }
    copy(&mut batch, x, back);
    batch.host_reads = true;
    let got = rig.run_and_read(&batch, &back);
    for at in 0..8 {
        assert_eq!(got[at as usize], (3 + at) * 3 + at);
    }
    assert_eq!(got[63], (0..8).fold(1, |x: u32, at| x * 3 + at));
}

const THREE: &str = "
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(2) @binding(0) var<storage, read> b: array<u32>;
@group(2) @binding(3) var<storage, read_write> c: array<u32>;
@group(1) @binding(0) var<uniform> scale: vec4<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    c[id.x] = a[id.x] * scale.x + b[id.x] * scale.y;
}";

#[test]
fn several_groups_and_a_uniform_block() {
    {
        let rig = Rig::new(&Options::default());
        let (a, b, c) = (rig.buffer(64), rig.buffer(64), rig.buffer(64));
        let (uniform, _) = rig.memory(1024, MemoryKind::Upload);
        let back = rig.readback(64);
        let place = ScalarPlace::Uniform {
            group: 1,
            binding: 0,
        };
        // The order of the regions is not that of the groups.
        let interface = kernel(
            &[
                (2, 3, Access::ReadWrite, false),
                (0, 1, Access::Read, false),
                (2, 0, Access::Read, false),
            ],
            Some((place, 16)),
        );
        let pipeline = rig.pipeline(THREE, &interface);
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
        copy(&mut batch, c, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back), vec![430; 64]);
    }
}

#[test]
fn what_the_host_writes_is_seen_and_what_it_may_read_is_told() {
    let rig = Rig::new(&Options::default());
    let (staging, upload_access) = rig.memory(256, MemoryKind::Upload);
    let (back, readback_access) = rig.memory(256, MemoryKind::Readback);
    let (direct, device_access) = rig.memory(256, MemoryKind::Device);
    assert!(upload_access.write);
    assert!(readback_access.write);
    let data: Vec<u32> = (0..256).map(|it| it * 3).collect();
    rig.device()
        .write(staging.memory, 0, &bytes(&data))
        .unwrap();
    let mut batch = Batch::default();
    copy(&mut batch, staging, back);
    batch.host_reads = true;
    assert_eq!(rig.run_and_read(&batch, &back), data);
    if device_access.write {
        rig.device()
            .write(direct.memory, 4, &bytes(&data[..9]))
            .unwrap();
        batch.clear();
        batch.opening = ALL;
        copy(&mut batch, direct, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back)[1..10], data[..9]);
    } else {
        let refused = rig.device().write(direct.memory, 0, &[0; 4]);
        assert!(refused.is_err());
    }
}

#[test]
fn queues_wait_for_each_other() {
    {
        let rig = Rig::new(&Options::default());
        let queues = rig.device().capabilities().queues;
        let (mut x, mut y) = (rig.buffer(WORDS), rig.buffer(WORDS));
        let back = rig.readback(WORDS);
        let pipeline = rig.pipeline(STEP, &step_kernel());
        let mut batch = Batch::default();
        count_up(&mut batch, &x);
        let mut last = rig.submit(&batch);
        for step in 0..20 {
            batch.clear();
            let queue = step % queues;
            if queue == last.queue {
                batch.opening = ALL;
            } else {
                batch.waits.push(last);
            }
            launch(&mut batch, pipeline, &[x, y], &[], [16, 1, 1]);
            std::mem::swap(&mut x, &mut y);
            last = rig.ticket(queue);
            rig.device().submit(&batch, last).unwrap();
        }
        batch.clear();
        batch.opening = ALL;
        batch.waits.push(last);
        copy(&mut batch, x, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back), expected(20));
    }
}

/// A ticket stands for every batch before it, even one that its own batch does not come after.
#[test]
fn a_signal_stands_for_every_batch_before_it() {
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(1 << 16), rig.readback(1 << 16));
    let y = rig.buffer(64);
    let pipeline = rig.pipeline(LCG, &lcg_kernel());
    let mut batch = Batch::default();
    fill(&mut batch, x, 3);
    // Kernels wait, and transfers need not.
    let kernels_wait = Barrier {
        before: Stages::ALL,
        after: Stages::COMPUTE,
    };
    for _ in 0..30 {
        barrier(&mut batch, kernels_wait);
        launch(&mut batch, pipeline, &[x], &[], [1 << 10, 1, 1]);
    }
    rig.submit(&batch);
    batch.clear();
    copy(&mut batch, part(&y, 0, 32), part(&y, 32, 32));
    let second = rig.submit(&batch);
    batch.clear();
    batch.waits.push(second);
    copy(&mut batch, x, back);
    batch.host_reads = true;
    let third = rig.ticket(1);
    rig.device().submit(&batch, third).unwrap();
    rig.wait(third);
    let words = rig.read(&back);
    let wrong = words.iter().find(|it| **it != lcg(3, 30));
    assert_eq!(wrong, None);
    rig.wait(second);
}

#[test]
fn another_queue_hears_of_a_batch_soon() {
    let options = Options {
        drop_wait_ns: 1_000_000_000,
        ..Options::default()
    };
    let rig = Rig::new(&options);
    let (x, back) = (rig.buffer(64), rig.readback(64));
    let mut batch = Batch::default();
    fill(&mut batch, x, 9);
    let first = rig.submit(&batch);
    batch.clear();
    batch.waits.push(first);
    copy(&mut batch, x, back);
    batch.host_reads = true;
    let second = rig.ticket(1);
    rig.device().submit(&batch, second).unwrap();
    assert!(rig.device().wait(second, 5_000_000_000).unwrap(), "a hang");
    assert_eq!(rig.read(&back), vec![9; 64]);
}

#[test]
fn tickets_complete_in_order_and_a_timeout_is_no_error() {
    let rig = Rig::new(&Options::default());
    assert_eq!(rig.device().completed(0), Ok(0));
    let x = rig.buffer(WORDS * 64);
    let pipeline = rig.pipeline(LCG, &lcg_kernel());
    let mut batch = Batch::default();
    batch.opening = ALL;
    for _ in 0..50 {
        launch(&mut batch, pipeline, &[x], &[], [WORDS as u32, 1, 1]);
        barrier(&mut batch, COMPUTE);
    }
    barrier(&mut batch, ALL);
    fill(&mut batch, x, 0);
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(rig.submit(&batch));
    }
    // Nothing can have run that was not submitted, and no time is no wait.
    let _ = rig.device().wait(tickets[3], 0).unwrap();
    for ticket in tickets {
        rig.wait(ticket);
    }
    let last = rig.device().completed(0).unwrap();
    let next = tidegate_core::Ticket {
        queue: 0,
        value: last + 1,
    };
    assert_eq!(rig.device().wait(next, 2_000_000), Ok(false));
}

#[test]
fn the_device_may_be_dropped_with_work_in_flight_and_objects_alive() {
    {
        let rig = Rig::new(&Options::default());
        let x = rig.buffer(WORDS * 64);
        let pipeline = rig.pipeline(LCG, &lcg_kernel());
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
    let rig = Rig::new(&Options::default());
    let (x, back) = (rig.buffer(64), rig.readback(64));
    for round in 0..20 {
        let id = tidegate_core::PipelineId(1000);
        let code = code(LCG, &lcg_kernel());
        rig.device()
            .create_pipeline(id, &lcg_kernel(), &code)
            .unwrap();
        let again = rig.device().create_pipeline(id, &lcg_kernel(), &code);
        assert!(again.is_err());
        let memory = tidegate_core::MemoryId(2000);
        let size = 16 << (round % 20);
        rig.device()
            .allocate(memory, size, MemoryKind::Device)
            .unwrap();
        assert!(
            rig.device()
                .allocate(memory, 16, MemoryKind::Device)
                .is_err()
        );
        let mut batch = Batch::default();
        batch.opening = ALL;
        fill(&mut batch, x, round);
        fill(&mut batch, region(memory, 0, size), 1);
        barrier(&mut batch, ALL);
        launch(&mut batch, id, &[x], &[], [1, 1, 1]);
        barrier(&mut batch, ALL);
        copy(&mut batch, x, back);
        batch.host_reads = true;
        assert_eq!(rig.run_and_read(&batch, &back), vec![lcg(round, 1); 64]);
        rig.device().destroy_pipeline(id);
        rig.device().free(memory);
    }
}

#[test]
fn threads_share_a_device() {
    let rig = Rig::new(&Options::default());
    let device = rig.device();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            scope.spawn(move || {
                for round in 0..50 {
                    let id = tidegate_core::MemoryId(thread);
                    let size = 1 << (10 + (thread + round) % 8);
                    device.allocate(id, size, MemoryKind::Readback).unwrap();
                    let data = vec![round as u8; 512];
                    device.write(id, 256, &data).unwrap();
                    let mut got = vec![0; 512];
                    device.read(id, 256, &mut got).unwrap();
                    assert_eq!(got, data);
                    let x = region(id, 0, 256);
                    let pipeline = tidegate_core::PipelineId(thread);
                    let code = code(LCG, &lcg_kernel());
                    device
                        .create_pipeline(pipeline, &lcg_kernel(), &code)
                        .unwrap();
                    let mut batch = Batch::default();
                    fill(&mut batch, x, round);
                    barrier(&mut batch, ALL);
                    launch(&mut batch, pipeline, &[x], &[], [1, 1, 1]);
                    batch.host_reads = true;
                    // A queue each: what they share is the memory, the pipelines and the device.
                    let ticket = tidegate_core::Ticket {
                        queue: thread,
                        value: u64::from(round) + 1,
                    };
                    device.submit(&batch, ticket).unwrap();
                    assert!(device.wait(ticket, WAIT_NS).unwrap(), "a hang");
                    let mut got = vec![0; 256];
                    device.read(id, 0, &mut got).unwrap();
                    assert_eq!(words(&got), [lcg(round, 1); 64]);
                    device.destroy_pipeline(pipeline);
                    device.free(id);
                }
            });
        }
    });
}
