//! What only a long run shows: memory that grows. Alone in its process, whose memory it looks at.
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate::{Device, Kernel, Limits, Options};

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

/// A million launches, with uploads through the ring, downloads, buffers that come and go, events and streams in between.
#[test]
fn a_million_launches_take_no_more_memory_than_the_first() {
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
        if round == ROUNDS * 4 / 10 {
            early = resident();
        }
    }
    stream.synchronize().unwrap();
    let counters = device.counters();
    assert_eq!(counters.dispatches, u64::from(ROUNDS * LAUNCHES));
    // A few bytes in use, and as many dropped buffers as were in flight at a time.
    assert!(counters.memory_bytes < 1 << 20, "{}", counters.memory_bytes);
    assert!(counters.memory_peak < 4 << 20, "{}", counters.memory_peak);
    assert!(
        counters.staging_peak <= 1 << 16,
        "{}",
        counters.staging_peak
    );
    if let (Some(before), Some(after)) = (early, resident()) {
        // One byte kept for each of the 600,000 launches since then would be more.
        let grown = after.saturating_sub(before);
        assert!(grown < 500_000, "{grown} bytes");
    }
}
