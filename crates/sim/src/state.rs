//! All that the device knows, and the submission of a batch.

use std::fmt::Write as _;
use std::sync::Arc;

use tidegate_core::{
    Access, Batch, Capabilities, Command, DeviceError, HostAccess, MemoryId, Region, Ticket,
};

use crate::check::{Pipeline, Touch, World, spans_are_sound};
use crate::clock::{Clock, Lane, STAGES, Stamp};
use crate::fault::Armed;
use crate::graph::Graphs;
use crate::memory::Memory;
use crate::prng::Prng;
use crate::queue::{Flight, Origin, Queue};
use crate::setup::Peaks;
use crate::shadow::{Conflict, Visit};
use crate::task::{Task, Work};
use crate::violation::{Rule, Violation};

/// Violations that are kept; later ones are only counted.
const VIOLATIONS_KEPT: usize = 64;
/// Polls after which a submission runs, though nobody waits: a loop of polls must end.
const PATIENCE_MAX: u32 = 64;

pub(crate) struct State {
    pub(crate) prng: Prng,
    /// Everything comes at the last legal moment.
    pub(crate) late: bool,
    pub(crate) capabilities: Capabilities,
    pub(crate) device_memory: HostAccess,
    pub(crate) memory: Vec<Option<Memory>>,
    pub(crate) peaks: Peaks,
    pub(crate) pipelines: Vec<Option<Arc<Pipeline>>>,
    /// The last launch of each lane that uses each pipeline.
    pub(crate) pipeline_uses: Vec<Clock>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) graphs: Graphs,
    pub(crate) ready: Vec<Task>,
    pub(crate) blocked: Vec<Task>,
    /// What has run.
    pub(crate) done: Clock,
    /// What the host knows to have run.
    pub(crate) told: Clock,
    /// Writes by the host so far.
    pub(crate) host_writes: u32,
    pub(crate) faults: Armed,
    /// Failures that have happened and not been reported.
    pub(crate) failures: Vec<(Ticket, DeviceError)>,
    /// The kernels of each submission that failed.
    pub(crate) failed: Vec<Vec<String>>,
    /// A submission with more commands fails.
    pub(crate) commands_max: u64,
    pub(crate) lost: Option<String>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) violations_total: u64,
    pub(crate) trace: Option<String>,
    /// Something was done or submitted since `blocked` was last looked through.
    pub(crate) unblock_due: bool,
    /// Reused by copies.
    pub(crate) scratch: Vec<u8>,
}

impl State {
    pub(crate) fn violate(&mut self, violation: Violation) {
        self.violations_total += 1;
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(violation);
        }
    }

    /// Adds a line to the trace, if one is kept.
    pub(crate) fn trace(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{line}");
        }
    }

    pub(crate) fn live(&self, id: MemoryId) -> Option<&Memory> {
        let memory = self.memory.get(id.0 as usize)?.as_ref();
        memory.filter(|it| it.live)
    }

    pub(crate) fn world(&self) -> World<'_> {
        World {
            capabilities: &self.capabilities,
            memory: &self.memory,
            pipelines: &self.pipelines,
        }
    }

    /// Takes a batch in: every rule is checked, every promise computed, nothing is run.
    pub(crate) fn enqueue(&mut self, batch: &Batch, ticket: Ticket) {
        if !self.accepts(batch, ticket) {
            return;
        }
        let mut waited = Clock::ZERO;
        waited.advance(Lane::HOST, self.host_writes);
        for wait in &batch.waits {
            if let Some(clock) = self.wait_clock(batch, ticket, *wait) {
                waited.join(&clock);
            }
        }
        let fails = self
            .faults
            .plan
            .failures
            .iter()
            .any(|it| it.ticket == ticket)
            || self.is_killed(batch);
        let work = Arc::new(Work {
            ticket,
            batch: batch.clone(),
            fails,
        });
        let queue = ticket.queue as usize;
        self.queues[queue].order.open(waited, batch.opening);
        for (index, command) in work.batch.body().commands.iter().enumerate() {
            match command {
                Command::Barrier(it) => self.queues[queue].order.barrier(*it),
                _ => self.take(&work, index, command),
            }
        }
        let clock = self.queues[queue].order.close();
        self.queues[queue].note_ticket(ticket.value, clock);
        let patience = match self.prng.below(4) {
            0 => 0,
            1 | 2 => 1 + self.prng.below(4) as u32,
            _ => PATIENCE_MAX,
        };
        let patience = if self.late { PATIENCE_MAX } else { patience };
        self.trace(format_args!(
            "submit q{queue}:{} patience {patience}\n{}",
            ticket.value, work.batch
        ));
        self.unblock_due = true;
        self.queues[queue].flights.push_back(Flight {
            work,
            clock,
            patience,
        });
    }

    /// Whether it would run for too long.
    pub(crate) fn is_killed(&self, batch: &Batch) -> bool {
        let commands = batch.body().commands.iter();
        let count = commands.filter(|it| !matches!(it, Command::Barrier(_)));
        count.count() as u64 > self.commands_max
    }

    /// Whether the submission makes enough sense to be queued.
    fn accepts(&mut self, batch: &Batch, ticket: Ticket) -> bool {
        let wrong = |rule, detail: &str| Violation {
            ticket: Some(ticket),
            ..Violation::new(rule, detail)
        };
        let Some(queue) = self.queues.get(ticket.queue as usize) else {
            self.violate(wrong(Rule::Ticket, "the device has no such queue"));
            return false;
        };
        if ticket.value <= queue.submitted {
            self.violate(wrong(Rule::Ticket, "a queue's tickets must grow"));
            return false;
        }
        if !spans_are_sound(batch) {
            self.violate(wrong(Rule::Range, "a span ends outside its arena"));
            return false;
        }
        if batch.body().is_empty() {
            self.violate(wrong(Rule::Call, "a batch of no command"));
        }
        if let Some(replay) = &batch.replay
            && let Err(detail) = self.graphs.note(batch, replay, ticket)
        {
            self.violate(wrong(Rule::Replay, detail));
        }
        true
    }

    fn wait_clock(&mut self, batch: &Batch, ticket: Ticket, wait: Ticket) -> Option<Clock> {
        let detail = match self.queues.get(wait.queue as usize) {
            None => "the device has no such queue",
            Some(_) if wait.queue == ticket.queue => "a batch waits for its own queue",
            Some(it) if wait.value > it.submitted => {
                "waits for a ticket that has not been submitted"
            }
            Some(it) => return Some(it.clock_of(wait.value)),
        };
        let detail = format!("queue {} ticket {}: {detail}", wait.queue, wait.value);
        self.violate(Violation {
            ticket: Some(ticket),
            batch: batch.to_string(),
            ..Violation::new(Rule::Ticket, detail)
        });
        None
    }

    /// Takes one command in.
    fn take(&mut self, work: &Arc<Work>, index: usize, command: &Command) {
        let ticket = work.ticket;
        let stage = usize::from(command.stage() != STAGES[0]);
        let mut touches = Vec::new();
        let checked = self.world().touches(&work.batch, command, &mut touches);
        let queue = &mut self.queues[ticket.queue as usize];
        let (who, sees) = queue.order.issue(stage, work.batch.host_reads);
        let value = ticket.value;
        queue.note_command(stage, Origin { value, index });
        let pipeline = checked.unwrap_or_else(|violation| {
            touches.clear();
            self.violate(Violation {
                ticket: Some(ticket),
                command: Some(index),
                batch: work.batch.to_string(),
                ..*violation
            });
            None
        });
        self.judge(work, index, &sees, &touches);
        for touch in &touches {
            self.note(touch, who);
        }
        if let (Command::Launch(launch), Some(_)) = (command, &pipeline) {
            let uses = &mut self.pipeline_uses[launch.pipeline.0 as usize];
            uses.advance(who.lane(), who.number());
        }
        self.blocked.push(Task {
            who,
            sees,
            work: Arc::clone(work),
            index,
            touches,
            pipeline,
            pieces: None,
            stores: Vec::new(),
        });
    }

    /// Notes an access for later ones to be judged by.
    fn note(&mut self, touch: &Touch, who: Stamp) {
        let region = touch.region;
        if let Some(memory) = &mut self.memory[region.memory.0 as usize] {
            memory.uses.advance(who.lane(), who.number());
            let range = region.offset..region.end();
            if touch.access.writes() {
                memory.shadow.note_write(&range, who);
            } else {
                memory.shadow.note_read(&range, who);
            }
        }
    }

    /// Looks for earlier accesses that conflict with this command's and are not ordered before it.
    fn judge(&mut self, work: &Work, index: usize, sees: &Clock, touches: &[Touch]) {
        let after = sees.joined(&self.told);
        for touch in touches {
            let visit = Visit {
                reads: touch.access != Access::Write,
                writes: touch.access.writes(),
                sees,
                after: &after,
            };
            let region = touch.region;
            let range = region.offset..region.end();
            let memory = self.memory[region.memory.0 as usize].as_ref();
            let Some(conflict) = memory.and_then(|it| it.shadow.check(&range, &visit)) else {
                continue;
            };
            let verb = if visit.writes { "writes" } else { "reads" };
            let violation = Violation {
                rule: if conflict.unseen {
                    Rule::Unseen
                } else {
                    Rule::Race
                },
                ticket: Some(work.ticket),
                command: Some(index),
                region: Some(bytes_of(region.memory, &conflict.range)),
                detail: format!("{verb} {region}, {}", self.explain(&conflict)),
                batch: work.batch.to_string(),
            };
            self.violate(violation);
        }
    }

    fn explain(&self, conflict: &Conflict) -> String {
        let verb = if conflict.other_writes {
            "writes"
        } else {
            "reads"
        };
        let name = self.name(conflict.other);
        if conflict.unseen {
            format!("which {name} {verb}; that is over, but no barrier or wait makes it visible")
        } else {
            format!("which {name} {verb}, and nothing orders the two")
        }
    }

    /// A command, in words.
    pub(crate) fn name(&self, who: Stamp) -> String {
        let Some((queue, stage)) = who.lane().place() else {
            return "the host".to_owned();
        };
        match self.queues[queue].origin(stage, who.number()) {
            Some(it) => format!("command {} of queue {queue} ticket {}", it.index, it.value),
            None => format!("{} command {}", who.lane(), who.number()),
        }
    }

    /// The allocation that has the bytes of `id` now: itself or, for a command that still runs on freed memory, the one that was given them next.
    pub(crate) fn place(&mut self, id: MemoryId) -> Option<&mut Memory> {
        let mut at = id.0 as usize;
        // Memory that is freed and allocated over and over while one command runs: the end of the chain makes no difference then.
        for _ in 0..8 {
            match self.memory.get(at)?.as_ref()?.heir {
                Some(heir) if !self.memory[at].as_ref()?.live => at = heir.0 as usize,
                _ => break,
            }
        }
        self.memory[at].as_mut()
    }

    /// The host learns that `value` of `queue` is complete.
    pub(crate) fn tell(&mut self, queue: usize, value: u64) {
        let clock = self.queues[queue].clock_of(value);
        self.told.join(&clock);
        let told = &mut self.queues[queue].told;
        *told = (*told).max(value);
    }
}

pub(crate) fn bytes_of(memory: MemoryId, range: &std::ops::Range<u64>) -> Region {
    Region {
        memory,
        offset: range.start,
        bytes: range.end - range.start,
    }
}
