//! Every order of events that threads can meet, tried by a model checker: on core itself, and on the two protocols of atomics that stand outside it.
//!
//!     RUSTFLAGS="--cfg loom" cargo test --package tidegate-core --test loom --release
//!
//! A thread is preempted at most twice in one run (`LOOM_MAX_PREEMPTIONS`), which keeps the number of orders finite and small.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;
use tidegate_core::{
    Batch, Capabilities, Code, Context, Device, DeviceError, Error, HostAccess, Kernel, Limits,
    MemoryId, MemoryKind, PipelineId, Policy, Stream, Ticket,
};

/// A device that runs a batch when somebody waits for it, and holds core to its side of the contract.
struct Fake {
    capabilities: Capabilities,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    submitted: Vec<u64>,
    completed: Vec<u64>,
    /// What each submitted batch touches.
    touched: Vec<(Ticket, Vec<MemoryId>)>,
    /// Fails from this submission on, counted from 1.
    lost_at: Option<u64>,
    submissions: u64,
}

impl State {
    /// Runs everything up to a ticket, and what it waits for.
    fn run(&mut self, ticket: Ticket) {
        let done = &mut self.completed[ticket.queue as usize];
        *done = ticket.value.max(*done);
    }
}

impl Fake {
    fn context(queues: u32, lost_at: Option<u64>) -> Context<Self> {
        let fake = Self {
            capabilities: Capabilities {
                name: "loom".to_owned(),
                backend: "sim",
                driver: String::new(),
                software: true,
                unified: true,
                queues,
                memory_bytes: 1 << 30,
                allocations_max: 100,
                allocation_bytes_max: 1 << 20,
                binding_bytes_max: 1 << 20,
                binding_align: 4,
                uniform_bytes_max: 1 << 14,
                uniform_align: 16,
                copy_align: 1,
                bindings_max: 4,
                scalar_bytes_max: 16,
                grid_max: [16; 3],
                workgroup_size_max: [64; 3],
                workgroup_invocations_max: 64,
                workgroup_bytes_max: 1 << 14,
                subgroup_size: 1,
                subgroup_sizes: [1; 2],
                features: Vec::new(),
            },
            state: Mutex::new(State {
                submitted: vec![0; queues as usize],
                completed: vec![0; queues as usize],
                lost_at,
                ..State::default()
            }),
        };
        Context::new(fake, Limits::default())
    }

    fn alive(&self) -> Result<loom::sync::MutexGuard<'_, State>, DeviceError> {
        let state = self.state.lock().unwrap();
        match state.lost_at {
            Some(at) if state.submissions >= at => Err(DeviceError::Lost {
                detail: "as planned".to_owned(),
            }),
            _ => Ok(state),
        }
    }
}

impl Device for Fake {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn allocate(&self, _: MemoryId, _: u64, _: MemoryKind) -> Result<HostAccess, DeviceError> {
        Ok(HostAccess {
            write: true,
            read: true,
        })
    }

    fn free(&self, id: MemoryId) {
        let Ok(state) = self.alive() else { return };
        for (ticket, touched) in &state.touched {
            let done = state.completed[ticket.queue as usize] >= ticket.value;
            assert!(
                done || !touched.contains(&id),
                "freed while {ticket:?} may use it"
            );
        }
    }

    fn memory_available(&self, _: MemoryKind) -> Option<u64> {
        None
    }

    fn write(&self, _: MemoryId, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        self.alive().map(|_| ())
    }

    fn read(&self, _: MemoryId, _: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        data.fill(0);
        self.alive().map(|_| ())
    }

    fn create_pipeline(&self, _: PipelineId, _: &Kernel, _: &Code) -> Result<(), DeviceError> {
        Ok(())
    }

    fn destroy_pipeline(&self, _: PipelineId) {}

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.state.lock().unwrap().submissions += 1;
        let mut state = self.alive()?;
        let queue = ticket.queue as usize;
        assert!(ticket.value > state.submitted[queue], "out of order");
        for wait in &batch.waits {
            // Or else the queue would wait for ever.
            assert!(
                wait.value <= state.submitted[wait.queue as usize],
                "waits for what is held back"
            );
        }
        state.submitted[queue] = ticket.value;
        let text = batch.to_string();
        let touched = (0..8)
            .map(MemoryId)
            .filter(|it| text.contains(&format!("m{}", it.0)));
        let touched = touched.collect();
        state.touched.push((ticket, touched));
        Ok(())
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        Ok(self.alive()?.completed[queue as usize])
    }

    fn wait(&self, ticket: Ticket, _: u64) -> Result<bool, DeviceError> {
        let mut state = self.alive()?;
        assert!(
            ticket.value <= state.submitted[ticket.queue as usize],
            "waits for what is held back"
        );
        state.run(ticket);
        Ok(true)
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

fn fill(stream: &mut Stream<Fake>, memory: &tidegate_core::Memory<Fake>) -> Result<(), Error> {
    stream.fill(memory, 0, 256, &[1; 4])
}

/// Two streams of one queue, from two threads, each waiting for its own work.
#[test]
fn streams_that_share_a_queue() {
    check(|| {
        let context = Fake::context(1, None);
        let other = context.clone();
        let thread = thread::spawn(move || {
            let memory = other.allocate(256, MemoryKind::Device).unwrap();
            let mut stream = other.stream(Policy::EveryDispatch).unwrap();
            fill(&mut stream, &memory).unwrap();
            stream.synchronize().unwrap();
        });
        let memory = context.allocate(256, MemoryKind::Device).unwrap();
        let mut stream = context.stream(Policy::UntilSync).unwrap();
        fill(&mut stream, &memory).unwrap();
        stream.synchronize().unwrap();
        thread.join().unwrap();
        drop((stream, memory));
        assert_eq!(context.counters().blits, 2);
    });
}

/// Two queues work on the same memory, each needing what the other holds back.
#[test]
fn queues_that_need_each_other() {
    check(|| {
        let context = Fake::context(2, None);
        let x = Arc::new(context.allocate(256, MemoryKind::Device).unwrap());
        let y = Arc::new(context.allocate(256, MemoryKind::Device).unwrap());
        let mut streams = [(); 2].map(|()| context.stream(Policy::UntilSync).unwrap());
        fill(&mut streams[0], &x).unwrap();
        fill(&mut streams[1], &y).unwrap();
        let [mut first, mut second] = streams;
        let (x2, y2) = (Arc::clone(&x), Arc::clone(&y));
        let thread = thread::spawn(move || {
            first.copy(&y2, 0, &x2, 0, 256).unwrap();
            first.synchronize().unwrap();
        });
        second.copy(&x, 0, &y, 0, 256).unwrap();
        second.synchronize().unwrap();
        thread.join().unwrap();
    });
}

/// An event recorded by one thread and waited for by another's stream.
#[test]
fn an_event_between_queues() {
    check(|| {
        let context = Fake::context(2, None);
        let memory = context.allocate(256, MemoryKind::Device).unwrap();
        let mut first = context.stream(Policy::UntilSync).unwrap();
        let mut second = context.stream(Policy::EveryDispatch).unwrap();
        let other = context.allocate(256, MemoryKind::Device).unwrap();
        let event = context.event();
        let theirs = event.clone();
        let thread = thread::spawn(move || {
            fill(&mut first, &memory).unwrap();
            first.record(&theirs).unwrap();
        });
        second.wait(&event).unwrap();
        // Submitted at once, with its wait.
        fill(&mut second, &other).unwrap();
        second.synchronize().unwrap();
        event.synchronize().unwrap();
        thread.join().unwrap();
        event.synchronize().unwrap();
        assert!(event.is_complete().unwrap());
    });
}

/// A large upload in place, which does not hold the state, while another thread records on the same memory and waits for it to end.
#[test]
fn a_copy_in_place_while_another_thread_records() {
    check(|| {
        let context = Fake::context(1, None);
        let bytes = 65 << 10;
        let memory = Arc::new(context.allocate(bytes, MemoryKind::Device).unwrap());
        let theirs = Arc::clone(&memory);
        let mut first = context.stream(Policy::UntilSync).unwrap();
        let mut second = context.stream(Policy::UntilSync).unwrap();
        let thread = thread::spawn(move || {
            fill(&mut first, &theirs).unwrap();
        });
        second.upload(&memory, 0, &vec![1; bytes as usize]).unwrap();
        thread.join().unwrap();
        second.synchronize().unwrap();
    });
}

/// The device is lost in one thread's hands: the other hears of it too, and both end.
#[test]
fn a_loss_is_everybodys() {
    check(|| {
        let context = Fake::context(1, Some(1));
        let other = context.clone();
        let record = |context: &Context<Fake>| {
            let memory = context.allocate(256, MemoryKind::Device)?;
            let mut stream = context.stream(Policy::UntilSync)?;
            fill(&mut stream, &memory)?;
            stream.synchronize()
        };
        let thread = thread::spawn(move || record(&other));
        let here = record(&context);
        let there = thread.join().unwrap();
        assert!(matches!(here, Err(Error::Lost(_))), "{here:?}");
        assert!(matches!(there, Err(Error::Lost(_))), "{there:?}");
    });
}

#[path = "../../tidegate/src"]
mod starter {
    pub(super) mod sync {
        pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
        pub(crate) use loom::thread::{Thread, park};
    }

    #[path = "starter/doze.rs"]
    mod doze;

    use std::sync::Arc;

    use super::*;
    use doze::Doze;

    /// What the thread does that starts work: it looks, and sleeps if there is nothing. What is recorded while it falls asleep is not forgotten.
    #[test]
    fn work_recorded_while_the_thread_falls_asleep_is_started() {
        check(|| {
            let context = Fake::context(1, None);
            let watch = context.watch();
            let (send, receive) = loom::sync::mpsc::channel::<Arc<Doze>>();
            let thread = thread::spawn(move || {
                let doze = receive.recv().unwrap();
                // Ends when it has started the work. Asleep for good, loom says that nothing can go on.
                while !watch.nudge() {
                    doze.off(|| watch.nudge());
                }
            });
            let doze = Arc::new(Doze::new(thread.thread().clone()));
            send.send(Arc::clone(&doze)).unwrap();
            let memory = context.allocate(256, MemoryKind::Device).unwrap();
            let mut stream = context.stream(Policy::Adaptive).unwrap();
            fill(&mut stream, &memory).unwrap();
            doze.end();
            thread.join().unwrap();
            stream.synchronize().unwrap();
        });
    }
}

#[path = "../../vulkan/src"]
mod timeline {
    pub(super) mod sync {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    }

    #[path = "progress.rs"]
    mod progress;

    use std::sync::Arc;

    use super::*;
    use progress::Progress;
    use sync::{AtomicU64, Ordering};

    /// One thread hands over, and once finds no memory; another asks. What is complete was handed over, and never goes back.
    #[test]
    fn a_queue_s_progress_is_never_beyond_what_was_handed_over() {
        check(|| {
            let progress = Arc::new(Progress::new());
            let driver = Arc::new(AtomicU64::new(0));
            progress.hand_over(1);
            driver.store(1, Ordering::Release);
            let asks = [(); 2].map(|()| {
                let (progress, driver) = (Arc::clone(&progress), Arc::clone(&driver));
                thread::spawn(move || {
                    let value = progress.known().unwrap_or_else(|| {
                        let value = driver.load(Ordering::Acquire);
                        assert!(progress.saw(value), "a working device would count as lost");
                        value
                    });
                    assert!(progress.seen() >= value, "went back");
                    assert!(
                        value <= driver.load(Ordering::Acquire),
                        "complete too early"
                    );
                })
            });
            let before = progress.hand_over(2);
            progress.take_back(before);
            progress.hand_over(3);
            driver.store(3, Ordering::Release);
            for it in asks {
                it.join().unwrap();
            }
            assert_eq!(progress.submitted(), 3);
        });
    }
}
