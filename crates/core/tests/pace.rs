//! How long work takes is learnt, and cuts batches: on a device that takes a millisecond for each command.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tidegate_core::{
    Batch, Capabilities, Cause, Code, Command, Context, Device, DeviceError, HostAccess, Kernel,
    Limits, Memory, MemoryId, MemoryKind, PipelineId, Policy, Status, Stream, Ticket,
};

const COMMAND_NS: u64 = 1_000_000;

/// A queue whose clock moves only when somebody records or waits.
#[derive(Default)]
struct Clockwork {
    now: u64,
    /// Each batch's ticket and when it ends.
    ends: VecDeque<(u64, u64)>,
    completed: u64,
    free_at: u64,
    /// Commands of each batch submitted.
    batches: Vec<u32>,
    /// What another thread does while a batch is being submitted, which then runs at once.
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone)]
struct Fake {
    work: Arc<Mutex<Clockwork>>,
    capabilities: Arc<Capabilities>,
    clock: bool,
}

impl Fake {
    fn new(clock: bool) -> Self {
        let capabilities = Capabilities {
            name: "clockwork".to_owned(),
            backend: "test",
            driver: String::new(),
            software: true,
            unified: false,
            queues: 1,
            memory_bytes: 1 << 30,
            allocations_max: 1000,
            allocation_bytes_max: 1 << 30,
            binding_bytes_max: 1 << 30,
            binding_align: 16,
            uniform_bytes_max: 1 << 16,
            uniform_align: 16,
            copy_align: 1,
            bindings_max: 16,
            scalar_bytes_max: 128,
            grid_max: [1 << 16; 3],
            workgroup_size_max: [1024; 3],
            workgroup_invocations_max: 1024,
            workgroup_bytes_max: 1 << 15,
            subgroup_size: 1,
            subgroup_sizes: [1; 2],
            features: Vec::new(),
        };
        let start = Clockwork {
            now: 1,
            ..Clockwork::default()
        };
        Self {
            work: Arc::new(Mutex::new(start)),
            capabilities: Arc::new(capabilities),
            clock,
        }
    }
}

impl Device for Fake {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn now_ns(&self) -> u64 {
        let now = self.work.lock().unwrap().now;
        if self.clock { now } else { 0 }
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

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let commands = batch.body().commands.iter();
        let commands = commands.filter(|it| !matches!(it, Command::Barrier(_)));
        let count = commands.count() as u32;
        let mut guard = self.work.lock().unwrap();
        let work = &mut *guard;
        let start = work.free_at.max(work.now);
        work.free_at = start + u64::from(count) * COMMAND_NS;
        work.ends.push_back((ticket.value, work.free_at));
        work.batches.push(count);
        let meanwhile = work.meanwhile.take();
        if meanwhile.is_some() {
            work.now = work.free_at;
        }
        drop(guard);
        meanwhile.into_iter().for_each(|it| it());
        Ok(())
    }

    fn completed(&self, _: u32) -> Result<u64, DeviceError> {
        let work = &mut *self.work.lock().unwrap();
        while let Some((value, end)) = work.ends.front()
            && *end <= work.now
        {
            work.completed = *value;
            work.ends.pop_front();
        }
        Ok(work.completed)
    }

    fn wait(&self, ticket: Ticket, _: u64) -> Result<bool, DeviceError> {
        let work = &mut *self.work.lock().unwrap();
        if let Some((_, end)) = work.ends.iter().find(|it| it.0 == ticket.value) {
            work.now = work.now.max(*end);
        }
        Ok(true)
    }
}

struct Bench {
    fake: Fake,
    memory: Memory<Fake>,
    stream: Stream<Fake>,
}

impl Bench {
    fn new(clock: bool, limits: Limits, policy: Policy) -> Self {
        let fake = Fake::new(clock);
        let context = Context::new(fake.clone(), limits);
        Self {
            fake,
            memory: context.allocate(16, MemoryKind::Device).unwrap(),
            stream: context.stream(policy).unwrap(),
        }
    }

    /// Records so many commands, a microsecond each.
    fn record(&mut self, commands: u32) {
        for _ in 0..commands {
            self.stream.fill(&self.memory, 0, 16, &[1]).unwrap();
            self.pass(1000);
        }
    }

    fn pass(&self, nanoseconds: u64) {
        self.fake.work.lock().unwrap().now += nanoseconds;
    }

    /// The sizes of all batches.
    fn batches(&self) -> Vec<u32> {
        self.fake.work.lock().unwrap().batches.clone()
    }

    /// Captures so many commands, and gives the sizes of the batches that a launch of them makes.
    fn launched(&mut self, commands: u32) -> Vec<u32> {
        self.stream.begin_capture().unwrap();
        self.record(commands);
        let graph = self.stream.end_capture().unwrap();
        let before = self.batches().len();
        self.stream.launch_graph(&graph).unwrap();
        self.stream.synchronize().unwrap();
        assert_eq!(self.batches().len() - before, graph.submissions());
        self.batches().split_off(before)
    }

    /// Records, waits, and gives the sizes of the batches.
    fn run(&mut self, commands: u32) -> Vec<u32> {
        let before = self.batches().len();
        self.record(commands);
        self.stream.synchronize().unwrap();
        self.batches().split_off(before)
    }
}

#[test]
fn a_batch_is_expected_to_run_no_longer_than_the_limit() {
    for policy in [Policy::Adaptive, Policy::UntilSync] {
        let limits = Limits::default();
        let allowed = (limits.batch_ns / COMMAND_NS) as u32;
        let mut bench = Bench::new(true, limits, policy);
        bench.run(8);
        let sizes = bench.run(400);
        let most = sizes.iter().max().copied().unwrap();
        assert!(
            (allowed - 2..=allowed + 1).contains(&most),
            "{policy:?}: {sizes:?}"
        );
        let counters = bench.stream.context().counters();
        let limit = Cause::ALL.iter().position(|it| *it == Cause::Limit);
        assert!(counters.submissions_by_cause[limit.unwrap()] > 0);
    }
}

#[test]
fn a_graph_is_cut_by_what_was_learnt_before_it_was_captured() {
    let limits = Limits {
        batch_ns: Limits::default().batch_ns / 10,
        ..Limits::default()
    };
    // A part may be ten times as long as a batch.
    let allowed = (10 * limits.batch_ns / COMMAND_NS) as u32;
    let mut bench = Bench::new(true, limits, Policy::UntilSync);
    assert_eq!(bench.launched(400), [400], "nothing is known");
    for _ in 0..4 {
        bench.run(8);
    }
    let sizes = bench.launched(400);
    assert_eq!(sizes.iter().sum::<u32>(), 400);
    let most = sizes.iter().max().copied().unwrap();
    assert!((allowed - 2..=allowed + 1).contains(&most), "{sizes:?}");
}

#[test]
fn without_a_clock_counts_alone_bound_a_batch() {
    let mut bench = Bench::new(false, Limits::default(), Policy::UntilSync);
    assert_eq!(bench.run(600), [512, 88]);
    assert_eq!(bench.run(600), [512, 88]);
}

#[test]
fn what_is_pending_starts_once_the_device_has_nothing_to_do() {
    let mut bench = Bench::new(true, Limits::default(), Policy::Adaptive);
    let watch = bench.stream.context().watch();
    assert!(!watch.nudge());
    bench.record(3);
    assert!(watch.nudge());
    assert_eq!(bench.batches(), [3]);
    // It works for 3 milliseconds: there is no hurry.
    bench.record(2);
    assert!(watch.nudge());
    assert_eq!(bench.batches(), [3]);
    bench.pass(3 * COMMAND_NS);
    assert!(watch.nudge());
    assert_eq!(bench.batches(), [3, 2]);
    bench.pass(2 * COMMAND_NS);
    assert!(!watch.nudge());
}

/// Another thread sees a batch complete before the one that submits it has noted that it is in flight.
#[test]
fn a_batch_seen_complete_early_does_not_count_as_in_flight_for_ever() {
    let mut bench = Bench::new(true, Limits::default(), Policy::Adaptive);
    let watch = bench.stream.context().watch();
    let mut other = bench.stream.context().stream(Policy::Adaptive).unwrap();
    bench.record(1);
    other.fill(&bench.memory, 0, 16, &[1]).unwrap();
    // Kept here: dropping a stream submits.
    let other = Arc::new(Mutex::new(other));
    let asks = Arc::clone(&other);
    bench.fake.work.lock().unwrap().meanwhile = Some(Box::new(move || {
        assert_eq!(asks.lock().unwrap().query().unwrap(), Status::Idle);
    }));
    assert!(watch.nudge());
    bench.record(1);
    watch.nudge();
    watch.nudge();
    assert_eq!(bench.batches(), [2, 1]);
}

#[test]
fn what_is_held_back_on_purpose_stays_so() {
    let mut bench = Bench::new(true, Limits::default(), Policy::UntilSync);
    let watch = bench.stream.context().watch();
    bench.record(3);
    assert!(!watch.nudge());
    assert_eq!(bench.batches(), []);
    // On one queue with work that is not.
    let mut other = bench.stream.context().stream(Policy::Adaptive).unwrap();
    other.fill(&bench.memory, 0, 16, &[1]).unwrap();
    assert!(watch.nudge());
    assert_eq!(bench.batches(), [4]);
}

/// It is dropped before the device is, with the last handle and not before.
#[test]
fn a_companion_goes_with_the_last_handle() {
    let bench = Bench::new(true, Limits::default(), Policy::Adaptive);
    let context = bench.stream.context().clone();
    let companion = Arc::new(());
    context.accompany(Box::new(Arc::clone(&companion)));
    let late = Arc::new(());
    context.accompany(Box::new(Arc::clone(&late)));
    assert_eq!(Arc::strong_count(&late), 1);
    drop(context);
    assert_eq!(Arc::strong_count(&companion), 2);
    drop(bench);
    assert_eq!(Arc::strong_count(&companion), 1);
}
