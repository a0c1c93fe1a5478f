//! What a physical device has, of which what we use, and how it reads as [`Capabilities`].

use std::ffi::{CStr, CString};

use ash::{ext, khr, vk};
use tidegate_core::Capabilities;

use crate::error::OpenError;
use crate::features::Features;
use crate::heap::Types;
use crate::instance::DeviceKind;
use crate::{Options, QueueFamily};

/// Queues of a family that only computes: on an H100 they run side by side.
const QUEUES: u32 = 8;

/// Buffers that one kernel may bind, whatever the device says. Some say millions; a descriptor pool must have room for one launch.
pub(crate) const BINDINGS_MAX: u32 = 128;
/// Push constants that one kernel may take, whatever the device says.
pub(crate) const SCALAR_BYTES_MAX: u32 = 256;

/// Everything asked of a physical device, once.
pub(crate) struct Support {
    pub(crate) raw: vk::PhysicalDevice,
    pub(crate) limits: vk::PhysicalDeviceLimits,
    pub(crate) memory: vk::PhysicalDeviceMemoryProperties,
    pub(crate) features: Features,
    pub(crate) push_descriptors_max: u32,
    families: Vec<vk::QueueFamilyProperties>,
    extensions: Vec<CString>,
    name: String,
    driver: String,
    api: u32,
    vendor: u32,
    device: u32,
    driver_version: u32,
    cache_uuid: [u8; vk::UUID_SIZE],
    kind: DeviceKind,
    allocation_bytes_max: u64,
    subgroup_size: u32,
    subgroup_sizes: [u32; 2],
}

impl Support {
    /// Asks, and forgets the extensions that are to stay `hidden`.
    pub(crate) fn query(
        instance: &ash::Instance,
        raw: vk::PhysicalDevice,
        hidden: &[&CStr],
    ) -> Result<Self, OpenError> {
        // SAFETY: `raw` was enumerated from `instance`, here and for every call below.
        // VUID-vkGetPhysicalDeviceProperties-physicalDevice-parameter.
        let (basic, memory, families, listed) = unsafe {
            (
                instance.get_physical_device_properties(raw),
                instance.get_physical_device_memory_properties(raw),
                instance.get_physical_device_queue_family_properties(raw),
                instance.enumerate_device_extension_properties(raw),
            )
        };
        let listed = listed.map_err(OpenError::of("vkEnumerateDeviceExtensionProperties"))?;
        let extensions: Vec<_> = listed
            .iter()
            .filter_map(|it| it.extension_name_as_c_str().ok())
            .filter(|it| !hidden.contains(it))
            .map(CStr::to_owned)
            .collect();
        let mut support = Self {
            raw,
            limits: basic.limits,
            memory,
            features: Features::default(),
            push_descriptors_max: 0,
            families,
            extensions,
            name: lossy(basic.device_name_as_c_str()),
            driver: String::new(),
            api: basic.api_version,
            vendor: basic.vendor_id,
            device: basic.device_id,
            driver_version: basic.driver_version,
            cache_uuid: basic.pipeline_cache_uuid,
            kind: kind(basic.device_type),
            allocation_bytes_max: 0,
            subgroup_size: 1,
            subgroup_sizes: [1; 2],
        };
        if support.api >= vk::API_VERSION_1_2 {
            support.query_1_2(instance);
        }
        Ok(support)
    }

    /// What can be asked of a device that has Vulkan 1.2.
    fn query_1_2(&mut self, instance: &ash::Instance) {
        let has_push = self.has(khr::push_descriptor::NAME);
        let mut v11 = vk::PhysicalDeviceVulkan11Properties::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Properties::default();
        let mut push = vk::PhysicalDevicePushDescriptorPropertiesKHR::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Properties::default();
        let mut sizes = vk::PhysicalDeviceSubgroupSizeControlProperties::default();
        let mut all = vk::PhysicalDeviceProperties2::default()
            .push_next(&mut v11)
            .push_next(&mut v12);
        if has_push {
            all = all.push_next(&mut push);
        }
        // Both have the sizes of subgroups, and one chain takes one of them.
        if self.api >= vk::API_VERSION_1_3 {
            all = all.push_next(&mut v13);
        } else if self.has(ext::subgroup_size_control::NAME) {
            all = all.push_next(&mut sizes);
        }
        // SAFETY: the device has Vulkan 1.2 and each structure of the chain belongs to a version or extension it has.
        // VUID-VkPhysicalDeviceProperties2-pNext-pNext.
        unsafe { instance.get_physical_device_properties2(self.raw, &mut all) };
        self.driver = format!(
            "{} {}",
            lossy(v12.driver_name_as_c_str()),
            lossy(v12.driver_info_as_c_str())
        );
        self.push_descriptors_max = push.max_push_descriptors;
        self.allocation_bytes_max = v11.max_memory_allocation_size;
        if v13.max_buffer_size > 0 {
            self.allocation_bytes_max = self.allocation_bytes_max.min(v13.max_buffer_size);
        }
        let compute = v11
            .subgroup_supported_stages
            .contains(vk::ShaderStageFlags::COMPUTE);
        let operations = if compute {
            self.subgroup_size = v11.subgroup_size.max(1);
            let low = v13.min_subgroup_size.max(sizes.min_subgroup_size);
            let high = v13.max_subgroup_size.max(sizes.max_subgroup_size);
            // What no driver tells may be anything up to the size that it prefers.
            self.subgroup_sizes = [low.max(1), high.max(self.subgroup_size)];
            v11.subgroup_supported_operations
        } else {
            vk::SubgroupFeatureFlags::empty()
        };
        self.features = Features::query(instance, self.raw, operations, &|name| self.has(name));
    }

    /// Why the device cannot be used, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        let (major, minor) = self.api_version();
        if self.api < vk::API_VERSION_1_2 {
            return Some(format!(
                "it has Vulkan {major}.{minor} and 1.2 is needed: a newer driver may have it"
            ));
        }
        if !self.features.timeline_semaphore() {
            return Some("it has no timeline semaphores (timelineSemaphore)".to_owned());
        }
        if !self
            .families
            .iter()
            .any(|it| it.queue_flags.contains(vk::QueueFlags::COMPUTE))
        {
            return Some("it has no compute queue".to_owned());
        }
        None
    }

    /// The index of the queue family to use, and how many queues of it.
    pub(crate) fn family(&self, options: &Options) -> (u32, u32) {
        let compute = |it: &&(u32, &vk::QueueFamilyProperties)| {
            it.1.queue_flags.contains(vk::QueueFlags::COMPUTE)
        };
        let wants_graphics = options.queue_family == QueueFamily::Graphics;
        let families: Vec<_> = (0..).zip(&self.families).collect();
        let chosen = families
            .iter()
            .filter(compute)
            .find(|it| it.1.queue_flags.contains(vk::QueueFlags::GRAPHICS) == wants_graphics)
            .or_else(|| families.iter().find(compute));
        chosen.map_or((0, 1), |(index, family)| {
            let draws = family.queue_flags.contains(vk::QueueFlags::GRAPHICS);
            let most = options.queues_max.unwrap_or(if draws { 1 } else { QUEUES });
            (*index, family.queue_count.min(most).max(1))
        })
    }

    /// Bits of the timestamps that queues of a family write.
    pub(crate) fn timestamp_bits(&self, family: u32) -> u32 {
        let family = self.families.get(family as usize);
        family.map_or(0, |it| it.timestamp_valid_bits)
    }

    pub(crate) fn has(&self, extension: &CStr) -> bool {
        self.extensions.iter().any(|it| it.as_c_str() == extension)
    }

    /// The extensions to enable: those that the features need, and those used where present.
    pub(crate) fn extensions(&self, options: &Options) -> Vec<&'static CStr> {
        let mut wanted = self.features.extensions();
        wanted.push(ext::memory_budget::NAME);
        wanted.push(ext::calibrated_timestamps::NAME);
        // A device that lists it must have it enabled. VUID-VkDeviceCreateInfo-pProperties-04451.
        wanted.push(khr::portability_subset::NAME);
        if options.push_descriptors {
            wanted.push(khr::push_descriptor::NAME);
        }
        wanted.retain(|it| self.has(it));
        wanted
    }

    /// Vendor, device, driver's version, and what compiled pipelines are marked with.
    pub(crate) fn identity(&self) -> (u32, u32, u32, [u8; vk::UUID_SIZE]) {
        (
            self.vendor,
            self.device,
            self.driver_version,
            self.cache_uuid,
        )
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn kind(&self) -> DeviceKind {
        self.kind
    }

    pub(crate) fn api_version(&self) -> (u32, u32) {
        (
            vk::api_version_major(self.api),
            vk::api_version_minor(self.api),
        )
    }

    /// The highest version of SPIR-V that the device takes, as in a module's header.
    pub(crate) fn spirv_version_max(&self) -> u32 {
        if self.api >= vk::API_VERSION_1_3 {
            0x0001_0600
        } else {
            0x0001_0500
        }
    }

    pub(crate) fn capabilities(&self, options: &Options) -> Capabilities {
        let types = Types::choose(&self.memory);
        let limits = &self.limits;
        Capabilities {
            name: self.name(),
            backend: "vulkan",
            driver: self.driver.clone(),
            software: self.kind == DeviceKind::Cpu,
            unified: matches!(self.kind, DeviceKind::Cpu | DeviceKind::Integrated)
                && types.device_is_host_visible(&self.memory),
            queues: self.family(options).1,
            memory_bytes: types.device_bytes(&self.memory),
            // Allocations share the driver's, so its limit is met only by many large ones, which `allocate` refuses.
            allocations_max: u64::from(u32::MAX),
            allocation_bytes_max: self
                .allocation_bytes_max
                .min(types.device_bytes(&self.memory))
                & !15,
            binding_bytes_max: u64::from(limits.max_storage_buffer_range),
            binding_align: limits.min_storage_buffer_offset_alignment.max(4),
            uniform_bytes_max: u64::from(limits.max_uniform_buffer_range),
            uniform_align: limits.min_uniform_buffer_offset_alignment.max(4),
            // Vulkan copies single bytes.
            copy_align: 1,
            bindings_max: limits
                .max_per_stage_descriptor_storage_buffers
                .min(limits.max_descriptor_set_storage_buffers)
                .min(limits.max_per_stage_resources)
                .min(BINDINGS_MAX),
            scalar_bytes_max: limits.max_push_constants_size.min(SCALAR_BYTES_MAX),
            grid_max: limits.max_compute_work_group_count,
            workgroup_size_max: limits.max_compute_work_group_size,
            workgroup_invocations_max: limits.max_compute_work_group_invocations,
            workgroup_bytes_max: limits.max_compute_shared_memory_size,
            subgroup_size: self.subgroup_size,
            subgroup_sizes: self.subgroup_sizes,
            features: self.features.names(),
        }
    }
}

fn kind(kind: vk::PhysicalDeviceType) -> DeviceKind {
    match kind {
        vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
        vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
        vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
        _ => DeviceKind::Other,
    }
}

/// A driver's fixed-size string, or nothing if it is not one.
fn lossy(text: Result<&CStr, std::ffi::FromBytesUntilNulError>) -> String {
    text.map(|it| it.to_string_lossy().into_owned())
        .unwrap_or_default()
}
