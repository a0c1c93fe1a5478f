//! Kernels of our own, for transfers that Metal's blit encoder cannot do or for which a compute encoder need not end.

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLComputePipelineState, MTLDevice};

use crate::error::OpenError;
use crate::pipeline;

/// MSL 2.4 at most, which macOS 12 and iOS 15 read.
const SOURCE: &str = include_str!("builtin.metal");
/// Most threads of a threadgroup.
const THREADS: usize = 256;
/// Bytes that one thread of the copy moves.
pub(crate) const COPY_BYTES: u64 = 16;

/// A kernel of our own, one-dimensional.
pub(crate) struct Builtin {
    pub(crate) raw: Retained<ProtocolObject<dyn MTLComputePipelineState>>,
    /// Threads of a threadgroup.
    pub(crate) threads: usize,
}

/// All of them.
pub(crate) struct Builtins {
    pub(crate) upload: Builtin,
    pub(crate) fill: Builtin,
    pub(crate) copy: Builtin,
}

impl Builtins {
    pub(crate) fn new(device: &ProtocolObject<dyn MTLDevice>) -> Result<Self, OpenError> {
        let failed = |detail| OpenError::Driver {
            call: "newLibraryWithSource:options:error:",
            detail,
        };
        let library = pipeline::library_from_source(device, SOURCE, false).map_err(failed)?;
        let make = |name| {
            let raw = pipeline::pipeline(device, &library, name).map_err(failed)?;
            let threads = raw.maxTotalThreadsPerThreadgroup().clamp(1, THREADS);
            Ok(Builtin { raw, threads })
        };
        Ok(Self {
            upload: make("tidegate_upload")?,
            fill: make("tidegate_fill")?,
            copy: make("tidegate_copy")?,
        })
    }
}
