//! What tests of a [`Device`] share: a device, counters in core's place, kernels, and batches built by hand.
//!
//! `promises.rs` beside it says what the contract promises, as tests, and `refusals.rs` what a backend says to calls that core does not make. To run them on a backend, implement
//! [`Backend`] and include the files in tests of its crate, where [`Rig`] is for it:
//!
//! ```text
//! #[path = "../../core/tests/device/promises.rs"]
//! mod contract;
//! #[path = "../../core/tests/device/rig.rs"]
//! mod rig;
//!
//! use rig::*;
//! type Rig = rig::Rig<Mine>;
//! ```

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::ops::Range;

use tidegate_core::{
    Access, Barrier, Batch, Binding, Code, Command, Device, HostAccess, Kernel, Launch, MemoryId,
    MemoryKind, PipelineId, Region, ScalarPlace, Scalars, Span, Stages, Ticket,
};

/// How long a test waits before it counts as a hang.
pub(crate) const WAIT_NS: u64 = 60_000_000_000;

pub(crate) const ALL: Barrier = between(Stages::ALL, Stages::ALL);
pub(crate) const COMPUTE: Barrier = between(Stages::COMPUTE, Stages::COMPUTE);

pub(crate) const fn between(before: Stages, after: Stages) -> Barrier {
    Barrier { before, after }
}

/// What the tests need to know of a backend: a value is a device and whatever watches it.
pub(crate) trait Backend: Sized {
    type Device: Device;
    /// What a device is opened with.
    type Way: Debug;

    /// Every test opens a device in each of these ways.
    fn ways() -> Vec<Self::Way>;

    fn open(way: &Self::Way) -> Self;

    fn device(&self) -> &Self::Device;

    fn code(source: &Source) -> Code;

    /// Closes the device. What watched it says all that was wrong.
    fn end(self) -> Vec<String>;
}

/// A device, and counters in core's place. Dropped, it asserts that what watched the device has nothing to say.
pub(crate) struct Rig<B: Backend> {
    backend: Option<B>,
    next: Cell<u32>,
    tickets: RefCell<Vec<u64>>,
}

impl<B: Backend> Rig<B> {
    /// One at a time, opened in each way that the backend has.
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        B::ways().into_iter().map(|way| {
            // The last one is shown if the test fails.
            eprintln!("opened with {way:?}");
            Self::new(&way)
        })
    }

    pub(crate) fn new(way: &B::Way) -> Self {
        Self::of(B::open(way))
    }

    pub(crate) fn of(backend: B) -> Self {
        let queues = backend.device().capabilities().queues as usize;
        Self {
            backend: Some(backend),
            next: Cell::new(0),
            tickets: RefCell::new(vec![0; queues]),
        }
    }

    pub(crate) fn backend(&self) -> &B {
        self.backend.as_ref().unwrap()
    }

    pub(crate) fn into_backend(mut self) -> B {
        self.backend.take().unwrap()
    }

    pub(crate) fn device(&self) -> &B::Device {
        self.backend().device()
    }

    pub(crate) fn code(source: &Source) -> Code {
        B::code(source)
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

    pub(crate) fn pipeline(&self, source: &Source) -> PipelineId {
        let (id, code) = (PipelineId(self.id()), B::code(source));
        let made = self.device().create_pipeline(id, &source.kernel(), &code);
        made.unwrap();
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
        self.submit_to(0, batch)
    }

    pub(crate) fn submit_to(&self, queue: u32, batch: &Batch) -> Ticket {
        let ticket = self.ticket(queue);
        self.device().submit(batch, ticket).unwrap();
        ticket
    }

    pub(crate) fn wait(&self, ticket: Ticket) {
        assert!(self.device().wait(ticket, WAIT_NS).unwrap(), "a hang");
        assert!(self.device().completed(ticket.queue).unwrap() >= ticket.value);
    }

    /// Runs a batch that ends with a copy from `source` to `back`, and reads that.
    pub(crate) fn copy_and_read(
        &self,
        batch: &mut Batch,
        source: Region,
        back: Region,
    ) -> Vec<u32> {
        copy(batch, source, back);
        batch.host_reads = true;
        self.wait(self.submit(batch));
        self.read(&back)
    }

    pub(crate) fn read(&self, from: &Region) -> Vec<u32> {
        let mut bytes = vec![0; from.bytes as usize];
        let read = self.device().read(from.memory, from.offset, &mut bytes);
        read.unwrap();
        words(&bytes)
    }
}

impl<B: Backend> Drop for Rig<B> {
    fn drop(&mut self) {
        let wrong = self.backend.take().map_or_else(Vec::new, B::end);
        if !std::thread::panicking() {
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u32> {
    (0..bytes.len() / 4).map(|at| word(bytes, at)).collect()
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

/// Makes a batch of `queue` come after everything up to `last`, of whichever queue.
pub(crate) fn after(batch: &mut Batch, queue: u32, last: Ticket) {
    if queue == last.queue {
        batch.opening = ALL;
    } else {
        batch.waits.push(last);
    }
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
        Span::default()
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

/// What one workgroup of a kernel does to the buffers of a launch, in the order of its bindings, for devices whose kernels are functions.
type Host = fn([u32; 3], &mut [&mut [u8]], &[u8]);

/// A kernel named `main` of 64 invocations a workgroup.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) wgsl: &'static str,
    /// Group, binding and access of each buffer.
    pub(crate) bindings: &'static [(u32, u32, Access)],
    pub(crate) scalars: Option<(ScalarPlace, u32)>,
    pub(crate) host: Host,
}

impl Source {
    /// A kernel without scalars that no device with functions for kernels runs.
    pub(crate) const fn of(wgsl: &'static str, bindings: &'static [(u32, u32, Access)]) -> Self {
        Self {
            wgsl,
            bindings,
            scalars: None,
            host: |_, _, _| panic!("a kernel in WGSL alone"),
        }
    }

    pub(crate) fn kernel(&self) -> Kernel {
        let bindings = self.bindings.iter();
        Kernel {
            name: "main".to_owned(),
            workgroup_size: [64, 1, 1],
            bindings: bindings
                .map(|&(group, binding, access)| Binding {
                    group,
                    binding,
                    name: format!("b{group}_{binding}"),
                    access,
                    uniform: false,
                    bytes_min: 4,
                })
                .collect(),
            scalars: self.scalars.map(|(place, bytes)| Scalars {
                place,
                bytes,
                members: Vec::new(),
            }),
        }
    }
}

/// `x[i] = x[i] * a + b` with constants.
pub(crate) const LCG: Source = Source {
    wgsl: "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}",
    bindings: &[(0, 0, Access::ReadWrite)],
    scalars: None,
    host: |group, buffers, _| {
        for at in own(group) {
            let x = word(buffers[0], at);
            put(buffers[0], at, lcg(x, 1));
        }
    },
};

/// `y[i] = x[i] * a + b` with the same constants. A chain of these between two buffers comes out wrong in any other order, where steps of [`LCG`] in place only must not overlap.
pub(crate) const STEP: Source = Source {
    wgsl: "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    y[id.x] = x[id.x] * 1664525u + 1013904223u;
}",
    bindings: &[(0, 0, Access::Read), (0, 1, Access::ReadWrite)],
    scalars: None,
    host: |group, buffers, _| {
        for at in own(group) {
            let x = word(buffers[0], at);
            put(buffers[1], at, lcg(x, 1));
        }
    },
};

/// `x[at] = x[at] * mul + add`, of pushed scalars.
pub(crate) const PUSHED: Source = Source {
    wgsl: "
struct Scalars { add: u32, mul: u32, at: u32 }
var<immediate> s: Scalars;
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x == 0u { x[s.at] = x[s.at] * s.mul + s.add; }
}",
    bindings: &[(0, 0, Access::ReadWrite)],
    scalars: Some((ScalarPlace::PushConstants, 12)),
    host: |_, buffers, scalars| {
        let (add, mul, at) = (
            word(scalars, 0),
            word(scalars, 1),
            word(scalars, 2) as usize,
        );
        let x = word(buffers[0], at);
        put(buffers[0], at, x.wrapping_mul(mul).wrapping_add(add));
    },
};

/// `c[i] = a[i] * scale.x + b[i] * scale.y`. The order of the regions is not that of the groups.
pub(crate) const THREE: Source = Source {
    wgsl: "
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(2) @binding(0) var<storage, read> b: array<u32>;
@group(2) @binding(3) var<storage, read_write> c: array<u32>;
@group(1) @binding(0) var<uniform> scale: vec4<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    c[id.x] = a[id.x] * scale.x + b[id.x] * scale.y;
}",
    bindings: &[
        (2, 3, Access::ReadWrite),
        (0, 1, Access::Read),
        (2, 0, Access::Read),
    ],
    scalars: Some((
        ScalarPlace::Uniform {
            group: 1,
            binding: 0,
        },
        16,
    )),
    host: |group, buffers, scale| {
        for at in own(group) {
            let a = word(buffers[1], at).wrapping_mul(word(scale, 0));
            let b = word(buffers[2], at).wrapping_mul(word(scale, 1));
            put(buffers[0], at, a.wrapping_add(b));
        }
    },
};

/// What `steps` steps of [`LCG`] or [`STEP`] make of `x`.
pub(crate) fn lcg(x: u32, steps: usize) -> u32 {
    (0..steps).fold(x, |x, _| {
        x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
    })
}

/// The elements of a workgroup.
fn own(group: [u32; 3]) -> Range<usize> {
    let first = group[0] as usize * 64;
    first..first + 64
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[4 * at..4 * at + 4].try_into().unwrap())
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_ne_bytes());
}
