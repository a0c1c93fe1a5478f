//! MSL to code of this CPU: `signature` reads the kernels' parameters, `compile` has clang compile them and loads the result.

mod compile;
mod signature;

use std::sync::Arc;

pub(crate) use compile::compile;

/// A place in the source, and what is wrong there.
#[derive(Clone, Debug)]
pub(crate) struct Problem(pub(crate) String);

/// What a parameter of a kernel is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A slot of the buffer argument table. A reference's buffer has at least `bytes` bytes from its offset on.
    Buffer {
        slot: usize,
        bytes: usize,
        align: usize,
        writable: bool,
    },
    /// An index of threadgroup memory.
    Threadgroup { index: usize, bytes: usize },
}

/// Where a call's arguments are. As `soft_call` in `soft_entry.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) buffers: *const *mut u8,
    pub(crate) threadgroups: *const *mut u8,
    pub(crate) size: [u32; 3],
    pub(crate) groups: [u32; 3],
}

/// A thread's built-in values. As `soft_ids` in `soft_entry.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ids {
    pub(crate) grid: [u32; 3],
    pub(crate) local: [u32; 3],
    pub(crate) group: [u32; 3],
    pub(crate) size: [u32; 3],
    pub(crate) groups: [u32; 3],
    pub(crate) grid_size: [u32; 3],
    pub(crate) index: u32,
    pub(crate) lane: u32,
    pub(crate) simdgroup: u32,
    pub(crate) width: u32,
    pub(crate) simdgroups: u32,
}

/// Runs one thread.
pub(crate) type RunThread = unsafe extern "C" fn(*const Call, *const Ids);
/// Runs a threadgroup whose threads do not wait for one another.
pub(crate) type RunGroup = unsafe extern "C" fn(*const Call, *const u32);

/// A compiled kernel. Its code stays loaded.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    /// The most threads of a threadgroup, by its attribute.
    pub(crate) threads_max: usize,
    /// Whether a thread may wait for another one.
    pub(crate) waits: bool,
    pub(crate) run_thread: RunThread,
    pub(crate) run_group: RunGroup,
}

/// The kernels of a source.
pub(crate) type Kernels = Vec<Arc<Kernel>>;
