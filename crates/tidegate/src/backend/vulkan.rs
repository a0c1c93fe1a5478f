//! Devices that Vulkan has.

use tidegate_vulkan::{QueueFamily, Select, VulkanDevice};

use super::{AnyBackend, AnyDevice, Choice};
use crate::{DeviceInfo, Options};

impl AnyBackend for VulkanDevice {
    fn validation_messages(&self) -> Vec<String> {
        Self::validation_messages(self)
    }
}

pub(super) fn devices() -> Result<Vec<DeviceInfo>, String> {
    let found = tidegate_vulkan::physical_devices(&tidegate_vulkan::Options::default());
    let described = found
        .map_err(|it| it.to_string())?
        .into_iter()
        .map(|it| DeviceInfo {
            capabilities: it.capabilities,
            refusal: it.refusal,
        });
    Ok(described.collect())
}

pub(super) fn open(choice: &Choice, options: &Options) -> Result<AnyDevice, String> {
    let select = match choice {
        Choice::Best => Select::Best,
        Choice::Index(index) => Select::Index(*index),
        Choice::Name(name) => Select::Name(name.clone()),
    };
    let vulkan = tidegate_vulkan::Options {
        validation: options.validation,
        queue_family: match options.queue_family {
            crate::QueueFamily::Compute => QueueFamily::Compute,
            crate::QueueFamily::Graphics => QueueFamily::Graphics,
        },
        ..tidegate_vulkan::Options::default()
    };
    let device = VulkanDevice::open(&select, &vulkan).map_err(|it| it.to_string())?;
    Ok(AnyDevice::new(device))
}
