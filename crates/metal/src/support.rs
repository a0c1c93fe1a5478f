//! What a device has, of which what we use, and how it reads as [`Capabilities`].

use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::sel;
use objc2_metal::{MTLDevice, MTLGPUFamily};
use tidegate_core::Capabilities;

use crate::Options;
use crate::instance::DeviceKind;

/// Slots of Metal's buffer argument table (Metal Feature Set Tables, "Maximum number of entries in the buffer argument table").
pub(crate) const SLOTS: usize = 31;
/// Slots kept for push constants and for the buffer of sizes.
const SLOTS_KEPT: u32 = 2;
/// The most bytes that travel in a command buffer. Apple's page says "smaller than 4 KB", which is taken to allow 4096 (Metal, "setBytes(_:length:index:)"): a belief of docs/metal.md.
pub(crate) const INLINE_BYTES_MAX: usize = 4096;
/// Metal fails near 499,000 resources, whatever their size. A part is left to the rest of the process.
const ALLOCATIONS_MAX: u64 = 490_000;
/// Subgroups of every Apple GPU and of AMD's in Macs as Metal compiles for them. A pipeline's own width may differ and is not relied upon.
const SUBGROUP_SIZE: u32 = 32;
/// The largest type that a kernel loads at once, whose alignment a buffer's offset must have (Metal, "setBuffer(_:offset:index:)").
const BINDING_ALIGN: u64 = 16;
/// Alignment of an offset in the constant address space: 4 on Apple's GPUs, 256 on the oldest of the others.
const UNIFORM_ALIGN: [u64; 2] = [16, 256];

/// Everything asked of a device, once.
pub(crate) struct Support {
    name: String,
    driver: String,
    pub(crate) unified: bool,
    pub(crate) residency_sets: bool,
    apple: u32,
    mac2: bool,
    /// Device memory that may be used without harm to the rest of the system.
    memory_bytes: u64,
    pub(crate) buffer_bytes_max: u64,
    pub(crate) threads_max: [u32; 3],
    pub(crate) threadgroup_bytes_max: u32,
}

impl Support {
    pub(crate) fn query(device: &ProtocolObject<dyn MTLDevice>) -> Self {
        let apple = apple_family(device);
        let mac2 = device.supportsFamily(MTLGPUFamily::Mac2);
        let buffer_bytes_max = device.maxBufferLength() as u64;
        // iOS and tvOS have it from version 16.
        let memory_bytes = if device.respondsToSelector(sel!(recommendedMaxWorkingSetSize)) {
            device.recommendedMaxWorkingSetSize()
        } else {
            buffer_bytes_max
        };
        let threads = device.maxThreadsPerThreadgroup();
        Self {
            name: device.name().to_string(),
            driver: driver(device, apple, mac2),
            unified: device.hasUnifiedMemory(),
            residency_sets: device.respondsToSelector(sel!(newResidencySetWithDescriptor:error:)),
            apple,
            mac2,
            memory_bytes,
            buffer_bytes_max,
            threads_max: [threads.width, threads.height, threads.depth].map(narrow),
            threadgroup_bytes_max: narrow(device.maxThreadgroupMemoryLength()),
        }
    }

    /// Why the device cannot be used, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        (self.apple == 0 && !self.mac2)
            .then(|| "it belongs to no family of GPUs that Metal's shared features need".to_owned())
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn kind(&self) -> DeviceKind {
        match self.unified {
            _ if cfg!(metal_soft) => DeviceKind::Cpu,
            true => DeviceKind::Integrated,
            false => DeviceKind::Discrete,
        }
    }

    /// Device memory that may be used, in bytes.
    pub(crate) fn budget(&self, options: &Options) -> u64 {
        options
            .memory_bytes_max
            .map_or(self.memory_bytes, |it| it.min(self.memory_bytes))
    }

    /// Allocations that may exist at a time.
    pub(crate) fn allocations_max(options: &Options) -> u64 {
        options
            .allocations_max
            .map_or(ALLOCATIONS_MAX, |it| it.min(ALLOCATIONS_MAX))
    }

    pub(crate) fn capabilities(&self, options: &Options) -> Capabilities {
        let budget = self.budget(options);
        let invocations = self.threads_max[0].max(1);
        Capabilities {
            name: self.name(),
            backend: "metal",
            driver: self.driver.clone(),
            software: self.kind() == DeviceKind::Cpu,
            unified: self.unified,
            queues: options.queues_max.max(1),
            memory_bytes: budget,
            allocations_max: Self::allocations_max(options),
            allocation_bytes_max: self.buffer_bytes_max.min(budget) & !15,
            // A kernel is told a buffer's size as a `u32`.
            binding_bytes_max: self.buffer_bytes_max.min(u64::from(u32::MAX) & !15),
            binding_align: BINDING_ALIGN,
            uniform_bytes_max: 65536,
            uniform_align: UNIFORM_ALIGN[usize::from(self.apple == 0)],
            // Blits want multiples of 4 on a Mac; other copies are kernels of ours.
            copy_align: 1,
            bindings_max: SLOTS as u32 - SLOTS_KEPT,
            scalar_bytes_max: INLINE_BYTES_MAX as u32,
            // A position in the grid of threads is 32 bits wide.
            grid_max: [u32::MAX / invocations; 3],
            workgroup_size_max: self.threads_max,
            workgroup_invocations_max: invocations,
            workgroup_bytes_max: self.threadgroup_bytes_max,
            subgroup_size: SUBGROUP_SIZE,
            subgroup_sizes: [SUBGROUP_SIZE; 2],
            features: self.features(),
        }
    }

    /// The names of what kernels may use (Metal Feature Set Tables), the same as other backends give.
    fn features(&self) -> Vec<&'static str> {
        let reductions = self.apple >= 7 || self.mac2;
        let shuffles = self.apple >= 6 || self.mac2;
        let table = [
            ("shader_f16", true),
            ("shader_int64", self.apple >= 3 || self.mac2),
            ("shader_int16", true),
            ("shader_int8", true),
            ("storage_16bit", true),
            ("uniform_16bit", true),
            ("scalars_16bit", true),
            ("storage_8bit", true),
            ("uniform_8bit", true),
            ("scalars_8bit", true),
            ("float32_atomic_add", self.apple >= 7 || self.mac2),
            ("subgroup_basic", shuffles),
            ("subgroup_vote", shuffles),
            ("subgroup_arithmetic", reductions),
            ("subgroup_ballot", shuffles),
            ("subgroup_shuffle", shuffles),
            ("subgroup_shuffle_relative", shuffles),
            ("subgroup_quad", shuffles),
        ];
        table.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }
}

/// The highest of Apple's families that the device belongs to, 0 if none.
fn apple_family(device: &ProtocolObject<dyn MTLDevice>) -> u32 {
    let families = [
        MTLGPUFamily::Apple1,
        MTLGPUFamily::Apple2,
        MTLGPUFamily::Apple3,
        MTLGPUFamily::Apple4,
        MTLGPUFamily::Apple5,
        MTLGPUFamily::Apple6,
        MTLGPUFamily::Apple7,
        MTLGPUFamily::Apple8,
        MTLGPUFamily::Apple9,
        MTLGPUFamily::Apple10,
    ];
    (1..)
        .zip(families)
        .filter(|it| device.supportsFamily(it.1))
        .map(|it| it.0)
        .max()
        .unwrap_or(0)
}

/// Metal has no version of its own that can be asked: its families stand for it.
fn driver(device: &ProtocolObject<dyn MTLDevice>, apple: u32, mac2: bool) -> String {
    let mut text = "Metal".to_owned();
    if device.supportsFamily(MTLGPUFamily::Metal4) {
        text.push_str(" 4");
    } else if device.supportsFamily(MTLGPUFamily::Metal3) {
        text.push_str(" 3");
    }
    if apple > 0 {
        text.push_str(&format!(", Apple family {apple}"));
    }
    if mac2 {
        text.push_str(", Mac family 2");
    }
    text
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
