//! Whether an object that a command uses is still there, for command buffers that retain nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::rules::Rule;
use crate::world::World;

/// How long an object lives, and who counts on that.
#[derive(Debug)]
pub(crate) struct Lifetime {
    what: String,
    /// Commands of committed command buffers without retained references that have not completed.
    pending: AtomicUsize,
    released: AtomicBool,
    world: Arc<World>,
}

impl Lifetime {
    pub(crate) fn new(world: &Arc<World>, what: String) -> Arc<Self> {
        Arc::new(Self {
            what,
            pending: AtomicUsize::new(0),
            released: AtomicBool::new(false),
            world: Arc::clone(world),
        })
    }

    /// Names a use of an object that is gone.
    pub(crate) fn check_alive(&self) {
        if self.released.load(Ordering::Acquire) {
            let text = format!(
                "{}, by a command buffer without retained references",
                self.what
            );
            self.world.broke(Rule::UsedAfterRelease, text);
        }
    }

    /// Whether a pending command buffer counts on the object.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) > 0
    }

    /// Notes that the object is gone, which no pending command buffer that does not retain it allows.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        if self.is_pending() {
            let pending = self.pending.load(Ordering::Acquire);
            let text = format!(
                "{}, used by {pending} commands of command buffers without retained references that have not completed",
                self.what
            );
            self.world.broke(Rule::ReleasedWhilePending, text);
        }
    }
}

/// A command's claim on an object until its command buffer has completed.
#[derive(Debug)]
pub(crate) struct Claim {
    lifetime: Arc<Lifetime>,
    counted: AtomicBool,
}

impl Claim {
    pub(crate) fn new(lifetime: &Arc<Lifetime>) -> Self {
        Self {
            lifetime: Arc::clone(lifetime),
            counted: AtomicBool::new(false),
        }
    }

    /// Notes that a command buffer which does not retain the object is committed.
    pub(crate) fn commit_unretained(&self) {
        self.lifetime.check_alive();
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.lifetime.pending.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.lifetime.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
