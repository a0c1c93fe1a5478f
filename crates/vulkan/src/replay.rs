//! Graphs as command buffers that are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::{DeviceError, GraphId, Replay};

use crate::device::Logical;
use crate::recording::Recording;

/// The recording of each graph that was launched and not given back. Submissions that may be pending hold theirs too.
#[derive(Default)]
pub(crate) struct Replays(Mutex<HashMap<GraphId, (u64, Arc<Recording>)>>);

impl Replays {
    /// The recording of a graph's version, made by `record` if there is none.
    pub(crate) fn recorded(
        &self,
        device: &Logical,
        family: u32,
        replay: &Replay,
        record: impl FnOnce(&mut Recording) -> Result<(), DeviceError>,
    ) -> Result<Arc<Recording>, DeviceError> {
        if let Some(found) = self.find(replay) {
            return Ok(found);
        }
        // Without the lock, which whoever drops a graph takes. Two queues that launch a graph first at the same time both record it; the second stays.
        let mut recording = Recording::new(device, family, true)?;
        if let Err(error) = record(&mut recording) {
            // SAFETY: not submitted.
            unsafe { recording.destroy(device) };
            return Err(error);
        }
        let recording = Arc::new(recording);
        let entry = (replay.version, Arc::clone(&recording));
        let old = self.kept().insert(replay.graph, entry);
        if let Some((_, old)) = old {
            // SAFETY: submissions of it that may be pending hold it.
            unsafe { release(device, old) };
        }
        Ok(recording)
    }

    fn find(&self, replay: &Replay) -> Option<Arc<Recording>> {
        let kept = self.kept();
        let (version, recording) = kept.get(&replay.graph)?;
        (*version == replay.version).then(|| Arc::clone(recording))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<GraphId, (u64, Arc<Recording>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a graph's recording back.
    pub(crate) fn forget(&self, device: &Logical, id: GraphId) {
        let removed = self.kept().remove(&id);
        if let Some((_, recording)) = removed {
            // SAFETY: submissions of it that may be pending hold it.
            unsafe { release(device, recording) };
        }
    }

    /// Gives all back.
    pub(crate) fn clear(&self, device: &Logical) {
        let all = std::mem::take(&mut *self.kept());
        for (_, recording) in all.into_values() {
            // SAFETY: submissions of it that may be pending hold it.
            unsafe { release(device, recording) };
        }
    }
}

/// Lets go of a recording, which goes with its last holder.
///
/// # Safety
/// Every submission of it that may be pending holds it.
pub(crate) unsafe fn release(device: &Logical, recording: Arc<Recording>) {
    if let Some(last) = Arc::into_inner(recording) {
        // SAFETY: nobody holds it, so that by the caller's promise no submission of it is pending. VUID-vkDestroyCommandPool-commandPool-00041.
        unsafe { last.destroy(device) };
    }
}

#[cfg(test)]
impl Replays {
    pub(crate) fn hold(&self, then: impl FnOnce()) {
        let _lock = self.kept();
        then();
    }
}
