//! What the streams of one device share: submission, waiting, faults, and order across queues.
//!
//! Two kinds of lock, always taken in this order: a queue's `Slot`, held while a batch is encoded and submitted, then the `State`, held for
//! the short time that recording takes. A batch is encoded without the state, so that other streams record meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use crate::batch::Batch;
use crate::command::Ticket;
use crate::counters::Counters;
use crate::device::{Capabilities, Device, DeviceError};
use crate::error::Error;
use crate::policy::{Cause, Limits, Policy, decide, worth_asking};
use crate::state::{QUEUES_MAX, State};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::watch::Handle;

/// A device together with everything that its streams, buffers and events share. Clones are handles to the same context.
///
/// When the last handle, stream, buffer, pipeline, event and download is dropped, what was submitted is waited for, no longer than
/// [`Limits::wait_ns`] without progress, and everything is given back to the device.
pub struct Context<D: Device>(pub(crate) Arc<Handle<D>>);

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

pub(crate) struct Shared<D: Device> {
    pub(crate) device: D,
    pub(crate) limits: Limits,
    pub(crate) slots: Vec<Mutex<Slot>>,
    /// Held while a queue's staging ring is made. Taken before slots and state.
    pub(crate) rings: Mutex<()>,
    /// Held while a trace starts or ends. Taken before the state.
    pub(crate) tracing: Mutex<()>,
    state: Mutex<State>,
    /// Where the device tells in which process this is, and what it told at first.
    process: Option<(&'static AtomicU32, u32)>,
    /// Stands in for the state in a child of fork, where its lock may be held by a thread that is not there.
    forked: OnceLock<Mutex<State>>,
    /// Signalled when a host copy in place has ended.
    pub(crate) host_done: Condvar,
}

/// A queue's place for the batch that is being submitted. A batch that the device had no memory for stays here and goes first next time.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    taken: Option<(u64, Batch)>,
    /// When handing it over began.
    start_ns: u64,
}

impl<D: Device> Context<D> {
    /// Takes a device into use.
    pub fn new(device: D, limits: Limits) -> Self {
        let limits = Limits {
            // A batch's arenas are indexed with 32 bits.
            commands_max: limits.commands_max.clamp(1, 1 << 20),
            inline_bytes_max: limits.inline_bytes_max.min(1 << 30),
            in_flight_max: limits.in_flight_max.max(1),
            staging_bytes: staging_bytes(limits.staging_bytes, device.capabilities()),
            ..limits
        };
        let queues = device.capabilities().queues.clamp(1, QUEUES_MAX as u32);
        let state = State::new(queues, limits.staging_bytes);
        let process = device.process();
        Self(Arc::new(Handle {
            companion: OnceLock::new(),
            shared: Arc::new(Shared {
                process: process.map(|it| (it, it.load(Ordering::Relaxed))),
                forked: OnceLock::new(),
                device,
                limits,
                slots: (0..queues).map(|_| Mutex::default()).collect(),
                rings: Mutex::default(),
                tracing: Mutex::default(),
                state: Mutex::new(state),
                host_done: Condvar::new(),
            }),
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
        let state = if self.is_forked() {
            let queues = self.slots.len() as u32;
            self.forked
                .get_or_init(|| Mutex::new(State::forked(queues, self.limits.staging_bytes)))
        } else {
            &self.state
        };
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process is a child of the one that took the device into use. It then has the thread that forked, and no other.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.process
            .is_some_and(|(now, then)| now.load(Ordering::Relaxed) != then)
    }

    /// For calls that need neither the device nor the state, and would otherwise work there.
    pub(crate) fn check_forked(&self) -> Result<(), Error> {
        if self.is_forked() {
            Err(Error::Forked)
        } else {
            Ok(())
        }
    }

    pub(crate) fn slot(&self, queue: u32) -> MutexGuard<'_, Slot> {
        self.slots[queue as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits until `value` of `queue` is with the device. Never waits for the device: room was made before the batch was begun.
    pub(crate) fn submit(&self, queue: u32, value: u64, cause: Cause) -> Result<(), Error> {
        let mut state = self.state();
        state.check_lost()?;
        if value <= state.lane(queue).submitted {
            return Ok(());
        }
        drop(state);
        let mut slot = self.slot(queue);
        loop {
            state = self.state();
            state.check_lost()?;
            if value <= state.lane(queue).submitted || !self.take(&mut state, &mut slot, queue) {
                return Ok(());
            }
            drop(state);
            let result = self.hand_over(&mut slot, queue);
            self.settle(&mut self.state(), &mut slot, queue, cause, result)?;
        }
    }

    /// Waits until another batch may be begun on `queue`: for the oldest in flight, or until one that is being submitted, or was kept for want of memory, has been.
    pub(crate) fn make_room(&self, queue: u32) -> Result<(), Error> {
        let mut state = self.state();
        self.poll(&mut state, queue)?;
        let lane = state.lane(queue);
        if lane.has_room(&self.limits) {
            return Ok(());
        }
        let (oldest, taken) = (lane.in_flight.front().map(|(it, _)| *it), lane.taken);
        state.counters.stalls += 1;
        drop(state);
        match oldest {
            Some(value) => self.wait_submitted(Ticket { queue, value }),
            None => self.submit(queue, taken, Cause::Limit),
        }
    }

    /// Moves the pending batch into the slot, unless one is still there. False if there is nothing to submit.
    pub(crate) fn take(&self, state: &mut State, slot: &mut Slot, queue: u32) -> bool {
        if slot.taken.is_none() && !state.lane(queue).batch.is_empty() {
            if self.limits.reorder {
                state.reorder_pending(queue);
            }
            slot.taken = Some(state.lane_mut(queue).take());
        }
        slot.taken.is_some()
    }

    pub(crate) fn hand_over(&self, slot: &mut Slot, queue: u32) -> Result<(), DeviceError> {
        slot.start_ns = self.device.now_ns();
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
    pub(crate) fn settle(
        &self,
        state: &mut State,
        slot: &mut Slot,
        queue: u32,
        cause: Cause,
        result: Result<(), DeviceError>,
    ) -> Result<(), Error> {
        match result {
            Ok(()) => {}
            Err(DeviceError::OutOfMemory) => return Err(Error::SubmissionOutOfMemory),
            Err(error) => {
                // It may be what the device was lost over: it is named with those in flight.
                state.lane_mut(queue).in_flight.extend(slot.taken.take());
                // A device that cannot take a batch, and not for want of memory, breaks its contract. Its queue could never go on.
                let detail = match error {
                    DeviceError::Lost { detail } => detail,
                    other => format!("a submission was refused: {other}"),
                };
                return Err(state.note(DeviceError::Lost { detail }));
            }
        }
        if let Some((value, batch)) = slot.taken.take() {
            let lane = state.lane_mut(queue);
            let pending = lane.pending_last;
            let end = self.device.now_ns();
            lane.submitted = value;
            lane.pace.sent(value, pending, batch.replay.is_some(), end);
            let in_flight = lane.in_flight.len() + 1;
            state.trace_submission((queue, value, &batch), cause, (slot.start_ns, end));
            state.lane_mut(queue).in_flight.push_back((value, batch));
            state.counters.submitted(cause, pending, in_flight);
        }
        Ok(())
    }

    /// Asks the device what completed on `queue`, and takes back what that held. A failed submission is noted, for each stream to report.
    pub(crate) fn poll(&self, state: &mut State, queue: u32) -> Result<(), Error> {
        loop {
            state.check_lost()?;
            match self.device.completed(queue) {
                Ok(value) => {
                    let lane = state.lane_mut(queue);
                    if lane.in_flight.is_empty() {
                        lane.complete(value);
                        return Ok(());
                    }
                    let now = self.device.now_ns();
                    // Also where the value is no news: the batch may have been noted as in flight after another thread had seen it complete.
                    lane.complete(value);
                    lane.pace.completed(value, now, false);
                    if !lane.in_flight.is_empty() {
                        lane.pace.asked(now);
                    }
                    return Ok(());
                }
                Err(error @ DeviceError::Failed { .. }) => {
                    state.note(error);
                }
                Err(error) => return Err(state.note(error)),
            }
        }
    }

    /// Waits for tickets, and submits their batches first if they are still held back.
    pub(crate) fn wait(&self, tickets: impl Iterator<Item = Ticket> + Clone) -> Result<(), Error> {
        for ticket in tickets.clone() {
            self.submit(ticket.queue, ticket.value, Cause::Wait)?;
        }
        let mut state = self.state();
        state.check_lost()?;
        state.counters.syncs += 1;
        drop(state);
        for ticket in tickets {
            self.wait_submitted(ticket)?;
        }
        self.poll_busy(&mut self.state())
    }

    /// Asks about every queue that may still run. What is complete on one queue may rest on a submission that failed on another, and a failure is known
    /// once its own queue has been asked.
    pub(crate) fn poll_busy(&self, state: &mut State) -> Result<(), Error> {
        for queue in 0..state.lanes.len() {
            if !state.lanes[queue].in_flight.is_empty() {
                self.poll(state, queue as u32)?;
            }
        }
        Ok(())
    }

    /// Waits for a ticket that has been submitted, for as long as its queue, or one that it waits for, gets on.
    pub(crate) fn wait_submitted(&self, ticket: Ticket) -> Result<(), Error> {
        let mut progress = None;
        loop {
            let mut state = self.state();
            state.check_lost()?;
            if progress.is_some() {
                self.poll_busy(&mut state)?;
            }
            if ticket.value <= state.lane(ticket.queue).completed {
                return Ok(());
            }
            let now = state.progress(ticket);
            if progress.as_ref() == Some(&now) {
                return Err(state.stalled(ticket));
            }
            progress = Some(now);
            drop(state);
            let start = self.device.now_ns();
            match self.device.wait(ticket, self.limits.wait_ns) {
                Ok(true) => {
                    let end = self.device.now_ns();
                    let mut state = self.state();
                    self.trace_wait(&mut state, ticket, start, end);
                    let lane = state.lane_mut(ticket.queue);
                    lane.complete(ticket.value);
                    let waited = end.saturating_sub(start) > WAITED_NS;
                    lane.pace.completed(ticket.value, end, waited);
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

    /// Cuts the batch if the policy says so, after a command was recorded. The command *is* recorded: that a submission finds no memory, or the host none to ask
    /// how far the device is, is no error of it. What needs either next reports it.
    pub(crate) fn after(
        &self,
        mut state: MutexGuard<'_, State>,
        queue: u32,
        policy: Policy,
    ) -> Result<(), Error> {
        let is_first = state.tracer.is_some() && state.lane(queue).pending.commands == 1;
        let lane = state.lane_mut(queue);
        if is_first {
            lane.began_ns = self.device.now_ns();
        }
        lane.prompt |= policy != Policy::UntilSync;
        if worth_asking(policy, lane.pending) && !lane.in_flight.is_empty() {
            match self.poll(&mut state, queue) {
                // Then it is not known how far the device is.
                Ok(()) | Err(Error::SubmissionOutOfMemory) => {}
                Err(error) => return Err(error),
            }
        }
        let lane = state.lane(queue);
        let Some(cause) = decide(policy, lane.pending(), lane.in_flight(), &self.limits) else {
            return Ok(());
        };
        let value = lane.next_value();
        drop(state);
        match self.submit(queue, value, cause) {
            Err(Error::SubmissionOutOfMemory) => Ok(()),
            other => other,
        }
    }
}

/// A wait that took longer than this many nanoseconds began before the work was complete.
const WAITED_NS: u64 = 2000;

/// How often the last wait for a queue is made again.
const LAST_WAITS_MAX: u32 = 16;

/// Nothing is left that could record or wait. What may still run after the longest wait keeps its memory: that is left to the device's own end.
impl<D: Device> Drop for Shared<D> {
    fn drop(&mut self) {
        for queue in 0..self.slots.len() as u32 {
            let value = self.state().lane(queue).last_value();
            // An error has nobody left to hear it. A stall or a loss ends the waiting: no other queue would do better.
            let submitted = self.submit(queue, value, Cause::Flush);
            let value = self.state().lane(queue).submitted;
            let mut ended = submitted.and(self.wait_submitted(Ticket { queue, value }));
            for _ in 0..LAST_WAITS_MAX {
                // The host may have no memory for a wait, and have some for the next one: without it, what the queue uses would never be given back.
                if !matches!(ended, Err(Error::SubmissionOutOfMemory)) {
                    break;
                }
                ended = self.wait_submitted(Ticket { queue, value });
            }
            if matches!(ended, Err(Error::Stalled { .. } | Error::Lost(_))) {
                break;
            }
        }
        let mut state = self.state();
        for lane in &mut state.lanes {
            if lane.completed >= lane.submitted {
                // What found no memory until now never runs, and needs nothing.
                lane.complete(lane.last_value());
            }
        }
        drop(state);
        self.destroy_retired();
        let mut state = self.state();
        for queue in 0..state.lanes.len() {
            let lost = state.lost.is_some();
            let lane = &mut state.lanes[queue];
            let over = lane.completed >= lane.submitted || lost;
            if let Some(ring) = lane.ring_memory.take_if(|_| over) {
                state.release(ring);
            }
        }
        self.trim(&mut state, u64::MAX, |_| true);
    }
}

/// Size of a staging ring: what was asked for, as far as one allocation may go, in whole pieces of the largest alignment.
fn staging_bytes(wanted: u64, device: &Capabilities) -> u64 {
    let most = device.allocation_bytes_max.min(1 << 40);
    wanted.min(most).max(1 << 12) & !0xff
}
