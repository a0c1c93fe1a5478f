//! The device: command buffers become nodes with dependencies, and every order that the dependencies allow may happen.
//!
//! What orders two commands is listed in README.md, "Order". `plan` turns a committed command buffer into nodes, `state` knows which of them may run, this file's
//! thread picks one by the seed, `work` runs it.

pub(crate) mod event;
pub(crate) mod fiber;
mod plan;
mod state;
pub(crate) mod work;

use std::sync::{Arc, Condvar, Mutex, Weak, mpsc};
use std::time::{Duration, Instant};

use crate::gpu::event::Event;
use crate::gpu::fiber::GroupFault;
use crate::gpu::state::{Active, State};
use crate::gpu::work::{Runner, Work};
use crate::metal::lifetime::Claim;
use crate::rules::{Rule, lock};
use crate::world::World;

/// A committed command buffer.
pub(crate) struct Submission {
    pub(crate) queue: u64,
    pub(crate) segments: Vec<Segment>,
    /// Called once, on the device's thread for handlers.
    pub(crate) done: Box<dyn FnOnce(Outcome) + Send>,
}

/// A part of a command buffer.
pub(crate) enum Segment {
    /// What follows waits for the event's value.
    Wait(Arc<Event>, u64),
    /// The event gets the value once what stands before is done.
    Signal(Arc<Event>, u64),
    /// Commands.
    Encoder(Encoder),
}

impl Segment {
    /// Notes that a command buffer which retains nothing is committed with these commands.
    pub(crate) fn commit_unretained(&self) {
        if let Self::Encoder(encoder) = self {
            let works = encoder.nodes.iter().filter_map(|it| it.work.as_ref());
            works
                .flat_map(Work::claims)
                .chain(encoder.fences.iter().map(|it| &it.2))
                .for_each(Claim::commit_unretained);
        }
    }
}

/// The commands of one encoder.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) label: String,
    pub(crate) nodes: Vec<Node>,
    /// Fences that it waits for and updates, in the order of the calls, and its claims on them.
    pub(crate) fences: Vec<(Arc<Fence>, FenceUse, Claim)>,
    /// Tracked buffers that it uses.
    pub(crate) tracked: Vec<u64>,
}

/// A command, and the earlier ones of its encoder that it comes after.
#[derive(Debug)]
pub(crate) struct Node {
    /// Nothing is a meeting point of dependencies.
    pub(crate) work: Option<Work>,
    pub(crate) after: Vec<usize>,
}

/// What an encoder does with a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FenceUse {
    Wait,
    Update,
}

/// A fence: the queue that uses it, and the last encoder that updates it.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    pub(crate) last: Mutex<Option<(u64, u64)>>,
}

/// How a command buffer ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) error: Option<Fail>,
    /// Seconds since the device was made.
    pub(crate) started: f64,
    pub(crate) ended: f64,
}

/// What went wrong on the device.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) code: isize,
    pub(crate) text: String,
    /// Labels of the encoders, and how far each came.
    pub(crate) encoders: Vec<(String, Progress)>,
    /// The ends of those that did not come so far, and so did not update their fences.
    pub(crate) missed: Vec<u64>,
}

/// As `MTLCommandEncoderErrorState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Completed = 1,
    Affected = 2,
    Pending = 3,
    Faulted = 4,
}

/// A device's queue of work and its threads.
pub(crate) struct Gpu {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) world: Arc<World>,
    made: Instant,
    handlers: Mutex<mpsc::Sender<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").finish_non_exhaustive()
    }
}

/// Ends the device's threads when its last object goes.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Arc<Gpu>);

impl Drop for Handle {
    fn drop(&mut self) {
        lock(&self.0.state).stop = true;
        self.0.changed.notify_all();
    }
}

thread_local! {
    static IN_HANDLER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread runs handlers, where nothing may wait for the device.
pub(crate) fn in_handler() -> bool {
    IN_HANDLER.get()
}

impl Gpu {
    pub(crate) fn start(world: Arc<World>) -> Handle {
        let (handlers, called) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let gpu = Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            made: Instant::now(),
            handlers: Mutex::new(handlers),
            world,
        });
        let weak = Arc::downgrade(&gpu);
        std::thread::spawn(move || Self::run(&weak));
        std::thread::spawn(move || {
            IN_HANDLER.set(true);
            for call in called {
                call();
            }
        });
        Handle(gpu)
    }

    /// Hands a committed command buffer over.
    pub(crate) fn submit(&self, submission: Submission) {
        let delay = self.world.below(self.world.setup.delay_us_max + 1);
        let due = Instant::now() + Duration::from_micros(delay);
        lock(&self.state).submit(submission, due, &self.world);
        self.changed.notify_all();
    }

    /// Has the device look again, since an event got a value.
    pub(crate) fn wake(&self) {
        // Under the lock, so that the device is not between looking and sleeping.
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    /// Notes that the program was told of encoders that did not come to their ends.
    pub(crate) fn tell(&self, missed: Vec<u64>) {
        lock(&self.state).told.extend(missed);
    }

    /// Calls something on the thread for handlers.
    pub(crate) fn call(&self, handler: Box<dyn FnOnce() + Send>) {
        let _ = lock(&self.handlers).send(handler);
    }

    fn run(weak: &Weak<Self>) {
        let mut runner = Runner::new();
        let mut active: Vec<Active> = Vec::new();
        while let Some(gpu) = weak.upgrade() {
            let mut state = lock(&gpu.state);
            for (submission, outcome) in state.settle(gpu.made) {
                gpu.call(Box::new(move || submission(outcome)));
            }
            active.retain(|it| state.runs(it));
            let more = active.is_empty() || gpu.world.below(3) == 0;
            if more
                && active.len() < 3
                && let Some(next) = state.pick(&active, &gpu.world)
            {
                active.push(next);
            }
            if active.is_empty() {
                if state.stop && state.is_idle() {
                    return;
                }
                let pause = state.pause();
                drop(gpu.changed.wait_timeout(state, pause));
                continue;
            }
            drop(state);
            gpu.advance(&mut runner, &mut active);
        }
    }

    /// Runs some threadgroups of one of the active commands.
    fn advance(&self, runner: &mut Runner, active: &mut Vec<Active>) {
        let index = usize::try_from(self.world.below(active.len() as u64)).unwrap_or(0);
        let it = &mut active[index];
        let left = it.parts - it.next;
        // Alone it runs to its end half of the time, so that what waits for it comes soon.
        let some = match self.world.below(4) {
            0 => left.div_ceil(3),
            1 => left.div_ceil(2),
            _ => left,
        };
        let range = it.next..it.next + some;
        it.next += some;
        let result = runner.run(&it.work, range);
        let over = it.next == it.parts;
        if let Err(fault) = result {
            let it = active.swap_remove(index);
            self.group_fault(&it, fault);
        } else if over {
            let it = active.swap_remove(index);
            let (run, node) = (it.run, it.node);
            // Before the node counts as done: what it used may be released then.
            drop(it);
            lock(&self.state).finish(run, node);
        }
    }

    fn group_fault(&self, it: &Active, fault: GroupFault) {
        let name = match &*it.work {
            Work::Dispatch(dispatch) => dispatch.kernel.name.clone(),
            _ => String::new(),
        };
        let (rule, text) = match fault {
            GroupFault::DivergentBarrier => (
                Rule::DivergentBarrier,
                format!("in {name} a barrier was not reached by every thread of a threadgroup"),
            ),
            GroupFault::Stack => (
                Rule::KernelStack,
                format!("a thread of {name} used up its stack"),
            ),
        };
        self.world.noted(rule, text.clone());
        lock(&self.state).fail(it.run, Some(it.encoder), 1, &text, true);
    }
}
