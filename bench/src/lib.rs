//! Tidegate next to hand-written Vulkan and wgpu: the same work, in turns, in one process.
//!
//! A step's work is data (`script`); `tide`, `raw` and `peer` each carry it out their own way, and `workloads` says who meets whom. Every result is compared with what a closed
//! form or the CPU says.

mod affine;
pub mod contest;
pub mod peer;
pub mod plot;
pub mod raw;
pub mod report;
pub mod script;
pub mod targets;
pub mod tide;
pub mod workloads;
