//! Events, several streams, and where work stands.

use tidegate::{Policy, Status};

use crate::world::World;

pub(crate) fn an_event_never_recorded_is_complete(world: &World) {
    let (device, mut stream) = world.open();
    let event = device.event();
    assert!(event.is_complete().unwrap());
    event.synchronize().unwrap();
    stream.wait(&event).unwrap();
    let x = stream.zeros::<u32>(4).unwrap();
    stream.wait(&event).unwrap();
    assert_eq!(world.read(&mut stream, &x), [0; 4]);
}

pub(crate) fn an_event_orders_two_streams(world: &World) {
    let (device, mut first) = world.open();
    let mut second = world.stream(&device);
    let affine = world.kernel(&device, "affine");
    let x = first.upload_new(&[1_u32; 64]).unwrap();
    let event = device.event();
    for step in 0..6_u32 {
        let (from, to) = if step % 2 == 0 {
            (&mut first, &mut second)
        } else {
            (&mut second, &mut first)
        };
        from.launch(&affine, 1, (&x, 3_u32, step)).unwrap();
        from.record(&event.clone()).unwrap();
        to.wait(&event).unwrap();
        to.launch(&affine, 1, (&x, 5_u32, step)).unwrap();
    }
    let want = (0..6).fold(1_u32, |x, step| (x * 3 + step) * 5 + step);
    assert_eq!(world.read(&mut first, &x), [want; 64]);
    event.synchronize().unwrap();
    assert!(event.is_complete().unwrap());
}

pub(crate) fn an_event_recorded_again_moves(world: &World) {
    let (device, mut stream) = world.open();
    let event = device.event();
    stream.record(&event).unwrap();
    event.synchronize().unwrap();
    let x = stream.zeros::<u32>(4).unwrap();
    stream.record(&event).unwrap();
    event.synchronize().unwrap();
    assert_eq!(stream.query().unwrap(), Status::Idle);
    drop(x);
}

/// Without a wait, within bounded time.
pub(crate) fn a_flush_lets_work_through(world: &World) {
    let (device, mut stream) = world.open();
    let event = device.event();
    let x = device.buffer::<u32>(64).unwrap();
    stream.fill(&x, 1).unwrap();
    stream.record(&event).unwrap();
    stream.flush().unwrap();
    assert_eq!(device.counters().syncs, 0);
    let start = std::time::Instant::now();
    while !event.is_complete().unwrap() {
        assert!(
            start.elapsed().as_secs() < 60,
            "a flush did not let it through"
        );
        std::thread::yield_now();
    }
    assert_eq!(stream.query().unwrap(), Status::Idle);
}

pub(crate) fn a_query_tells_where_work_stands(world: &World) {
    let (device, mut stream) = world.open();
    assert_eq!(stream.query().unwrap(), Status::Idle);
    let x = device.buffer::<u32>(64).unwrap();
    stream.fill(&x, 1).unwrap();
    let status = stream.query().unwrap();
    match world.policy() {
        Policy::EveryDispatch => assert_ne!(status, Status::Pending),
        _ => assert_eq!(status, Status::Pending),
    }
    stream.flush().unwrap();
    assert_ne!(stream.query().unwrap(), Status::Pending);
    stream.synchronize().unwrap();
    assert_eq!(stream.query().unwrap(), Status::Idle);
    assert_eq!(stream.device().counters().free_syncs, 0);
}

/// No event: a buffer that two streams use is ordered as the calls were.
pub(crate) fn buffers_are_ordered_across_streams(world: &World) {
    let device = world.device();
    let mut streams = [0, 1, 2].map(|_| world.stream(&device));
    let affine = world.kernel(&device, "affine");
    let x = streams[0].upload_new(&[1_u32; 64]).unwrap();
    let mut want = 1_u32;
    for step in 0..30_u32 {
        let stream = &mut streams[(step % 3) as usize];
        stream.launch(&affine, 1, (&x, 3_u32, step)).unwrap();
        want = want.wrapping_mul(3).wrapping_add(step);
    }
    assert_eq!(world.read(&mut streams[1], &x), [want; 64]);
}

pub(crate) fn streams_move_between_threads(world: &World) {
    let device = world.device();
    let affine = world.kernel(&device, "affine");
    let threads: Vec<_> = (0..4_u32)
        .map(|at| {
            let (mut stream, affine) = (world.stream(&device), affine.clone());
            std::thread::spawn(move || {
                let x = stream.upload_new(&[at; 64]).unwrap();
                for _ in 0..20 {
                    stream.launch(&affine, 1, (&x, 3_u32, 1_u32)).unwrap();
                }
                (stream, x)
            })
        })
        .collect();
    for (at, thread) in (0_u32..).zip(threads) {
        let (mut stream, x) = thread.join().unwrap();
        let want = (0..20).fold(at, |x, _| x.wrapping_mul(3).wrapping_add(1));
        assert_eq!(world.read(&mut stream, &x), [want; 64]);
    }
}

pub(crate) fn a_policy_may_change(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.upload_new(&[1_u32; 64]).unwrap();
    for policy in [Policy::UntilSync, Policy::EveryDispatch, Policy::Adaptive] {
        stream.set_policy(policy);
        assert_eq!(stream.policy(), policy);
        stream.launch(&affine, 1, (&x, 3_u32, 1_u32)).unwrap();
    }
    assert_eq!(world.read(&mut stream, &x), [40; 64]);
}

pub(crate) fn everything_may_be_dropped_while_pending(world: &World) {
    let (device, mut stream) = world.open();
    let add = world.kernel(&device, "add");
    let x = stream.upload_new(&[1_u32; 64]).unwrap();
    let y = stream.upload_new(&[2_u32; 64]).unwrap();
    let z = device.buffer::<u32>(64).unwrap();
    let before = device.counters();
    stream.launch(&add, 1, (&x, &y, &z)).unwrap();
    let submitted = device.counters().submissions;
    drop((x, y, add));
    assert_eq!(device.counters().submissions, submitted);
    assert_eq!(device.counters().syncs, before.syncs);
    // Takes what was freed, if it may.
    let other = stream.upload_new(&[9_u32; 64]).unwrap();
    let result = stream.download(&z).unwrap();
    drop((stream, z, device));
    assert_eq!(result.wait().unwrap(), [3; 64]);
    drop(other);
}
