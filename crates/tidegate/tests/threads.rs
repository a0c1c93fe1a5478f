//! Many streams on many threads, on a real device.
#![cfg(feature = "vulkan")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate::Device;

const WGSL: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1) fn count() { x[0] += 1u; }";

/// 64 streams, each moved from thread to thread among 8, all adding to one buffer, and each to one of its own.
#[test]
fn sixty_four_streams_on_eight_threads() {
    const STREAMS: usize = 64;
    const THREADS: usize = 8;
    const ROUNDS: u32 = 8;
    const LAUNCHES: u32 = 25;
    let device = Device::open_default().unwrap_or_else(|it| panic!("this test needs Vulkan: {it}"));
    let kernel = device
        .module_from_wgsl(WGSL)
        .unwrap()
        .kernel("count")
        .unwrap();
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
