//! Events: points in a stream's work that other streams and the host can wait for.

use std::fmt;
use std::sync::{Arc, PoisonError};

use crate::command::Ticket;
use crate::context::Context;
use crate::device::Device;
use crate::error::Error;
use crate::sync::Mutex;

/// A point in a stream's work. Clones are handles to the same event, for any thread. An event never recorded is complete, as in CUDA.
pub struct Event<D: Device> {
    context: Context<D>,
    /// What must be complete: one ticket a queue. Empty until it is recorded.
    tickets: Arc<Mutex<Vec<Ticket>>>,
}

impl<D: Device> Clone for Event<D> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            tickets: Arc::clone(&self.tickets),
        }
    }
}

impl<D: Device> fmt::Debug for Event<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("tickets", &self.tickets())
            .finish_non_exhaustive()
    }
}

impl<D: Device> Context<D> {
    /// A new event, complete until it is recorded.
    pub fn event(&self) -> Event<D> {
        Event {
            context: self.clone(),
            tickets: Arc::default(),
        }
    }
}

impl<D: Device> Event<D> {
    /// Whether the work that it marks is complete. Never waits and never submits.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn is_complete(&self) -> Result<bool, Error> {
        let shared = &self.context.0;
        let mut state = shared.state();
        state.all_complete(shared, self.tickets().into_iter())
    }

    /// Waits until the work that it marks is complete, and submits it first if it is still held back.
    ///
    /// # Errors
    /// [`Error::Stalled`] if the device makes no progress; [`Error::SubmissionOutOfMemory`]; [`Error::Lost`].
    pub fn synchronize(&self) -> Result<(), Error> {
        self.context.0.wait(self.tickets().into_iter())
    }

    /// Whether both are handles to the same event.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tickets, &other.tickets)
    }

    pub(crate) fn context(&self) -> &Context<D> {
        &self.context
    }

    /// What must be complete for it to be complete: one ticket a queue, none before it was recorded. Neither waits nor submits. None in a child of fork, where the lock may be held for ever and where
    /// whoever needs them is refused.
    pub fn tickets(&self) -> Vec<Ticket> {
        if self.context.0.is_forked() {
            return Vec::new();
        }
        let tickets = self.tickets.lock();
        tickets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, tickets: Vec<Ticket>) {
        if self.context.0.is_forked() {
            return;
        }
        *self.tickets.lock().unwrap_or_else(PoisonError::into_inner) = tickets;
    }
}
