//! A device, kernels from WGSL, and batches built by hand.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};

use tidegate_core::{
    Access, Barrier, Batch, Binding, Code, Command, Device, HostAccess, Kernel, Launch, MemoryId,
    MemoryKind, MetalArguments, MetalSizes, PipelineId, Region, ScalarPlace, Scalars, Stages,
    Ticket,
};
use tidegate_metal::{MetalDevice, Options, Select};
use tidegate_shader::{Module, MslOptions};

/// How long a test waits before it counts as a hang.
pub(crate) const WAIT_NS: u64 = 60_000_000_000;

pub(crate) const ALL: Barrier = Barrier {
    before: Stages::ALL,
    after: Stages::ALL,
};
pub(crate) const COMPUTE: Barrier = Barrier {
    before: Stages::COMPUTE,
    after: Stages::COMPUTE,
};

/// A device, and counters in core's place. Dropped, it asserts that no rule of Apple's was broken and nothing was leaked, as far as the software classes can tell.
pub(crate) struct Rig {
    device: Option<MetalDevice>,
    #[cfg(metal_soft)]
    pub(crate) observer: tidegate_softmetal::Observer,
    next: Cell<u32>,
    tickets: RefCell<Vec<u64>>,
}

impl Rig {
    #[cfg(not(metal_soft))]
    pub(crate) fn new(options: &Options) -> Self {
        let device = MetalDevice::open(&Select::Best, options).unwrap();
        let queues = device.capabilities().queues as usize;
        Self {
            device: Some(device),
            next: Cell::new(0),
            tickets: RefCell::new(vec![0; queues]),
        }
    }

    #[cfg(metal_soft)]
    pub(crate) fn new(options: &Options) -> Self {
        Self::on(tidegate_softmetal::Setup::default(), options)
    }

    #[cfg(metal_soft)]
    pub(crate) fn on(mut setup: tidegate_softmetal::Setup, options: &Options) -> Self {
        // `TIDEGATE_SOFTMETAL_SEED` sets the order in which things run, to repeat a failure.
        let seed = std::env::var("TIDEGATE_SOFTMETAL_SEED").ok();
        setup.seed += seed.and_then(|it| it.parse().ok()).unwrap_or(0);
        let observer = tidegate_softmetal::Observer::new(setup);
        let device = MetalDevice::open(&Select::Best, options).unwrap();
        let queues = device.capabilities().queues as usize;
        Self {
            device: Some(device),
            observer,
            next: Cell::new(0),
            tickets: RefCell::new(vec![0; queues]),
        }
    }

    pub(crate) fn device(&self) -> &MetalDevice {
        self.device.as_ref().unwrap()
    }

    fn id(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// An allocation of `words` words.
    pub(crate) fn memory(&self, words: u64, kind: MemoryKind) -> (Region, HostAccess) {
        let id = MemoryId(self.id());
        let bytes = (words * 4).next_multiple_of(16);
        let access = self.device().allocate(id, bytes, kind).unwrap();
        (region(id, 0, words * 4), access)
    }

    pub(crate) fn readback(&self, words: u64) -> Region {
        self.memory(words, MemoryKind::Readback).0
    }

    pub(crate) fn buffer(&self, words: u64) -> Region {
        self.memory(words, MemoryKind::Device).0
    }

    pub(crate) fn pipeline(&self, wgsl: &str, kernel: &Kernel) -> PipelineId {
        let id = PipelineId(self.id());
        let code = code(wgsl, kernel);
        self.device().create_pipeline(id, kernel, &code).unwrap();
        id
    }

    pub(crate) fn ticket(&self, queue: u32) -> Ticket {
        let value = &mut self.tickets.borrow_mut()[queue as usize];
        // Values may skip.
        *value += 3;
        Ticket {
            queue,
            value: *value,
        }
    }

    pub(crate) fn submit(&self, batch: &Batch) -> Ticket {
        let ticket = self.ticket(0);
        self.device().submit(batch, ticket).unwrap();
        ticket
    }

    pub(crate) fn wait(&self, ticket: Ticket) {
        assert!(self.device().wait(ticket, WAIT_NS).unwrap(), "a hang");
        assert!(self.device().completed(ticket.queue).unwrap() >= ticket.value);
    }

    /// Runs a batch and reads a readback allocation.
    pub(crate) fn run_and_read(&self, batch: &Batch, from: &Region) -> Vec<u32> {
        self.wait(self.submit(batch));
        self.read(from)
    }

    pub(crate) fn read(&self, from: &Region) -> Vec<u32> {
        let mut bytes = vec![0; from.bytes as usize];
        self.device()
            .read(from.memory, from.offset, &mut bytes)
            .unwrap();
        words(&bytes)
    }

    /// Drops the device, which then leaks what it must.
    pub(crate) fn abandon(mut self) {
        drop(self.device.take());
        std::mem::forget(self);
    }
}

#[cfg(metal_soft)]
impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.device.take());
        if !std::thread::panicking() {
            let wrong = self.observer.faults_at_end();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|it| u32::from_ne_bytes(it.try_into().unwrap()))
        .collect()
}

pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|it| it.to_ne_bytes()).collect()
}

pub(crate) fn region(memory: MemoryId, offset: u64, bytes: u64) -> Region {
    Region {
        memory,
        offset,
        bytes,
    }
}

/// Part of a region, in words.
pub(crate) fn part(of: &Region, first: u64, words: u64) -> Region {
    region(of.memory, of.offset + first * 4, words * 4)
}

/// The kernel as MSL, with a slot for each region of a launch.
pub(crate) fn code(wgsl: &str, kernel: &Kernel) -> Code {
    let module = Module::from_wgsl(wgsl).unwrap();
    let msl = module.msl(&kernel.name, &MslOptions::default()).unwrap();
    let uniform = match kernel.scalars.as_ref().map(|it| it.place) {
        Some(ScalarPlace::Uniform { group, binding }) => Some((group, binding)),
        _ => None,
    };
    let bound = kernel.bindings.iter().map(|it| (it.group, it.binding));
    let order: Vec<(u32, u32)> = bound.chain(uniform).collect();
    let slot = |at: &(u32, u32)| {
        let found = msl.buffers.iter().find(|it| (it.group, it.binding) == *at);
        found.unwrap().slot
    };
    let place = |at: &(u32, u32)| order.iter().position(|it| it == at).unwrap() as u32;
    Code::Msl {
        arguments: MetalArguments {
            entry_point: msl.entry_point.clone(),
            buffers: order.iter().map(slot).collect(),
            scalars: msl.scalars_slot.filter(|_| uniform.is_none()),
            sizes: msl.sizes.as_ref().map(|it| MetalSizes {
                slot: it.slot,
                regions: it.bindings.iter().map(place).collect(),
            }),
            threadgroup_bytes: msl.threadgroup_bytes.clone(),
        },
        source: msl.source,
    }
}

/// A kernel whose bindings are `(group, binding, access, uniform)`.
pub(crate) fn kernel(
    bindings: &[(u32, u32, Access, bool)],
    scalars: Option<(ScalarPlace, u32)>,
) -> Kernel {
    Kernel {
        name: "main".to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: bindings
            .iter()
            .map(|&(group, binding, access, uniform)| Binding {
                group,
                binding,
                name: format!("b{group}_{binding}"),
                access,
                uniform,
                bytes_min: 4,
            })
            .collect(),
        scalars: scalars.map(|(place, bytes)| Scalars {
            place,
            bytes,
            members: Vec::new(),
        }),
    }
}

/// `x[i] = x[i] * a + b` with constants.
pub(crate) const LCG: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}";

pub(crate) fn lcg_kernel() -> Kernel {
    kernel(&[(0, 0, Access::ReadWrite, false)], None)
}

/// `y[i] = x[i] * a + b` with the same constants. A chain of these between two buffers comes out wrong in any other order, where steps of [`LCG`] in place only must not overlap.
pub(crate) const STEP: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    y[id.x] = x[id.x] * 1664525u + 1013904223u;
}";

pub(crate) fn step_kernel() -> Kernel {
    let (read, write) = (Access::Read, Access::ReadWrite);
    kernel(&[(0, 0, read, false), (0, 1, write, false)], None)
}

/// What `steps` steps of [`LCG`] make of `x`.
pub(crate) fn lcg(x: u32, steps: usize) -> u32 {
    (0..steps).fold(x, |x, _| {
        x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
    })
}

pub(crate) fn launch(
    batch: &mut Batch,
    pipeline: PipelineId,
    regions: &[Region],
    scalars: &[u8],
    grid: [u32; 3],
) {
    let bindings = batch.push_regions(regions.iter().copied());
    let scalars = if scalars.is_empty() {
        tidegate_core::Span::default()
    } else {
        batch.push_data(scalars)
    };
    batch.commands.push(Command::Launch(Launch {
        pipeline,
        bindings,
        scalars,
        grid,
    }));
}

pub(crate) fn upload(batch: &mut Batch, target: Region, words: &[u32]) {
    let data = batch.push_data(&bytes(words));
    batch.commands.push(Command::Upload { target, data });
}

pub(crate) fn barrier(batch: &mut Batch, it: Barrier) {
    batch.commands.push(Command::Barrier(it));
}

pub(crate) fn copy(batch: &mut Batch, source: Region, target: Region) {
    batch.commands.push(Command::Copy { source, target });
}

pub(crate) fn fill(batch: &mut Batch, target: Region, pattern: u32) {
    batch.commands.push(Command::Fill { target, pattern });
}
