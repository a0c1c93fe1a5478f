//! The device, and whether it is lost.

use std::sync::OnceLock;

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::MTLDevice;
use tidegate_core::DeviceError;

/// A device and what it was lost over, if it was.
pub(crate) struct Logical {
    pub(crate) raw: Retained<ProtocolObject<dyn MTLDevice>>,
    lost: OnceLock<String>,
}

impl Logical {
    pub(crate) fn new(raw: Retained<ProtocolObject<dyn MTLDevice>>) -> Self {
        Self {
            raw,
            lost: OnceLock::new(),
        }
    }

    /// An error if the device is lost.
    pub(crate) fn alive(&self) -> Result<(), DeviceError> {
        match self.lost.get() {
            None => Ok(()),
            Some(detail) => Err(DeviceError::Lost {
                detail: detail.clone(),
            }),
        }
    }

    /// Counts the device as lost from now on. The first reason stays.
    pub(crate) fn lose(&self, detail: String) -> DeviceError {
        DeviceError::Lost {
            detail: self.lost.get_or_init(|| detail).clone(),
        }
    }
}
