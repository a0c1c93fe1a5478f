//! Random programs for streams, and a model so plain that it cannot be wrong in the same way.
//!
//! A [`History`] is data: a list of calls made from a seed. [`run()`] makes the calls on a [`Context`](tidegate_core::Context) over any device, and on a [`Model`] that
//! keeps each buffer as an array of bytes and takes every call at once and in order. That is what a stream promises, across streams and queues too, so each
//! download must return the model's bytes, whatever the device makes of the freedom that it has.
//!
//! Calls name streams, buffers, graphs, events and downloads by slot. A call whose slot is empty, or whose range does not fit what is
//! in it, is left out. So any part of a history is a history, which is what makes [`shrink`] simple.
//!
//! ```
//! use tidegate_core::Limits;
//! use tidegate_sim::{Setup, Sim, history};
//!
//! let case = history::Case::new(7, 200);
//! let sim = Sim::with(7, case.setup.clone());
//! history::run(sim.clone(), &case.limits, &history::HostKernels, &case.history).unwrap();
//! sim.assert_clean();
//! ```

mod case;
mod generate;
mod graph;
mod model;
mod op;
mod run;

pub use case::{Case, shrink};
pub use generate::Shape;
pub use graph::Sketch;
pub use model::{Counts, Model};
pub use op::{History, Init, Op, Part, Which};
pub use run::{Failure, HostKernels, Kernels, Met, Tolerance, run, run_all};
