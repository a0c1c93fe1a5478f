//! The runtime that Apache TVM's `webgpu` target does not have outside a browser, and a replacement of the one of its `metal` target.
//!
//! TVM looks in its registry for a `DeviceAPI` and for constructors of modules, which are C++ classes. `bridge.cc` has those classes and passes every call on to `bridge`, the only module with unsafe
//! code: it turns pointers into values. The rest is safe:
//!
//! - `addresses`: what TVM holds as a device pointer, and which buffer it means;
//! - `found` and `cards`: the devices, by TVM's index, their streams and the policy of those;
//! - `tensor` and `copy`: copies between what TVM describes as tensors;
//! - `module`, `kernel` and `launch`: modules as they come from the compiler and, by `layout`, from bytes; kernels as they run, from TVM's `dialect` of WGSL;
//! - `attribute`, `counters`, `timer`, `tracing`: what TVM asks besides.
//!
//! Built without the feature `bridge`, the crate has all of this but `bridge.cc`, and needs no TVM: so its tests run everywhere.

#![deny(unsafe_code)]

mod addresses;
mod attribute;
mod bridge;
mod cards;
mod copy;
mod counters;
mod dialect;
mod error;
mod found;
mod kernel;
mod launch;
mod layout;
#[cfg(all(test, metal_soft))]
mod metal_tests;
mod module;
mod tensor;
mod timer;
mod tracing;
