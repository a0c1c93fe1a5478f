//! The device's contract, on whatever Vulkan device there is, under the validation layer.

mod common;

use common::*;
use tidegate_core::{Access, Barrier, Batch, Device, MemoryKind, ScalarPlace, Stages};
use tidegate_vulkan::{Options, Select, VulkanDevice};

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
    for options in every_path() {
        let rig = Rig::new(&options);
        let (x, back) = (rig.buffer(WORDS), rig.readback(WORDS));
        let pipeline = rig.pipeline(LCG, &lcg_kernel());
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
            launch(&mut batch, pipeline, &[x], &[], [16, 1, 1]);
            barrier(&mut batch, COMPUTE);
        }
        barrier(
            &mut batch,
            Barrier {
                before: Stages::COMPUTE,
                after: Stages::TRANSFER,
            },
        );
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(100));
    }
}

#[test]
fn the_opening_barrier_orders_batches() {
    for options in every_path() {
        let rig = Rig::new(&options);
        let (x, back) = (rig.buffer(WORDS), rig.readback(WORDS));
        let pipeline = rig.pipeline(LCG, &lcg_kernel());
        let mut batch = Batch::default();
        count_up(&mut batch, &x);
        rig.submit(&batch);
        for _ in 0..50 {
            batch.clear();
            batch.opening = Barrier {
                before: Stages::ALL,
                after: Stages::COMPUTE,
            };
            launch(&mut batch, pipeline, &[x], &[], [16, 1, 1]);
            rig.submit(&batch);
        }
        batch.clear();
        batch.opening = Barrier {
            before: Stages::COMPUTE,
            after: Stages::TRANSFER,
        };
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(50));
    }
}

#[test]
fn fills_copies_and_uploads_land_where_they_should() {
    let rig = Rig::new(&checked());
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
    let mut model = vec![7; 64];
    model[3..8].fill(0xdead_beef);
    model[10..12].copy_from_slice(&[1, 2]);
    let mut raw = bytes(&model);
    raw.copy_within(13..16, 81);
    assert_eq!(rig.copy_and_read(&mut batch, x, back), words(&raw));
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
    let rig = Rig::new(&checked());
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
        // The two write different words, but a validation layer sees what is bound.
        barrier(&mut batch, ALL);
        launch(&mut batch, pipeline, &[x], &bytes(&[at, 3, 63]), [1, 1, 1]);
        barrier(&mut batch, ALL);
    }
    let got = rig.copy_and_read(&mut batch, x, back);
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
    for options in every_path() {
        let rig = Rig::new(&options);
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
        assert_eq!(rig.copy_and_read(&mut batch, c, back), vec![430; 64]);
    }
}

#[test]
fn a_submission_takes_as_many_descriptor_pools_as_it_needs() {
    let options = Options {
        push_descriptors: false,
        ..checked()
    };
    let rig = Rig::new(&options);
    let (x, back) = (rig.buffer(64 * 32), rig.readback(64 * 32));
    let pipeline = rig.pipeline(LCG, &lcg_kernel());
    let align = rig.device().capabilities().binding_align.div_ceil(4);
    assert!(align <= 64);
    for round in 0..3 {
        let mut batch = Batch::default();
        fill(&mut batch, x, round);
        barrier(&mut batch, ALL);
        for at in 0..1000 {
            let slice = part(&x, (at % 32) * 64, 64);
            launch(&mut batch, pipeline, &[slice], &[], [1, 1, 1]);
            if at % 32 == 31 {
                barrier(&mut batch, COMPUTE);
            }
        }
        barrier(&mut batch, ALL);
        let got = rig.copy_and_read(&mut batch, x, back);
        for at in 0..32 {
            let steps = if at < 1000 % 32 { 32 } else { 31 };
            assert_eq!(got[at * 64 + 63], lcg(round, steps), "slice {at}");
        }
    }
}

#[test]
fn what_the_host_writes_is_seen_and_what_it_may_read_is_told() {
    let rig = Rig::new(&checked());
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
    assert_eq!(rig.copy_and_read(&mut batch, staging, back), data);
    if device_access.write {
        rig.device()
            .write(direct.memory, 4, &bytes(&data[..9]))
            .unwrap();
        batch.clear();
        batch.opening = ALL;
        assert_eq!(
            rig.copy_and_read(&mut batch, direct, back)[1..10],
            data[..9]
        );
    } else {
        let refused = rig.device().write(direct.memory, 0, &[0; 4]);
        assert!(refused.is_err());
    }
}

#[test]
fn queues_wait_for_each_other() {
    for options in every_path() {
        let rig = Rig::new(&options);
        let queues = rig.device().capabilities().queues;
        let (x, back) = (rig.buffer(WORDS), rig.readback(WORDS));
        let pipeline = rig.pipeline(LCG, &lcg_kernel());
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
            launch(&mut batch, pipeline, &[x], &[], [16, 1, 1]);
            last = rig.ticket(queue);
            rig.device().submit(&batch, last).unwrap();
        }
        batch.clear();
        batch.opening = ALL;
        batch.waits.push(last);
        assert_eq!(rig.copy_and_read(&mut batch, x, back), expected(20));
    }
}

#[test]
fn tickets_complete_in_order_and_a_timeout_is_no_error() {
    let rig = Rig::new(&checked());
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
    for options in every_path() {
        // Long enough on a busy machine: a device that still works then is abandoned.
        let rig = Rig::new(&Options {
            drop_wait_ns: WAIT_NS,
            ..options
        });
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
        assert_eq!(rig.end(), Vec::<String>::new());
    }
}

#[test]
fn indices_are_used_again() {
    let rig = Rig::new(&checked());
    let (x, back) = (rig.buffer(64), rig.readback(64));
    for round in 0..20 {
        let id = tidegate_core::PipelineId(1000);
        let code = tidegate_core::Code::Spirv(spirv(LCG));
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
        assert_eq!(
            rig.copy_and_read(&mut batch, x, back),
            vec![lcg(round, 1); 64]
        );
        rig.device().destroy_pipeline(id);
        rig.device().free(memory);
    }
}

#[test]
fn threads_share_a_device() {
    let rig = Rig::new(&checked());
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
                    let pipeline = tidegate_core::PipelineId(thread);
                    let code = tidegate_core::Code::Spirv(spirv(LCG));
                    device
                        .create_pipeline(pipeline, &lcg_kernel(), &code)
                        .unwrap();
                    device.destroy_pipeline(pipeline);
                    device.free(id);
                    assert!(device.completed(0).is_ok());
                }
            });
        }
    });
}

/// Some drivers can be loaded only a few times in a process, so that none is unloaded with the last device.
#[cfg(target_os = "linux")]
#[test]
fn a_driver_stays_loaded() {
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let files = maps.lines().filter_map(|it| it.split_whitespace().nth(5));
        let libraries = files.filter(|it| it.contains(".so")).map(str::to_owned);
        libraries.collect::<std::collections::BTreeSet<_>>()
    };
    let device = VulkanDevice::open(&Select::Best, &Options::default()).unwrap();
    let open = mapped();
    assert!(open.iter().any(|it| it.contains("vulkan")), "{open:?}");
    drop(device);
    assert_eq!(mapped(), open);
}
