//! Uploads, downloads, copies and fills.

use std::fmt;
use std::sync::PoisonError;

use crate::allocate::Memory;
use crate::command::{Command, Region, Stages, Ticket};
use crate::context::{Context, Shared};
use crate::device::{Device, MemoryKind};
use crate::error::Error;
use crate::memory::capacity;
use crate::policy::Cause;
use crate::state::State;
use crate::stream::{Stream, report_fault};
use crate::sync::MutexGuard;

/// Largest upload whose bytes travel inside the batch: what `vkCmdUpdateBuffer` may take is 65,536, but beyond a page the ring is cheaper.
const INLINE_BYTES_MAX: u64 = 4096;
/// Largest piece of an upload through the ring. Recording waits while it is copied, some 25 microseconds.
pub(crate) const CHUNK_BYTES_MAX: u64 = 256 << 10;

/// Bytes on their way from the device. Dropping it unread is fine.
pub struct Download<D: Device> {
    context: Context<D>,
    bytes: u64,
    source: Source<D>,
}

enum Source<D: Device> {
    /// The buffer was idle: its bytes were read at once.
    Read(Vec<u8>),
    /// A copy in memory that the host can read, complete with its ticket.
    Copied {
        memory: Memory<D>,
        ticket: Ticket,
        /// Failed submissions when it was recorded: a later failure may have spoilt it.
        faults: u64,
    },
}

impl<D: Device> fmt::Debug for Download<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<D: Device> Download<D> {
    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether [`Self::wait_into`] would return at once. Never waits and never submits.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn is_complete(&self) -> Result<bool, Error> {
        self.context.0.check_forked()?;
        let Source::Copied { ticket, .. } = &self.source else {
            return Ok(true);
        };
        let shared = &self.context.0;
        let mut state = shared.state();
        shared.poll(&mut state, ticket.queue)?;
        Ok(ticket.value <= state.lane(ticket.queue).completed)
    }

    /// Waits for this copy's own submission, not for the whole stream, and writes the bytes, as they were when it was recorded, to `target`. After an error, and after
    /// success, it may be called again.
    ///
    /// # Errors
    /// [`Error::Stalled`], [`Error::SubmissionOutOfMemory`], [`Error::Lost`]; [`Error::Failed`] if a submission failed before the copy was seen complete:
    /// no bytes are returned that it may have spoilt. [`Error::SizeMismatch`] if `target` has another size.
    pub fn wait_into(&self, target: &mut [u8]) -> Result<(), Error> {
        if target.len() as u64 != self.bytes {
            return Err(Error::SizeMismatch {
                what: "download",
                expected: self.bytes,
                given: target.len() as u64,
            });
        }
        self.context.0.check_forked()?;
        let (memory, ticket, faults) = match &self.source {
            Source::Read(bytes) => {
                target.copy_from_slice(bytes);
                return Ok(());
            }
            Source::Copied {
                memory,
                ticket,
                faults,
            } => (memory, ticket, *faults),
        };
        let shared = &self.context.0;
        shared.wait(std::iter::once(*ticket))?;
        let state = shared.state();
        if let Some(fault) = &state.fault
            && faults != state.faults
        {
            return Err(Error::Failed(std::sync::Arc::clone(fault)));
        }
        drop(state);
        let read = shared.device.read(memory.id, 0, target);
        read.map_err(|it| shared.state().note(it))
    }
}

impl<D: Device> Stream<D> {
    /// Copies `data` to `offset` of `target`. The slice has been read when the call returns.
    ///
    /// An idle buffer that the host can write is written in place; up to 4 KiB travel in the batch; the rest goes through the staging ring, which
    /// waits for the oldest upload when it is full.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::ForeignDevice`], [`Error::Misaligned`] on devices with a copy alignment; [`Error::OutOfMemory`] if the ring cannot be allocated; where room is waited for, [`Error::Stalled`] and [`Error::SubmissionOutOfMemory`]; [`Error::Lost`];
    /// [`Error::Failed`]. After an error part of a large upload may have been recorded.
    pub fn upload(&mut self, target: &Memory<D>, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.check_owner(target.context())?;
        let region = target.region(offset, data.len() as u64)?;
        if data.is_empty() {
            return Ok(());
        }
        if self.capture.is_some() {
            return self.capture_upload(region, data);
        }
        self.write(region, data, CHUNK_BYTES_MAX, 1)
    }

    /// Uploads `data`, not empty, in pieces of at most `piece_bytes_max`, which counts as so many of the caller's `uploads`.
    pub(crate) fn write(
        &mut self,
        region: Region,
        data: &[u8],
        piece_bytes_max: u64,
        uploads: u64,
    ) -> Result<(), Error> {
        let shared = &self.context.0;
        let mut state = shared.state();
        report_fault(&mut self.faults_seen, &state)?;
        state.counters.cpu_to_gpu += uploads;
        if shared.usable_in_place(&mut state, region, true)? {
            state.counters.bytes_direct += region.bytes;
            return shared.copy_in_place(state, region, |device| {
                device.write(region.memory, region.offset, data)
            });
        }
        drop(state);
        self.check_align("upload", &[region.offset, region.bytes])?;
        if is_inline(region) {
            let access = std::iter::once((region, true));
            let mut state = shared.ready(self.queue, access.clone())?;
            self.last = state.record(self.queue, Stages::TRANSFER, access, |batch| {
                Command::Upload {
                    target: region,
                    data: batch.push_data(data),
                }
            });
            state.counters.blits += 1;
            state.counters.bytes_inline += region.bytes;
            return shared.after(state, self.queue, self.policy);
        }
        self.upload_staged(region, data, piece_bytes_max)
    }

    fn upload_staged(
        &mut self,
        region: Region,
        data: &[u8],
        piece_bytes_max: u64,
    ) -> Result<(), Error> {
        let shared = &self.context.0;
        let chunk = match piece_bytes_max {
            u64::MAX => u64::MAX,
            most => (shared.limits.staging_bytes / 4).min(most),
        };
        let mut offset = region.offset;
        for piece in data.chunks(usize_of(chunk)) {
            let target = Region {
                memory: region.memory,
                offset,
                bytes: piece.len() as u64,
            };
            offset = target.end();
            let access = std::iter::once((target, true));
            let (mut state, source) = shared.stage(self.queue, access.clone(), piece, 16)?;
            self.last = state.record(self.queue, Stages::TRANSFER, access, |_| Command::Copy {
                source,
                target,
            });
            state.counters.blits += 1;
            shared.after(state, self.queue, self.policy)?;
        }
        Ok(())
    }

    /// Starts to copy `bytes` bytes from `offset` of `source` to the host, as they are at this point of the stream.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::ForeignDevice`], [`Error::Misaligned`] on devices with a copy alignment; [`Error::OutOfMemory`] for the memory that the host reads; where room is waited for, [`Error::Stalled`] and [`Error::SubmissionOutOfMemory`]; [`Error::Lost`];
    /// [`Error::Failed`].
    pub fn download(
        &mut self,
        source: &Memory<D>,
        offset: u64,
        bytes: u64,
    ) -> Result<Download<D>, Error> {
        self.check_owner(source.context())?;
        self.must_not_capture("a download")?;
        let region = source.region(offset, bytes)?;
        let shared = &self.context.0;
        let mut state = shared.state();
        state.check_lost()?;
        let in_place = bytes == 0 || shared.usable_in_place(&mut state, region, false)?;
        if in_place {
            shared.poll_busy(&mut state)?;
        }
        // After the device was asked: bytes that a failure spoilt are no result.
        report_fault(&mut self.faults_seen, &state)?;
        state.counters.gpu_to_cpu += 1;
        if in_place {
            state.counters.bytes_direct += bytes;
            let mut data = vec![0; usize_of(bytes)];
            if bytes > 0 {
                shared.copy_in_place(state, region, |device| {
                    device.read(region.memory, region.offset, &mut data)
                })?;
            } else {
                drop(state);
            }
            return Ok(Download {
                context: self.context.clone(),
                bytes,
                source: Source::Read(data),
            });
        }
        drop(state);
        self.check_align("download", &[region.offset, region.bytes])?;
        let memory = self.readback(bytes)?;
        let target = memory.region(0, bytes)?;
        let accesses = [(region, false), (target, true)].into_iter();
        let mut state = shared.ready(self.queue, accesses.clone())?;
        report_fault(&mut self.faults_seen, &state)?;
        let faults = state.faults;
        self.last = state.record(self.queue, Stages::TRANSFER, accesses, |_| Command::Copy {
            source: region,
            target,
        });
        state.counters.blits += 1;
        state.counters.bytes_readback += bytes;
        let ticket = Ticket {
            queue: self.queue,
            value: self.last,
        };
        shared.after(state, self.queue, self.policy)?;
        Ok(Download {
            context: self.context.clone(),
            bytes,
            source: Source::Copied {
                memory,
                ticket,
                faults,
            },
        })
    }

    /// Copies `bytes` bytes between two buffers of the same device.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::OverlappingCopy`], [`Error::ForeignDevice`], [`Error::Misaligned`] on devices with a copy alignment; where room is waited for, [`Error::Stalled`] and [`Error::SubmissionOutOfMemory`]; [`Error::Lost`]; [`Error::Failed`].
    pub fn copy(
        &mut self,
        source: &Memory<D>,
        source_offset: u64,
        target: &Memory<D>,
        target_offset: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        self.check_owner(source.context())?;
        self.check_owner(target.context())?;
        let source = source.region(source_offset, bytes)?;
        let target = target.region(target_offset, bytes)?;
        if bytes == 0 {
            return Ok(());
        }
        if source.overlaps(&target) {
            return Err(Error::OverlappingCopy);
        }
        self.check_align("copy", &[source.offset, target.offset, bytes])?;
        if let Some(capture) = self.capturing()? {
            let accesses = [(source, false), (target, true)].into_iter();
            capture.record(accesses, |_| Command::Copy { source, target });
            capture.count(0, 1);
            return Ok(());
        }
        let shared = &self.context.0;
        let accesses = [(source, false), (target, true)].into_iter();
        let mut state = shared.ready(self.queue, accesses.clone())?;
        report_fault(&mut self.faults_seen, &state)?;
        self.last = state.record(self.queue, Stages::TRANSFER, accesses, |_| Command::Copy {
            source,
            target,
        });
        state.counters.blits += 1;
        state.counters.gpu_to_gpu += 1;
        shared.after(state, self.queue, self.policy)
    }

    /// Repeats `pattern` over `bytes` bytes from `offset` of `target`.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if `bytes` is no multiple of the pattern or the pattern is empty; [`Error::OutOfRange`], [`Error::ForeignDevice`], [`Error::Misaligned`] on devices
    /// with a copy alignment; where room is waited for, [`Error::Stalled`] and [`Error::SubmissionOutOfMemory`]; [`Error::Lost`]; [`Error::Failed`]. After an error part of a fill that goes through the staging ring may have been recorded.
    pub fn fill(
        &mut self,
        target: &Memory<D>,
        offset: u64,
        bytes: u64,
        pattern: &[u8],
    ) -> Result<(), Error> {
        self.check_owner(target.context())?;
        let region = target.region(offset, bytes)?;
        if pattern.is_empty() || !bytes.is_multiple_of(pattern.len() as u64) {
            return Err(Error::SizeMismatch {
                what: "fill",
                expected: pattern.len() as u64,
                given: bytes,
            });
        }
        if bytes == 0 {
            return Ok(());
        }
        let word = match *pattern {
            [a] => Some([a; 4]),
            [a, b] => Some([a, b, a, b]),
            [a, b, c, d] => Some([a, b, c, d]),
            _ => None,
        };
        let Some(word) = word.filter(|_| offset.is_multiple_of(4) && bytes.is_multiple_of(4))
        else {
            return self.fill_staged(region, pattern);
        };
        let access = std::iter::once((region, true));
        let fill = Command::Fill {
            target: region,
            pattern: u32::from_ne_bytes(word),
        };
        if let Some(capture) = self.capturing()? {
            capture.record(access, |_| fill);
            return Ok(());
        }
        let shared = &self.context.0;
        let mut state = shared.ready(self.queue, access.clone())?;
        report_fault(&mut self.faults_seen, &state)?;
        self.last = state.record(self.queue, Stages::TRANSFER, access, |_| fill);
        state.counters.blits += 1;
        shared.after(state, self.queue, self.policy)
    }

    /// What no device fills by itself goes up as data.
    fn fill_staged(&mut self, region: Region, pattern: &[u8]) -> Result<(), Error> {
        self.check_align("fill", &[region.offset, region.bytes])?;
        let most = (self.context.0.limits.staging_bytes / 4).min(CHUNK_BYTES_MAX);
        let repeats = usize_of(most.min(region.bytes)) / pattern.len();
        // Every piece but the last is a whole number of patterns and of what copies are aligned to.
        let align = usize_of(self.context.capabilities().copy_align);
        let data = pattern.repeat(repeats.max(1).next_multiple_of(align));
        if self.capture.is_some() {
            return self.capture_fill(region, &data);
        }
        let mut rest = region;
        while rest.bytes > 0 {
            let piece = usize_of(rest.bytes).min(data.len());
            self.upload_staged(rest, &data[..piece], CHUNK_BYTES_MAX)?;
            rest.offset += piece as u64;
            rest.bytes -= piece as u64;
        }
        Ok(())
    }

    pub(crate) fn check_align(&self, what: &'static str, numbers: &[u64]) -> Result<(), Error> {
        let align = self.context.capabilities().copy_align;
        match numbers.iter().find(|it| **it % align != 0) {
            None => Ok(()),
            Some(given) => Err(Error::Misaligned {
                what,
                given: *given,
                align,
            }),
        }
    }
}

impl<D: Device> Shared<D> {
    /// Puts `data` into the queue's staging ring for the next command, and returns the state ready to record it. When the ring is full it waits for the oldest upload.
    pub(crate) fn stage(
        &self,
        queue: u32,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
        data: &[u8],
        align: u64,
    ) -> Result<(MutexGuard<'_, State>, Region), Error> {
        let bytes = data.len() as u64;
        loop {
            let mut state = self.ready(queue, accesses.clone())?;
            let Some(memory) = state.lane(queue).ring_memory else {
                drop(state);
                self.allocate_ring(queue)?;
                continue;
            };
            let lane = state.lane_mut(queue);
            let value = lane.next_value();
            let mut offset = lane.ring.reserve(bytes, align, value);
            if offset.is_none() {
                self.poll(&mut state, queue)?;
                offset = state.lane_mut(queue).ring.reserve(bytes, align, value);
            }
            if let Some(offset) = offset {
                let used = state.lane(queue).ring.used();
                state.counters.staging_peak = state.counters.staging_peak.max(used);
                state.counters.bytes_staged += bytes;
                let written = self.device.write(memory, offset, data);
                written.map_err(|it| state.note(it))?;
                let region = Region {
                    memory,
                    offset,
                    bytes,
                };
                return Ok((state, region));
            }
            let Some(oldest) = state.lane(queue).ring.oldest() else {
                return Err(Error::TooLarge {
                    requested: bytes,
                    allowed: self.limits.staging_bytes,
                });
            };
            if oldest > state.lane(queue).last_value() {
                // Staged for a command that was then not recorded: nothing will read it.
                state.lane_mut(queue).ring.release(oldest);
                continue;
            }
            state.counters.stalls += 1;
            drop(state);
            self.submit(queue, oldest, Cause::Memory)?;
            self.wait_submitted(Ticket {
                queue,
                value: oldest,
            })?;
        }
    }

    /// Allocates a queue's staging ring when it is first needed. Another thread that needs it meanwhile waits, as it may find no room for a second.
    fn allocate_ring(&self, queue: u32) -> Result<(), Error> {
        let _alone = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().lane(queue).ring_memory.is_some() {
            return Ok(());
        }
        let bytes = self.limits.staging_bytes;
        let size = capacity(bytes).unwrap_or(bytes);
        let id = self.allocate(size, bytes, MemoryKind::Upload)?;
        self.state().lane_mut(queue).ring_memory = Some(id);
        Ok(())
    }
}

/// Whether an upload travels in the batch.
pub(crate) fn is_inline(region: Region) -> bool {
    region.bytes <= INLINE_BYTES_MAX
        && region.offset.is_multiple_of(4)
        && region.bytes.is_multiple_of(4)
}

/// A size that fits the address space: it is that of a slice, or of memory that the host can map.
pub(crate) fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
