//! What limits of memory promise, each found wrong once.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod nosy;

use std::sync::mpsc::channel;
use std::time::Duration;

use nosy::{Call, Nosy};
use tidegate_core::{Arguments, Context, Error, Limits, MemoryKind, Policy};
use tidegate_sim::{Setup, Sim, kernels};

const KIB: u64 = 1 << 10;

/// What the host side kept for reuse goes back to the system, and makes no room on the device's side; nor the other way.
#[test]
fn each_side_keeps_its_own_limit() {
    let limits = Limits {
        memory_bytes_max: 64 * KIB,
        host_bytes_max: 64 * KIB,
        ..Limits::default()
    };
    for [full, other] in [
        [MemoryKind::Device, MemoryKind::Readback],
        [MemoryKind::Upload, MemoryKind::Device],
    ] {
        let context = Context::new(Sim::new(1), limits.clone());
        let held = context.allocate(64 * KIB, full).unwrap();
        drop(context.allocate(32 * KIB, other).unwrap());
        assert_eq!(context.counters().cached_bytes, 32 * KIB);
        let more = context.allocate(16 * KIB, full);
        assert!(matches!(more, Err(Error::OutOfMemory { .. })), "{more:?}");
        drop(held);
        context.allocate(16 * KIB, full).unwrap();
    }
}

/// Freed memory that work still uses is waited for, as where bytes are short.
#[test]
fn a_freed_allocation_in_flight_makes_room_for_another() {
    let mut setup = Setup {
        late: Some(true),
        ..Setup::default()
    };
    setup.capabilities.allocations_max = 2;
    let sim = Sim::with(1, setup);
    let context = Context::new(sim.clone(), Limits::default());
    let mut stream = context.stream(Policy::EveryDispatch).unwrap();
    let [x, y] = [(); 2].map(|()| context.allocate(KIB, MemoryKind::Device).unwrap());
    stream.fill(&x, 0, KIB, &[1]).unwrap();
    drop(x);
    let z = context.allocate(4 * KIB, MemoryKind::Device).unwrap();
    let more = context.allocate(8 * KIB, MemoryKind::Device);
    let wants = Error::TooManyAllocations { allowed: 2 };
    assert_eq!(more.map(|_| ()), Err(wants));
    drop((y, z));
    sim.assert_clean();
}

/// Work that holds memory of the other side is neither submitted nor waited for: it would help nobody.
#[test]
fn what_is_freed_on_the_other_side_is_not_waited_for() {
    let limits = Limits {
        host_bytes_max: 64 * KIB,
        ..Limits::default()
    };
    let sim = Sim::new(1);
    let context = Context::new(sim.clone(), limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let _full = context.allocate(64 * KIB, MemoryKind::Readback).unwrap();
    let x = context.allocate(64 * KIB, MemoryKind::Device).unwrap();
    stream.fill(&x, 0, 64 * KIB, &[1]).unwrap();
    drop(x);
    let more = context.allocate(KIB, MemoryKind::Readback);
    assert!(matches!(more, Err(Error::OutOfMemory { .. })), "{more:?}");
    let counters = context.counters();
    assert_eq!((counters.submissions, counters.stalls), (0, 0));
    sim.assert_clean();
}

/// Two threads that are the first to upload on a queue need one ring, and room for one.
#[test]
fn threads_that_need_a_ring_at_once_share_it() {
    let limits = Limits {
        host_bytes_max: 48 * KIB,
        staging_bytes: 32 * KIB,
        direct: false,
        ..Limits::default()
    };
    let mut setup = Setup::default();
    setup.capabilities.queues = 1;
    let sim = Sim::with(1, setup);
    let (comes, may_come) = channel::<()>();
    let nosy = Nosy::new(sim.clone(), move |call| {
        if call == Call::AllocateUpload {
            let _ = comes.send(());
            // The other one is under way by then. If it is not, this test sees nothing.
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let context = Context::new(nosy, limits);
    let upload = |context: &Context<Nosy>| {
        let x = context.allocate(8 * KIB, MemoryKind::Device).unwrap();
        let mut stream = context.stream(Policy::UntilSync).unwrap();
        stream.upload(&x, 0, &[1; 8192])?;
        stream.synchronize()
    };
    std::thread::scope(|scope| {
        let (upload, context) = (&upload, &context);
        let second = scope.spawn(move || {
            may_come.recv().unwrap();
            upload(context)
        });
        upload(context).unwrap();
        second.join().unwrap().unwrap();
    });
    sim.assert_clean();
}

/// A block of scalars that the ring can hold is taken wherever earlier uploads have ended.
#[test]
fn an_idle_ring_takes_all_that_it_can_hold() {
    let limits = Limits {
        staging_bytes: 4 * KIB,
        ..Limits::default()
    };
    let sim = Sim::new(1);
    let context = Context::new(sim.clone(), limits);
    let (mut kernel, code) = kernels::affine_uniform();
    kernel.scalars.as_mut().unwrap().bytes = 3600;
    let kernel = context.pipeline(kernel, &code).unwrap();
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = context.allocate(5000, MemoryKind::Device).unwrap();
    stream.upload(&x, 0, &[1; 5000]).unwrap();
    stream.synchronize().unwrap();
    let arguments = Arguments {
        regions: &[x.region(0, 4096).unwrap()],
        scalars: &[0; 3600],
        aliasing: false,
    };
    stream.launch(&kernel, [1, 1, 1], arguments).unwrap();
    let mut bytes = [9; 64];
    let download = stream.download(&x, 0, 64).unwrap();
    download.wait_into(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 64]);
    sim.assert_clean();
}

/// The staging ring, too, waits for freed memory that work still uses.
#[test]
fn a_ring_takes_the_room_of_what_is_freed_in_flight() {
    let setup = Setup {
        late: Some(true),
        ..Setup::default()
    };
    let limits = Limits {
        host_bytes_max: 64 * KIB,
        staging_bytes: 32 * KIB,
        ..Limits::default()
    };
    let sim = Sim::with(1, setup);
    let context = Context::new(sim.clone(), limits);
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    let x = context.allocate(64 * KIB, MemoryKind::Device).unwrap();
    stream.fill(&x, 0, 64 * KIB, &[1]).unwrap();
    drop(stream.download(&x, 0, 64 * KIB).unwrap());
    stream.upload(&x, 0, &[2; 8192]).unwrap();
    stream.synchronize().unwrap();
    sim.assert_clean();
}
