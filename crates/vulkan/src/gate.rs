//! Who is inside, and whether anybody may still enter. `crates/core/tests/loom.rs` tries every order of events.

use super::sync::{AtomicU64, Ordering};

/// The lowest bit is set once it is closed; above it stands how many are inside. One word, so that of an entry and the closing one is always first.
#[derive(Debug)]
pub(crate) struct Gate(pub(crate) AtomicU64);

const CLOSED: u64 = 1;
const ONE: u64 = 2;

impl Gate {
    /// False if it is closed. Otherwise [`leave`](Self::leave) is called once.
    pub(crate) fn enter(&self) -> bool {
        let is_open = self.0.fetch_add(ONE, Ordering::Acquire) & CLOSED == 0;
        if !is_open {
            self.leave();
        }
        is_open
    }

    /// What was done inside happens before [`is_empty`](Self::is_empty) says so.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(ONE, Ordering::Release);
    }

    /// Nobody enters any more.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Whether all have left. Once it is closed that stays so, but for those who are on their way out again.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) < ONE
    }
}
