//! Streams over any device: what can be decided without a GPU.
//!
//! Work is recorded, held back, and let through together. The flow has one direction:
//!
//! ```text
//! Stream::launch/upload/copy -> Command -> hazards (a Barrier where needed) -> Batch
//!      -> policy (cut here?) -> Device::submit(&Batch, Ticket) -> a backend encodes and submits it
//! Ticket completes -> staging ring, memory and pipelines take back what it held -> waiters wake
//! ```
//!
//! A [`Batch`] is plain data, and the seam to a backend is one call a batch: the [`Device`] trait. Core decides *what* runs in which order and *when* it is let through;
//! a backend translates. Core has no dependency, no unsafe code, no clock, no thread and no ambient state, so that a simulated device can put it through
//! every order of events that the rules allow.
//!
//! Ordering rests on tickets. A queue has one pending batch, whose ticket is known while it is recorded. Whatever holds memory (the staging ring, a freed buffer,
//! a download) remembers the last ticket that uses it on each queue, and nothing is used again before those are complete.
#![forbid(unsafe_code)]

mod allocate;
mod batch;
mod capture;
mod command;
mod context;
mod counters;
mod device;
mod error;
mod event;
mod graph;
mod hazard;
mod in_place;
mod kernel;
mod lane;
mod memory;
mod order;
mod pace;
mod pipeline;
mod policy;
mod reorder;
mod ring;
mod state;
mod stream;
mod sync;
mod trace;
mod transfer;
mod watch;

pub use crate::allocate::Memory;
pub use crate::batch::{Batch, Replay};
pub use crate::command::{
    Barrier, Command, GraphId, Launch, MemoryId, PipelineId, Region, Span, Stages, Ticket,
};
pub use crate::context::Context;
pub use crate::counters::Counters;
pub use crate::device::{Capabilities, Device, DeviceError, HostAccess, MemoryKind};
pub use crate::error::{Error, Fault, LaunchProblem};
pub use crate::event::Event;
pub use crate::graph::Graph;
pub use crate::kernel::{
    Access, AddressBlock, Binding, Code, HostFunction, HostKernel, Kernel, MetalArguments,
    MetalSizes, Scalar, ScalarKind, ScalarPlace, Scalars,
};
pub use crate::pipeline::Pipeline;
pub use crate::policy::{Cause, InFlight, Limits, Pending, Policy, decide, worth_asking};
pub use crate::stream::{Arguments, Status, Stream};
pub use crate::trace::{Timing, Trace, TraceEvent, TraceKind, TraceName};
pub use crate::transfer::Download;
pub use crate::watch::Watch;
