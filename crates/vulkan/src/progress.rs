//! How far a queue is: what was handed over, and what was seen complete. `crates/core/tests/loom.rs` tries every order of events.

use super::sync::{AtomicU64, Ordering};

/// Two values of one timeline, for any thread.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The last value handed over. Stored before the driver knows, so that a completed value is never beyond it.
    submitted: AtomicU64,
    /// The highest value that the driver has been seen to report: up to it nobody needs to ask again.
    seen: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            submitted: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Notes that `value` is about to be handed over. The value before, to be restored if the driver does not take it.
    pub(crate) fn hand_over(&self, value: u64) -> u64 {
        self.submitted.swap(value, Ordering::AcqRel)
    }

    /// The driver has not taken it.
    pub(crate) fn take_back(&self, before: u64) {
        self.submitted.store(before, Ordering::Release);
    }

    /// What is complete, if the driver need not be asked: nothing may still run.
    pub(crate) fn known(&self) -> Option<u64> {
        let seen = self.seen();
        (seen == self.submitted()).then_some(seen)
    }

    /// Notes what the driver reports. False if that was never handed over.
    pub(crate) fn saw(&self, value: u64) -> bool {
        if value > self.submitted() {
            return false;
        }
        self.seen.fetch_max(value, Ordering::AcqRel);
        true
    }
}
