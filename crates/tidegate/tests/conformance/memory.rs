//! Memory, limits and counters.

use tidegate::{Cause, Error, ErrorKind, Policy};

use crate::world::World;

pub(crate) fn freed_memory_is_used_again(world: &World) {
    let (device, mut stream) = world.open();
    for step in 0..200_u32 {
        let x = stream.upload_new(&vec![step; 500]).unwrap();
        let pending = stream.download(&x).unwrap();
        drop(x);
        assert_eq!(pending.wait().unwrap(), vec![step; 500]);
    }
    let counters = device.counters();
    assert!(counters.allocations < 20, "{counters:?}");
    assert!(counters.memory_peak < 64 << 20, "{counters:?}");
}

pub(crate) fn memory_runs_out_and_comes_back(world: &World) {
    let device = world.device_with(|it| it.memory_bytes_max = 1 << 20);
    let mut stream = world.stream(&device);
    let big = 150_000;
    let first = stream.zeros::<u32>(big).unwrap();
    let error = stream.zeros::<u32>(big).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let text = error.to_string();
    assert!(
        text.contains("600000") && text.contains("1048576"),
        "{text}"
    );
    drop(first);
    // The freed memory is still in use by the fill, and is waited for.
    let second = stream.zeros::<u32>(big).unwrap();
    let part = stream.download(second.slice(..8).unwrap()).unwrap();
    assert_eq!(part.wait().unwrap(), [0; 8]);
}

pub(crate) fn too_large_is_said(world: &World) {
    let (device, mut stream) = world.open();
    let most = device.capabilities().allocation_bytes_max;
    let words = usize::try_from(most / 4 + 1).unwrap();
    let error = device.buffer::<u32>(words).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&most.to_string()), "{error}");
    assert!(device.buffer::<u64>(usize::MAX).is_err());
    assert!(stream.zeros::<[u64; 4]>(usize::MAX / 2).is_err());
    let x = stream.zeros::<u32>(4).unwrap();
    assert_eq!(world.read(&mut stream, &x), [0; 4]);
}

pub(crate) fn the_limits_are_kept(world: &World) {
    let device = world.device_with(|it| {
        it.commands_max = 5;
        it.in_flight_max = 2;
        it.inline_bytes_max = 64;
        it.staging_bytes = 4096;
    });
    assert_eq!(device.limits().commands_max, 5);
    let mut stream = world.stream(&device);
    let affine = world.kernel(&device, "affine_uniform");
    let x = stream.upload_new(&[1_u32; 64]).unwrap();
    for _ in 0..300 {
        stream.launch(&affine, 1, (&x, 1_u32, 2_u32)).unwrap();
    }
    assert_eq!(world.read(&mut stream, &x), [601; 64]);
    let counters = device.counters();
    assert!(counters.commands_peak <= 5, "{counters:?}");
    assert!(counters.in_flight_peak <= 2, "{counters:?}");
    assert!(counters.staging_peak <= 4096, "{counters:?}");
}

/// The eight that other runtimes count, and those that show why batches were cut.
pub(crate) fn counters_count(world: &World) {
    let device = world.device_with(|it| it.direct = false);
    let mut stream = world.stream(&device);
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    let y = device.buffer::<u32>(64).unwrap();
    stream.synchronize().unwrap();
    device.reset_counters();
    let before = device.counters();
    assert_eq!((before.dispatches, before.submissions), (0, 0));
    assert!(before.memory_bytes > 0);
    stream.upload(&x, &[1; 64]).unwrap();
    for _ in 0..10 {
        stream.launch(&affine, 1, (&x, 2_u32, 0_u32)).unwrap();
    }
    stream.copy(&x, &y).unwrap();
    stream.flush().unwrap();
    assert_eq!(world.read(&mut stream, &y), [1024; 64]);
    stream.synchronize().unwrap();
    let counters = stream.counters();
    assert_eq!(counters.dispatches, 10);
    assert_eq!(counters.cpu_to_gpu, 1);
    assert_eq!(counters.gpu_to_cpu, 1);
    assert_eq!(counters.gpu_to_gpu, 1);
    assert_eq!(counters.blits, 3);
    assert_eq!(counters.syncs, 2);
    assert_eq!(counters.free_syncs, 0);
    assert_eq!(counters.bytes_inline, 256);
    assert_eq!(counters.bytes_readback, 256);
    let by_cause: u64 = counters.submissions_by_cause.iter().sum();
    assert_eq!(by_cause, counters.submissions);
    let cause = |cause| {
        let at = Cause::ALL.iter().position(|it| *it == cause).unwrap();
        counters.submissions_by_cause[at]
    };
    match world.policy() {
        Policy::EveryDispatch => {
            assert_eq!((counters.submissions, counters.barriers), (13, 0));
            // The thread that starts work on an idle device may be first.
            assert_eq!(cause(Cause::Dispatch) + cause(Cause::Idle), 13);
        }
        Policy::UntilSync => {
            assert_eq!((counters.submissions, counters.flushes), (2, 1));
            assert_eq!((cause(Cause::Flush), cause(Cause::Wait)), (1, 1));
            assert_eq!(counters.barriers, 11);
        }
        _ => assert!(counters.submissions < 13, "{counters:?}"),
    }
}

pub(crate) fn devices_live_side_by_side(world: &World) {
    let ((device, mut first), (_other, mut second)) = (world.open(), world.open());
    let x = first.upload_new(&[1_u32; 16]).unwrap();
    let y = second.upload_new(&[2_u32; 16]).unwrap();
    assert!(matches!(first.copy(&x, &y), Err(Error::Stream(_))));
    assert_eq!(world.read(&mut second, &y), [2; 16]);
    drop((y, second));
    assert_eq!(world.read(&mut first, &x), [1; 16]);
    assert_eq!(device.counters().gpu_to_gpu, 0);
}
