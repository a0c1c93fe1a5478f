//! What watches over a context from beside: core has no thread of its own.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::context::{Context, Shared};
use crate::device::Device;
use crate::policy::Cause;

/// What all handles to a context hold together. The companion goes first: it may use what is shared.
pub(crate) struct Handle<D: Device> {
    pub(crate) companion: OnceLock<Box<dyn Any + Send + Sync>>,
    pub(crate) shared: Arc<Shared<D>>,
}

impl<D: Device> Deref for Handle<D> {
    type Target = Shared<D>;

    fn deref(&self) -> &Shared<D> {
        &self.shared
    }
}

impl<D: Device> Drop for Handle<D> {
    fn drop(&mut self) {
        drop(self.companion.take());
    }
}

/// A view of a context that does not keep it open, for whoever watches over it from beside: core has no thread of its own. It goes before the context's last handle
/// does, see [`Context::accompany`].
pub struct Watch<D: Device>(Arc<Shared<D>>);

impl<D: Device> fmt::Debug for Watch<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl<D: Device> Watch<D> {
    /// Submits what is pending on queues that have nothing else to do, unless all of it was recorded under [`UntilSync`](crate::Policy::UntilSync). Never waits. Whether there is anything to come back for: work that
    /// is pending and may be submitted this way, or in flight.
    ///
    /// An error is kept for whoever needs the work.
    pub fn nudge(&self) -> bool {
        let queues = 0..self.0.slots.len() as u32;
        // Each is asked, whatever the others say.
        queues.filter(|queue| self.0.nudge(*queue)).count() > 0
    }
}

impl<D: Device> Context<D> {
    /// A view that does not keep the context open.
    pub fn watch(&self) -> Watch<D> {
        Watch(Arc::clone(&self.0.shared))
    }

    /// Gives something to the context that is dropped with its last handle, before the device is closed. Whoever holds a [`Watch`] must have let go of it when that drop
    /// returns. Only the first is taken; others are dropped at once.
    pub fn accompany(&self, companion: Box<dyn Any + Send + Sync>) {
        drop(self.0.companion.set(companion));
    }
}

impl<D: Device> Shared<D> {
    /// See [`Watch::nudge`].
    fn nudge(&self, queue: u32) -> bool {
        let mut state = self.state();
        let asked = if state.lane(queue).in_flight.is_empty() {
            state.check_lost()
        } else {
            self.poll(&mut state, queue)
        };
        if asked.is_err() {
            return false;
        }
        let lane = state.lane(queue);
        if lane.in_flight.is_empty() && lane.taken > lane.submitted {
            // Kept for want of memory, or on its way by another thread, which this then waits for.
            let taken = lane.taken;
            drop(state);
            let _ = self.submit(queue, taken, Cause::Idle);
            return true;
        }
        let idle = lane.in_flight.is_empty();
        if !idle || lane.batch.is_empty() || !lane.prompt {
            return !idle || lane.prompt;
        }
        let value = lane.next_value();
        drop(state);
        let _ = self.submit(queue, value, Cause::Idle);
        true
    }
}
