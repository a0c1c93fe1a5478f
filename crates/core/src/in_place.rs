//! Copies between the host and memory that it reaches, beside the streams.

use crate::command::Region;
use crate::context::Shared;
use crate::device::{Device, DeviceError};
use crate::error::Error;
use crate::state::State;
use crate::sync::MutexGuard;

/// Larger copies in place do not hold the state meanwhile.
const LOCKED_BYTES_MAX: u64 = 64 << 10;

impl<D: Device> Shared<D> {
    /// Whether the host may write (or read) these bytes right now: it can reach them, and no work that is not complete is in the way.
    pub(crate) fn usable_in_place(
        &self,
        state: &mut State,
        region: Region,
        write: bool,
    ) -> Result<bool, Error> {
        let reachable = state
            .memory
            .row(region.memory)
            .is_some_and(|row| if write { row.host.write } else { row.host.read });
        if !self.limits.direct || !reachable {
            return Ok(false);
        }
        if !state.idle(region, write) {
            let queues: Vec<u32> = match state.memory.row(region.memory) {
                Some(row) => row.uses.iter().map(|it| it.queue).collect(),
                None => Vec::new(),
            };
            for queue in queues {
                self.poll(state, queue)?;
            }
        }
        Ok(state.idle(region, write))
    }

    pub(crate) fn copy_in_place(
        &self,
        state: MutexGuard<'_, State>,
        region: Region,
        copy: impl FnOnce(&D) -> Result<(), DeviceError>,
    ) -> Result<(), Error> {
        if region.bytes <= LOCKED_BYTES_MAX {
            let mut state = state;
            return copy(&self.device).map_err(|it| state.note(it));
        }
        self.in_place(state, region, copy)
            .map_err(|it| self.state().note(it))
    }

    /// Runs `copy` while nothing can be recorded on the memory of `region`, without holding the state. The caller has seen that nothing submitted uses it.
    pub(crate) fn in_place<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        region: Region,
        copy: impl FnOnce(&D) -> T,
    ) -> T {
        /// Ends the copy even if it panics.
        struct Busy<'a, D: Device>(&'a Shared<D>, Region);
        impl<D: Device> Drop for Busy<'_, D> {
            fn drop(&mut self) {
                if let Some(row) = self.0.state().memory.row_mut(self.1.memory) {
                    row.host_busy -= 1;
                }
                self.0.host_done.notify_all();
            }
        }
        if let Some(row) = state.memory.row_mut(region.memory) {
            row.host_busy += 1;
        }
        drop(state);
        let _busy = Busy(self, region);
        copy(&self.device)
    }
}
