//! Streams over the simulated device against the sequential model: every seed is another device, other limits, other calls.

use std::time::Instant;

use tidegate_sim::history::Case;

const OPS: usize = 200;

/// Runs the seeds on all processors; a failure stops at its first seed.
fn seeds(range: std::ops::Range<u64>) {
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let range = range.clone();
            scope.spawn(move || {
                for seed in range.filter(|it| it % threads == thread) {
                    Case::new(seed, OPS).check();
                }
            });
        }
    });
    eprintln!("seeds {range:?}: {:.1} s", start.elapsed().as_secs_f64());
}

#[test]
fn streams_keep_their_promises_on_every_seed() {
    seeds(0..3000);
}
