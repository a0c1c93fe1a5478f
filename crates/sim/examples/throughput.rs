//! How fast the device runs histories: 200 commands on 4 KiB buffers and two queues, each history on a fresh device.
//!
//!     cargo run --release -p tidegate-sim --example throughput

use std::error::Error;
use std::time::Instant;

use tidegate_core::{Barrier, Batch, Command, Device, Launch, MemoryId, MemoryKind, PipelineId};
use tidegate_core::{Region, Stages, Ticket};
use tidegate_sim::{Prng, Setup, Sim, kernels};

const BYTES: u64 = 4096;
const FULL: Barrier = Barrier {
    before: Stages::ALL,
    after: Stages::ALL,
};

fn main() -> Result<(), Box<dyn Error>> {
    let histories: u64 = std::env::args().nth(1).map_or(Ok(500), |it| it.parse())?;
    let start = Instant::now();
    for seed in 0..histories {
        history(seed)?.assert_clean();
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = 1e6 * seconds / (histories * 200) as f64;
    eprintln!("{histories} histories of 200 commands: {seconds:.2} s, {each:.1} us a command");
    Ok(())
}

fn history(seed: u64) -> Result<Sim, Box<dyn Error>> {
    let sim = Sim::with(seed, Setup::unified());
    let prng = &mut Prng::new(!seed);
    for id in 0..8 {
        sim.allocate(MemoryId(id), BYTES, MemoryKind::Device)?;
        sim.write(MemoryId(id), 0, &[1; BYTES as usize])?;
    }
    let (kernel, code) = kernels::affine();
    sim.create_pipeline(PipelineId(0), &kernel, &code)?;
    let mut last: [u64; 2] = [0; 2];
    for _ in 0..20 {
        let queue = prng.index(2);
        let mut batch = some_batch(prng);
        let (other, value) = (1 - queue as u32, last[1 - queue]);
        if value > 0 {
            let wait = Ticket {
                queue: other,
                value,
            };
            batch.waits.push(wait);
        }
        last[queue] += 1;
        let ticket = Ticket {
            queue: queue as u32,
            value: last[queue],
        };
        sim.submit(&batch, ticket)?;
        sim.completed(ticket.queue)?;
        if prng.chance(1, 4) {
            sim.wait(ticket, u64::MAX)?;
        }
    }
    Ok(sim)
}

fn some_batch(prng: &mut Prng) -> Batch {
    let mut batch = Batch::default();
    batch.opening = FULL;
    for _ in 0..10 {
        let offset = 256 * prng.below(8);
        let bytes = BYTES - offset - 256 * prng.below(8);
        let region = |memory| Region {
            memory: MemoryId(memory),
            offset,
            bytes,
        };
        let id = prng.below(8) as u32;
        let command = match prng.below(4) {
            0 => Command::Fill {
                target: region(id),
                pattern: 7,
            },
            1 => Command::Copy {
                source: region(id),
                target: region((id + 1) % 8),
            },
            _ => Command::Launch(Launch {
                pipeline: PipelineId(0),
                bindings: batch.push_regions([region(id)]),
                scalars: batch.push_data(&[3, 0, 0, 0, 1, 0, 0, 0]),
                grid: kernels::grid_for(bytes),
            }),
        };
        batch.commands.push(command);
        batch.commands.push(Command::Barrier(FULL));
    }
    batch
}
