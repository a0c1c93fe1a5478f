//! MTLBuffer.

use std::ffi::c_void;
use std::sync::Arc;

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSRange, NSString};
use objc2_metal::{
    MTLAllocation, MTLBuffer, MTLCPUCacheMode, MTLDevice, MTLHazardTrackingMode, MTLResource,
    MTLResourceOptions, MTLStorageMode,
};

use crate::metal::device::SoftDevice;
use crate::metal::memory::Memory;
use crate::metal::{Label, Protocol};
use crate::rules::Rule;
use crate::world::Live;

pub(crate) struct Ivars {
    pub(crate) memory: Arc<Memory>,
    options: MTLResourceOptions,
    device: Retained<SoftDevice>,
    label: Label,
    live: Live,
}

impl Drop for Ivars {
    fn drop(&mut self) {
        self.memory.release();
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLBuffer"]
    #[ivars = Ivars]
    pub(crate) struct SoftBuffer;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftBuffer {}

    unsafe impl MTLAllocation for SoftBuffer {
        #[unsafe(method(allocatedSize))]
        fn allocated_size_(&self) -> usize {
            self.ivars().memory.len()
        }
    }

    unsafe impl MTLResource for SoftBuffer {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method(storageMode))]
        fn storage_mode_(&self) -> MTLStorageMode {
            self.storage()
        }

        #[unsafe(method(cpuCacheMode))]
        fn cpu_cache_mode_(&self) -> MTLCPUCacheMode {
            MTLCPUCacheMode(self.ivars().options.0 & 0xf)
        }

        #[unsafe(method(hazardTrackingMode))]
        fn hazard_tracking_mode_(&self) -> MTLHazardTrackingMode {
            if self.ivars().memory.tracked {
                MTLHazardTrackingMode::Tracked
            } else {
                MTLHazardTrackingMode::Untracked
            }
        }

        #[unsafe(method(resourceOptions))]
        fn resource_options_(&self) -> MTLResourceOptions {
            self.ivars().options
        }
    }

    unsafe impl MTLBuffer for SoftBuffer {
        #[unsafe(method(length))]
        fn length_(&self) -> usize {
            self.ivars().memory.len()
        }

        #[unsafe(method(contents))]
        fn contents_(&self) -> *mut c_void {
            let it = self.ivars();
            let private = self.storage() == MTLStorageMode::Private;
            it.live.world.require(!private, Rule::PrivateContents, || {
                format!("contents of a private buffer of {} bytes", it.memory.len())
            });
            it.memory.bytes().cast()
        }

        #[unsafe(method(didModifyRange:))]
        fn did_modify_(&self, _range: NSRange) {
            let managed = self.storage() == MTLStorageMode::Managed;
            let world = &self.ivars().live.world;
            world.require(managed, Rule::SynchronizeUnmanaged, || {
                "didModifyRange of a buffer that is not managed".to_owned()
            });
        }

        #[unsafe(method(gpuAddress))]
        fn gpu_address_(&self) -> u64 {
            self.ivars().memory.bytes().addr() as u64
        }
    }
);

impl SoftBuffer {
    fn storage(&self) -> MTLStorageMode {
        MTLStorageMode((self.ivars().options.0 >> 4) & 0xf)
    }

    pub(crate) fn is_managed(&self) -> bool {
        self.storage() == MTLStorageMode::Managed
    }

    /// A new buffer of poison; nothing if there is no memory.
    pub(crate) fn new(
        device: &Retained<SoftDevice>,
        len: usize,
        options: MTLResourceOptions,
    ) -> Option<Retained<Self>> {
        let world = device.world();
        let max = world.setup.buffer_bytes_max;
        world.require(len > 0, Rule::BufferLength, || {
            "a buffer of no bytes".to_owned()
        });
        if len as u64 > max || len == 0 {
            return None;
        }
        // Buffers made by a device are tracked unless the options say otherwise.
        let tracked = (options.0 >> 8) & 3 != 1;
        let memory = Memory::new(world, len, tracked)?;
        let this = Self::alloc().set_ivars(Ivars {
            memory,
            options,
            device: device.clone(),
            label: Label::default(),
            live: Live::new(world, "MTLBuffer"),
        });
        // SAFETY: NSObject's initialiser.
        Some(unsafe { msg_send![super(this), init] })
    }
}
