//! What the streams of one device share: submission, waiting, faults, and order across queues.
//!
//! Two kinds of lock, always taken in this order: a queue's `Slot`, held while a batch is encoded and submitted, then the `State`, held for
//! the short time that recording takes. A batch is encoded without the state, so that other streams record meanwhile.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::Batch;
use crate::command::{Command, PipelineId, Region, Stages, Ticket};
use crate::counters::Counters;
use crate::device::{Capabilities, Device, DeviceError, MemoryKind};
use crate::error::{Error, Fault};
use crate::lane::Lane;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::policy::{Cause, Limits, Policy, decide, worth_asking};

/// A device together with everything that its streams, buffers and events share. Clones are handles to the same context.
pub struct Context<D: Device>(pub(crate) Arc<Shared<D>>);

impl<D: Device> Clone for Context<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Device> fmt::Debug for Context<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("device", &self.0.device.capabilities().name)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Shared<D> {
    pub(crate) device: D,
    pub(crate) limits: Limits,
    slots: Vec<Mutex<Slot>>,
    state: Mutex<State>,
    /// Signalled when a host copy in place has ended.
    host_done: Condvar,
}

/// A queue's place for the batch that is being submitted. A batch that the device had no memory for stays here and goes first next time.
#[derive(Debug, Default)]
struct Slot {
    taken: Option<(u64, Batch)>,
}

/// Everything that recording reads and writes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) memory: Memory,
    pub(crate) pipelines: Pipelines,
    pub(crate) counters: Counters,
    pub(crate) lost: Option<Arc<Fault>>,
    /// Failed submissions so far, and the last one.
    pub(crate) faults: u64,
    pub(crate) fault: Option<Arc<Fault>>,
}

impl<D: Device> Context<D> {
    /// Takes a device into use.
    pub fn new(device: D, limits: Limits) -> Self {
        let limits = Limits {
            commands_max: limits.commands_max.max(1),
            in_flight_max: limits.in_flight_max.max(1),
            staging_bytes: limits.staging_bytes.max(1 << 12).next_multiple_of(1 << 8),
            ..limits
        };
        let queues = device.capabilities().queues.max(1);
        let state = State {
            lanes: (0..queues)
                .map(|_| Lane::new(limits.staging_bytes))
                .collect(),
            memory: Memory::default(),
            pipelines: Pipelines::default(),
            counters: Counters::default(),
            lost: None,
            faults: 0,
            fault: None,
        };
        Self(Arc::new(Shared {
            device,
            limits,
            slots: (0..queues).map(|_| Mutex::default()).collect(),
            state: Mutex::new(state),
            host_done: Condvar::new(),
        }))
    }

    /// What the device is and can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.0.device.capabilities()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The device itself, for what only its backend offers.
    pub fn device(&self) -> &D {
        &self.0.device
    }

    /// The counters of all streams together.
    pub fn counters(&self) -> Counters {
        self.0.state().counters
    }

    /// Starts counting again. Levels, such as memory in use, stay.
    pub fn reset_counters(&self) {
        self.0.state().counters.reset();
    }

    /// Whether both are handles to the same context.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<D: Device> Shared<D> {
    /// The state. A panic elsewhere poisons nothing: nothing that runs under the lock is left half done by a panic.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, queue: u32) -> MutexGuard<'_, Slot> {
        self.slots[queue as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits until `value` of `queue` is with the device.
    pub(crate) fn submit(&self, queue: u32, value: u64, cause: Cause) -> Result<(), Error> {
        if value <= self.state().lane(queue).submitted {
            return Ok(());
        }
        let mut slot = self.slot(queue);
        loop {
            self.make_room(queue)?;
            let mut state = self.state();
            let lane = state.lane_mut(queue);
            if value <= lane.submitted || !take(lane, &mut slot) {
                return Ok(());
            }
            drop(state);
            let result = self.hand_over(&slot, queue);
            self.settle(&mut self.state(), &mut slot, queue, cause, result)?;
        }
    }

    /// Waits until fewer batches of `queue` are in flight than allowed. The caller holds the queue's slot, so that none is added.
    fn make_room(&self, queue: u32) -> Result<(), Error> {
        loop {
            let mut state = self.state();
            state.check_lost()?;
            if state.lane(queue).in_flight.len() < self.limits.in_flight_max as usize {
                return Ok(());
            }
            self.poll(&mut state, queue)?;
            let lane = state.lane(queue);
            let Some((oldest, _)) = lane.in_flight.front() else {
                return Ok(());
            };
            if lane.in_flight.len() >= self.limits.in_flight_max as usize {
                let ticket = Ticket {
                    queue,
                    value: *oldest,
                };
                state.counters.stalls += 1;
                drop(state);
                self.wait_submitted(ticket)?;
            }
        }
    }

    fn hand_over(&self, slot: &Slot, queue: u32) -> Result<(), DeviceError> {
        match &slot.taken {
            Some((value, batch)) => self.device.submit(
                batch,
                Ticket {
                    queue,
                    value: *value,
                },
            ),
            None => Ok(()),
        }
    }

    /// Notes what became of the batch in `slot`.
    fn settle(
        &self,
        state: &mut State,
        slot: &mut Slot,
        queue: u32,
        cause: Cause,
        result: Result<(), DeviceError>,
    ) -> Result<(), Error> {
        if let Err(error) = result {
            return Err(state.note(error));
        }
        if let Some((value, batch)) = slot.taken.take() {
            let lane = state.lane_mut(queue);
            let commands = batch.commands.len();
            lane.submitted = value;
            lane.in_flight.push_back((value, batch));
            let in_flight = lane.in_flight.len();
            state.counters.submitted(cause, commands, in_flight);
        }
        Ok(())
    }

    /// Asks the device what completed on `queue`, and takes back what that held. A failed submission is noted, for each stream to report.
    pub(crate) fn poll(&self, state: &mut State, queue: u32) -> Result<(), Error> {
        loop {
            state.check_lost()?;
            match self.device.completed(queue) {
                Ok(value) => {
                    state.lane_mut(queue).complete(value);
                    return Ok(());
                }
                Err(error @ DeviceError::Failed { .. }) => {
                    state.note(error);
                }
                Err(error) => return Err(state.note(error)),
            }
        }
    }

    /// Waits for a ticket, and submits its batch first if that is still held back.
    pub(crate) fn wait(&self, ticket: Ticket) -> Result<(), Error> {
        self.submit(ticket.queue, ticket.value, Cause::Wait)?;
        self.state().counters.syncs += 1;
        self.wait_submitted(ticket)
    }

    /// Waits for a ticket that has been submitted.
    pub(crate) fn wait_submitted(&self, ticket: Ticket) -> Result<(), Error> {
        let mut progress = None;
        loop {
            {
                let mut state = self.state();
                state.check_lost()?;
                if ticket.value <= state.lane(ticket.queue).completed {
                    return Ok(());
                }
                if progress.is_some() {
                    let queues = state.lanes.len();
                    for queue in 0..queues {
                        self.poll(&mut state, queue as u32)?;
                    }
                    if ticket.value <= state.lane(ticket.queue).completed {
                        return Ok(());
                    }
                }
                let now: u64 = state.lanes.iter().map(|it| it.completed).sum();
                if progress == Some(now) {
                    return Err(state.stalled(ticket));
                }
                progress = Some(now);
            }
            match self.device.wait(ticket, self.limits.wait_ns) {
                Ok(true) => {
                    let mut state = self.state();
                    state.lane_mut(ticket.queue).complete(ticket.value);
                    // A failure is noted when the device is asked: ask before anyone trusts what the work wrote.
                    return self.poll(&mut state, ticket.queue);
                }
                Ok(false) => {}
                Err(error @ DeviceError::Failed { .. }) => {
                    // Each failure is reported once, so that this cannot go on for ever.
                    self.state().note(error);
                    progress = None;
                }
                Err(error) => return Err(self.state().note(error)),
            }
        }
    }

    /// The state, ready for `queue` to record a command with these accesses: there is room in the batch, nobody copies in place, and whatever other queues did
    /// to the same memory has been submitted and is waited for.
    pub(crate) fn ready(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
    ) -> Result<MutexGuard<'_, State>, Error> {
        loop {
            let state = self.state();
            state.check_lost()?;
            let lane = state.lane(queue);
            let full = decide(
                Policy::UntilSync,
                lane.pending,
                lane.in_flight(),
                &self.limits,
            );
            if let Some(cause) = full {
                let value = lane.next_value();
                drop(state);
                self.submit(queue, value, cause)?;
                continue;
            }
            if state.host_busy(accesses.clone()) {
                drop(self.host_done.wait(state));
                continue;
            }
            if state.depends(queue, accesses.clone()).next().is_some() {
                drop(state);
                return self.order(queue, accesses);
            }
            return Ok(state);
        }
    }

    /// Makes `queue` wait for what other queues did to the same memory. Rare, so it simply holds every lock: what is decided stays true until it is recorded,
    /// and two threads that need each other's batches cannot block one another.
    fn order(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
    ) -> Result<MutexGuard<'_, State>, Error> {
        let queues = self.slots.len() as u32;
        let mut slots: Vec<_> = (0..queues).map(|it| self.slot(it)).collect();
        for queue in 0..queues {
            self.make_room(queue)?;
        }
        let mut state = self.state();
        while state.host_busy(accesses.clone()) {
            state = self
                .host_done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        for other in (0..queues).filter(|it| *it != queue) {
            if state
                .depends(queue, accesses.clone())
                .any(|(it, _)| it == other)
            {
                self.poll(&mut state, other)?;
            }
        }
        let depends: Vec<_> = state.depends(queue, accesses).collect();
        for (other, value) in depends {
            self.submit_held(&mut state, &mut slots[other as usize], other, value)?;
            if !state.lane(queue).batch.is_empty() && !state.waits_for(queue, other, value) {
                let value = state.lane(queue).next_value();
                self.submit_held(&mut state, &mut slots[queue as usize], queue, value)?;
            }
            state.add_wait(queue, other, value);
        }
        Ok(state)
    }

    /// Submits up to `value` of `queue` while all locks are held.
    fn submit_held(
        &self,
        state: &mut State,
        slot: &mut Slot,
        queue: u32,
        value: u64,
    ) -> Result<(), Error> {
        while state.lane(queue).submitted < value && take(state.lane_mut(queue), slot) {
            let result = self.hand_over(slot, queue);
            self.settle(state, slot, queue, Cause::Dependency, result)?;
        }
        Ok(())
    }

    /// Makes `queue`'s next command wait for a ticket of another queue, which is submitted first if it is still held back.
    pub(crate) fn wait_on_queue(&self, queue: u32, ticket: Ticket) -> Result<(), Error> {
        if ticket.queue == queue {
            return Ok(());
        }
        self.submit(ticket.queue, ticket.value, Cause::Dependency)?;
        loop {
            let mut state = self.state();
            state.check_lost()?;
            let done = ticket.value <= state.lane(ticket.queue).completed;
            if done || state.waits_for(queue, ticket.queue, ticket.value) {
                return Ok(());
            }
            let lane = state.lane(queue);
            if lane.batch.is_empty() {
                state.add_wait(queue, ticket.queue, ticket.value);
                return Ok(());
            }
            let value = lane.next_value();
            drop(state);
            self.submit(queue, value, Cause::Dependency)?;
        }
    }

    /// Cuts the batch if the policy says so, after a command was recorded. The command *is* recorded: that a submission finds no memory is reported by whatever
    /// needs it next.
    pub(crate) fn after(
        &self,
        mut state: MutexGuard<'_, State>,
        queue: u32,
        policy: Policy,
    ) -> Result<(), Error> {
        let lane = state.lane(queue);
        if worth_asking(policy, lane.pending) && !lane.in_flight.is_empty() {
            self.poll(&mut state, queue)?;
        }
        let lane = state.lane(queue);
        let Some(cause) = decide(policy, lane.pending, lane.in_flight(), &self.limits) else {
            return Ok(());
        };
        let value = lane.next_value();
        drop(state);
        match self.submit(queue, value, cause) {
            Err(Error::SubmissionOutOfMemory) => Ok(()),
            other => other,
        }
    }

    /// Runs `copy` while nothing can be recorded on the memory of `region`, without holding the state. The caller has seen that nothing submitted uses it.
    pub(crate) fn in_place<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        region: Region,
        copy: impl FnOnce(&D) -> T,
    ) -> T {
        /// Ends the copy even if it panics.
        struct Busy<'a, D: Device>(&'a Shared<D>, Region);
        impl<D: Device> Drop for Busy<'_, D> {
            fn drop(&mut self) {
                if let Some(row) = self.0.state().memory.row_mut(self.1.memory) {
                    row.host_busy -= 1;
                }
                self.0.host_done.notify_all();
            }
        }
        if let Some(row) = state.memory.row_mut(region.memory) {
            row.host_busy += 1;
        }
        drop(state);
        let _busy = Busy(self, region);
        copy(&self.device)
    }
}

/// Moves the pending batch into the slot, unless one is still there. False if there is nothing to submit.
fn take(lane: &mut Lane, slot: &mut Slot) -> bool {
    if slot.taken.is_none() && !lane.batch.is_empty() {
        slot.taken = Some(lane.take());
    }
    slot.taken.is_some()
}

impl State {
    pub(crate) fn lane(&self, queue: u32) -> &Lane {
        &self.lanes[queue as usize]
    }

    pub(crate) fn lane_mut(&mut self, queue: u32) -> &mut Lane {
        &mut self.lanes[queue as usize]
    }

    pub(crate) fn check_lost(&self) -> Result<(), Error> {
        match &self.lost {
            Some(fault) => Err(Error::Lost(Arc::clone(fault))),
            None => Ok(()),
        }
    }

    /// Records a command that [`Shared::ready`] has made room for; returns the value of its ticket.
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
                let seen = row.host.read || row.host.write || row.kind == MemoryKind::Readback;
                lane.batch.host_reads |= write && seen;
            }
        }
        value
    }

    /// The tickets of other queues that a command of `queue` with these accesses must come after.
    fn depends(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)>,
    ) -> impl Iterator<Item = (u32, u64)> {
        accesses
            .filter_map(|(region, write)| Some((self.memory.row(region.memory)?, write)))
            .flat_map(|(row, write)| row.before(write))
            .filter(move |(other, value)| *other != queue && *value > self.lane(*other).completed)
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

    fn host_busy(&self, mut accesses: impl Iterator<Item = (Region, bool)>) -> bool {
        accesses.any(|(it, _)| {
            self.memory
                .row(it.memory)
                .is_some_and(|row| row.host_busy > 0)
        })
    }

    fn waits_for(&self, queue: u32, other: u32, value: u64) -> bool {
        let waits = &self.lane(queue).batch.waits;
        waits
            .iter()
            .any(|it| it.queue == other && value <= it.value)
    }

    fn add_wait(&mut self, queue: u32, other: u32, value: u64) {
        let waits = &mut self.lane_mut(queue).batch.waits;
        match waits.iter_mut().find(|it| it.queue == other) {
            Some(wait) => wait.value = wait.value.max(value),
            None => waits.push(Ticket {
                queue: other,
                value,
            }),
        }
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

    fn stalled(&self, ticket: Ticket) -> Error {
        Error::Stalled {
            queue: ticket.queue,
            value: ticket.value,
            completed: self.lane(ticket.queue).completed,
            kernels: self
                .kernels_in_flight(|queue, value| queue == ticket.queue && value <= ticket.value),
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
