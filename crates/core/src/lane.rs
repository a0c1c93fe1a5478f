//! One queue's side of the context: the batch being recorded, those in flight, and the staging ring.

use std::collections::VecDeque;

use crate::batch::Batch;
use crate::command::{MemoryId, Stages};
use crate::hazard::Hazards;
use crate::pace::Pace;
use crate::policy::{InFlight, Limits, Pending};
use crate::ring::Ring;

/// A queue. Streams that share it record into the same pending batch, in the order of their calls, so that the ticket of recorded
/// work is known before it is submitted and ordering among them needs no further thought.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The pending batch, whose ticket will be `taken + 1`.
    pub(crate) batch: Batch,
    pub(crate) hazards: Hazards,
    pub(crate) pending: Pending,
    /// Value of the last batch taken for submission.
    pub(crate) taken: u64,
    /// Value of the last batch that the device accepted.
    pub(crate) submitted: u64,
    /// Value known to be complete.
    pub(crate) completed: u64,
    /// What the batch taken last held.
    pub(crate) pending_last: Pending,
    /// Stages that any batch so far ran in.
    pub(crate) ran: Stages,
    /// Submitted batches, kept to name their kernels after a fault and to use their memory again.
    pub(crate) in_flight: VecDeque<(u64, Batch)>,
    pub(crate) spare: Vec<Batch>,
    /// How long its work takes.
    pub(crate) pace: Pace,
    /// Whether what is pending is to start as soon as the device has nothing to do, even if nothing more is recorded.
    pub(crate) prompt: bool,
    /// While a trace is taken: when the pending batch, and the one taken last, got their first commands; 0 for unknown.
    pub(crate) began_ns: u64,
    pub(crate) began_taken_ns: u64,
    pub(crate) ring: Ring,
    pub(crate) ring_memory: Option<MemoryId>,
    /// For each queue, the highest ticket that a batch of this queue has waited for.
    pub(crate) seen: Vec<u64>,
    /// Streams that use this queue.
    pub(crate) streams: u32,
}

impl Lane {
    pub(crate) fn new(queues: u32, staging_bytes: u64) -> Self {
        Self {
            batch: Batch::default(),
            hazards: Hazards::default(),
            pending: Pending::default(),
            taken: 0,
            submitted: 0,
            completed: 0,
            pending_last: Pending::default(),
            ran: Stages::NONE,
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            pace: Pace::default(),
            prompt: false,
            began_ns: 0,
            began_taken_ns: 0,
            ring: Ring::new(staging_bytes),
            ring_memory: None,
            seen: vec![0; queues as usize],
            streams: 0,
        }
    }

    /// Value that the pending batch's ticket will have.
    pub(crate) fn next_value(&self) -> u64 {
        self.taken + 1
    }

    /// Value of the last work recorded, pending or not.
    pub(crate) fn last_value(&self) -> u64 {
        self.taken + u64::from(!self.batch.is_empty())
    }

    /// Whether a batch may be begun, or goes on. What is on its way to the device counts as in flight.
    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        let going = self.in_flight.len() as u64 + self.taken - self.submitted;
        !self.batch.is_empty() || going < u64::from(limits.in_flight_max)
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        InFlight {
            batches: u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX),
            commands_last: self.pending_last.commands,
            expected_last_ns: self.pace.expected_ns(self.pending_last),
            command_ns: self.pace.command_ns(),
        }
    }

    /// What is pending, with how long it will take.
    pub(crate) fn pending(&self) -> Pending {
        Pending {
            expected_ns: self.pace.expected_ns(self.pending),
            ..self.pending
        }
    }

    /// Takes the pending batch out, with its opening barrier, and starts an empty one.
    pub(crate) fn take(&mut self) -> (u64, Batch) {
        let empty = self.spare.pop().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.batch, empty);
        let stages = batch.stages();
        if batch.replay.is_some() {
            // The same at every replay, so that a device may keep it with the commands.
            batch.opening.before = Stages::ALL;
            batch.opening.after = stages;
        } else if !self.ran.is_empty() {
            batch.opening.before = self.ran;
            batch.opening.after = stages;
        }
        self.ran = self.ran.union(stages);
        self.hazards.reset();
        self.began_taken_ns = std::mem::take(&mut self.began_ns);
        self.pending_last = self.pending;
        self.pending = Pending::default();
        self.prompt = false;
        self.taken += 1;
        (self.taken, batch)
    }

    /// Takes back what tickets up to `completed` held.
    pub(crate) fn complete(&mut self, completed: u64) {
        self.completed = self.completed.max(completed);
        while let Some((value, _)) = self.in_flight.front()
            && *value <= self.completed
        {
            if let Some((_, mut batch)) = self.in_flight.pop_front() {
                batch.clear();
                self.spare.push(batch);
            }
        }
        self.ring.release(self.completed);
    }
}
