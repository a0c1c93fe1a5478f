//! What the tests of the simulated device share: a device with a few buffers, and batches in a line.

use tidegate_core::{
    Barrier, Batch, Command, Device, Launch, MemoryId, MemoryKind, PipelineId, Region, Stages,
    Ticket,
};
use tidegate_sim::{Rule, Setup, Sim, kernels};

/// Seeds that a test tries when it must show wrong bytes. Every test here shows them within the first sixteen.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..32;

pub(crate) const COMPUTE: Stages = Stages::COMPUTE;
pub(crate) const TRANSFER: Stages = Stages::TRANSFER;
pub(crate) const ALL: Stages = Stages::ALL;

/// Pipelines of every rig, in the order of [`kernels::all`].
pub(crate) const FILL_INDEX: PipelineId = PipelineId(0);
pub(crate) const AFFINE: PipelineId = PipelineId(1);
pub(crate) const AFFINE_UNIFORM: PipelineId = PipelineId(2);
pub(crate) const ADD: PipelineId = PipelineId(3);
pub(crate) const COPY: PipelineId = PipelineId(4);
pub(crate) const SWAP: PipelineId = PipelineId(5);
pub(crate) const BLOCK_SUM: PipelineId = PipelineId(6);

/// A wait long enough not to time out by chance.
pub(crate) const LONG_NS: u64 = 1_000_000_000;

/// Buffers 0 to 3 of kind Device, 4 for upload, 5 for readback; 1 KiB each.
pub(crate) const UPLOAD: u32 = 4;
pub(crate) const READBACK: u32 = 5;
pub(crate) const BYTES: u64 = 1024;

pub(crate) fn rig(seed: u64) -> Sim {
    rig_with(seed, Setup::unified())
}

pub(crate) fn rig_with(seed: u64, setup: Setup) -> Sim {
    let sim = Sim::with(seed, setup);
    for id in 0..4 {
        sim.allocate(MemoryId(id), BYTES, MemoryKind::Device)
            .unwrap();
    }
    sim.allocate(MemoryId(UPLOAD), BYTES, MemoryKind::Upload)
        .unwrap();
    sim.allocate(MemoryId(READBACK), BYTES, MemoryKind::Readback)
        .unwrap();
    for (index, (kernel, code)) in kernels::all().iter().enumerate() {
        sim.create_pipeline(PipelineId(index as u32), kernel, code)
            .unwrap();
    }
    sim
}

pub(crate) fn region(memory: u32, offset: u64, bytes: u64) -> Region {
    Region {
        memory: MemoryId(memory),
        offset,
        bytes,
    }
}

pub(crate) fn whole(memory: u32) -> Region {
    region(memory, 0, BYTES)
}

pub(crate) fn ticket(queue: u32, value: u64) -> Ticket {
    Ticket { queue, value }
}

pub(crate) fn barrier(before: Stages, after: Stages) -> Barrier {
    Barrier { before, after }
}

/// A batch in a line: `batch().open(ALL, ALL).fill(whole(0), 7).barrier(..)`.
#[derive(Clone)]
pub(crate) struct Draft(pub(crate) Batch);

/// An empty batch with no opening barrier.
pub(crate) fn batch() -> Draft {
    Draft(Batch::default())
}

impl Draft {
    pub(crate) fn open(mut self, before: Stages, after: Stages) -> Self {
        self.0.opening = barrier(before, after);
        self
    }

    pub(crate) fn wait(mut self, queue: u32, value: u64) -> Self {
        self.0.waits.push(ticket(queue, value));
        self
    }

    pub(crate) fn host_reads(mut self) -> Self {
        self.0.host_reads = true;
        self
    }

    pub(crate) fn barrier(self, before: Stages, after: Stages) -> Self {
        self.command(Command::Barrier(barrier(before, after)))
    }

    pub(crate) fn fill(self, target: Region, pattern: u32) -> Self {
        self.command(Command::Fill { target, pattern })
    }

    pub(crate) fn copy(self, source: Region, target: Region) -> Self {
        self.command(Command::Copy { source, target })
    }

    pub(crate) fn upload(mut self, target: Region, bytes: &[u8]) -> Self {
        let data = self.0.push_data(bytes);
        self.command(Command::Upload { target, data })
    }

    pub(crate) fn launch(
        mut self,
        pipeline: PipelineId,
        regions: &[Region],
        scalars: &[u32],
    ) -> Self {
        let bytes: Vec<u8> = scalars.iter().flat_map(|it| it.to_le_bytes()).collect();
        let launch = Launch {
            pipeline,
            bindings: self.0.push_regions(regions.iter().copied()),
            scalars: self.0.push_data(&bytes),
            grid: kernels::grid_for(regions.iter().map(|it| it.bytes).max().unwrap()),
        };
        self.command(Command::Launch(launch))
    }

    pub(crate) fn command(mut self, command: Command) -> Self {
        self.0.commands.push(command);
        self
    }

    /// Hands the batch over as `value` of `queue`.
    pub(crate) fn submit(self, sim: &Sim, queue: u32, value: u64) {
        sim.submit(&self.0, ticket(queue, value)).unwrap();
    }
}

/// Waits, which must succeed.
pub(crate) fn wait(sim: &Sim, queue: u32, value: u64) {
    assert!(sim.wait(ticket(queue, value), LONG_NS).unwrap());
}

pub(crate) fn read(sim: &Sim, region: Region) -> Vec<u8> {
    let mut bytes = vec![0; region.bytes as usize];
    sim.read(region.memory, region.offset, &mut bytes).unwrap();
    bytes
}

pub(crate) fn words(pattern: u32) -> Vec<u8> {
    pattern.to_le_bytes().repeat(BYTES as usize / 4)
}

pub(crate) fn rules(sim: &Sim) -> Vec<Rule> {
    sim.violations().iter().map(|it| it.rule).collect()
}

/// Runs `program` under every seed. It must break exactly `rules` each time, and its result must be other than `right` under
/// at least one of the first sixteen seeds.
pub(crate) fn shows(rules_broken: &[Rule], right: &[u8], program: impl Fn(&Sim) -> Vec<u8>) {
    let mut wrong = 0;
    for seed in SEEDS {
        let sim = rig(seed);
        let bytes = program(&sim);
        assert_eq!(
            rules(&sim),
            rules_broken,
            "seed {seed}: {:?}",
            sim.violations()
        );
        if bytes != right && seed < 16 {
            wrong += 1;
        }
    }
    assert!(wrong > 0, "no seed gives a wrong byte");
}

/// Runs `program` under every seed: nothing is broken and the result is always `right`.
pub(crate) fn holds(right: &[u8], program: impl Fn(&Sim) -> Vec<u8>) {
    for seed in SEEDS {
        let sim = rig(seed);
        let bytes = program(&sim);
        sim.assert_clean();
        assert_eq!(bytes, right, "seed {seed}");
    }
}
