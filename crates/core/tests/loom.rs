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
    Batch, Capabilities, Code, Command, Context, Device, DeviceError, Error, HostAccess, Kernel,
    Limits, MemoryId, MemoryKind, PipelineId, Policy, Region, Stream, Ticket,
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
    /// What each submitted batch touches, and whether it writes it.
    touched: Vec<(Ticket, Region, bool)>,
    /// What the host copies right now, and whether it writes it.
    copied: Vec<(Region, bool)>,
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

    fn is_complete(&self, ticket: Ticket) -> bool {
        self.completed[ticket.queue as usize] >= ticket.value
    }
}

/// Whether two uses of memory at the same time are a race.
fn clash(one: (Region, bool), other: (Region, bool)) -> bool {
    (one.1 || other.1) && one.0.overlaps(&other.0)
}

/// What a batch touches, and whether it writes it.
fn touched(batch: &Batch) -> Vec<(Region, bool)> {
    let commands = batch.commands.iter().flat_map(|it| match it {
        Command::Copy { source, target } => vec![(*source, false), (*target, true)],
        Command::Fill { target, .. } | Command::Upload { target, .. } => vec![(*target, true)],
        Command::Barrier(_) => Vec::new(),
        other => panic!("no model has {other:?}"),
    });
    commands.collect()
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

    /// The host copies, which takes time: others go on meanwhile.
    fn copy(&self, memory: MemoryId, offset: u64, bytes: usize, write: bool) -> Copied {
        let region = Region {
            memory,
            offset,
            bytes: bytes as u64,
        };
        let mut state = self.alive()?;
        for (ticket, other, writes) in &state.touched {
            assert!(
                state.is_complete(*ticket) || !clash((region, write), (*other, *writes)),
                "the host copies {region} while {ticket:?} may use it"
            );
        }
        state.copied.push((region, write));
        drop(state);
        let mut state = self.alive()?;
        state.copied.retain(|it| *it != (region, write));
        Ok(())
    }
}

type Copied = Result<(), DeviceError>;

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
        for (ticket, region, _) in &state.touched {
            assert!(
                state.is_complete(*ticket) || region.memory != id,
                "freed while {ticket:?} may use it"
            );
        }
    }

    fn memory_available(&self, _: MemoryKind) -> Option<u64> {
        None
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.copy(id, offset, data.len(), true)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        data.fill(0);
        self.copy(id, offset, data.len(), false)
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
        for (region, writes) in touched(batch) {
            let clashes = |it: &(Region, bool)| clash(*it, (region, writes));
            assert!(
                !state.copied.iter().any(clashes),
                "{ticket:?} uses {region} while the host copies"
            );
            state.touched.push((ticket, region, writes));
        }
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

/// A large copy in place, which does not hold the state, while another thread records and submits work on the same memory: the one or the other comes first. If another queue is
/// known to have used the memory, recording goes a way of its own.
fn copy_in_place(queues: u32, is_used: bool, write: bool) {
    // Either begins: with the few preemptions of a run, the other one cannot be interrupted as often.
    for is_copy_first in [true, false] {
        check(move || {
            let context = Fake::context(queues, None);
            let bytes = 65 << 10;
            let memory = Arc::new(context.allocate(bytes, MemoryKind::Device).unwrap());
            let theirs = Arc::clone(&memory);
            let mut first = context.stream(Policy::UntilSync).unwrap();
            let mut second = context.stream(Policy::EveryDispatch).unwrap();
            if is_used {
                fill(&mut first, &memory).unwrap();
                first.synchronize().unwrap();
            }
            let mut records = move || {
                fill(&mut second, &theirs).unwrap();
                second.synchronize().unwrap();
            };
            let mut copies = move || {
                let mut data = vec![1; bytes as usize];
                if write {
                    first.upload(&memory, 0, &data).unwrap();
                } else {
                    let download = first.download(&memory, 0, bytes).unwrap();
                    download.wait_into(&mut data).unwrap();
                }
                first.synchronize().unwrap();
            };
            if is_copy_first {
                let thread = thread::spawn(records);
                copies();
                thread.join().unwrap();
            } else {
                let thread = thread::spawn(copies);
                records();
                thread.join().unwrap();
            }
        });
    }
}

#[test]
fn a_copy_in_place_while_another_thread_records() {
    copy_in_place(1, false, true);
    for write in [true, false] {
        copy_in_place(1, true, write);
    }
}

#[test]
fn a_copy_in_place_while_another_queue_records() {
    copy_in_place(2, false, true);
    for write in [true, false] {
        copy_in_place(2, true, write);
    }
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

    #[path = "gate.rs"]
    mod gate;
    #[path = "progress.rs"]
    mod progress;

    use std::sync::Arc;

    use loom::cell::UnsafeCell;

    use super::*;
    use gate::Gate;
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

    /// Once the gate is closed and empty, what was done inside is done, and nothing more is.
    #[test]
    fn nobody_is_inside_once_the_gate_is_closed_and_empty() {
        check(|| {
            let gate = Arc::new(Gate(AtomicU64::new(0)));
            let driver = Arc::new(UnsafeCell::new(0));
            let calls = {
                let (gate, driver) = (Arc::clone(&gate), Arc::clone(&driver));
                thread::spawn(move || {
                    for _ in 0..2 {
                        if gate.enter() {
                            // SAFETY: the other thread reads once the gate is closed and empty, which is what loom checks.
                            driver.with_mut(|it| unsafe { *it += 1 });
                            gate.leave();
                        }
                    }
                })
            };
            gate.close();
            if gate.is_empty() {
                // SAFETY: as above.
                driver.with(|it| assert!(unsafe { *it } <= 2));
            }
            calls.join().unwrap();
            assert!(gate.is_closed() && gate.is_empty());
        });
    }
}
