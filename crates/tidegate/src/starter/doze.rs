//! How the thread falls asleep and is woken, without a launch ever taking a lock for it. `crates/core/tests/loom.rs` tries every order of events.

use std::fmt;

use super::sync::{AtomicBool, Ordering, Thread, park};

/// A thread's sleep.
pub(super) struct Doze {
    asleep: AtomicBool,
    thread: Thread,
}

impl fmt::Debug for Doze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doze").finish_non_exhaustive()
    }
}

impl Doze {
    pub(super) fn new(thread: Thread) -> Self {
        Self {
            asleep: AtomicBool::new(false),
            thread,
        }
    }

    /// Wakes the thread if it sleeps. Called after work was recorded, under a lock that `has_work` takes too.
    #[inline]
    pub(super) fn end(&self) {
        // The thread says that it sleeps, then looks once more: either it has seen the work, or this sees what it said.
        if self.asleep.load(Ordering::Relaxed) {
            self.asleep.store(false, Ordering::Relaxed);
            self.thread.unpark();
        }
    }

    /// Sleeps until it is woken, unless there is work. Called by the thread itself, which must bear being woken for no reason.
    pub(super) fn off(&self, has_work: impl FnOnce() -> bool) {
        self.asleep.store(true, Ordering::SeqCst);
        if !has_work() {
            park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}
