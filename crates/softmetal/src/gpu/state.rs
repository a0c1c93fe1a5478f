//! Which nodes may run.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::gpu::plan::{Before, Kind, Plan, plan};
use crate::gpu::work::Work;
use crate::gpu::{Fail, Outcome, Progress, Submission};
use crate::world::{Failure, Fault, Target, World, counted};

/// A command that runs.
pub(crate) struct Active {
    pub(crate) run: u64,
    pub(crate) node: u64,
    pub(crate) encoder: usize,
    pub(crate) work: Arc<Work>,
    /// The next of its parts.
    pub(crate) next: u32,
    pub(crate) parts: u32,
}

/// What happens when the command buffer's fault comes.
struct Planned {
    /// In this encoder's first command, or before anything.
    encoder: Option<usize>,
    code: isize,
    signals: bool,
}

struct Run {
    id: u64,
    plan: Plan,
    due: Instant,
    started: Option<Instant>,
    fault: Option<Planned>,
    hangs: bool,
    failed: Option<Fail>,
    /// How long after its last step its status says so.
    lag: Duration,
    /// Steps before this one are done.
    open: usize,
    done: Box<dyn FnOnce(Outcome) + Send>,
}

/// How far beyond the first step that is not done the device looks ahead.
const WINDOW: usize = 96;

type Ended = (Box<dyn FnOnce(Outcome) + Send>, Outcome);

/// Everything committed that has not completed.
#[derive(Default)]
pub(crate) struct State {
    queues: BTreeMap<u64, VecDeque<Run>>,
    /// Command buffers that are done and whose status does not say so yet, by queue, and when it will.
    late: BTreeMap<u64, VecDeque<(Instant, Run)>>,
    /// Numbers of nodes that are not done.
    unfinished: HashSet<u64>,
    tracked: HashMap<u64, u64>,
    /// Nodes that were never reached, as the program was told.
    pub(crate) told: HashSet<u64>,
    next: u64,
    pub(crate) stop: bool,
}

impl State {
    pub(crate) fn submit(&mut self, submission: Submission, due: Instant, world: &World) {
        let queue = submission.queue;
        let base = self.next;
        let mut before = Before {
            tracked: &mut self.tracked,
            told: &self.told,
            world,
        };
        let plan = plan(queue, base, submission.segments, &mut before);
        self.next += plan.steps.len() as u64 + 1;
        self.unfinished.extend(base..base + plan.steps.len() as u64);
        let hangs = world.fault(|it| match it {
            Fault::Hangs(target) => hits(target, &plan),
            _ => false,
        });
        let fails = world.fault(|it| match it {
            Fault::Fails(it) => hits(&mut it.target, &plan),
            _ => false,
        });
        let fault = fails.and_then(|it| match it {
            Fault::Fails(it) => Some(planned(it, &plan, world)),
            _ => None,
        });
        let lag = lag(world, fault.is_some());
        self.queues.entry(queue).or_default().push_back(Run {
            id: base,
            plan,
            due,
            started: None,
            fault,
            hangs: hangs.is_some(),
            failed: None,
            lag,
            open: 0,
            done: submission.done,
        });
    }

    pub(crate) fn is_idle(&self) -> bool {
        let ended = self.late.values().all(VecDeque::is_empty);
        let mut runs = self.queues.values().flatten();
        ended && runs.all(|it| it.hangs)
    }

    /// How long nothing will happen by itself.
    pub(crate) fn pause(&self) -> Duration {
        let now = Instant::now();
        let waiting = self
            .queues
            .values()
            .flatten()
            .filter(|it| it.started.is_none());
        let late = self.late.values().flatten().map(|it| it.0);
        let due = waiting
            .map(|it| it.due)
            .chain(late)
            .map(|it| it.saturating_duration_since(now))
            .filter(|it| !it.is_zero());
        due.min().unwrap_or(Duration::from_millis(20))
    }

    /// Does everything that takes no time: starts command buffers, passes waits, signals events. Gives the command buffers that have ended: those of a queue in the order of
    /// their commits, and each a while after its events, which no page says to be signalled later than the status.
    pub(crate) fn settle(&mut self, made: Instant) -> Vec<Ended> {
        let mut again = true;
        while again {
            again = false;
            for (queue, runs) in &mut self.queues {
                let mut first = true;
                for run in runs.iter_mut() {
                    if !run.start(&mut self.unfinished) {
                        break;
                    }
                    again |= run.settle(&mut self.unfinished, first);
                    first = first && run.is_done();
                }
                while runs.front().is_some_and(Run::is_done) {
                    let Some(run) = runs.pop_front() else { break };
                    let late = self.late.entry(*queue).or_default();
                    late.push_back((Instant::now() + run.lag, run));
                    again = true;
                }
            }
        }
        let now = Instant::now();
        let mut ended = Vec::new();
        for late in self.late.values_mut() {
            while late.front().is_some_and(|it| it.0 <= now) {
                ended.extend(late.pop_front().map(|it| it.1.end(made)));
            }
        }
        ended
    }

    /// A command that may run, by chance one of the first few of any queue. A fault that is due comes instead.
    pub(crate) fn pick(&mut self, active: &[Active], world: &World) -> Option<Active> {
        let mut ready = Vec::new();
        for runs in self.queues.values() {
            for run in runs
                .iter()
                .filter(|it| it.started.is_some() && !it.is_done())
            {
                run.ready(&self.unfinished, active, &mut ready);
                if ready.len() > 24 {
                    break;
                }
            }
        }
        if ready.is_empty() {
            return None;
        }
        let at = usize::try_from(world.below(ready.len() as u64)).unwrap_or(0);
        let it = ready.swap_remove(at);
        let run = self.run(it.run)?;
        match &run.fault {
            Some(fault) if fault.encoder == Some(it.encoder) => {
                let (code, signals) = (fault.code, fault.signals);
                self.fail(it.run, Some(it.encoder), code, "an injected fault", signals);
                None
            }
            _ => Some(it),
        }
    }

    /// Whether an active command still counts: its command buffer may have failed.
    pub(crate) fn runs(&self, it: &Active) -> bool {
        self.unfinished.contains(&it.node)
    }

    /// Notes that a command is done.
    pub(crate) fn finish(&mut self, run: u64, node: u64) {
        self.unfinished.remove(&node);
        if let Some(run) = self.run(run) {
            let at = usize::try_from(node - run.plan.base).unwrap_or(usize::MAX);
            run.finish(at);
        }
    }

    /// Ends a command buffer with an error. `signals` says whether its events are signalled all the same.
    pub(crate) fn fail(
        &mut self,
        id: u64,
        encoder: Option<usize>,
        code: isize,
        text: &str,
        signals: bool,
    ) {
        let mut unfinished = std::mem::take(&mut self.unfinished);
        if let Some(run) = self.run(id) {
            run.fail(&mut unfinished, encoder, code, text, signals);
        }
        self.unfinished = unfinished;
    }

    fn run(&mut self, id: u64) -> Option<&mut Run> {
        self.queues.values_mut().flatten().find(|it| it.id == id)
    }
}

/// How long the status lags behind the events. Most often it follows at once, unless it is to say that the command buffer failed.
fn lag(world: &World, fails: bool) -> Duration {
    let us = match world.below(4) {
        0 => world.below(world.setup.delay_us_max + 1),
        _ if fails => world.below(world.setup.delay_us_max + 1),
        _ => 0,
    };
    Duration::from_micros(us)
}

/// Whether a fault of this target comes in this command buffer.
fn hits(target: &mut Target, plan: &Plan) -> bool {
    match target {
        Target::Commit(left) => counted(left),
        Target::Encoder(label) => plan.encoders.iter().any(|it| it == label),
    }
}

fn planned(failure: Failure, plan: &Plan, world: &World) -> Planned {
    let encoder = match failure.target {
        Target::Encoder(label) => plan.encoders.iter().position(|it| *it == label),
        Target::Commit(_) => {
            // Only an encoder with commands can have one that fails.
            let works = |at: &usize| {
                let mut steps = plan.steps.iter();
                steps.any(|it| matches!(it.kind, Kind::Work { encoder, .. } if encoder == *at))
            };
            let some: Vec<usize> = (0..plan.encoders.len()).filter(works).collect();
            let at = usize::try_from(world.below(some.len() as u64)).unwrap_or(0);
            some.get(at).copied()
        }
    };
    Planned {
        encoder,
        code: failure.code,
        signals: failure.signals.unwrap_or_else(|| world.below(2) == 0),
    }
}

impl Run {
    /// Whether it has started, or starts now: its leading waits are over, and so is its delay.
    fn start(&mut self, unfinished: &mut HashSet<u64>) -> bool {
        if self.hangs || self.due > Instant::now() {
            return false;
        }
        if self.started.is_some() {
            return true;
        }
        for step in &self.plan.steps[..self.plan.leading] {
            if matches!(&step.kind, Kind::Wait(event, value) if event.value() < *value) {
                return false;
            }
        }
        self.started = Some(Instant::now());
        if let Some(fault) = &self.fault
            && fault.encoder.is_none()
        {
            let (code, signals) = (fault.code, fault.signals);
            self.fail(unfinished, None, code, "an injected fault", signals);
        }
        true
    }

    /// Passes what takes no time. True if anything was passed. `first`: every earlier command buffer of the queue is done.
    fn settle(&mut self, unfinished: &mut HashSet<u64>, first: bool) -> bool {
        let mut any = false;
        for at in self.window() {
            let step = &self.plan.steps[at];
            if step.done || step.after.iter().any(|it| unfinished.contains(it)) {
                continue;
            }
            let over = match &step.kind {
                Kind::Work { .. } => false,
                Kind::Join => true,
                // What failed and signals all the same has passed over its waits. Its signal in its turn leaves those before it their effect.
                Kind::Signal(..) => self.failed.is_none() || first,
                Kind::Wait(event, value) => event.value() >= *value,
            };
            if over {
                if let Kind::Signal(event, value) = &step.kind {
                    event.signal(*value);
                }
                unfinished.remove(&(self.plan.base + at as u64));
                self.finish(at);
                any = true;
            }
        }
        any
    }

    fn ready(&self, unfinished: &HashSet<u64>, active: &[Active], ready: &mut Vec<Active>) {
        for at in self.window() {
            let step = &self.plan.steps[at];
            let Kind::Work { work, encoder } = &step.kind else {
                continue;
            };
            let node = self.plan.base + at as u64;
            let waits = |it: &u64| unfinished.contains(it);
            if step.done || step.after.iter().any(waits) || active.iter().any(|it| it.node == node)
            {
                continue;
            }
            ready.push(Active {
                run: self.id,
                node,
                encoder: *encoder,
                work: Arc::clone(work),
                next: 0,
                parts: work.parts(),
            });
            if ready.len() > 24 {
                return;
            }
        }
    }

    fn finish(&mut self, at: usize) {
        if let Some(step) = self.plan.steps.get_mut(at) {
            step.done = true;
        }
        while self.plan.steps.get(self.open).is_some_and(|it| it.done) {
            self.open += 1;
        }
    }

    fn window(&self) -> std::ops::Range<usize> {
        self.open..(self.open + WINDOW).min(self.plan.steps.len())
    }

    fn is_done(&self) -> bool {
        self.open == self.plan.steps.len()
    }

    fn fail(
        &mut self,
        unfinished: &mut HashSet<u64>,
        encoder: Option<usize>,
        code: isize,
        text: &str,
        signals: bool,
    ) {
        let progress = |index: usize| {
            let mine = self
                .plan
                .steps
                .iter()
                .filter(|it| matches!(it.kind, Kind::Work { encoder, .. } if encoder == index));
            let (done, all) = mine.fold((0, 0), |(done, all), it| {
                (done + usize::from(it.done), all + 1)
            });
            match (encoder == Some(index), done) {
                (true, _) => Progress::Faulted,
                _ if done == all => Progress::Completed,
                (_, 0) => Progress::Pending,
                _ => Progress::Affected,
            }
        };
        let encoders = self.plan.encoders.iter().enumerate();
        let encoders: Vec<_> = encoders
            .map(|(at, label)| (label.clone(), progress(at)))
            .collect();
        let ends = encoders.iter().zip(&self.plan.exits);
        let missed = ends
            .filter(|it| it.0.1 != Progress::Completed)
            .map(|it| *it.1)
            .collect();
        self.failed.get_or_insert(Fail {
            code,
            text: text.to_owned(),
            encoders,
            missed,
        });
        for (at, step) in self.plan.steps.iter_mut().enumerate() {
            let signal = matches!(step.kind, Kind::Signal(..));
            if !step.done && (!signal || !signals) {
                step.done = true;
                unfinished.remove(&(self.plan.base + at as u64));
            }
        }
        self.finish(usize::MAX);
    }

    fn end(self, made: Instant) -> Ended {
        let started = self.started.unwrap_or(made);
        let outcome = Outcome {
            error: self.failed,
            started: started.duration_since(made).as_secs_f64(),
            ended: made.elapsed().as_secs_f64(),
        };
        // What the commands held goes before anybody hears of the end.
        drop(self.plan);
        (self.done, outcome)
    }
}
