//! What batching buys: the same launches under each policy.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Instant;

use tidegate::{Device, Error, Policy};

const STEP: &str = "
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;

    @compute @workgroup_size(64)
    fn step(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&x) {
            x[id.x] = x[id.x] * 3u + 1u;
        }
    }";

fn main() -> Result<(), Error> {
    let device = Device::open_default()?;
    let step = device.module_from_wgsl(STEP)?.kernel("step")?;
    for policy in [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive] {
        let mut stream = device.stream_with(policy)?;
        let x = stream.zeros::<u32>(1024)?;
        stream.synchronize()?;
        device.reset_counters();
        let start = Instant::now();
        for _ in 0..262 {
            stream.launch(&step, 16, (&x,))?;
        }
        stream.synchronize()?;
        let (time, counters) = (start.elapsed(), device.counters());
        println!(
            "{policy:?}: {time:?}, {} submissions, {} barriers",
            counters.submissions, counters.barriers
        );
    }
    Ok(())
}
