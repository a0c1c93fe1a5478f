//! The core.
#![forbid(unsafe_code)]
mod batch;
mod command;
mod device;
mod kernel;
pub use crate::batch::Batch;
pub use crate::command::{
    Barrier, Command, Launch, MemoryId, PipelineId, Region, Span, Stages, Ticket,
};
pub use crate::device::{Capabilities, Device, DeviceError, HostAccess, MemoryKind};
pub use crate::kernel::{
    Access, Binding, Code, HostFunction, HostKernel, Kernel, Scalar, ScalarKind, ScalarPlace,
    Scalars,
};
