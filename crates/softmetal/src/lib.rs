//! Metal in software: the test-only twin of Apple's framework, on which `tidegate-metal` runs on Linux.
//!
//! Three layers, each knowing only the one above it in this list:
//! - `runtime` is an Objective-C runtime with a little of Foundation, stricter than a real one: dead objects stay and say their class when touched.
//! - `metal` holds Metal's compute classes. They refuse what Apple's documentation forbids; [`Rule`] names each rule and its page.
//! - `gpu` runs committed command buffers late, on threads of its own, in any order that Metal's guarantees allow; `kernel` compiles their MSL.
//!
//! [`Observer`] sets up the next device of a thread (its seed, limits and [`Fault`]s) and says what was broken and what was leaked.
//!
//! README.md says how to build it, what order is modelled, and what it cannot see. Without `--cfg metal_soft` the crate is empty.
#![cfg_attr(
    not(metal_soft),
    allow(rustdoc::broken_intra_doc_links, reason = "the crate is empty")
)]

#[cfg(metal_soft)]
mod gpu;
#[cfg(metal_soft)]
mod kernel;
#[cfg(metal_soft)]
mod metal;
#[cfg(metal_soft)]
mod rules;
#[cfg(metal_soft)]
mod runtime;
#[cfg(metal_soft)]
mod world;

#[cfg(metal_soft)]
pub use crate::rules::{Rule, Violation, violations};
#[cfg(metal_soft)]
pub use crate::runtime::{Census, census};
#[cfg(metal_soft)]
pub use crate::world::{Failure, Fault, Observer, Setup, Target};
