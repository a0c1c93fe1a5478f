//! The device's contract.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod common;
#[path = "../../core/tests/device/promises.rs"]
mod contract;

use common::*;
