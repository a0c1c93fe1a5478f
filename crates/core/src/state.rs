//! Everything that recording reads and writes, under one lock.

use std::cell::Cell;
use std::sync::Arc;

use crate::batch::Batch;
use crate::command::{Command, PipelineId, Region, Stages, Ticket};
use crate::context::Shared;
use crate::counters::Counters;
use crate::device::{Device, DeviceError};
use crate::error::{Error, Fault};
use crate::lane::Lane;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::reorder::Reorder;
use crate::trace::Tracer;

/// Queues of one device that are used. More could not be told apart in a set of 64 bits, and no device has as many.
pub(crate) const QUEUES_MAX: usize = 64;

/// The lanes, the memory's rows and what else recording needs. Nothing here blocks.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) memory: Memory,
    pub(crate) pipelines: Pipelines,
    pub(crate) counters: Counters,
    /// Memory held, in use and cached: of kind `Device`, and of the other kinds.
    pub(crate) device_bytes: u64,
    pub(crate) host_bytes: u64,
    pub(crate) lost: Option<Arc<Fault>>,
    pub(crate) reorder: Reorder,
    /// Whether this stands in for the state in a child of fork. It counts as lost.
    pub(crate) forked: bool,
    /// The trace that is being taken, if one is.
    pub(crate) tracer: Option<Box<Tracer>>,
    /// Graphs made so far, which are never numbered again.
    pub(crate) graphs: u64,
    /// Failed submissions so far, and the last one.
    pub(crate) faults: u64,
    /// How many of them a stream has reported. A cell, so that a report needs no more than to read the rest.
    pub(crate) faults_told: Cell<u64>,
    pub(crate) fault: Option<Arc<Fault>>,
}

impl State {
    /// Nothing recorded yet.
    pub(crate) fn new(queues: u32, staging_bytes: u64) -> Self {
        Self {
            lanes: (0..queues)
                .map(|_| Lane::new(queues, staging_bytes))
                .collect(),
            memory: Memory::default(),
            pipelines: Pipelines::default(),
            counters: Counters::default(),
            device_bytes: 0,
            host_bytes: 0,
            lost: None,
            reorder: Reorder::default(),
            forked: false,
            tracer: None,
            graphs: 0,
            faults: 0,
            faults_told: Cell::new(0),
            fault: None,
        }
    }

    /// What a child of fork has of the state: nothing but that it cannot be used.
    pub(crate) fn forked(queues: u32, staging_bytes: u64) -> Self {
        let fault = Fault {
            kernels: Vec::new(),
            detail: Error::Forked.to_string(),
        };
        Self {
            lost: Some(Arc::new(fault)),
            forked: true,
            ..Self::new(queues, staging_bytes)
        }
    }

    pub(crate) fn lane(&self, queue: u32) -> &Lane {
        &self.lanes[queue as usize]
    }

    pub(crate) fn lane_mut(&mut self, queue: u32) -> &mut Lane {
        &mut self.lanes[queue as usize]
    }

    pub(crate) fn check_lost(&self) -> Result<(), Error> {
        match &self.lost {
            Some(_) if self.forked => Err(Error::Forked),
            Some(fault) => Err(Error::Lost(Arc::clone(fault))),
            None => Ok(()),
        }
    }

    /// Records a command that `Shared::ready` has made room for; returns the value of its ticket.
    pub(crate) fn record(
        &mut self,
        queue: u32,
        stage: Stages,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
        build: impl FnOnce(&mut Batch) -> Command,
    ) -> u64 {
        let lane = &mut self.lanes[queue as usize];
        if let Some(barrier) = lane.hazards.note(stage, accesses.clone()) {
            lane.batch.commands.push(Command::Barrier(barrier));
            self.counters.barriers += 1;
        }
        let command = build(&mut lane.batch);
        let value = lane.next_value();
        lane.batch.commands.push(command);
        lane.pending.commands += 1;
        lane.pending.inline_bytes = lane.batch.data.len() as u64;
        for (region, write) in accesses {
            lane.pending.bytes = lane.pending.bytes.saturating_add(region.bytes);
            if let Some(row) = self.memory.row_mut(region.memory) {
                row.note(queue, value, write);
                lane.batch.host_reads |= write && row.host_sees();
            }
        }
        value
    }

    /// Gives the pending batch of `queue` an order with fewer barriers, if there is one.
    pub(crate) fn reorder_pending(&mut self, queue: u32) {
        let batch = &mut self.lanes[queue as usize].batch;
        let kernel = |id| self.pipelines.kernel(id).map(|it| &**it);
        let saved = self.reorder.arrange(batch, kernel);
        // The counters may have been reset since they were placed.
        self.counters.barriers = self.counters.barriers.saturating_sub(saved);
        self.counters.barriers_saved += saved;
    }

    /// Whether nobody but `queue` has used any of this memory, which is nearly always so and then answers what [`Self::host_busy`] and [`Self::depends`] would say.
    pub(crate) fn unshared(
        &self,
        queue: u32,
        mut accesses: impl Iterator<Item = (Region, bool)>,
    ) -> bool {
        accesses.all(|(region, _)| match self.memory.row(region.memory) {
            None => true,
            Some(row) => {
                let own = match row.uses.as_slice() {
                    [] => true,
                    [only] => only.queue == queue,
                    _ => false,
                };
                own && row.host_busy == 0
            }
        })
    }

    /// The tickets of other queues that a command of `queue` with these accesses must come after. What another queue *wrote* must be waited for on the device even if the host knows
    /// that it is complete, once: completion orders, but only a wait makes the bytes visible (Vulkan, "Semaphore Signaling" and "Semaphore Waiting"). What it only read is over once it is complete.
    pub(crate) fn depends(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)>,
    ) -> impl Iterator<Item = (u32, u64)> {
        let seen = &self.lane(queue).seen;
        accesses
            .filter_map(|(region, write)| Some((self.memory.row(region.memory)?, write)))
            .flat_map(|(row, write)| row.uses.iter().map(move |it| (*it, write)))
            .filter(move |(it, _)| it.queue != queue)
            .filter_map(move |(it, write)| {
                let read = if write && it.read > self.lane(it.queue).completed {
                    it.read
                } else {
                    0
                };
                let value = it.write.max(read);
                (value > seen[it.queue as usize]).then_some((it.queue, value))
            })
    }

    /// Whether every ticket is complete. Asks the device where it is not known.
    pub(crate) fn all_complete<D: Device>(
        &mut self,
        shared: &Shared<D>,
        tickets: impl Iterator<Item = Ticket>,
    ) -> Result<bool, Error> {
        self.check_lost()?;
        for ticket in tickets {
            if ticket.value > self.lane(ticket.queue).completed {
                shared.poll(self, ticket.queue)?;
            }
            if ticket.value > self.lane(ticket.queue).completed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no submitted or pending work conflicts with the host reading, or writing, this memory.
    pub(crate) fn idle(&self, region: Region, write: bool) -> bool {
        self.memory.row(region.memory).is_some_and(|row| {
            row.host_busy == 0
                && row
                    .before(write)
                    .all(|(queue, value)| value <= self.lane(queue).completed)
        })
    }

    pub(crate) fn host_busy(&self, mut accesses: impl Iterator<Item = (Region, bool)>) -> bool {
        accesses.any(|(it, _)| {
            self.memory
                .row(it.memory)
                .is_some_and(|row| row.host_busy > 0)
        })
    }

    /// Makes the pending batch of `queue`, which is empty, wait for a ticket of another queue.
    pub(crate) fn add_wait(&mut self, queue: u32, other: u32, value: u64) {
        let lane = self.lane_mut(queue);
        let seen = &mut lane.seen[other as usize];
        *seen = value.max(*seen);
        let ticket = Ticket {
            queue: other,
            value,
        };
        ticket.join(&mut lane.batch.waits);
    }

    /// Turns a device's error into ours and remembers it for the other streams.
    pub(crate) fn note(&mut self, error: DeviceError) -> Error {
        match error {
            DeviceError::OutOfMemory => Error::SubmissionOutOfMemory,
            DeviceError::Refused { detail } => Error::Refused(detail),
            DeviceError::Lost { detail } => {
                let fault = Arc::new(Fault {
                    kernels: self.kernels_in_flight(|_, _| true),
                    detail,
                });
                Error::Lost(Arc::clone(self.lost.get_or_insert(fault)))
            }
            DeviceError::Failed {
                ticket,
                kernels,
                detail,
            } => {
                let mut names = self.pipelines.names(&kernels);
                if names.is_empty() {
                    names = self.kernels_in_flight(|queue, value| {
                        queue == ticket.queue && value == ticket.value
                    });
                }
                let fault = Arc::new(Fault {
                    kernels: names,
                    detail,
                });
                self.faults += 1;
                self.fault = Some(Arc::clone(&fault));
                Error::Failed(fault)
            }
        }
    }

    /// How far the work that `ticket` is complete with has come, by queue: its own, and what its batches in flight wait for on others. What other queues do besides is no progress, or else a
    /// busy neighbour would hide a stall for ever.
    pub(crate) fn progress(&self, ticket: Ticket) -> [u64; QUEUES_MAX] {
        // A wait allocates nothing.
        let mut needed = [0; QUEUES_MAX];
        needed[ticket.queue as usize] = ticket.value;
        loop {
            let before = needed;
            for (queue, lane) in self.lanes.iter().enumerate() {
                let batches = lane.in_flight.iter();
                for (_, batch) in batches.filter(|it| it.0 <= before[queue]) {
                    for wait in &batch.waits {
                        let needed = &mut needed[wait.queue as usize];
                        *needed = wait.value.max(*needed);
                    }
                }
            }
            if needed == before {
                break;
            }
        }
        for (lane, needed) in self.lanes.iter().zip(&mut needed) {
            *needed = lane.completed.min(*needed);
        }
        needed
    }

    pub(crate) fn stalled(&self, ticket: Ticket) -> Error {
        Error::Stalled {
            queue: ticket.queue,
            value: ticket.value,
            completed: self.lane(ticket.queue).completed,
            // What stands still may be another queue, which this one waits for.
            kernels: self
                .kernels_in_flight(|queue, value| queue != ticket.queue || value <= ticket.value),
        }
    }

    /// Names of the kernels in the submitted batches that `choose` picks by queue and value, each once.
    fn kernels_in_flight(&self, choose: impl Fn(u32, u64) -> bool) -> Vec<String> {
        let mut ids: Vec<PipelineId> = Vec::new();
        for (queue, lane) in self.lanes.iter().enumerate() {
            for (value, batch) in &lane.in_flight {
                if choose(queue as u32, *value) {
                    ids.extend(batch.pipelines());
                }
            }
        }
        self.pipelines.names(&ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batch `value` of queue 0 is in flight and waits for a ticket of queue 1.
    fn waiting(value: u64, other: u64) -> State {
        let mut state = State::new(2, 0);
        let mut batch = Batch::default();
        batch.waits.push(Ticket {
            queue: 1,
            value: other,
        });
        state.lane_mut(0).in_flight.push_back((value, batch));
        state
    }

    #[test]
    fn a_busy_neighbour_hides_no_stall() {
        let mut state = waiting(1, 5);
        let ticket = Ticket { queue: 0, value: 1 };
        let before = state.progress(ticket);
        state.lane_mut(1).complete(4);
        let half = state.progress(ticket);
        assert_ne!(half, before, "it has come nearer to what is waited for");
        state.lane_mut(1).complete(5);
        let met = state.progress(ticket);
        assert_ne!(met, half);
        state.lane_mut(1).complete(9);
        assert_eq!(state.progress(ticket), met, "nobody waits for that");
    }

    #[test]
    fn what_moves_is_not_taken_for_a_stall() {
        let mut state = waiting(4, 1);
        state.lane_mut(0).complete(3);
        state.lane_mut(1).complete(1);
        let ticket = Ticket { queue: 0, value: 5 };
        let before = state.progress(ticket);
        // The queue gets on by as much as the other, which nothing in flight waits for any more, had come.
        state.lane_mut(0).complete(4);
        assert_ne!(state.progress(ticket), before);
    }
}
