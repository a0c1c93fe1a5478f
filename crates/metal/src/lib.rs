//! Tidegate on Metal: a `Device` over any GPU of an Apple system, from macOS 12 and iOS 15 on.
//!
//! A batch becomes one command buffer, which signals its ticket's value on its queue's shared event. Nothing is decided here: barriers stand where the batch has them, and
//! memory is used again when core says so.
//!
//! All of Tidegate's unsafe code for Metal is in this crate. Each block states what it relies on: a check that stands before it, a promise of `Device`'s contract, which
//! core keeps, or a page of Apple's documentation, by its title.
//!
//! Where to look: `instance` finds devices, `support` says what one has, `device` knows whether it is lost, `memory` (with `residency`) and `pipeline` (with `builtin`) make
//! what batches use, `command` (with `barrier`, `argument` and `blame`) encodes one, `submit` hands it over, `flight` says what became of it and waits.
//!
//! On other systems the crate is empty. With `--cfg metal_soft` it is compiled there too, to be tested on classes in software.
#![cfg(any(target_vendor = "apple", metal_soft))]

mod argument;
mod barrier;
mod blame;
mod builtin;
mod command;
mod device;
mod error;
mod flight;
mod instance;
mod memory;
mod pipeline;
mod residency;
mod submit;
mod support;

use std::fmt;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use objc2::rc::autoreleasepool;
use objc2::runtime::NSObjectProtocol;
use objc2::sel;
use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, HostAccess, Kernel, MemoryId, MemoryKind,
    PipelineId, Ticket,
};

use crate::device::Logical;
use crate::flight::Spin;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::residency::Residency;
use crate::submit::Queues;
use crate::support::Support;

pub use crate::error::OpenError;
pub use crate::instance::{DeviceKind, PhysicalDevice, physical_devices};

// `MTLCreateSystemDefaultDevice` finds nothing unless this is linked (Metal, "MTLCreateSystemDefaultDevice").
#[cfg(target_vendor = "apple")]
#[link(name = "CoreGraphics", kind = "framework")]
unsafe extern "C" {}

/// Which device to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// The system's own choice.
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

/// How to open a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Queues, at least 1. Each is a command queue of its own.
    pub queues_max: u32,
    /// How long a wait asks again and again before it sleeps. Asking is quicker to notice and takes a core.
    pub spin_ns: u64,
    /// How long dropping the device waits for work that still runs. After that the device is abandoned, not destroyed.
    pub drop_wait_ns: u64,
    /// Device memory to use at most; the system's recommended working set if smaller or not given.
    pub memory_bytes_max: Option<u64>,
    /// Allocations that may exist at a time; 490,000 if more or not given, because Metal fails near 499,000 resources.
    pub allocations_max: Option<u64>,
    /// Whether Metal's compiler may assume that no number is infinite or NaN, and add in any order.
    pub fast_math: bool,
    /// Whether command buffers keep a record of each encoder, so that a failure names the kernels of the one that failed.
    pub blame: bool,
    /// Whether residency sets are used where the system has them.
    pub residency_sets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queues_max: 8,
            spin_ns: 50_000,
            drop_wait_ns: 10_000_000_000,
            memory_bytes_max: None,
            allocations_max: None,
            fast_math: false,
            blame: true,
            residency_sets: true,
        }
    }
}

/// A Metal device. Dropping it waits, within a bound, for what still runs.
pub struct MetalDevice {
    /// Ended by hand in `drop`, or left to the end of the process.
    parts: ManuallyDrop<Parts>,
    capabilities: Capabilities,
    spin: Spin,
    drop_wait: Duration,
    opened: Instant,
}

struct Parts {
    queues: Queues,
    pipelines: Pipelines,
    memory: Memory,
    support: Support,
    device: Logical,
}

impl MetalDevice {
    /// Opens a device.
    ///
    /// # Errors
    /// There is no such device, or it or the system lacks what is needed; each says what.
    pub fn open(select: &Select, options: &Options) -> Result<Self, OpenError> {
        autoreleasepool(|_| {
            let device = Logical::new(instance::choose(select)?);
            let support = Support::query(&device.raw);
            let unsupported = |reason| OpenError::Unsupported {
                name: support.name(),
                reason,
            };
            if let Some(reason) = support.refusal() {
                return Err(unsupported(reason));
            }
            let queues = Queues::new(&device.raw, options)?;
            let bounded = sel!(waitUntilSignaledValue:timeoutMS:);
            if !queues
                .timelines
                .0
                .iter()
                .all(|it| it.event.respondsToSelector(bounded))
            {
                return Err(unsupported(
                    "the system cannot wait for an event within a bound: macOS 12 or iOS 15 is needed".to_owned(),
                ));
            }
            let pipelines = Pipelines::new(&device, options.fast_math)?;
            let resident = options.residency_sets && support.residency_sets;
            let memory = Memory::new(&support, options, Residency::new(queues.raw(), resident));
            let capabilities = support.capabilities(options);
            Ok(Self {
                spin: Spin {
                    time: Duration::from_nanos(options.spin_ns),
                    yields: capabilities.software,
                },
                drop_wait: Duration::from_nanos(options.drop_wait_ns),
                opened: Instant::now(),
                capabilities,
                parts: ManuallyDrop::new(Parts {
                    queues,
                    pipelines,
                    memory,
                    support,
                    device,
                }),
            })
        })
    }

    /// Whether what the caller frees may still be used by the GPU: the device is lost, and not every command buffer has ended. Our command buffers retain nothing, so
    /// that it must then not be released.
    fn abandons(&self) -> bool {
        self.parts.device.alive().is_err() && !self.parts.queues.timelines.is_idle()
    }
}

impl Device for MetalDevice {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn now_ns(&self) -> u64 {
        // From 1: 0 stands for no clock.
        u64::try_from(self.opened.elapsed().as_nanos()).map_or(u64::MAX, |it| it.saturating_add(1))
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.parts.device.alive()?;
        autoreleasepool(|_| {
            self.parts
                .memory
                .allocate(&self.parts.device, id, bytes, kind)
        })
    }

    fn free(&self, id: MemoryId) {
        autoreleasepool(|_| self.parts.memory.free(id, self.abandons()));
    }

    fn memory_available(&self, _kind: MemoryKind) -> Option<u64> {
        autoreleasepool(|_| Some(self.parts.memory.available(&self.parts.device)))
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.parts.device.alive()?;
        self.parts.memory.write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.parts.device.alive()?;
        self.parts.memory.read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        let Parts {
            pipelines,
            support,
            device,
            ..
        } = &*self.parts;
        device.alive()?;
        autoreleasepool(|_| pipelines.create(device, support, id, kernel, code))
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        autoreleasepool(|_| self.parts.pipelines.remove(id, self.abandons()));
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let Parts {
            queues,
            pipelines,
            memory,
            device,
            ..
        } = &*self.parts;
        device.alive()?;
        autoreleasepool(|_| queues.submit(device, memory, pipelines, batch, ticket))
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        let Parts { queues, device, .. } = &*self.parts;
        device.alive()?;
        autoreleasepool(|_| queues.timelines.completed(queue, device))
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        let Parts { queues, device, .. } = &*self.parts;
        device.alive()?;
        let timeout = Duration::from_nanos(timeout_ns);
        queues.timelines.wait(ticket, device, timeout, self.spin)
    }
}

impl Drop for MetalDevice {
    fn drop(&mut self) {
        autoreleasepool(|_| {
            let timelines = &self.parts.queues.timelines;
            if timelines.drain(&self.parts.device, self.drop_wait, self.spin) {
                // SAFETY: `parts` is dropped once, here, and not used again. No command buffer can still use what it holds.
                unsafe { ManuallyDrop::drop(&mut self.parts) };
            }
            // Otherwise something still runs after the bound. To release what it uses would be undefined behaviour, and to wait on would hang.
        });
    }
}

impl fmt::Debug for MetalDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetalDevice")
            .field("name", &self.capabilities.name)
            .field("queues", &self.capabilities.queues)
            .finish_non_exhaustive()
    }
}
