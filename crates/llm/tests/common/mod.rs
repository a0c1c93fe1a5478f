//! A device that is watched.

#![allow(clippy::unwrap_used, reason = "only tests call it")]

use tidegate::{Device, Options};

/// Runs a test on the best device, with the validation layer, any message of which is a failure. `TIDEGATE_TEST_VALIDATION=off` leaves the layer out, on a machine that has none.
pub(crate) fn on_device(test: impl FnOnce(&Device)) {
    let mut options = Options::default();
    options.validation = std::env::var_os("TIDEGATE_TEST_VALIDATION").is_none_or(|it| it != "off");
    // A software device compiles a kernel at its first launch: a GPU's kernels take it seconds, more on a busy machine.
    options.limits.wait_ns = 300_000_000_000;
    let device = Device::open(&options)
        .expect("run `cargo xtask test`, which installs a driver and the validation layer");
    test(&device);
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}
