//! The seam: what a backend does. One call a batch, not one call a command.

use std::fmt;
use std::sync::atomic::AtomicU32;

use crate::batch::Batch;
use crate::command::{GraphId, MemoryId, PipelineId, Ticket};
use crate::kernel::{Code, Kernel};
use crate::trace::Timing;

/// What memory is for, from which a backend picks its heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryKind {
    /// What kernels work on. Visible to the host too where the device has such memory and it costs kernels nothing.
    Device,
    /// The host writes it once, in order, and the device reads it. Always host-visible.
    Upload,
    /// The device writes it and the host reads it. Always host-visible, and cached where possible.
    Readback,
}

/// How the host reaches an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// [`Device::write`] works.
    pub write: bool,
    /// [`Device::read`] works and is fast: the memory is cached by the host.
    pub read: bool,
}

/// What a device is and can do. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The vendor's name for the device.
    pub name: String,
    /// The backend: `vulkan`, `metal` or `sim`.
    pub backend: &'static str,
    /// The driver's name and version.
    pub driver: String,
    /// Whether it runs on the CPU.
    pub software: bool,
    /// Whether host and device share one memory.
    pub unified: bool,
    /// Queues that may run at the same time, at least 1. More than 64 are not used.
    pub queues: u32,
    /// Device memory that can be allocated in total.
    pub memory_bytes: u64,
    /// Allocations that can exist at a time.
    pub allocations_max: u64,
    /// Largest single allocation.
    pub allocation_bytes_max: u64,
    /// Largest storage buffer that a kernel may bind.
    pub binding_bytes_max: u64,
    /// Alignment of a storage buffer's offset.
    pub binding_align: u64,
    /// Largest uniform block that a kernel may bind.
    pub uniform_bytes_max: u64,
    /// Alignment of a uniform block's offset.
    pub uniform_align: u64,
    /// Alignment of a copy's offsets and size.
    pub copy_align: u64,
    /// Buffers that one kernel may bind.
    pub bindings_max: u32,
    /// Push constants that one kernel may take.
    pub scalar_bytes_max: u32,
    /// Workgroups of one launch along x, y and z.
    pub grid_max: [u32; 3],
    /// Invocations of one workgroup along x, y and z.
    pub workgroup_size_max: [u32; 3],
    /// Invocations of one workgroup in total.
    pub workgroup_invocations_max: u32,
    /// Workgroup memory of one workgroup.
    pub workgroup_bytes_max: u32,
    /// Invocations of one subgroup, as the device prefers it; 1 if it has no subgroup operations.
    pub subgroup_size: u32,
    /// The fewest and the most invocations of one subgroup that it may run a kernel with; no kernel can count on a size if they differ.
    pub subgroup_sizes: [u32; 2],
    /// Optional features that it has, by the names that [`Device::create_pipeline`] uses in a refusal.
    pub features: Vec<&'static str>,
}

/// What a caller could not have foreseen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// No memory of the kind asked for is left. Nothing has changed; the call may be made again.
    OutOfMemory,
    /// The device is gone. Nothing submitted to it will complete, and every later call fails.
    Lost {
        /// The driver's words.
        detail: String,
    },
    /// One submission failed; the device works on. Its ticket and all before it count as complete from now on.
    Failed {
        /// The submission.
        ticket: Ticket,
        /// The kernels that the driver blames; empty if it cannot tell.
        kernels: Vec<PipelineId>,
        /// The driver's words.
        detail: String,
    },
    /// The device cannot do this.
    Refused {
        /// What it lacks, and what to do.
        detail: String,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Lost { detail } => write!(f, "device lost: {detail}"),
            Self::Failed { ticket, detail, .. } => write!(
                f,
                "submission {} of queue {} failed: {detail}",
                ticket.value, ticket.queue
            ),
            Self::Refused { detail } => f.write_str(detail),
        }
    }
}

impl std::error::Error for DeviceError {}

/// A device: memory, pipelines and queues that run batches.
///
/// Core upholds the caller's side of this contract; a backend upholds the rest. A backend decides nothing: not when to
/// submit, not where a barrier goes, not when memory is used again.
///
/// # Order
/// Batches of one queue take effect in the order of their tickets, whose values only grow (they may skip). A batch's opening barrier
/// makes it see what earlier batches of its queue wrote; its `waits` make it see everything that those tickets' batches, and all before them on their
/// queues, wrote.
/// Within a batch, commands between two barriers may run in any order and at the same time.
/// What the host wrote before `submit` is visible to the batch. If a batch says `host_reads`, the host sees its writes
/// once its ticket is complete.
///
/// # Lifetime
/// Core calls `free`, `destroy_pipeline` and `forget_graph` only when no submitted batch that uses the object can still run: each such ticket is
/// complete, or the device is lost. A batch is only borrowed for the call.
///
/// # Threads
/// Every method may be called from any thread. `submit` is called by one thread at a time for one queue, and at the same time
/// for different queues.
///
/// # Errors
/// After [`DeviceError::Lost`] every call except `free`, `destroy_pipeline` and `forget_graph` fails with it. No method panics on what a
/// driver does. [`DeviceError::Failed`] is returned by `completed` or `wait`, of any queue, once for each failed submission. What `submit` returns besides
/// `OutOfMemory` loses the device: core could not go on.
pub trait Device: Send + Sync + 'static {
    /// What the device is and can do. Constant.
    fn capabilities(&self) -> &Capabilities;

    /// A number that is another one in a process forked from the one that opened the device, where a process can fork. Core asks it before it takes a lock, which in a child may
    /// be held for ever by a thread that is not there, and in a child calls nothing else but `free`, `destroy_pipeline`, `forget_graph` and `drop`. These must then do nothing.
    fn process(&self) -> Option<&'static AtomicU32> {
        None
    }

    /// Nanoseconds since some moment, for deciding when to cut, and for traces. Always 0 on a device without a clock, whose work is then cut by counts alone.
    fn now_ns(&self) -> u64 {
        0
    }

    /// Makes allocation `id`, of `bytes` bytes (a multiple of 16, at least 16), usable for every command and binding. Its content is unspecified.
    ///
    /// # Errors
    /// `OutOfMemory` changes nothing.
    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError>;

    /// Gives allocation `id` back.
    fn free(&self, id: MemoryId);

    /// Bytes of this kind of memory that could still be allocated, if the system says so: what it would still give to this process, and what is free in blocks that
    /// the backend holds already.
    fn memory_available(&self, kind: MemoryKind) -> Option<u64>;

    /// Copies `data` into a host-visible allocation, visible to batches submitted from now on. Core has made sure that
    /// no submitted batch touches these bytes and that they lie inside.
    ///
    /// # Errors
    /// Those of the driver when it flushes memory that is not coherent.
    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError>;

    /// Copies from a host-visible allocation, with what completed batches that say `host_reads` wrote.
    ///
    /// # Errors
    /// Those of the driver when it invalidates memory that is not coherent.
    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError>;

    /// Makes pipeline `id` from `code`, whose interface `kernel` states.
    ///
    /// # Errors
    /// `Refused` names the kernel and what the device lacks.
    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError>;

    /// Gives pipeline `id` back.
    fn destroy_pipeline(&self, id: PipelineId);

    /// Whether to note when each command of the batches submitted from now on runs. Returns whether it will: a device that cannot need do nothing.
    fn set_timing(&self, _on: bool) -> bool {
        false
    }

    /// Adds when the commands of completed batches ran, each once. What is not asked for is kept up to a million commands, the earliest. Adds nothing on a lost device.
    fn take_timings(&self, _into: &mut Vec<Timing>) {}

    /// Gives back what was kept for replays of a graph: there will be none. The graph may never have been submitted. A device that keeps nothing need do nothing.
    fn forget_graph(&self, _id: GraphId) {}

    /// Hands over a batch of at least one command; `ticket` completes when it has run. Never waits for the device to run anything. A batch may replay a
    /// graph ([`Batch::replay`]), whose versions never go back.
    ///
    /// # Errors
    /// `OutOfMemory` leaves the batch unsubmitted and the ticket free to be used again.
    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError>;

    /// The value of the last ticket of `queue` that completed, 0 at first. Never waits.
    ///
    /// # Errors
    /// `Failed` and `Lost`, as above; `OutOfMemory` of the host, after which it may be asked again.
    fn completed(&self, queue: u32) -> Result<u64, DeviceError>;

    /// Waits until `ticket`, which has been submitted, is complete (`true`) or `timeout_ns` nanoseconds have passed (`false`).
    ///
    /// # Errors
    /// `Failed` and `Lost`, as above; `OutOfMemory` of the host, after which it may be called again.
    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError>;
}
