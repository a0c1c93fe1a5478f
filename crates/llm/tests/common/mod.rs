//! A device that is watched.

#![allow(clippy::unwrap_used, reason = "only tests call it")]

use tidegate::{Device, Options};

/// Runs a test on the best device, with the validation layer, any message of which is a failure.
pub(crate) fn on_device(test: impl FnOnce(&Device)) {
    let mut options = Options::default();
    options.validation = true;
    let device = Device::open(&options)
        .expect("run `cargo xtask test`, which installs a driver and the validation layer");
    test(&device);
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}
