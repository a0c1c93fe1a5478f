//! Runs what is in flight, in an order that the promises allow and the seed picks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_core::{Command, DeviceError, Launch, Region};

use crate::clock::{Clock, Stamp};
use crate::state::State;
use crate::task::{Pieces, Store, Task};
use crate::violation::{Rule, Violation};

impl State {
    /// Runs until everything that `goal` means is done; `false` if a stalled queue or a lost device is in the way.
    pub(crate) fn run_until(&mut self, goal: &Clock) -> bool {
        let only_needed = self.prng.chance(1, 2) || self.late;
        while goal.beyond(&self.done).is_some() {
            if !self.step(only_needed.then_some(goal)) {
                return false;
            }
        }
        true
    }

    /// Runs up to `steps` pieces of whatever may run.
    pub(crate) fn run_some(&mut self, steps: u64) {
        for _ in 0..steps {
            if !self.step(None) {
                return;
            }
        }
    }

    /// Runs one piece of a random command that may run, of those that `within` means; `false` if there is none.
    fn step(&mut self, within: Option<&Clock>) -> bool {
        if self.lost.is_some() {
            return false;
        }
        self.unblock();
        let len = self.ready.len();
        let start = self.prng.index(len);
        let found = (0..len).map(|at| (start + at) % len).find(|&at| {
            let who = self.ready[at].who;
            let ticket = self.ready[at].work.ticket;
            let stall = self.queues[ticket.queue as usize].stall;
            let stalled = stall.is_some_and(|it| ticket.value > it.after);
            !stalled && within.is_none_or(|it| it.covers(who))
        });
        let Some(at) = found else { return false };
        let mut task = self.ready.swap_remove(at);
        if self.faults.plan.lost_in == Some(task.work.ticket) {
            let value = task.work.ticket.value;
            self.lost = Some(format!("lost while it ran ticket {value}, as planned"));
            return false;
        }
        if self.run_piece(&mut task) {
            self.ready.push(task);
        } else {
            self.finish(task.who);
        }
        true
    }

    /// Moves what has nothing left to come after from `blocked` to `ready`.
    fn unblock(&mut self) {
        if !std::mem::take(&mut self.unblock_due) {
            return;
        }
        let mut at = 0;
        while at < self.blocked.len() {
            if self.blocked[at].sees.beyond(&self.done).is_none() {
                let task = self.blocked.swap_remove(at);
                self.ready.push(task);
            } else {
                at += 1;
            }
        }
    }

    /// A command is done: its lane's clock moves on, and its submission may be complete.
    fn finish(&mut self, who: Stamp) {
        let Some((queue, stage)) = who.lane().place() else {
            return;
        };
        let ahead = &mut self.queues[queue].ahead[stage];
        ahead.insert(who.number());
        let mut next = self.done.at(who.lane()) + 1;
        while ahead.remove(&next) {
            next += 1;
        }
        self.done.advance(who.lane(), next - 1);
        self.unblock_due = true;
        self.complete(queue);
    }

    /// Completes submissions of `queue` in order.
    pub(crate) fn complete(&mut self, queue: usize) {
        while let Some(flight) = self.queues[queue].flights.front() {
            if flight.clock.beyond(&self.done).is_some() {
                return;
            }
            let work = Arc::clone(&flight.work);
            self.queues[queue].complete = work.ticket.value;
            self.queues[queue].flights.pop_front();
            self.trace(format_args!("complete q{queue}:{}", work.ticket.value));
            if work.fails {
                let failure = self
                    .faults
                    .plan
                    .failures
                    .iter()
                    .find(|it| it.ticket == work.ticket);
                let launched = work.batch.pipelines();
                let kernels = if failure.is_some_and(|it| it.named) {
                    launched.clone()
                } else {
                    Vec::new()
                };
                let detail = if self.is_killed(&work.batch) {
                    "killed: it has too many commands".to_owned()
                } else {
                    "failed as planned".to_owned()
                };
                let pipelines = launched
                    .iter()
                    .filter_map(|it| self.pipelines[it.0 as usize].as_ref());
                let names = pipelines.map(|it| it.kernel.name.clone()).collect();
                self.failed.push(names);
                let error = DeviceError::Failed {
                    ticket: work.ticket,
                    kernels,
                    detail,
                };
                self.failures.push((work.ticket, error));
            }
        }
    }

    /// Runs the next piece of `task`; whether one is left.
    fn run_piece(&mut self, task: &mut Task) -> bool {
        if let Some(store) = task.stores.pop() {
            self.scatter(task, &store);
            return !task.stores.is_empty()
                || task.pieces.as_ref().is_some_and(|it| !it.is_empty());
        }
        let units = task.units();
        if units == 0 {
            return false;
        }
        let prng = &mut self.prng;
        let pieces = task.pieces.get_or_insert_with(|| Pieces::new(units, prng));
        let first = pieces.is_whole();
        let Some(piece) = pieces.next() else {
            return false;
        };
        let left = !pieces.is_empty();
        let ticket = task.work.ticket;
        self.trace(format_args!(
            "run q{}:{} command {} units {}..{}",
            ticket.queue, ticket.value, task.index, piece.start, piece.end
        ));
        if first && task.pipeline.is_some() {
            self.claim(task);
        }
        let spoilt = task.work.fails && self.prng.chance(1, 2);
        if spoilt && self.prng.chance(1, 2) {
            return left;
        }
        let (start, end) = (piece.start as usize, piece.end as usize);
        match *task.command() {
            Command::Upload { target, data } => {
                let mut bytes = task.work.batch.body().data[data.range()][start..end].to_vec();
                self.put(task, target, start, &mut bytes, spoilt);
            }
            Command::Fill { target, pattern } => {
                let pattern = pattern.to_le_bytes();
                let mut bytes: Vec<u8> = (start..end).map(|at| pattern[at % 4]).collect();
                self.put(task, target, start, &mut bytes, spoilt);
            }
            Command::Copy { source, target } => {
                let mut bytes = std::mem::take(&mut self.scratch);
                bytes.resize(end - start, 0);
                self.fetch(task, source, start, &mut bytes);
                self.put(task, target, start, &mut bytes, spoilt);
                self.scratch = bytes;
            }
            Command::Launch(launch) => self.run_workgroups(task, &launch, piece, spoilt),
            _ => {}
        }
        left || !task.stores.is_empty()
    }

    /// Reads `bytes` from `offset` of `region` on, as `task` sees them.
    fn fetch(&mut self, task: &Task, region: Region, offset: usize, bytes: &mut [u8]) {
        let start = region.offset as usize + offset;
        let mut prng = self.prng.clone();
        if let Some(memory) = self.place(region.memory)
            && (start + bytes.len()) as u64 <= memory.bytes()
        {
            let sees = |it: Stamp| it == task.who || task.sees.covers(it);
            memory.read(start, bytes, &mut prng, sees);
        }
        self.prng = prng;
    }

    fn put(&mut self, task: &Task, region: Region, offset: usize, bytes: &mut [u8], spoilt: bool) {
        if spoilt {
            self.prng.fill(bytes);
        }
        let start = region.offset as usize + offset;
        if let Some(memory) = self.place(region.memory)
            && (start + bytes.len()) as u64 <= memory.bytes()
        {
            memory.write(start, bytes, task.who);
        }
    }

    /// A launch begins: it becomes the writer of all that it may write.
    fn claim(&mut self, task: &Task) {
        let sees = |it: Stamp| it == task.who || task.sees.covers(it);
        for touch in task.touches.iter().filter(|it| it.access.writes()) {
            let region = touch.region;
            let range = region.offset as usize..region.end() as usize;
            let mut prng = self.prng.clone();
            if let Some(memory) = self.place(region.memory)
                && region.end() <= memory.bytes()
            {
                memory.claim(range, touch.access, task.who, &mut prng, sees);
            }
            self.prng = prng;
        }
    }

    /// Runs some workgroups: gathers what they see, runs them, and stores what they changed.
    fn run_workgroups(
        &mut self,
        task: &mut Task,
        launch: &Launch,
        piece: std::ops::Range<u64>,
        spoilt: bool,
    ) {
        let (Some(pipeline), Some(pieces)) = (&task.pipeline, &task.pieces) else {
            return;
        };
        let gathered: Vec<Vec<u8>> = task
            .touches
            .iter()
            .map(|touch| {
                let mut bytes = vec![0; touch.region.bytes as usize];
                self.fetch(task, touch.region, 0, &mut bytes);
                bytes
            })
            .collect();
        let mut after = gathered.clone();
        let buffers = pipeline.kernel.bindings.len();
        let (bound, uniform) = after.split_at_mut(buffers);
        let scalars = match (&pipeline.kernel.scalars, uniform.first()) {
            (Some(it), Some(block)) => &block[..it.bytes as usize],
            _ => task.work.batch.scalars(launch),
        };
        let destroyed = self.is_destroyed(task, launch);
        let mut slices: Vec<&mut [u8]> = bound.iter_mut().map(Vec::as_mut_slice).collect();
        if destroyed || spoilt {
            for (slice, touch) in slices.iter_mut().zip(&task.touches) {
                if touch.access.writes() {
                    self.prng.fill(slice);
                }
            }
        } else {
            // A panic here would otherwise leave the command half run and its submission never complete.
            let run = AssertUnwindSafe(|| {
                for at in piece {
                    (pipeline.code.0)(pieces.workgroup(at, launch.grid), &mut slices, scalars);
                }
            });
            if catch_unwind(run).is_err() {
                let detail = format!("{} panicked", pipeline.kernel.name);
                self.violate(Violation {
                    ticket: Some(task.work.ticket),
                    command: Some(task.index),
                    batch: task.work.batch.to_string(),
                    ..Violation::new(Rule::Kernel, detail)
                });
            }
        }
        let found = task.touches.iter().zip(gathered.into_iter().zip(after));
        let mut stores: Vec<Store> = found
            .map(|(touch, (before, after))| Store {
                region: touch.region,
                access: touch.access,
                start: 0,
                before,
                after,
            })
            .collect();
        if self.prng.chance(1, 4) {
            // Others may come in between two bytes.
            let mut tails: Vec<Store> = stores
                .iter_mut()
                .map(|it| it.split(&mut self.prng))
                .collect();
            tails.append(&mut stores);
            task.stores = tails;
            return;
        }
        for store in &stores {
            self.scatter(task, store);
        }
    }

    fn is_destroyed(&self, task: &Task, launch: &Launch) -> bool {
        let now = self.pipelines[launch.pipeline.0 as usize].as_ref();
        match (now, &task.pipeline) {
            (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
            _ => true,
        }
    }

    fn scatter(&mut self, task: &Task, store: &Store) {
        let Store {
            region,
            access,
            start,
            before,
            after,
        } = store;
        if !access.writes() {
            if before != after {
                let name = task
                    .pipeline
                    .as_ref()
                    .map_or("", |it| it.kernel.name.as_str());
                let violation = Violation {
                    ticket: Some(task.work.ticket),
                    command: Some(task.index),
                    batch: task.work.batch.to_string(),
                    ..Violation::new(Rule::Kernel, format!("{name} changed what it only reads"))
                };
                self.violate(violation.at(*region));
            }
        } else if let Some(memory) = self.place(region.memory)
            && region.end() <= memory.bytes()
        {
            memory.store(region.offset as usize + start, before, after, task.who);
        }
    }
}
