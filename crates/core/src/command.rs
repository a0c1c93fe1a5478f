//! What a stream records: plain data, with its bytes in the batch's arenas.

use std::fmt;

/// A point on one queue's timeline. Tickets of one queue complete in order; tickets of different queues do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Queue, from 0.
    pub queue: u32,
    /// Position on that queue's timeline, from 1.
    pub value: u64,
}

impl Ticket {
    /// Adds it to a list that has one ticket a queue, the latest.
    pub(crate) fn join(self, list: &mut Vec<Self>) {
        match list.iter_mut().find(|it| it.queue == self.queue) {
            Some(it) => it.value = it.value.max(self.value),
            None => list.push(self),
        }
    }
}

/// An allocation, by the index that core gave it. Indices are dense and are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryId(pub u32);

/// A pipeline, by the index that core gave it. Indices are dense and are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PipelineId(pub u32);

/// A graph, by a number that no other graph of the context has or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GraphId(pub u64);

/// Bytes `offset..offset + bytes` of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The allocation.
    pub memory: MemoryId,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl Region {
    /// One past the last byte. Saturates, so that a nonsensical region compares as too long rather than wrapping.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }

    /// Whether both name at least one common byte.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.memory == other.memory && self.offset < other.end() && other.offset < self.end()
    }
}

/// Entries `start..start + len` of one of a batch's arenas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First entry.
    pub start: u32,
    /// Number of entries.
    pub len: u32,
}

impl Span {
    /// The span as indices of a slice.
    pub fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// A set of the stages that touch memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages(u8);

impl Stages {
    /// No stage.
    pub const NONE: Self = Self(0);
    /// Kernels.
    pub const COMPUTE: Self = Self(1);
    /// Copies, fills and small uploads.
    pub const TRANSFER: Self = Self(2);
    /// Kernels and transfers.
    pub const ALL: Self = Self(3);

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every stage of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no stage is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::NONE => "none",
            Self::COMPUTE => "compute",
            Self::TRANSFER => "transfer",
            _ => "compute+transfer",
        })
    }
}

/// A memory and execution dependency: what `before` wrote is finished and visible to what `after` touches.
///
/// As in Vulkan, `before` covers every earlier command of the queue, not only those since the last barrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barrier {
    /// Stages that must have finished, with their writes made available.
    pub before: Stages,
    /// Stages that wait, and see those writes.
    pub after: Stages,
}

/// A kernel run over a grid of workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What to run.
    pub pipeline: PipelineId,
    /// Its buffers in the order of [`Kernel::bindings`](crate::Kernel::bindings), in [`Batch::regions`](crate::Batch::regions). A uniform block
    /// of scalars, if the kernel has one, comes last.
    pub bindings: Span,
    /// Its push constants, in [`Batch::data`](crate::Batch::data).
    pub scalars: Span,
    /// Workgroups along x, y and z, each at least 1.
    pub grid: [u32; 3],
}

/// One recorded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// A dependency between what stands before and after it.
    Barrier(Barrier),
    /// A kernel launch.
    Launch(Launch),
    /// A small upload whose bytes travel in the batch. Offset and size are multiples of 4, at most 4096 bytes.
    Upload {
        /// Where to.
        target: Region,
        /// The bytes, in [`Batch::data`](crate::Batch::data).
        data: Span,
    },
    /// A copy between two regions of the same size that do not overlap.
    Copy {
        /// Where from.
        source: Region,
        /// Where to.
        target: Region,
    },
    /// Repeats a 32-bit pattern, in the device's byte order. Offset and size are multiples of 4.
    Fill {
        /// Where to.
        target: Region,
        /// What to write.
        pattern: u32,
    },
}

impl Command {
    /// The stage that runs the command; a barrier has none.
    pub fn stage(&self) -> Stages {
        match self {
            Self::Barrier(_) => Stages::NONE,
            Self::Launch(_) => Stages::COMPUTE,
            Self::Upload { .. } | Self::Copy { .. } | Self::Fill { .. } => Stages::TRANSFER,
        }
    }
}
