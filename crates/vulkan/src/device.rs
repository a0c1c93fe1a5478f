//! The logical device: its functions, and whether it is lost.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, OnceLock, PoisonError};

use ash::{ext, khr, vk};
use tidegate_core::DeviceError;

use crate::Options;
use crate::debug::LOADER;
use crate::ending::{self, Inside};
use crate::error::{OpenError, is_out_of_memory, refused};
use crate::fork;
use crate::instance::Instance;
use crate::support::Support;

/// A logical device with the functions of its extensions. Destroyed by [`Logical::destroy`].
pub(crate) struct Logical {
    pub(crate) raw: ash::Device,
    pub(crate) synchronization2: Option<khr::synchronization2::Device>,
    pub(crate) push_descriptor: Option<khr::push_descriptor::Device>,
    pub(crate) debug: Option<ext::debug_utils::Device>,
    pub(crate) calibrated_timestamps: Option<ext::calibrated_timestamps::Device>,
    fault: Option<ext::device_fault::Device>,
    lost: OnceLock<String>,
    /// Whether the driver itself has said so. What runs counts as over only then (Vulkan, "Lost Device").
    over: AtomicBool,
    /// The process that it was opened in.
    process: u32,
}

impl Logical {
    /// Makes the device with `queues` queues of `family`.
    pub(crate) fn new(
        instance: &Arc<Instance>,
        support: &Support,
        options: &Options,
        (family, queues): (u32, u32),
    ) -> Result<Self, OpenError> {
        let priorities = vec![1.0; queues as usize];
        let queue = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&priorities)];
        let names = support.extensions(options);
        let pointers: Vec<_> = names.iter().map(|it| it.as_ptr()).collect();
        let mut features = support.features.clone();
        let raw = features.chain(|all| {
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queue)
                .enabled_extension_names(&pointers)
                .push_next(all);
            let _alone = LOADER.write().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the family and its number of queues, the extensions and the features were all reported by this physical
            // device. VUID-VkDeviceQueueCreateInfo-queueFamilyIndex-00381, -queueCount-00382,
            // VUID-vkCreateDevice-ppEnabledExtensionNames-01387.
            unsafe { instance.raw.create_device(support.raw, &info, None) }
        });
        let raw = raw.map_err(OpenError::of("vkCreateDevice"))?;
        static LOADED: Once = Once::new();
        ending::notice(&LOADED);
        let has = |name: &CStr| names.contains(&name);
        let instance = &instance.raw;
        Ok(Self {
            synchronization2: has(khr::synchronization2::NAME)
                .then(|| khr::synchronization2::Device::new(instance, &raw)),
            push_descriptor: has(khr::push_descriptor::NAME)
                .then(|| khr::push_descriptor::Device::new(instance, &raw)),
            debug: options
                .validation
                .then(|| ext::debug_utils::Device::new(instance, &raw)),
            calibrated_timestamps: has(ext::calibrated_timestamps::NAME)
                .then(|| ext::calibrated_timestamps::Device::new(instance, &raw)),
            fault: has(ext::device_fault::NAME)
                .then(|| ext::device_fault::Device::new(instance, &raw)),
            lost: OnceLock::new(),
            over: AtomicBool::new(false),
            process: fork::process().load(Ordering::Relaxed),
            raw,
        })
    }

    /// Where kernels find a buffer that is bound to memory; 0 if its usage has no addresses.
    pub(crate) fn address(
        &self,
        buffer: vk::Buffer,
        usage: vk::BufferUsageFlags,
    ) -> vk::DeviceAddress {
        if !usage.contains(vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS) {
            return 0;
        }
        let info = vk::BufferDeviceAddressInfo::default().buffer(buffer);
        // SAFETY: the feature is enabled where the usage is, and the memory has VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT, which the sub-allocator
        // asks for. VUID-vkGetBufferDeviceAddress-bufferDeviceAddress-03324, VUID-VkBufferDeviceAddressInfo-buffer-02600, -02601.
        unsafe { self.raw.get_buffer_device_address(&info) }
    }

    /// Whether this process was forked from the one that opened the device: then nothing may be called, and no lock taken.
    pub(crate) fn is_forked(&self) -> bool {
        fork::process().load(Ordering::Relaxed) != self.process
    }

    /// An error if the device is lost.
    pub(crate) fn alive(&self) -> Result<(), DeviceError> {
        if self.is_forked() {
            return Err(DeviceError::Lost {
                detail: OpenError::Forked.to_string(),
            });
        }
        match self.lost.get() {
            None => Ok(()),
            Some(detail) => Err(DeviceError::Lost {
                detail: detail.clone(),
            }),
        }
    }

    /// The right to call the driver, or an error if the device is lost or the process is ending.
    pub(crate) fn enter(&self) -> Result<Inside, DeviceError> {
        self.alive()?;
        Inside::enter_or_pause().ok_or_else(|| DeviceError::Lost {
            detail: OpenError::Ending.to_string(),
        })
    }

    /// The same, to give something back. None where that must not be: see [`keeps`](Self::keeps).
    pub(crate) fn enter_to_free(&self) -> Option<Inside> {
        if self.keeps() { None } else { Inside::enter() }
    }

    /// Whether the driver has said that it is lost.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether nothing may be given back to the driver: it is another process's, or we count the device as lost and the driver has not said so, so that work may still run.
    pub(crate) fn keeps(&self) -> bool {
        self.is_forked() || (self.lost.get().is_some() && !self.is_over())
    }

    /// What it means that a call failed which only makes or maps something.
    pub(crate) fn error(&self, call: &str, result: vk::Result) -> DeviceError {
        if is_out_of_memory(result) {
            return DeviceError::OutOfMemory;
        }
        let detail = format!("{call} returned {result:?} ({result})");
        if result == vk::Result::ERROR_DEVICE_LOST {
            self.over.store(true, Ordering::Release);
            let fault = self.fault().map(|it| format!(": {it}"));
            return self.lose(detail + &fault.unwrap_or_default());
        }
        refused(detail)
    }

    /// What it means that a call failed which submits or waits. Anything but want of memory leaves it unknown what ran, so that the
    /// device counts as lost.
    pub(crate) fn submission_error(&self, call: &str, result: vk::Result) -> DeviceError {
        match self.error(call, result) {
            DeviceError::Refused { detail } => self.lose(detail),
            error => error,
        }
    }

    /// Counts the device as lost from now on. The first reason stays.
    pub(crate) fn lose(&self, detail: String) -> DeviceError {
        DeviceError::Lost {
            detail: self.lost.get_or_init(|| detail).clone(),
        }
    }

    /// What the driver says of the fault, where it can.
    fn fault(&self) -> Option<String> {
        let functions = self.fault.as_ref()?;
        let call = functions.fp().get_device_fault_info_ext;
        let mut counts = vk::DeviceFaultCountsEXT::default();
        let mut info = vk::DeviceFaultInfoEXT::default();
        // SAFETY: the extension and its feature are enabled and the device is lost; with no place for the details, only
        // the description is written. VUID-vkGetDeviceFaultInfoEXT-device-07336, -pFaultCounts-07337 to -07339.
        let result = unsafe {
            let _ = call(self.raw.handle(), &mut counts, std::ptr::null_mut());
            counts = vk::DeviceFaultCountsEXT::default();
            call(self.raw.handle(), &mut counts, &mut info)
        };
        if result != vk::Result::SUCCESS && result != vk::Result::INCOMPLETE {
            return None;
        }
        let description = info.description_as_c_str().ok()?.to_string_lossy();
        (!description.is_empty()).then(|| description.into_owned())
    }

    /// # Safety
    /// Nothing runs on the device any more, everything made from it is destroyed, and it is not used again.
    pub(crate) unsafe fn destroy(&self) {
        let _alone = LOADER.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller's promise. VUID-vkDestroyDevice-device-05137.
        unsafe { self.raw.destroy_device(None) };
    }
}
