//! The system's devices, and the choice of one.

use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLCreateSystemDefaultDevice, MTLDevice};
use tidegate_core::Capabilities;

use crate::error::OpenError;
use crate::support::Support;
use crate::{Options, Select};

/// What sort of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// Software classes for tests.
    Cpu,
}

/// A device that the system offers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PhysicalDevice {
    /// Its position in the system's list, which [`Select::Index`] takes.
    pub index: u32,
    /// What sort it is.
    pub kind: DeviceKind,
    /// What it is and can do, if opened with the same options.
    pub capabilities: Capabilities,
    /// Why it cannot be opened, if so.
    pub refusal: Option<String>,
}

/// Every device that the system offers, usable or not.
///
/// # Errors
/// None. No device at all is an empty list. The result is for likeness with other backends.
pub fn physical_devices(options: &Options) -> Result<Vec<PhysicalDevice>, OpenError> {
    autoreleasepool(|_| {
        let devices = all();
        let described = (0..).zip(&devices).map(|(index, it)| {
            let support = Support::query(it);
            PhysicalDevice {
                index,
                kind: support.kind(),
                refusal: support.refusal(),
                capabilities: support.capabilities(options),
            }
        });
        Ok(described.collect())
    })
}

/// The device to open.
pub(crate) fn choose(
    select: &Select,
) -> Result<Retained<ProtocolObject<dyn MTLDevice>>, OpenError> {
    if *select == Select::Best {
        // The system's own choice: on a Mac with several GPUs the one that drives the main display (Metal, "MTLCreateSystemDefaultDevice").
        return MTLCreateSystemDefaultDevice().ok_or(OpenError::NoDevice);
    }
    let devices = all();
    let names: Vec<_> = devices.iter().map(|it| it.name().to_string()).collect();
    let found = match select {
        Select::Best => Some(0),
        Select::Index(index) => Some(*index as usize).filter(|it| *it < names.len()),
        Select::Name(name) => {
            let wanted = name.to_lowercase();
            names
                .iter()
                .position(|it| it.to_lowercase().contains(&wanted))
        }
    };
    if devices.is_empty() {
        return Err(OpenError::NoDevice);
    }
    let chosen = found.and_then(|index| devices.into_iter().nth(index));
    chosen.ok_or_else(|| {
        let listed = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{index} ({name})"));
        OpenError::NoSuchDevice {
            wanted: select.to_string(),
            available: listed.collect::<Vec<_>>().join(", "),
        }
    })
}

/// The system's default device first, as [`choose`] takes it; then the others in the system's order.
fn all() -> Vec<Retained<ProtocolObject<dyn MTLDevice>>> {
    let default = MTLCreateSystemDefaultDevice();
    // Only a Mac has more than one.
    #[cfg(target_os = "macos")]
    {
        let listed = objc2_metal::MTLCopyAllDevices().to_vec();
        let first = default.as_ref().map(|it| it.registryID());
        let others = listed
            .into_iter()
            .filter(|it| Some(it.registryID()) != first);
        default.into_iter().chain(others).collect()
    }
    #[cfg(not(target_os = "macos"))]
    {
        default.into_iter().collect()
    }
}
