//! Devices that Vulkan has.

use tidegate_core::{AddressBlock, Code, Device as _};
use tidegate_shader::{BoundsChecks, Module, ShaderError, SpirvOptions};
use tidegate_vulkan::{QueueFamily, Select, VulkanDevice};

use super::{AnyBackend, AnyDevice, Choice};
use crate::{DeviceInfo, Options};

impl AnyBackend for VulkanDevice {
    /// Descriptors are the plain way. Where the device has addresses, and the kernel's fit, it is given both.
    fn code(&self, module: &Module, name: &str, checks: BoundsChecks) -> Result<Code, ShaderError> {
        let device = self.capabilities();
        let options = SpirvOptions {
            device_zeroes: device.features.contains(&"zero_workgroup_memory"),
            ..SpirvOptions::new(checks)
        };
        let plain = module.spirv(name, &options)?;
        if device.features.contains(&"buffer_addresses")
            && let Some(it) = module.spirv_addressed(name, &options)?
            && it.bytes <= device.scalar_bytes_max
        {
            return Ok(Code::SpirvAddressed {
                plain,
                addressed: it.words,
                block: AddressBlock {
                    bytes: it.bytes,
                    first: it.first,
                    sizes_at: it.sizes_at,
                    sizes: it.sizes,
                    align: it.align,
                },
            });
        }
        Ok(Code::Spirv(plain))
    }

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
        queues_max: options.queues_max,
        cache_folder: options.cache_folder.clone(),
        ..tidegate_vulkan::Options::default()
    };
    let device = VulkanDevice::open(&select, &vulkan).map_err(|it| it.to_string())?;
    Ok(AnyDevice::new(device))
}
