//! A driver stays loaded when its last device is closed: some can be loaded only a few times in a process. Alone in its process, as other tests load drivers too.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use tidegate_vulkan::{Options, Select, VulkanDevice};

/// The loader, and drivers of Mesa and NVIDIA, by their names.
fn drivers() -> BTreeSet<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let files = maps.lines().filter_map(|it| it.split_whitespace().nth(5));
    let libraries = files.filter(|it| it.contains("vulkan") || it.contains("libGLX_nvidia"));
    libraries.map(str::to_owned).collect()
}

#[test]
fn a_driver_stays_loaded() {
    let device = VulkanDevice::open(&Select::Best, &Options::default()).unwrap();
    let open = drivers();
    assert!(open.len() > 1, "{open:?}");
    drop(device);
    assert_eq!(drivers(), open);
}
