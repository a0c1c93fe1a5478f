//! Recording allocates nothing once warm, and memory is flat however long a stream lives.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate::sim::{Setup, Sim, kernels};
use tidegate::{Device, Limits, Policy};
use tidegate_core::{
    Arguments, Batch, Capabilities, Code, Context, DeviceError, HostAccess, Kernel, Memory,
    MemoryId, MemoryKind, Pipeline, PipelineId, Stream, Ticket,
};

/// Counts what the thread asks the system's allocator for.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn note(calls: u64, bytes: i64) {
    // A thread that ends has no cells any more: what it then does is not counted.
    let _ = CALLS.try_with(|it| it.set(it.get() + calls));
    let _ = BYTES.try_with(|it| it.set(it.get() + bytes));
}

// SAFETY: each call goes to the system's allocator with the same arguments, which the caller answers for; counting neither allocates nor panics, as
// the cells are constant-initialised and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps the rules of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the rules of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the rules of `realloc`, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A device that does nothing, a few submissions late.
struct Null {
    capabilities: Capabilities,
    submitted: AtomicU64,
    waited: AtomicU64,
}

impl Null {
    fn new() -> Self {
        let mut capabilities = Setup::default().capabilities;
        capabilities.queues = 1;
        Self {
            capabilities,
            submitted: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        }
    }
}

impl tidegate_core::Device for Null {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn allocate(&self, _: MemoryId, _: u64, _: MemoryKind) -> Result<HostAccess, DeviceError> {
        Ok(HostAccess::default())
    }

    fn free(&self, _: MemoryId) {}

    fn memory_available(&self, _: MemoryKind) -> Option<u64> {
        None
    }

    fn write(&self, _: MemoryId, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn read(&self, _: MemoryId, _: u64, _: &mut [u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn create_pipeline(&self, _: PipelineId, _: &Kernel, _: &Code) -> Result<(), DeviceError> {
        Ok(())
    }

    fn destroy_pipeline(&self, _: PipelineId) {}

    fn submit(&self, _: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.submitted.store(ticket.value, Ordering::Relaxed);
        Ok(())
    }

    fn completed(&self, _: u32) -> Result<u64, DeviceError> {
        let late = self.submitted.load(Ordering::Relaxed).saturating_sub(3);
        Ok(late.max(self.waited.load(Ordering::Relaxed)))
    }

    fn wait(&self, ticket: Ticket, _: u64) -> Result<bool, DeviceError> {
        self.waited.store(ticket.value, Ordering::Relaxed);
        Ok(true)
    }
}

/// What a decoder's step looks like to a stream: launches that depend on each other, scalars of both kinds, small uploads, copies.
struct Work {
    context: Context<Null>,
    stream: Stream<Null>,
    affine: Pipeline<Null>,
    uniform: Pipeline<Null>,
    memory: Vec<Memory<Null>>,
}

impl Work {
    fn new(policy: Policy) -> Self {
        let context = Context::new(Null::new(), Limits::default());
        let [affine, uniform] = [kernels::affine(), kernels::affine_uniform()]
            .map(|(kernel, code)| context.pipeline(kernel, &code).unwrap());
        let memory = (0..16).map(|_| context.allocate(1024, MemoryKind::Device).unwrap());
        Self {
            stream: context.stream(policy).unwrap(),
            memory: memory.collect(),
            affine,
            uniform,
            context,
        }
    }

    fn step(&mut self, step: usize) {
        let memory = &self.memory[step % 16];
        let regions = [memory.region(0, 1024).unwrap()];
        let arguments = |scalars| Arguments {
            regions: &regions,
            scalars,
            aliasing: false,
        };
        let pushed = arguments(&[1; 8]);
        self.stream.launch(&self.affine, [4, 1, 1], pushed).unwrap();
        let block = arguments(&[1; 16]);
        self.stream.launch(&self.uniform, [4, 1, 1], block).unwrap();
        if step.is_multiple_of(7) {
            self.stream.upload(memory, 0, &[1; 64]).unwrap();
            let other = &self.memory[(step + 1) % 16];
            self.stream.copy(memory, 0, other, 0, 512).unwrap();
            self.stream.fill(other, 0, 64, &[1]).unwrap();
        }
        if step.is_multiple_of(500) {
            self.stream.synchronize().unwrap();
        }
    }
}

#[test]
fn recording_and_submitting_allocate_nothing_once_warm() {
    for policy in [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive] {
        let mut work = Work::new(policy);
        (0..10_000).for_each(|it| work.step(it));
        let before = CALLS.get();
        (0..10_000).for_each(|it| work.step(it));
        assert_eq!(CALLS.get() - before, 0, "{policy:?}");
    }
}

#[test]
fn the_public_launch_allocates_nothing_once_warm() {
    let device = Device::simulated(Sim::new(1), Limits::default());
    let (kernel, Code::Host(run)) = kernels::affine() else {
        panic!("a twin is a function");
    };
    let module = device.module_from_host(vec![(kernel, run)]);
    let affine = module.kernel("affine").unwrap();
    let mut stream = device.stream_with(Policy::UntilSync).unwrap();
    let x = stream.zeros::<u32>(64).unwrap();
    let mut calls = 0;
    for _ in 0..4 {
        let before = CALLS.get();
        for step in 0..500_u32 {
            stream.launch(&affine, 1, (&x, step | 1, 2_u32)).unwrap();
        }
        calls = CALLS.get() - before;
        stream.synchronize().unwrap();
    }
    assert_eq!(calls, 0);
}

#[test]
fn memory_is_flat_over_a_million_dispatches() {
    let mut work = Work::new(Policy::Adaptive);
    (0..20_000).for_each(|it| work.step(it));
    let before = BYTES.get();
    for step in 0..500_000 {
        work.step(step);
        if step.is_multiple_of(1000) {
            // Buffers come and go, too.
            let memory = work.context.allocate(1024, MemoryKind::Device).unwrap();
            work.memory[step / 1000 % 16] = memory;
        }
    }
    let grown = BYTES.get() - before;
    assert!(grown < 4096, "grown by {grown} bytes");
    let counters = work.context.counters();
    assert_eq!(counters.dispatches, 1_040_000);
    assert!(counters.memory_peak < 64 << 20, "{counters:?}");
    assert!(counters.allocations < 64, "{counters:?}");
}
