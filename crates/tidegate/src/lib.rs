//! CUDA's way of working, for the GPUs that have no CUDA.
//!
//! Streams, asynchronous copies and events over Vulkan and Metal. Work is recorded, held back and let through together: one command buffer for hundreds of launches.
//!
//! ```
//! use tidegate::{Device, Error};
//!
//! const SAXPY: &str = "
//!     @group(0) @binding(0) var<storage> x: array<f32>;
//!     @group(0) @binding(1) var<storage, read_write> y: array<f32>;
//!     var<immediate> a: f32;
//!     @compute @workgroup_size(64)
//!     fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
//!         if id.x < arrayLength(&y) { y[id.x] += a * x[id.x]; }
//!     }";
//!
//! fn main() -> Result<(), Error> {
//!     let device = Device::open_default()?;
//!     let saxpy = device.module_from_wgsl(SAXPY)?.kernel("saxpy")?;
//!     let mut stream = device.stream()?;
//!     let x = stream.upload_new(&vec![1.0_f32; 1000])?;
//!     let y = stream.upload_new(&vec![2.0_f32; 1000])?;
//!     for _ in 0..100 {
//!         stream.launch(&saxpy, saxpy.grid_for(1000), (&x, &y, 0.5_f32))?;
//!     }
//!     let result = stream.download(&y)?.wait()?;
//!     assert_eq!(result, vec![52.0; 1000]);
//!     Ok(())
//! }
//! ```
//!
//! Several scalars go into one structure: `struct Scalars { a: f32, n: u32 } var<immediate> p: Scalars;`, and are given in order, `(&x, &y, 0.5_f32, 1000_u32)`. (WGSL once called this
//! `push_constant`.) A scalar's type is compared with the kernel's. The element type of a buffer is not; only its size is.
//!
//! # What a stream promises
//!
//! 1. Commands on one stream take effect in the order recorded. Nobody places a barrier by hand.
//! 2. [`Stream::launch`], [`Stream::upload`], [`Stream::copy`] and [`Stream::fill`] return at once. They never wait for the GPU, unless a stated limit is
//!    reached, and then only for the oldest work that frees what is needed.
//! 3. [`Stream::upload`] has read the caller's slice when it returns. [`Stream::download`] gives a pending result: waiting on it waits for that copy's
//!    own submission, not for the whole stream.
//! 4. Dropping a buffer never waits and never submits. Its memory is used again only after the last submission that uses it has completed.
//! 5. A buffer used on two streams of one device is ordered as recorded, across threads too. A buffer of another device is refused.
//! 6. A fault of the device is an error that names the kernels which may have caused it. It never aborts the process, never returns stale data as a
//!    result, and never hangs.
//! 7. Every queue, ring, pool and batch has a limit ([`Limits`]), and a counter ([`Counters`]) that shows how near it came.

#![deny(unsafe_code)]

mod arguments;
mod backend;
mod buffer;
mod device;
mod error;
mod graph;
mod module;
mod starter;
mod stream;
mod trace;

pub use crate::arguments::{Argument, Arguments, Block, List};
pub use crate::buffer::{Buffer, Slice};
pub use crate::device::{Backend, Device, DeviceInfo, Options, QueueFamily, devices};
pub use crate::error::{Error, ErrorKind};
pub use crate::graph::Graph;
pub use crate::module::{Kernel, Module};
pub use crate::stream::{Event, Grid, Pending, Stream};

pub use crate::trace::{KernelTime, Slice as TraceSlice, Trace};
pub use tidegate_core::{
    Capabilities, Cause, Counters, Error as StreamError, Fault, LaunchProblem, Limits, Policy,
    Status, Ticket, TraceEvent, TraceKind, TraceName,
};
pub use tidegate_shader::ShaderError;

/// What a kernel takes, for sources that cannot be read here: see [`Device::module_from_msl`].
pub mod interface {
    pub use tidegate_shader::{
        Access, Binding, BindingKind, Feature, Kernel, Required, Scalar, ScalarKind, Scalars,
        ScalarsLocation,
    };
}

#[cfg(feature = "sim")]
pub use tidegate_sim as sim;

/// The README's example, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
