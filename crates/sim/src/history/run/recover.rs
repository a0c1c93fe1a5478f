//! Calls that fail as planned: made again, left out, or followed by a new beginning.

use tidegate_core::{Context, Device, Error, MemoryKind, Policy};

use super::{Checked, Kernels, Runner, Wrong, compare, ensure, found, told};
use crate::history::op::Op;

/// What may go wrong because it was planned to. Memory that runs out for a while is always borne.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Memory may run out for good: what needs more is left out.
    pub scarce: bool,
    /// Submissions may fail. All but the buffers is then made anew, and these get their bytes again.
    pub failures: bool,
    /// Waits may find that nothing moves, for a while or for good, which ends the history.
    pub stalls: bool,
    /// Pipelines may be refused.
    pub refusals: bool,
    /// The device may be lost, which ends the history.
    pub loss: bool,
}

/// What a run met of all that it may meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Calls that failed as planned.
    pub refusals: u64,
    /// Failed submissions after which all but the buffers was made anew.
    pub recoveries: u64,
    /// For each time that a failed submission was told of, the kernels that were named.
    pub blamed: Vec<Vec<String>>,
    /// The device was lost.
    pub is_lost: bool,
    /// Nothing moved any more, and the history was not run to its end.
    pub is_stuck: bool,
    /// Threads.
    pub threads: u64,
    /// Buffers of another device that were offered.
    pub foreign: u64,
}

/// How often a call is made again.
const AGAIN_MAX: u32 = 16;
/// How many failed submissions a history may meet.
const RECOVERIES_MAX: u64 = 16;

/// Whether the device had no memory for the call.
pub(super) fn is_short_of_memory(error: &Error) -> bool {
    matches!(
        error,
        Error::OutOfMemory { .. } | Error::SubmissionOutOfMemory
    )
}

impl<D: Device, K: Kernels> Runner<'_, D, K> {
    /// Makes a call, again if it failed as planned: what returns an error has changed nothing. Whether it was made in the end.
    pub(super) fn insist(&mut self, op: &Op) -> Checked<bool> {
        self.persist(|it| it.step(op))
    }

    /// As [`Self::insist`], for any number of calls that can be made again.
    pub(super) fn persist(
        &mut self,
        mut call: impl FnMut(&mut Self) -> Checked<()>,
    ) -> Checked<bool> {
        let mut tries = 0;
        loop {
            let error = match call(self) {
                Ok(()) => return Ok(true),
                Err(Wrong::Refused(error)) => error,
                Err(differs) => return Err(differs),
            };
            self.met.refusals += 1;
            tries += 1;
            let it = self.tolerance;
            let may_go_on = match &error {
                Error::Failed(fault) if it.failures => {
                    self.met.blamed.push(fault.kernels.clone());
                    self.recover()?;
                    return Ok(false);
                }
                Error::Lost(_) if it.loss => {
                    self.met.is_lost = true;
                    return Ok(false);
                }
                Error::Stalled { .. } => it.stalls,
                Error::Refused(_) => it.refusals,
                other => is_short_of_memory(other),
            };
            if may_go_on && tries <= AGAIN_MAX {
                continue;
            }
            return match error {
                // The last of many tries may have met a planned fault instead of what is scarce.
                Error::TooManyAllocations { .. } if it.scarce => Ok(false),
                error if it.scarce && is_short_of_memory(&error) => Ok(false),
                Error::Stalled { .. } if it.stalls => {
                    self.met.is_stuck = true;
                    Ok(false)
                }
                error => Err(Wrong::Refused(error)),
            };
        }
    }

    /// A submission failed. No download may return what it spoilt. Everything else works on.
    fn recover(&mut self) -> Checked<()> {
        for slot in 0..self.downloads.len() {
            let Some(download) = self.downloads[slot].take() else {
                continue;
            };
            let want = self.model.download(slot).unwrap_or_default();
            match compare(&download, want) {
                Err(Wrong::Differs(words)) => {
                    let words = format!("d{slot} after a failure: {words}");
                    return Err(Wrong::Differs(words));
                }
                Err(Wrong::Refused(_)) | Ok(()) => {}
            }
        }
        self.streams.clear();
        self.graphs.clear();
        self.events.clear();
        self.marks.clear();
        self.model.keep_buffers();
        loop {
            self.met.recoveries += 1;
            ensure(
                self.met.recoveries <= RECOVERIES_MAX,
                "submissions fail that were not planned to",
            )?;
            match self.restore() {
                Err(Wrong::Refused(Error::Failed(fault))) => {
                    self.met.blamed.push(fault.kernels.clone());
                }
                other => return other,
            }
        }
    }

    /// Gives all buffers their bytes again.
    fn restore(&mut self) -> Checked<()> {
        for device in 0..self.contexts.len() {
            let made = self.contexts[device].stream(Policy::default());
            let mut stream = made.map_err(told)?;
            for (slot, want) in self.model.buffers() {
                if self.model.device(slot) == device {
                    let memory = found(&mut self.buffers, slot)?;
                    stream.upload(memory, 0, want).map_err(told)?;
                }
            }
            stream.synchronize().map_err(told)?;
        }
        Ok(())
    }

    /// Every call says that the device is lost, no download returns wrong bytes, and all can be dropped.
    pub(super) fn end_of_a_lost_device(mut self) -> Checked<()> {
        let is_lost = |it: Result<(), Error>| matches!(it, Err(Error::Lost(_)));
        let probe = |it: &Context<D>| it.allocate(64, MemoryKind::Device).map(|_| ());
        let lost: Vec<bool> = self.contexts.iter().map(|it| is_lost(probe(it))).collect();
        ensure(lost.contains(&true), "a lost device allocates")?;
        for (slot, stream) in self.streams.iter_mut().enumerate() {
            if let Some(stream) = stream
                && !stream.is_capturing()
            {
                let tells = is_lost(stream.synchronize());
                let says = lost[self.model.device(slot)];
                ensure(tells == says, "a stream errs about the loss of its device")?;
            }
        }
        for slot in 0..self.downloads.len() {
            if let Some(download) = self.downloads[slot].take() {
                let want = self.model.download(slot).unwrap_or_default();
                match compare(&download, want) {
                    Ok(()) | Err(Wrong::Refused(Error::Lost(_) | Error::Failed(_))) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }
}
