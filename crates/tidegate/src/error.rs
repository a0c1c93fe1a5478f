//! What can go wrong.

use tidegate_shader::ShaderError;

/// An error of this library. [`Error::kind`] is for programs, the text is for people and says what to do.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From a stream, a buffer or the device behind it: see [`StreamError`](crate::StreamError).
    #[error(transparent)]
    Stream(#[from] tidegate_core::Error),
    /// From a module's source.
    #[error(transparent)]
    Shader(#[from] ShaderError),
    /// No device could be opened.
    #[error("{0}")]
    Open(String),
    /// A kernel larger than the device allows.
    #[error("kernel `{kernel}`: {what} is {given}, the device allows {allowed}")]
    KernelLimit {
        /// The kernel.
        kernel: String,
        /// Which limit.
        what: &'static str,
        /// What the kernel asks for.
        given: u64,
        /// What the device allows.
        allowed: u64,
    },
    /// A module has no such kernel.
    #[error("no kernel `{name}`; the module has: {available}")]
    NoSuchKernel {
        /// The name asked for.
        name: String,
        /// The names that there are.
        available: String,
    },
}

/// The text for people: this is what a program prints whose `main` returns the error.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What sort of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No device, or not the one asked for.
    Open,
    /// The source of a kernel.
    Shader,
    /// The call is wrong: arguments, ranges, devices.
    Usage,
    /// Memory ran out. The stream works on.
    OutOfMemory,
    /// A submission failed. The stream works on.
    Failed,
    /// The device made no progress for too long.
    Stalled,
    /// The device is gone.
    Lost,
    /// The device cannot do this: a feature or a size that it does not have. Freeing memory would not help.
    Unsupported,
}

impl Error {
    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        use tidegate_core::Error as Core;
        match self {
            Self::Open(_) => ErrorKind::Open,
            Self::Shader(_) | Self::NoSuchKernel { .. } => ErrorKind::Shader,
            Self::KernelLimit { .. } => ErrorKind::Unsupported,
            Self::Stream(error) => match error {
                Core::OutOfMemory { .. }
                | Core::SubmissionOutOfMemory
                | Core::TooManyAllocations { .. } => ErrorKind::OutOfMemory,
                Core::Lost(_) | Core::Forked => ErrorKind::Lost,
                Core::Failed(_) => ErrorKind::Failed,
                Core::Stalled { .. } => ErrorKind::Stalled,
                Core::Refused(_) | Core::TooLarge { .. } => ErrorKind::Unsupported,
                _ => ErrorKind::Usage,
            },
        }
    }
}
