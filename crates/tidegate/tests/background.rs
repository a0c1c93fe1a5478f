//! Work starts although nobody asks for it, on whatever Vulkan device there is.
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use tidegate::{Device, Options, Policy, Status, Stream};

fn open(background_start: bool) -> Device {
    let options = Options::default()
        .with_validation(true)
        .with_background_start(background_start);
    Device::open(&options).unwrap_or_else(|it| panic!("this test needs Vulkan: {it}"))
}

/// Whether the stream's work ends by itself within `limit`. Asking submits nothing.
fn ends(stream: &mut Stream, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if stream.query().unwrap() == Status::Idle {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn recorded_work_starts_without_a_further_call() {
    let device = open(true);
    let mut stream = device.stream().unwrap();
    let buffer = device.buffer::<u32>(64).unwrap();
    for round in 1..=3 {
        stream.fill(&buffer, round).unwrap();
        assert!(ends(&mut stream, Duration::from_secs(20)), "{round}");
        let counters = device.counters();
        assert_eq!(
            (counters.submissions, counters.syncs),
            (u64::from(round), 0)
        );
        // Long enough for the thread that does it to fall asleep.
        std::thread::sleep(Duration::from_millis(60));
    }
    drop((stream, buffer));
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

#[test]
fn work_that_is_held_back_on_purpose_does_not_start() {
    for (background_start, policy) in [(true, Policy::UntilSync), (false, Policy::Adaptive)] {
        let device = open(background_start);
        let mut stream = device.stream_with(policy).unwrap();
        let buffer = device.buffer::<u32>(64).unwrap();
        stream.fill(&buffer, 1).unwrap();
        assert!(!ends(&mut stream, Duration::from_millis(100)), "{policy:?}");
        assert_eq!(stream.query().unwrap(), Status::Pending);
    }
}

/// The thread ends with the device, whoever lets go of it last and while work is on its way.
#[test]
fn a_device_closes_while_its_thread_is_busy() {
    for round in 0..20 {
        let device = open(true);
        let mut stream = device.stream().unwrap();
        let buffer = stream.zeros::<u32>(1 << 16).unwrap();
        drop(device);
        if round % 2 == 0 {
            drop(stream);
            drop(buffer);
        } else {
            std::thread::scope(|scope| {
                scope.spawn(move || drop(buffer));
                scope.spawn(move || drop(stream));
            });
        }
    }
}
