//! One type for every backend, and the choice of one. It is asked once a batch, so that the call through a table costs nothing that can be measured.

#[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
mod metal;
#[cfg(feature = "sim")]
mod sim;
#[cfg(feature = "vulkan")]
mod vulkan;

use std::fmt::Debug;
use std::sync::atomic::AtomicU32;

use tidegate_core::{
    Batch, Capabilities, Code, Context, Device, DeviceError, GraphId, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket, Timing,
};
use tidegate_shader::{BoundsChecks, Module, ShaderError, SpirvOptions};

use crate::{Backend, DeviceInfo, Error, Options};

pub(crate) type AnyContext = Context<AnyDevice>;

/// What this library asks of a backend beside core's [`Device`].
pub(crate) trait AnyBackend: Device + Debug {
    /// A kernel in the form that the device takes.
    fn code(&self, module: &Module, name: &str, checks: BoundsChecks) -> Result<Code, ShaderError> {
        Ok(Code::Spirv(module.spirv(name, &SpirvOptions::new(checks))?))
    }

    /// What a validation layer has said.
    fn validation_messages(&self) -> Vec<String> {
        Vec::new()
    }

    /// The simulated device, if it is one.
    #[cfg(feature = "sim")]
    fn simulator(&self) -> Option<&tidegate_sim::Sim> {
        None
    }
}

/// A device of any backend that this build has.
#[derive(Debug)]
pub(crate) struct AnyDevice(Box<dyn AnyBackend>);

impl AnyDevice {
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "sim"))]
    #[cfg_attr(
        not(any(feature = "vulkan", feature = "sim")),
        allow(dead_code, reason = "Metal alone has no device off Apple's systems")
    )]
    pub(crate) fn new(device: impl AnyBackend) -> Self {
        Self(Box::new(device))
    }

    pub(crate) fn backend(&self) -> &dyn AnyBackend {
        &*self.0
    }
}

/// Which of a backend's devices, by its position there or by part of its name.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Best,
    Index(u32),
    Name(String),
}

/// A backend for real devices.
struct Kind {
    backend: Backend,
    devices: fn() -> Result<Vec<DeviceInfo>, String>,
    open: fn(&Choice, &Options) -> Result<AnyDevice, String>,
}

/// The backends for real devices, the system's own first.
const KINDS: &[Kind] = &[
    #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
    Kind {
        backend: Backend::Metal,
        devices: metal::devices,
        open: metal::open,
    },
    #[cfg(feature = "vulkan")]
    Kind {
        backend: Backend::Vulkan,
        devices: vulkan::devices,
        open: vulkan::open,
    },
];

/// Every device of every backend. A backend that cannot be asked is passed over if another has a device.
pub(crate) fn devices() -> Result<Vec<DeviceInfo>, Error> {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for kind in KINDS {
        match (kind.devices)() {
            Ok(devices) => found.extend(devices),
            Err(failure) => failures.push(failure),
        }
    }
    if found.is_empty() && !failures.is_empty() {
        return Err(Error::Open(failures.join("; ")));
    }
    Ok(found)
}

/// Opens what the options ask for: the best device of the first backend that has one, or the one that is named.
pub(crate) fn open(options: &Options) -> Result<AnyDevice, Error> {
    let mut choice = match options.device.as_deref().map(str::trim) {
        None => Choice::Best,
        Some("") => return Err(Error::Open("the device's name is empty".to_owned())),
        Some(text) => text
            .parse()
            .map_or_else(|_| Choice::Name(text.to_owned()), Choice::Index),
    };
    let mut wanted = options.backend;
    if let Choice::Index(index) = &mut choice {
        (wanted, *index) = locate(*index, wanted)?;
    }
    let mut failures = Vec::new();
    for kind in kinds(wanted) {
        match (kind.open)(&choice, options) {
            Ok(device) => return Ok(device),
            Err(failure) => failures.push(failure),
        }
    }
    Err(Error::Open(if failures.is_empty() {
        no_backend(wanted)
    } else {
        failures.join("; ")
    }))
}

/// All backends, or the one wanted.
fn kinds(wanted: Option<Backend>) -> impl Iterator<Item = &'static Kind> {
    KINDS
        .iter()
        .filter(move |it| wanted.is_none_or(|wanted| wanted == it.backend))
}

fn no_backend(wanted: Option<Backend>) -> String {
    match wanted {
        Some(Backend::Metal) => {
            "this build has no Metal: it takes an Apple system and the feature `metal`".to_owned()
        }
        Some(Backend::Vulkan) => {
            "this build has no Vulkan: enable the feature `vulkan`".to_owned()
        }
        None => "this build has no backend for this system; enable the feature `vulkan`, or on Apple's systems `metal`".to_owned(),
    }
}

/// The backend of a device, by its position among all of [`devices`], and its position there.
fn locate(index: u32, wanted: Option<Backend>) -> Result<(Option<Backend>, u32), Error> {
    let mut first = 0;
    let mut counts = Vec::new();
    for kind in KINDS {
        let count = (kind.devices)().map_or(0, |it| u32::try_from(it.len()).unwrap_or(u32::MAX));
        let inside = index >= first && index - first < count;
        if inside && wanted.is_none_or(|it| it == kind.backend) {
            return Ok((Some(kind.backend), index - first));
        }
        first += count;
        counts.push(format!("{} has {count}", kind.backend));
    }
    if counts.is_empty() {
        return Err(Error::Open(no_backend(wanted)));
    }
    let whose = wanted.map_or_else(String::new, |it| format!(" of {it}"));
    Err(Error::Open(format!(
        "there is no device {index}{whose}: {}",
        counts.join(", then ")
    )))
}

impl Device for AnyDevice {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn process(&self) -> Option<&'static AtomicU32> {
        self.0.process()
    }

    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.0.allocate(id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        self.0.free(id);
    }

    fn memory_available(&self, kind: MemoryKind) -> Option<u64> {
        self.0.memory_available(kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.0.write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.0.read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        self.0.create_pipeline(id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        self.0.destroy_pipeline(id);
    }

    fn set_timing(&self, on: bool) -> bool {
        self.0.set_timing(on)
    }

    fn take_timings(&self, into: &mut Vec<Timing>) {
        self.0.take_timings(into);
    }

    fn forget_graph(&self, id: GraphId) {
        self.0.forget_graph(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.0.submit(batch, ticket)
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.0.completed(queue)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.0.wait(ticket, timeout_ns)
    }
}
