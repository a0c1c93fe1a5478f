//! Order across queues: what a command of one queue must wait for on another.

use std::sync::PoisonError;

use crate::command::{Region, Ticket};
use crate::context::{Shared, Slot};
use crate::device::Device;
use crate::error::Error;
use crate::policy::{Cause, Policy, decide};
use crate::state::State;
use crate::sync::MutexGuard;

impl<D: Device> Shared<D> {
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
            if !lane.has_room(&self.limits) {
                drop(state);
                self.make_room(queue)?;
                continue;
            }
            let full = decide(
                Policy::UntilSync,
                lane.pending(),
                lane.in_flight(),
                &self.limits,
            );
            // Nothing is recorded behind a graph's commands: they are kept as they are.
            let graph = lane.batch.replay.as_ref().map(|_| Cause::Graph);
            if let Some(cause) = full.or(graph) {
                let value = lane.next_value();
                drop(state);
                self.submit(queue, value, cause)?;
                continue;
            }
            if state.unshared(queue, accesses.clone()) {
                return Ok(state);
            }
            if state.host_busy(accesses.clone()) {
                drop(self.host_done.wait(state));
                continue;
            }
            if state.depends(queue, accesses.clone()).next().is_some() {
                drop(state);
                match self.order(queue, accesses.clone())? {
                    Some(state) => return Ok(state),
                    None => continue,
                }
            }
            return Ok(state);
        }
    }

    /// As [`Self::ready`], with an empty batch: what was pending has been submitted. The first try leaves others to record meanwhile; where they use that to begin another
    /// batch, the next one is submitted with the state held, so that a busy neighbour cannot hold this up for ever.
    pub(crate) fn ready_empty(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
    ) -> Result<MutexGuard<'_, State>, Error> {
        let mut is_first = true;
        loop {
            let state = self.ready(queue, accesses.clone())?;
            if state.lane(queue).batch.is_empty() {
                return Ok(state);
            }
            let value = state.lane(queue).next_value();
            drop(state);
            if std::mem::take(&mut is_first) {
                self.submit(queue, value, Cause::Graph)?;
                continue;
            }
            let mut slot = self.slot(queue);
            let mut state = self.state();
            state.check_lost()?;
            let value = state.lane(queue).last_value();
            self.submit_held(&mut state, &mut slot, queue, value, Cause::Graph)?;
            let depends = state.depends(queue, accesses.clone()).next().is_some();
            let busy = depends || state.host_busy(accesses.clone());
            if !busy && state.lane(queue).has_room(&self.limits) {
                return Ok(state);
            }
        }
    }

    /// Submits what is recorded and, for want of memory, not yet with the device, graphs' commands above all: they are about to change, and a device must not get an older version
    /// of them after a newer one. Nothing to do, unless a submission failed.
    pub(crate) fn submit_recorded(&self) -> Result<(), Error> {
        for queue in 0..self.slots.len() as u32 {
            let state = self.state();
            let lane = state.lane(queue);
            let value = lane.taken + u64::from(lane.batch.replay.is_some());
            drop(state);
            self.submit(queue, value, Cause::Graph)?;
        }
        Ok(())
    }

    /// Makes `queue` wait for what other queues did to the same memory. Rare, so it simply holds every lock: what is decided stays true until it is recorded,
    /// and two threads that need each other's batches cannot block one another. `None` if the caller has to look again: another thread has done it meanwhile, or there is no room for the batch that waits.
    fn order(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
    ) -> Result<Option<MutexGuard<'_, State>>, Error> {
        const CAUSE: Cause = Cause::Dependency;
        let queues = self.slots.len() as u32;
        let mut slots: Vec<_> = (0..queues).map(|it| self.slot(it)).collect();
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
        if depends.is_empty() {
            return Ok(None);
        }
        for (other, value) in depends {
            self.submit_held(&mut state, &mut slots[other as usize], other, value, CAUSE)?;
            if !state.lane(queue).batch.is_empty() {
                let value = state.lane(queue).next_value();
                self.submit_held(&mut state, &mut slots[queue as usize], queue, value, CAUSE)?;
            }
            state.add_wait(queue, other, value);
        }
        Ok(state.lane(queue).has_room(&self.limits).then_some(state))
    }

    /// Submits up to `value` of `queue` while its slot and the state are held.
    fn submit_held(
        &self,
        state: &mut State,
        slot: &mut Slot,
        queue: u32,
        value: u64,
        cause: Cause,
    ) -> Result<(), Error> {
        while state.lane(queue).submitted < value && self.take(state, slot, queue) {
            let result = self.hand_over(slot, queue);
            self.settle(state, slot, queue, cause, result)?;
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
            let lane = state.lane(queue);
            if done || ticket.value <= lane.seen[ticket.queue as usize] {
                return Ok(());
            }
            if lane.batch.is_empty() {
                state.add_wait(queue, ticket.queue, ticket.value);
                return Ok(());
            }
            let value = lane.next_value();
            drop(state);
            self.submit(queue, value, Cause::Dependency)?;
        }
    }
}
