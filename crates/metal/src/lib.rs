//! Tidegate on Metal.
#![cfg(any(target_vendor = "apple", metal_soft))]
