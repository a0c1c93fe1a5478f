//! Residency sets, where the system has them: what is in one needs no check at each command buffer.
//!
//! A set is small, because changing it costs time in proportion to its size. The system lets a set lapse when it goes unused for minutes, so that it is asked for again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::{
    MTLAllocation, MTLBuffer, MTLCommandQueue, MTLDevice, MTLResidencySet,
    MTLResidencySetDescriptor,
};

/// Sets of one device. A queue takes 32 (Metal, "addResidencySet(_:)"). An allocation beyond is made resident by the command buffers that use it.
const SETS_MAX: usize = 16;
/// Allocations of one set.
const ALLOCATIONS_MAX: u32 = 256;
/// How old a request may grow before it is made again. The system forgets one after about three minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A device's residency sets.
pub(crate) struct Residency {
    queues: Vec<Retained<ProtocolObject<dyn MTLCommandQueue>>>,
    sets: Mutex<Sets>,
    /// Whether the system has residency sets and they are wanted.
    enabled: bool,
}

#[derive(Default)]
struct Sets {
    all: Vec<Set>,
    requested: Option<Instant>,
}

struct Set {
    raw: Retained<ProtocolObject<dyn MTLResidencySet>>,
    allocations: u32,
}

// SAFETY: a set is only used under the lock of `Residency::sets`, so that no two threads use it at a time, which is all that Metal asks of an object that is not
// said to be thread-safe (Metal, "MTLResidencySet").
unsafe impl Send for Set {}

impl Residency {
    pub(crate) fn new(
        queues: Vec<Retained<ProtocolObject<dyn MTLCommandQueue>>>,
        enabled: bool,
    ) -> Self {
        Self {
            queues,
            sets: Mutex::default(),
            enabled,
        }
    }

    /// Puts an allocation into a set. The set's place, or nothing if all are full or the system makes none.
    pub(crate) fn add(
        &self,
        device: &ProtocolObject<dyn MTLDevice>,
        buffer: &ProtocolObject<dyn MTLBuffer>,
    ) -> Option<u32> {
        if !self.enabled {
            return None;
        }
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let room = sets
            .all
            .iter()
            .position(|it| it.allocations < ALLOCATIONS_MAX);
        let index = match room {
            Some(index) => index,
            None if sets.all.len() < SETS_MAX => {
                let raw = self.set(device)?;
                sets.all.push(Set {
                    raw,
                    allocations: 0,
                });
                sets.all.len() - 1
            }
            None => return None,
        };
        let set = &mut sets.all[index];
        let allocation: &ProtocolObject<dyn MTLAllocation> = ProtocolObject::from_ref(buffer);
        set.raw.addAllocation(allocation);
        set.raw.commit();
        set.raw.requestResidency();
        set.allocations += 1;
        u32::try_from(index).ok()
    }

    /// Takes an allocation out of its set. Nothing that runs uses it.
    pub(crate) fn remove(&self, index: u32, buffer: &ProtocolObject<dyn MTLBuffer>) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = sets.all.get_mut(index as usize) {
            set.raw.removeAllocation(ProtocolObject::from_ref(buffer));
            set.raw.commit();
            set.allocations = set.allocations.saturating_sub(1);
        }
    }

    /// Asks for residency again if the last time is long ago. Never waits for another thread.
    pub(crate) fn keep_alive(&self) {
        if !self.enabled {
            return;
        }
        let Ok(mut sets) = self.sets.try_lock() else {
            return;
        };
        let now = Instant::now();
        if sets.requested.is_some_and(|it| now - it < KEEP_ALIVE) {
            return;
        }
        sets.requested = Some(now);
        for set in &sets.all {
            set.raw.requestResidency();
        }
    }

    /// Makes a set that every queue knows.
    fn set(
        &self,
        device: &ProtocolObject<dyn MTLDevice>,
    ) -> Option<Retained<ProtocolObject<dyn MTLResidencySet>>> {
        let descriptor = MTLResidencySetDescriptor::new();
        // Without one everything still works: the set only saves time.
        let set = device
            .newResidencySetWithDescriptor_error(&descriptor)
            .ok()?;
        for queue in &self.queues {
            queue.addResidencySet(&set);
        }
        Some(set)
    }
}
