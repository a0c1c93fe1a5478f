//! A device that is as hostile as the [`Device`](tidegate_core::Device) contract allows, and a function of its seed.
#![forbid(unsafe_code)]

mod check;
mod clock;
mod device;
mod fault;
pub mod kernels;
mod memory;
mod order;
mod prng;
mod queue;
mod run;
mod setup;
mod shadow;
mod state;
mod task;
mod violation;

pub use crate::device::Sim;
pub use crate::fault::{Failure, Faults, Stall};
pub use crate::prng::Prng;
pub use crate::setup::{Live, Setup};
pub use crate::violation::{Rule, Violation};
