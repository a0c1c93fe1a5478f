//! What is on its way, and what becomes of it.

use std::sync::Arc;

use ash::vk;

use crate::device::Logical;
use crate::recording::Recording;
use crate::replay;

/// What a submission must find until it has run.
pub(crate) enum Flight {
    Once(Recording),
    /// A graph's, which others may share.
    Kept(Arc<Recording>),
}

impl Flight {
    pub(crate) fn buffer(&self) -> vk::CommandBuffer {
        match self {
            Self::Once(it) => it.buffer,
            Self::Kept(it) => it.buffer,
        }
    }

    /// Gives it back: to be recorded again, or if it is a graph's, to the graph.
    ///
    /// # Safety
    /// It is not pending by this submission.
    pub(crate) unsafe fn end(self, device: &Logical, idle: &mut Vec<Recording>) {
        match self {
            Self::Once(mut recording) => {
                // SAFETY: the caller's promise.
                match unsafe { recording.reset(device) } {
                    Ok(()) => idle.push(recording),
                    // SAFETY: the caller's promise.
                    Err(_) => unsafe { recording.destroy(device) },
                }
            }
            // SAFETY: each submission that may be pending holds the recording, and this was not the last unless none is.
            Self::Kept(recording) => unsafe { replay::release(device, recording) },
        }
    }
}
