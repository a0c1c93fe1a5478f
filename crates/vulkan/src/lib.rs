//! Tidegate on Vulkan: a [`Device`] over any driver that has Vulkan 1.2 with timeline semaphores.
//!
//! A batch becomes one command buffer and one submission, which signals its ticket's value on its queue's timeline semaphore.
//! Nothing is decided here: barriers stand where the batch has them, and memory is used again when core says so.
//!
//! All of Tidegate's unsafe code for Vulkan is in this crate. Each block states what it relies on: a check that stands before it, a promise of
//! [`Device`]'s contract, which core keeps, or the word of the driver.
//!
//! Where to look: `instance` finds devices, `support`, `features` and `heap` say what one has, `device` opens it, `memory` and `pipeline` (with
//! `layout` and `spirv`) make what batches use (`cache` keeps pipelines between runs), `command` (with `barrier` and `descriptor`) records one, `submit` hands it over and waits.

mod barrier;
mod cache;
mod command;
mod debug;
mod descriptor;
mod device;
mod ending;
mod error;
#[cfg(test)]
mod faults;
mod features;
mod flight;
mod fork;
mod gate;
mod heap;
mod instance;
mod layout;
mod memory;
mod pipeline;
mod progress;
#[cfg(feature = "raw-chain")]
mod raw;
mod recording;
mod replay;
mod slots;
mod spin;
mod spirv;
mod submit;
mod support;
mod timing;
#[cfg(test)]
mod trace;

/// What [`progress`] and [`gate`] are made of: a model checker gives them its own.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, GraphId, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket, Timing,
};

use crate::device::Logical;
use crate::ending::Inside;
use crate::instance::Instance;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::spin::Spin;
use crate::submit::Queues;
use crate::support::Support;
use crate::timing::Timer;

pub use crate::debug::ValidationLog;
pub use crate::error::OpenError;
pub use crate::instance::{DeviceKind, PhysicalDevice, physical_devices};
#[cfg(feature = "raw-chain")]
pub use crate::raw::RawChain;

/// Which device to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// The best kind there is: discrete, then integrated, virtual, and the CPU. The first of several.
    #[default]
    Best,
    /// By [`PhysicalDevice::index`].
    Index(u32),
    /// The first whose name contains this, in any case of letters.
    Name(String),
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("the best"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// Which family of queues to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueFamily {
    /// One without graphics where there is one. On an H100 a submission costs half as much there (7.3 us against 14.8, 2026-11).
    #[default]
    Compute,
    /// One with graphics where there is one.
    Graphics,
}

/// How to open a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the validation layer watches, with its checks of synchronisation. Slow; see [`VulkanDevice::validation_log`].
    pub validation: bool,
    /// The family of queues.
    pub queue_family: QueueFamily,
    /// Queues at most. Not given, it is 8, and 1 of a family that can draw: an H100 runs two queues of that family in turns, and takes 2.46 times as long for two chains as for one (2026-11).
    pub queues_max: Option<u32>,
    /// How long a wait asks again and again before it sleeps, in nanoseconds. Asking is quicker to notice (10 us against 40 on an H100, 2026-11) and
    /// takes a core, which after 50 microseconds is offered to other threads in between. At most 50 microseconds on a software device.
    pub spin_ns: u64,
    /// How long dropping the device waits for work that still runs. After that the device is abandoned, not destroyed.
    pub drop_wait_ns: u64,
    /// Size of the first block of device memory that allocations share: 4 MiB to 256 MiB, in steps of 4 MiB.
    pub block_bytes_min: u64,
    /// Size up to which further blocks grow, in the same bounds. A larger allocation has memory of its own.
    pub block_bytes_max: u64,
    /// Whether VK_KHR_push_descriptor may be used.
    pub push_descriptors: bool,
    /// Whether VK_KHR_synchronization2 may be used.
    pub synchronization2: bool,
    /// Whether kernels may find their buffers by address, in push constants, rather than through descriptors.
    pub addresses: bool,
    /// A folder that keeps compiled pipelines for the next run, at most 64 MiB of them; it need not exist. Nothing is kept without one. Read when the device is
    /// opened and written when it is dropped; what cannot be read or written is passed over.
    pub cache_folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            validation: false,
            queue_family: QueueFamily::Compute,
            queues_max: None,
            spin_ns: 1_000_000,
            drop_wait_ns: 10_000_000_000,
            block_bytes_min: 8 << 20,
            block_bytes_max: 128 << 20,
            push_descriptors: true,
            synchronization2: true,
            addresses: true,
            cache_folder: None,
        }
    }
}

/// A Vulkan device. Dropping it waits, within a bound, for what still runs.
pub struct VulkanDevice {
    // Ended by hand in `drop`, which must come before the instance's end.
    queues: Queues,
    pipelines: Pipelines,
    memory: Memory,
    device: Logical,
    support: Support,
    capabilities: Capabilities,
    spin: Spin,
    drop_wait: Duration,
    instance: Arc<Instance>,
}

impl VulkanDevice {
    /// On a lost device, where memory and pipelines are destroyed although work has used them: returns once no thread encodes or submits what names them. None begins to after that.
    fn settle_lost(&self) {
        if self.device.alive().is_err() {
            self.queues.settle();
        }
    }

    /// Opens a device.
    ///
    /// # Errors
    /// There is no loader, no driver, no such device, or it lacks what is needed; each says what to do.
    pub fn open(select: &Select, options: &Options) -> Result<Self, OpenError> {
        let _inside = Inside::enter_or_pause().ok_or(OpenError::Ending)?;
        let instance = Instance::new(options.validation)?;
        let mut support = instance.choose(select)?;
        if !options.synchronization2 {
            support.features = support.features.without_synchronization2();
        }
        if !options.addresses {
            support.features = support.features.without_addresses();
        }
        let family = support.family(options);
        let device = Logical::new(&instance, &support, options, family)?;
        let timer = Timer::new(
            device.calibrated_timestamps.clone(),
            support.limits.timestamp_period,
            support.timestamp_bits(family.0),
        );
        let parts = Queues::new(&device, family, timer).and_then(|queues| {
            let rest = Pipelines::new(&device, &support, options).and_then(|pipelines| {
                let memory = Memory::new(&instance.raw, &device, &support, options);
                // SAFETY: nothing was submitted.
                memory
                    .inspect_err(|_| unsafe { pipelines.destroy(&device) })
                    .map(|memory| (pipelines, memory))
            });
            // SAFETY: nothing was submitted.
            rest.inspect_err(|_| unsafe { queues.destroy(&device) })
                .map(|(pipelines, memory)| (queues, pipelines, memory))
        });
        // SAFETY: nothing was submitted, and what was made is destroyed.
        let (queues, pipelines, memory) = parts.inspect_err(|_| unsafe { device.destroy() })?;
        let capabilities = support.capabilities(options);
        Ok(Self {
            queues,
            pipelines,
            memory,
            device,
            spin: Spin::new(options.spin_ns, capabilities.software),
            drop_wait: Duration::from_nanos(options.drop_wait_ns),
            support,
            capabilities,
            instance,
        })
    }

    /// What the validation layer has said so far. Empty without [`Options::validation`], and in a child of fork, where a thread that is not there may hold the log.
    pub fn validation_messages(&self) -> Vec<String> {
        if self.device.is_forked() {
            return Vec::new();
        }
        self.validation_log().messages()
    }

    /// The same, to be read after the device is dropped too.
    pub fn validation_log(&self) -> ValidationLog {
        self.instance.log()
    }
}

impl Device for VulkanDevice {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn process(&self) -> Option<&'static AtomicU32> {
        Some(fork::process())
    }

    fn now_ns(&self) -> u64 {
        self.queues.timer().now_ns()
    }

    fn set_timing(&self, on: bool) -> bool {
        self.queues.timer().set(on)
    }

    fn take_timings(&self, into: &mut Vec<Timing>) {
        if self.device.alive().is_ok()
            && let Some(_inside) = Inside::enter()
        {
            self.queues.take_timings(&self.device, into);
        }
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        let _inside = self.device.enter()?;
        self.memory.allocate(&self.device, id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        if let Some(_inside) = self.device.enter_to_free() {
            self.settle_lost();
            self.memory.free(&self.device, id);
        }
    }

    fn memory_available(&self, kind: MemoryKind) -> Option<u64> {
        let _inside = self.device.enter().ok()?;
        self.memory.available(&self.instance.raw, kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let _inside = self.device.enter()?;
        self.memory.write(&self.device, id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let _inside = self.device.enter()?;
        self.memory.read(&self.device, id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        let _inside = self.device.enter()?;
        self.pipelines
            .create(&self.device, &self.support, id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        if let Some(_inside) = self.device.enter_to_free() {
            self.settle_lost();
            self.pipelines.remove(&self.device, id);
        }
    }

    fn forget_graph(&self, id: GraphId) {
        if let Some(_inside) = self.device.enter_to_free() {
            self.queues.forget_graph(&self.device, id);
        }
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let _inside = self.device.enter()?;
        self.queues
            .submit(&self.device, &self.memory, &self.pipelines, batch, ticket)
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        let _inside = self.device.enter()?;
        self.queues.find(queue)?.completed(&self.device)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        let _inside = self.device.enter()?;
        let timeout = Duration::from_nanos(timeout_ns);
        self.queues
            .find(ticket.queue)?
            .wait(&self.device, ticket.value, timeout, self.spin)
    }
}

impl Drop for VulkanDevice {
    fn drop(&mut self) {
        let inside = Inside::enter();
        // A device that only we count as lost is asked like any other.
        let idle = inside.is_some()
            && !self.device.is_forked()
            && (self.device.is_over() || self.queues.drain(&self.device, self.drop_wait));
        if idle {
            // SAFETY: nothing runs any more. `self` is being dropped, so that no other thread has it. Each goes before what it was made from.
            unsafe {
                self.queues.destroy(&self.device);
                self.pipelines.destroy(&self.device);
                self.memory.destroy(&self.device);
                self.device.destroy();
            }
        } else {
            // The device is another process's, or this one is ending, or something still runs after the bound. To destroy what it uses would be undefined behaviour, and to wait on would hang, so that
            // the device, its memory and its instance are left to the end of the process.
            self.memory.leak();
            std::mem::forget(Arc::clone(&self.instance));
        }
    }
}

impl fmt::Debug for VulkanDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VulkanDevice")
            .field("name", &self.capabilities.name)
            .field("queues", &self.capabilities.queues)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl VulkanDevice {
    /// As a thread does that is in the middle of its calls.
    fn hold_every_lock(&self, then: impl FnOnce()) {
        let rest = || self.pipelines.hold(|| self.queues.hold(then));
        self.validation_log().hold(|| self.memory.hold(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No driver here can be made to lose its device, so that it is told that it has.
    #[test]
    fn a_lost_device_says_so_and_does_nothing_more() {
        let options = Options {
            validation: true,
            ..Options::default()
        };
        let device = VulkanDevice::open(&Select::Best, &options).unwrap();
        let log = device.validation_log();
        let id = MemoryId(0);
        device.allocate(id, 16, MemoryKind::Upload).unwrap();
        let lost = Err(device
            .device
            .submission_error("vkQueueSubmit", ash::vk::Result::ERROR_UNKNOWN));
        assert!(
            matches!(&lost, Err(DeviceError::Lost { detail }) if detail.contains("vkQueueSubmit"))
        );
        let ticket = Ticket { queue: 0, value: 1 };
        assert_eq!(device.submit(&Batch::default(), ticket), lost);
        assert_eq!(device.wait(ticket, u64::MAX).map(|_| ()), lost);
        assert_eq!(device.completed(0).map(|_| ()), lost);
        assert_eq!(device.write(id, 0, &[1]), lost);
        assert_eq!(device.read(id, 0, &mut [1]), lost);
        assert_eq!(
            device
                .allocate(MemoryId(1), 16, MemoryKind::Device)
                .map(|_| ()),
            lost
        );
        // The first reason stays.
        assert_eq!(Err(device.device.lose("another".to_owned())), lost);
        device.free(id);
        drop(device);
        assert_eq!(log.messages(), Vec::<String>::new());
    }

    /// A driver that loses its device may set the timeline to the largest value.
    #[test]
    fn a_timeline_beyond_what_was_submitted_is_a_loss() {
        let options = Options::default();
        let device = VulkanDevice::open(&Select::Best, &options).unwrap();
        let queue = device.queues.find(0).unwrap();
        queue.signal(&device.device, u64::MAX - 1);
        // With nothing handed over there is nothing to ask about.
        assert_eq!(device.completed(0), Ok(0));
        queue.pretend(1);
        assert!(matches!(device.completed(0), Err(DeviceError::Lost { .. })));
        let ticket = Ticket { queue: 0, value: 1 };
        assert!(matches!(
            device.wait(ticket, 0),
            Err(DeviceError::Lost { .. })
        ));
    }
}
