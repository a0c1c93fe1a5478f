//! What only a long or a wide run shows: memory that grows, and threads that get in each other's way.
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate::{Counters, Device, Kernel, Limits, Options};

const WGSL: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1) fn count() { x[0] += 1u; }";

fn open() -> (Device, Kernel) {
    let options = Options::default().with_limits(Limits {
        // So that the ring is used many times over.
        staging_bytes: 1 << 16,
        ..Limits::default()
    });
    let device = Device::open(&options).unwrap_or_else(|it| panic!("this test needs Vulkan: {it}"));
    let module = device.module_from_wgsl(WGSL).unwrap();
    let kernel = module.kernel("count").unwrap();
    (device, kernel)
}

/// Bytes of memory that the process has, where the system says so.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// What must not grow with the length of a run.
fn levels(counters: &Counters) -> [u64; 4] {
    [
        counters.memory_bytes,
        counters.cached_bytes,
        counters.memory_peak,
        counters.staging_peak,
    ]
}

/// A million launches, with uploads through the ring, downloads, buffers that come and go, events and streams in between.
#[test]
fn a_million_launches_take_no_more_memory_than_the_first_tenth() {
    const ROUNDS: u32 = 1000;
    const LAUNCHES: u32 = 1000;
    let (device, kernel) = open();
    let mut stream = device.stream().unwrap();
    let x = stream.zeros::<u32>(1).unwrap();
    let mut early = None;
    for round in 1..=ROUNDS {
        for _ in 0..LAUNCHES {
            stream.launch(&kernel, 1, (&x,)).unwrap();
        }
        // Bytes that work uses, so that they go through the ring.
        let short = stream.zeros::<u8>(20_000).unwrap();
        stream.upload(&short, &[1; 20_000]).unwrap();
        let mut other = device.stream().unwrap();
        let event = device.event();
        stream.record(&event).unwrap();
        other.wait(&event).unwrap();
        assert_eq!(
            other.download(&x).unwrap().wait().unwrap(),
            [round * LAUNCHES]
        );
        drop((short, other));
        if round == ROUNDS / 10 {
            early = resident().map(|it| (it, levels(&device.counters())));
        }
    }
    stream.synchronize().unwrap();
    let counters = device.counters();
    assert_eq!(counters.dispatches, u64::from(ROUNDS * LAUNCHES));
    let (Some((before, levels_before)), Some(after)) = (early, resident()) else {
        return;
    };
    assert_eq!(levels(&counters), levels_before);
    // One byte kept for each launch would be 0.9 MB.
    let grown = after.saturating_sub(before);
    assert!(
        grown < 900_000,
        "{grown} bytes more after {} launches",
        counters.dispatches
    );
}

/// 64 streams, each moved from thread to thread among 8, all adding to one buffer, and each to one of its own.
#[test]
fn sixty_four_streams_on_eight_threads() {
    const STREAMS: usize = 64;
    const THREADS: usize = 8;
    const ROUNDS: u32 = 8;
    const LAUNCHES: u32 = 25;
    let (device, kernel) = open();
    let mut stream = device.stream().unwrap();
    let shared = stream.zeros::<u32>(1).unwrap();
    let mut streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut stream = device.stream().unwrap();
            let own = stream.zeros::<u32>(1).unwrap();
            (stream, own)
        })
        .collect();
    for round in 1..=ROUNDS {
        std::thread::scope(|scope| {
            for some in streams.chunks_mut(STREAMS / THREADS) {
                let (kernel, shared) = (&kernel, &shared);
                scope.spawn(move || {
                    for _ in 0..LAUNCHES {
                        for (stream, own) in some.iter_mut() {
                            stream.launch(kernel, 1, (&*own,)).unwrap();
                            stream.launch(kernel, 1, (shared,)).unwrap();
                        }
                    }
                    for (stream, own) in some.iter_mut() {
                        let got = stream.download(&*own).unwrap().wait().unwrap();
                        assert_eq!(got, [round * LAUNCHES]);
                    }
                });
            }
        });
        // Each goes to another thread.
        streams.rotate_left(5);
    }
    let all = ROUNDS * LAUNCHES * STREAMS as u32;
    assert_eq!(stream.download(&shared).unwrap().wait().unwrap(), [all]);
}
