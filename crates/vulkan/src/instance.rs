//! The loader, the instance, and the choice of a device.

use std::ffi::CStr;
use std::sync::{Arc, Once, OnceLock, PoisonError};

use ash::{ext, khr, vk};
use tidegate_core::Capabilities;

use crate::debug::{LOADER, Messenger, ValidationLog};
use crate::ending::{self, Inside};
use crate::error::OpenError;
use crate::fork;
use crate::support::Support;
use crate::{Options, Select};

const VALIDATION_LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";

/// Extensions that we enable and the version of Vulkan's headers that brought them. A validation layer reports one that is younger than
/// itself as an error (seen with 1.3.239 on a driver of 1.4, 2026-11), so that it goes unused under such a layer.
const YOUNG_EXTENSIONS: [(&CStr, u32); 1] = [(
    khr::cooperative_matrix::NAME,
    vk::make_api_version(0, 1, 3, 255),
)];

/// What sort of device it is. Ordered by preference, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU seen from a virtual machine.
    Virtual,
    /// A driver that runs on the CPU.
    Cpu,
    /// The driver does not say.
    Other,
}

/// A device that a driver offers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PhysicalDevice {
    /// Its position in the loader's list, which [`Select::Index`] takes.
    pub index: u32,
    /// What sort it is.
    pub kind: DeviceKind,
    /// The version of Vulkan that it implements, as major and minor.
    pub api_version: (u32, u32),
    /// What it is and can do, if opened with the same options.
    pub capabilities: Capabilities,
    /// Why it cannot be opened, if so.
    pub refusal: Option<String>,
}

/// A connection to the loader and its drivers.
pub(crate) struct Instance {
    pub(crate) raw: ash::Instance,
    messenger: Option<Messenger>,
    /// Device extensions to do without.
    hidden: Vec<&'static CStr>,
}

impl Instance {
    /// All devices without validation share one, which is never dropped: the loader unloads a driver with its last instance, and some
    /// cannot be loaded without end (NVIDIA's 580.159.04 30 times in a process, for want of static thread-local storage). With validation each has its own, as its log is.
    pub(crate) fn new(validation: bool) -> Result<Arc<Self>, OpenError> {
        static SHARED: OnceLock<Arc<Instance>> = OnceLock::new();
        static LOADED: Once = Once::new();
        fork::check()?;
        #[cfg(test)]
        if crate::faults::opens() {
            return Self::make(validation);
        }
        let shared = match SHARED.get() {
            Some(shared) => shared,
            None => {
                let made = Self::make(false)?;
                ending::notice(&LOADED);
                SHARED.get_or_init(|| made)
            }
        };
        if validation {
            Self::make(true)
        } else {
            Ok(Arc::clone(shared))
        }
    }

    fn make(validation: bool) -> Result<Arc<Self>, OpenError> {
        let entry = entry()?;
        let offered = extensions(entry, None)?;
        let has = |name: &CStr| offered.iter().any(|it| it == name);
        let mut layers = Vec::new();
        let mut enabled = Vec::new();
        let mut hidden = Vec::new();
        let mut flags = vk::InstanceCreateFlags::empty();
        if has(khr::portability_enumeration::NAME) {
            enabled.push(khr::portability_enumeration::NAME.as_ptr());
            flags |= vk::InstanceCreateFlags::ENUMERATE_PORTABILITY_KHR;
        }
        let on: vk::Bool32 = vk::TRUE;
        let names = layer_settings(&on);
        let mut settings = vk::LayerSettingsCreateInfoEXT::default().settings(&names);
        let wanted = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
        let mut checks = vk::ValidationFeaturesEXT::default().enabled_validation_features(&wanted);
        let application = vk::ApplicationInfo::default()
            .engine_name(c"tidegate")
            .api_version(vk::API_VERSION_1_3);
        let mut info = vk::InstanceCreateInfo::default()
            .flags(flags)
            .application_info(&application);
        if validation {
            let version = validation_version(entry)?;
            let young = YOUNG_EXTENSIONS.iter().filter(|it| it.1 > version);
            hidden.extend(young.map(|it| it.0));
            // The layer itself provides both extensions, so they are not in the loader's list.
            let provided = extensions(entry, Some(VALIDATION_LAYER))?;
            layers.push(VALIDATION_LAYER.as_ptr());
            enabled.push(ext::debug_utils::NAME.as_ptr());
            if provided
                .iter()
                .any(|it| it == ext::validation_features::NAME)
            {
                enabled.push(ext::validation_features::NAME.as_ptr());
                info = info.push_next(&mut checks);
            }
            // Its extension is not enabled: the layer reads the settings all the same, and a loader refuses a name that is younger than itself (seen with 1.3.239).
            if provided.iter().any(|it| it == ext::layer_settings::NAME) {
                info = info.push_next(&mut settings);
            }
        }
        let info = info
            .enabled_layer_names(&layers)
            .enabled_extension_names(&enabled);
        let alone = LOADER.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: every layer and extension named was listed by the loader, and all that `info` points to lives on.
        // VUID-vkCreateInstance-ppEnabledExtensionNames-01388.
        let raw = unsafe { entry.create_instance(&info, None) };
        drop(alone);
        let raw = raw.map_err(|result| match result {
            vk::Result::ERROR_INCOMPATIBLE_DRIVER => OpenError::NoDriver,
            result => OpenError::of("vkCreateInstance")(result),
        })?;
        #[cfg(test)]
        let raw = crate::faults::stand_between(entry, raw);
        let mut made = Self {
            raw,
            messenger: None,
            hidden,
        };
        if validation {
            made.messenger = Some(Messenger::new(entry, &made.raw)?);
        }
        Ok(Arc::new(made))
    }

    /// The log of the validation layer; stays empty without it.
    pub(crate) fn log(&self) -> ValidationLog {
        self.messenger
            .as_ref()
            .map(Messenger::log)
            .unwrap_or_default()
    }

    /// The devices, in the loader's order.
    pub(crate) fn devices(&self) -> Result<Vec<Support>, OpenError> {
        // SAFETY: the instance lives as long as `self`. VUID-vkEnumeratePhysicalDevices-instance-parameter.
        let found = unsafe { self.raw.enumerate_physical_devices() };
        let found = found.map_err(|result| match result {
            // Some loaders make an instance without a driver and say so only here.
            vk::Result::ERROR_INITIALIZATION_FAILED => OpenError::NoDriver,
            result => OpenError::of("vkEnumeratePhysicalDevices")(result),
        })?;
        found
            .into_iter()
            .map(|it| Support::query(&self.raw, it, &self.hidden))
            .collect()
    }

    /// The device that `select` means.
    pub(crate) fn choose(&self, select: &Select) -> Result<Support, OpenError> {
        let mut devices = self.devices()?;
        if devices.is_empty() {
            return Err(OpenError::NoDevice);
        }
        let position = match select {
            // The first of the best kind. If none is usable, the first is refused below, with its reason.
            Select::Best => (0..devices.len())
                .min_by_key(|&it| (devices[it].refusal().is_some(), devices[it].kind())),
            Select::Index(index) => Some(*index as usize).filter(|&it| it < devices.len()),
            Select::Name(part) => {
                let part = part.to_lowercase();
                devices
                    .iter()
                    .position(|it| it.name().to_lowercase().contains(&part))
            }
        };
        let Some(position) = position else {
            let names: Vec<_> = (0..)
                .zip(&devices)
                .map(|(index, it): (u32, _)| format!("{index} ({})", it.name()))
                .collect();
            return Err(OpenError::NoSuchDevice {
                wanted: select.to_string(),
                available: names.join(", "),
            });
        };
        let chosen = devices.swap_remove(position);
        match chosen.refusal() {
            None => Ok(chosen),
            Some(reason) => Err(OpenError::Unsupported {
                name: chosen.name(),
                reason,
            }),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(_inside) = Inside::enter() else {
            // The layer still has the log's address.
            std::mem::forget(self.messenger.take());
            return;
        };
        // SAFETY: every device holds a reference to its instance and gives it up after its own end, so none is left. The
        // messenger goes first. VUID-vkDestroyInstance-instance-00629.
        unsafe {
            if let Some(messenger) = &self.messenger {
                messenger.destroy();
            }
            let _alone = LOADER.write().unwrap_or_else(PoisonError::into_inner);
            self.raw.destroy_instance(None);
        }
    }
}

/// Every device that the loader's drivers offer, usable or not. Creates none.
///
/// # Errors
/// The loader or every driver is missing. No device at all is an empty list.
pub fn physical_devices(options: &Options) -> Result<Vec<PhysicalDevice>, OpenError> {
    let _inside = Inside::enter_or_pause().ok_or(OpenError::Ending)?;
    let instance = Instance::new(options.validation)?;
    let devices = instance.devices()?;
    let described = (0..).zip(&devices).map(|(index, it)| PhysicalDevice {
        index,
        kind: it.kind(),
        api_version: it.api_version(),
        capabilities: it.capabilities(options),
        refusal: it.refusal(),
    });
    Ok(described.collect())
}

/// The loader. Kept for the life of the process once found: unloading it takes down drivers whose threads may still run.
fn entry() -> Result<&'static ash::Entry, OpenError> {
    static ENTRY: OnceLock<ash::Entry> = OnceLock::new();
    if let Some(entry) = ENTRY.get() {
        return Ok(entry);
    }
    // SAFETY: loading runs the library's initialisers. Nothing better can be said of a system library; `ash` asks that it
    // be a Vulkan loader and outlive what is made from it, and it is never unloaded.
    let entry = unsafe { ash::Entry::load() }.map_err(|error| OpenError::NoLoader {
        detail: error.to_string(),
    })?;
    // SAFETY: no precondition.
    let version = unsafe { entry.try_enumerate_instance_version() }
        .map_err(OpenError::of("vkEnumerateInstanceVersion"))?;
    if version.is_none_or(|it| it < vk::API_VERSION_1_1) {
        return Err(OpenError::NoLoader {
            detail: "the one installed knows only Vulkan 1.0".to_owned(),
        });
    }
    Ok(ENTRY.get_or_init(|| entry))
}

/// The names of the extensions that the loader, or a layer, provides.
fn extensions(
    entry: &ash::Entry,
    layer: Option<&CStr>,
) -> Result<Vec<std::ffi::CString>, OpenError> {
    // SAFETY: no precondition but that a layer's name be a string. VUID-vkEnumerateInstanceExtensionProperties-pLayerName-parameter.
    let listed = unsafe { entry.enumerate_instance_extension_properties(layer) };
    let listed = listed.map_err(|result| match result {
        vk::Result::ERROR_LAYER_NOT_PRESENT => OpenError::NoValidationLayer,
        result => OpenError::of("vkEnumerateInstanceExtensionProperties")(result),
    })?;
    Ok(listed
        .iter()
        .filter_map(|it| it.extension_name_as_c_str().ok())
        .map(CStr::to_owned)
        .collect())
}

/// What the validation layer does only if asked to. Without the first, younger layers pass over what shaders read and write. An older one that does not know a name says nothing.
fn layer_settings(on: &vk::Bool32) -> [vk::LayerSettingEXT<'_>; 2] {
    [
        c"syncval_shader_accesses_heuristic",
        c"syncval_full_validation",
    ]
    .map(|it| vk::LayerSettingEXT {
        value_count: 1,
        p_values: std::ptr::from_ref(on).cast(),
        ..vk::LayerSettingEXT::default()
            .layer_name(VALIDATION_LAYER)
            .setting_name(it)
            .ty(vk::LayerSettingTypeEXT::BOOL32)
    })
}

/// The version of Vulkan that the validation layer was written for.
fn validation_version(entry: &ash::Entry) -> Result<u32, OpenError> {
    // SAFETY: no precondition.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }
        .map_err(OpenError::of("vkEnumerateInstanceLayerProperties"))?;
    layers
        .iter()
        .find(|it| it.layer_name_as_c_str() == Ok(VALIDATION_LAYER))
        .map(|it| it.spec_version)
        .ok_or(OpenError::NoValidationLayer)
}
