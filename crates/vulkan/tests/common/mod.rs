//! A device under validation, for the tests that every backend runs and for this one's own.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../core/tests/device/rig.rs"]
mod rig;

use tidegate_core::Code;
use tidegate_vulkan::{Options, Select, ValidationLog, VulkanDevice};

pub(crate) use rig::*;

pub(crate) type Rig = rig::Rig<Vulkan>;

/// Options with validation on.
pub(crate) fn checked() -> Options {
    Options {
        validation: true,
        // Long enough on a busy machine: a device that still works then is abandoned.
        drop_wait_ns: WAIT_NS,
        ..Options::default()
    }
}

/// Every way in which batches can be encoded.
pub(crate) fn every_path() -> [Options; 3] {
    let plain = checked();
    let pools = Options {
        push_descriptors: false,
        ..plain.clone()
    };
    let old = Options {
        push_descriptors: false,
        synchronization2: false,
        ..plain.clone()
    };
    [plain, pools, old]
}

/// A device, and what validation says of it.
pub(crate) struct Vulkan {
    device: VulkanDevice,
    log: ValidationLog,
}

impl Backend for Vulkan {
    type Device = VulkanDevice;
    type Way = Options;

    fn ways() -> Vec<Options> {
        every_path().into()
    }

    fn open(options: &Options) -> Self {
        let device = VulkanDevice::open(&Select::Best, options).unwrap_or_else(|error| {
            panic!("{error}\nThese tests need a Vulkan device: run `cargo xtask test`, which installs one")
        });
        Self {
            log: device.validation_log(),
            device,
        }
    }

    fn device(&self) -> &VulkanDevice {
        &self.device
    }

    fn code(source: &Source) -> Code {
        Code::Spirv(spirv(source.wgsl))
    }

    fn end(self) -> Vec<String> {
        drop(self.device);
        self.log.messages()
    }
}

pub(crate) fn spirv(wgsl: &str) -> Vec<u32> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap();
    let options = naga::back::spv::Options::default();
    naga::back::spv::write_vec(&module, &info, &options, None).unwrap()
}
