//! What can go wrong before there is a device, and what a driver's result means afterwards.

use ash::vk;
use tidegate_core::DeviceError;

/// Why no device could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The machine has no Vulkan loader.
    #[error(
        "no Vulkan loader was found ({detail}): install the graphics driver's Vulkan package, or for a software device \
         `libvulkan1` and `mesa-vulkan-drivers` (Debian, Ubuntu), `vulkan-loader` and `mesa-vulkan-drivers` (Fedora), \
         the Vulkan SDK (macOS), the graphics driver (Windows)"
    )]
    NoLoader {
        /// The operating system's words.
        detail: String,
    },
    /// This process was forked from one that has used Vulkan.
    #[error(
        "Vulkan was used before this process was forked, and drivers do not outlive a fork: open devices in the child only, or start the child as a program of its own (Python: \
         multiprocessing's `spawn`)"
    )]
    Forked,
    /// The process has called `exit`.
    #[error("the process is ending, and Vulkan's drivers with it")]
    Ending,
    /// There is a loader, but no driver that works.
    #[error(
        "the Vulkan loader found no driver: install the graphics driver's Vulkan package, or `mesa-vulkan-drivers` for a \
         software device"
    )]
    NoDriver,
    /// Drivers are there, but no device.
    #[error(
        "no Vulkan device was found: install the graphics driver's Vulkan package, or `mesa-vulkan-drivers` for a software device"
    )]
    NoDevice,
    /// No device has the index or name asked for.
    #[error("no Vulkan device is called {wanted}: there are {available}")]
    NoSuchDevice {
        /// What was asked for.
        wanted: String,
        /// The devices, as `0 (its name)`, joined by commas.
        available: String,
    },
    /// The device lacks something that Tidegate needs.
    #[error("{name} cannot be used: {reason}")]
    Unsupported {
        /// The device.
        name: String,
        /// What it lacks.
        reason: String,
    },
    /// Validation was asked for and is not installed.
    #[error(
        "the layer VK_LAYER_KHRONOS_validation is not installed: install `vulkan-validationlayers`, or open the device without validation"
    )]
    NoValidationLayer,
    /// A call failed.
    #[error("{call} failed: {result}")]
    Driver {
        /// The Vulkan function.
        call: &'static str,
        /// What it returned.
        result: vk::Result,
    },
}

impl OpenError {
    /// For `map_err`.
    pub(crate) fn of(call: &'static str) -> impl FnOnce(vk::Result) -> Self {
        move |result| Self::Driver { call, result }
    }
}

/// A refusal in words.
pub(crate) fn refused(detail: impl Into<String>) -> DeviceError {
    DeviceError::Refused {
        detail: detail.into(),
    }
}

/// Whether the call failed for want of memory and changed nothing.
pub(crate) fn is_out_of_memory(result: vk::Result) -> bool {
    matches!(
        result,
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY
            | vk::Result::ERROR_OUT_OF_HOST_MEMORY
            | vk::Result::ERROR_TOO_MANY_OBJECTS
            | vk::Result::ERROR_MEMORY_MAP_FAILED
    )
}
