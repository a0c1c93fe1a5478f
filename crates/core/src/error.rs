//! What can go wrong, in words and numbers that say what to do.

use std::fmt;
use std::sync::Arc;

/// An error of a context, a stream, an event or a download.
///
/// After any error but [`Error::Lost`] the stream works on. An operation that returns an error has not been recorded, except
/// that an upload or fill larger than the staging ring may have been recorded in part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Memory ran out, after everything that could be reused or given back was.
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
        /// Bytes in use.
        in_use: u64,
        /// Bytes allowed in total.
        allowed: u64,
    },
    /// The device could not take a submission for want of memory. Nothing is lost: the batch is kept and submitted again with the next flush or wait.
    SubmissionOutOfMemory,
    /// More allocations exist than the device can hold.
    TooManyAllocations {
        /// The device's limit.
        allowed: u64,
    },
    /// A single allocation larger than the device can make.
    TooLarge {
        /// Bytes asked for.
        requested: u64,
        /// Bytes that one allocation may have.
        allowed: u64,
    },
    /// The device is gone. Open it again to go on.
    Lost(Arc<Fault>),
    /// The device was opened by the process that this one was forked from. A child may drop what it has of it, end, or run another program.
    Forked,
    /// A submission failed. Results that were not complete are gone; the stream works on.
    Failed(Arc<Fault>),
    /// The device made no progress for as long as [`Limits::wait_ns`](crate::Limits::wait_ns) allows.
    Stalled {
        /// Queue waited for.
        queue: u32,
        /// Value waited for.
        value: u64,
        /// Value reached.
        completed: u64,
        /// Kernels that may still run.
        kernels: Vec<String>,
    },
    /// The backend refuses; its words say what is missing.
    Refused(String),
    /// A buffer, kernel or event of another device.
    ForeignDevice {
        /// What it is.
        what: &'static str,
    },
    /// A slice outside its buffer.
    OutOfRange {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        bytes: u64,
        /// Size of the buffer.
        size: u64,
    },
    /// Two sizes that must agree do not.
    SizeMismatch {
        /// What was called.
        what: &'static str,
        /// Bytes that fit.
        expected: u64,
        /// Bytes given.
        given: u64,
    },
    /// An offset or size that the operation's alignment does not allow.
    Misaligned {
        /// What was called.
        what: &'static str,
        /// The offending number.
        given: u64,
        /// What it must be a multiple of.
        align: u64,
    },
    /// A copy whose source and target share bytes.
    OverlappingCopy,
    /// Something that a stream cannot do while it captures a graph.
    Capturing {
        /// What was called.
        what: &'static str,
    },
    /// A capture ends that was not begun.
    NotCapturing,
    /// A graph has fewer launches.
    NoSuchLaunch {
        /// The launch asked for, from 0.
        index: usize,
        /// Launches of the graph.
        launches: usize,
    },
    /// A launch that its kernel's interface does not allow.
    Launch {
        /// The kernel.
        kernel: String,
        /// What is wrong with it.
        problem: LaunchProblem,
    },
}

/// What a failure may be blamed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The kernels that may have caused it: those the driver blames, or else all of the batches in flight.
    pub kernels: Vec<String>,
    /// The driver's words.
    pub detail: String,
}

/// Why a launch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchProblem {
    /// Not as many buffers as the kernel binds.
    BufferCount {
        /// Buffers that it binds.
        expected: usize,
        /// Buffers given.
        given: usize,
    },
    /// Not as many scalars as the kernel takes.
    ScalarCount {
        /// Scalars that it takes.
        expected: usize,
        /// Scalars given.
        given: usize,
    },
    /// A block of scalars of the wrong size.
    ScalarBytes {
        /// Size of the kernel's block.
        expected: u32,
        /// Bytes given.
        given: usize,
    },
    /// A scalar of the wrong type.
    ScalarType {
        /// Its name in the source.
        name: String,
        /// The kernel's type.
        expected: &'static str,
        /// The type given.
        given: &'static str,
    },
    /// A buffer smaller than the kernel's type.
    TooShort {
        /// The binding's name in the source.
        binding: String,
        /// The least number of bytes.
        needed: u64,
        /// The bytes given.
        given: u64,
    },
    /// A buffer larger than the device can bind.
    TooLong {
        /// The binding's name in the source.
        binding: String,
        /// The largest number of bytes.
        allowed: u64,
        /// The bytes given.
        given: u64,
    },
    /// An offset that the device cannot bind.
    Misaligned {
        /// The binding's name in the source.
        binding: String,
        /// The alignment.
        align: u64,
        /// The offset given.
        given: u64,
    },
    /// Two bindings share bytes and the kernel writes one of them.
    Aliased {
        /// One binding.
        first: String,
        /// The other.
        second: String,
    },
    /// A grid with no workgroup, or more than the device allows.
    Grid {
        /// The grid given.
        given: [u32; 3],
        /// The most along each axis.
        allowed: [u32; 3],
    },
}

impl fmt::Display for LaunchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferCount { expected, given } => {
                write!(f, "it binds {expected} buffers, {given} given")
            }
            Self::ScalarCount { expected, given } => {
                write!(f, "it takes {expected} scalars, {given} given")
            }
            Self::ScalarBytes { expected, given } => {
                write!(
                    f,
                    "its block of scalars has {expected} bytes, {given} given"
                )
            }
            Self::ScalarType {
                name,
                expected,
                given,
            } => write!(f, "scalar `{name}` is {expected}, {given} given"),
            Self::TooShort {
                binding,
                needed,
                given,
            } => write!(
                f,
                "buffer `{binding}` needs at least {needed} bytes, {given} given"
            ),
            Self::TooLong {
                binding,
                allowed,
                given,
            } => write!(
                f,
                "buffer `{binding}` has {given} bytes, the device binds at most {allowed}; bind a slice"
            ),
            Self::Misaligned {
                binding,
                align,
                given,
            } => write!(
                f,
                "buffer `{binding}` starts at byte {given}, the device binds multiples of {align}"
            ),
            Self::Aliased { first, second } => write!(
                f,
                "`{first}` and `{second}` share bytes and one of them is written; \
                 if that is meant, use `launch_aliased`"
            ),
            Self::Grid { given, allowed } => write!(
                f,
                "a grid of {given:?} workgroups; each axis takes 1 to {allowed:?}"
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        match self.kernels.as_slice() {
            [] => Ok(()),
            kernels => write!(
                f,
                "; kernels that may have caused it: {}",
                kernels.join(", ")
            ),
        }
    }
}

const FORKED: &str = "the device was opened before this process was forked, and drivers do not outlive a fork; open it in the child only, or start the child as a program of its own";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory {
                requested,
                in_use,
                allowed,
            } => write!(
                f,
                "out of device memory: {requested} bytes asked for, {in_use} in use, {allowed} allowed; \
                 drop buffers or raise the limit"
            ),
            Self::SubmissionOutOfMemory => f.write_str(
                "the driver had no memory for a submission; the work is kept and goes with the next flush or wait",
            ),
            Self::TooManyAllocations { allowed } => write!(
                f,
                "the device holds at most {allowed} allocations; use fewer, larger buffers and slices of them"
            ),
            Self::TooLarge { requested, allowed } => write!(
                f,
                "a buffer of {requested} bytes; the device allows {allowed}; split it"
            ),
            Self::Lost(fault) => write!(f, "the device is lost: {fault}; open it again"),
            Self::Forked => f.write_str(FORKED),
            Self::Failed(fault) => write!(f, "a submission failed: {fault}"),
            Self::Stalled {
                queue,
                value,
                completed,
                kernels,
            } => write!(
                f,
                "the device made no progress within the wait limit: queue {queue} stands at {completed}, \
                 waited for {value}; make launches or batches smaller, or the limit longer; kernels that may still run: {}",
                match kernels.as_slice() {
                    [] => "none, only copies".to_owned(),
                    kernels => kernels.join(", "),
                }
            ),
            Self::Refused(detail) => f.write_str(detail),
            Self::ForeignDevice { what } => {
                write!(f, "the {what} belongs to another device; copy through the host")
            }
            Self::OutOfRange {
                offset,
                bytes,
                size,
            } => write!(
                f,
                "bytes {offset}..{} are not inside a buffer of {size} bytes; use a smaller range or a larger buffer",
                offset.saturating_add(*bytes)
            ),
            Self::SizeMismatch {
                what,
                expected,
                given,
            } => write!(f, "{what}: {expected} bytes expected, {given} given; the sizes must agree"),
            Self::Misaligned { what, given, align } => {
                write!(f, "{what}: {given} is not a multiple of {align}")
            }
            Self::OverlappingCopy => f.write_str("the source and target of a copy share bytes"),
            Self::Capturing { what } => write!(
                f,
                "the stream captures a graph, of which {what} cannot be part: end the capture first"
            ),
            Self::NotCapturing => f.write_str("the stream does not capture a graph"),
            Self::NoSuchLaunch { index, launches } => {
                write!(f, "the graph has no launch {index}, only {launches} from 0 on")
            }
            Self::Launch { kernel, problem } => write!(f, "kernel `{kernel}`: {problem}"),
        }
    }
}

impl std::error::Error for Error {}
