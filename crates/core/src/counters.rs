//! What a context has done, and how near it came to its limits.

use crate::policy::{Cause, Pending};

/// Counts since the context was made or the counters were last reset. Peaks start again from what is current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Kernel launches recorded.
    pub dispatches: u64,
    /// Launches of graphs recorded; their kernel launches count as dispatches too.
    pub graph_launches: u64,
    /// Barriers placed inside batches.
    pub barriers: u64,
    /// Barriers that another order made unnecessary, with [`Limits::reorder`](crate::Limits::reorder).
    pub barriers_saved: u64,
    /// Batches submitted.
    pub submissions: u64,
    /// Batches submitted, in the order of [`Cause::ALL`].
    pub submissions_by_cause: [u64; Cause::ALL.len()],
    /// Submissions that the caller's flushes made.
    pub flushes: u64,
    /// Waits for the device by the host: synchronisations and results waited for.
    pub syncs: u64,
    /// Copies, fills and small uploads recorded.
    pub blits: u64,
    /// Uploads.
    pub cpu_to_gpu: u64,
    /// Downloads.
    pub gpu_to_cpu: u64,
    /// Copies between buffers.
    pub gpu_to_gpu: u64,
    /// Times that freeing a buffer waited for the device: always 0, kept because other runtimes count it.
    pub free_syncs: u64,
    /// Bytes uploaded through the staging ring.
    pub bytes_staged: u64,
    /// Bytes uploaded inside a batch.
    pub bytes_inline: u64,
    /// Bytes written or read in place by the host.
    pub bytes_direct: u64,
    /// Bytes downloaded through readback memory.
    pub bytes_readback: u64,
    /// Times that recording waited because a limit was reached.
    pub stalls: u64,
    /// Most batches of one queue in flight.
    pub in_flight_peak: u64,
    /// Most commands in one batch, barriers not counted.
    pub commands_peak: u64,
    /// Most bytes touched by one batch.
    pub batch_bytes_peak: u64,
    /// Most bytes of small uploads and scalars in one batch.
    pub inline_peak: u64,
    /// Most staging bytes of one queue in use.
    pub staging_peak: u64,
    /// Memory in use now.
    pub memory_bytes: u64,
    /// Memory freed and kept for reuse now.
    pub cached_bytes: u64,
    /// Most memory kept for reuse.
    pub cached_peak: u64,
    /// Most memory in use and cached together.
    pub memory_peak: u64,
    /// Allocations made by the backend, not served from freed memory.
    pub allocations: u64,
}

impl Counters {
    pub(crate) fn submitted(&mut self, cause: Cause, batch: Pending, in_flight: usize) {
        self.submissions += 1;
        if let Some(position) = Cause::ALL.iter().position(|it| *it == cause) {
            self.submissions_by_cause[position] += 1;
        }
        if cause == Cause::Flush {
            self.flushes += 1;
        }
        self.commands_peak = self.commands_peak.max(batch.commands.into());
        self.batch_bytes_peak = self.batch_bytes_peak.max(batch.bytes);
        self.inline_peak = self.inline_peak.max(batch.inline_bytes);
        self.in_flight_peak = self.in_flight_peak.max(in_flight as u64);
    }

    /// Starts again, but keeps what is a level and not a count.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            memory_bytes: self.memory_bytes,
            cached_bytes: self.cached_bytes,
            cached_peak: self.cached_bytes,
            memory_peak: self.memory_bytes + self.cached_bytes,
            ..Self::default()
        };
    }
}
