//! Devices: what there is, opening one, and making what lives on it.

use std::fmt;
use std::path::PathBuf;

use bytemuck::Pod;
use tidegate_core::{Capabilities, Counters, Limits, MemoryKind, Policy};
use tidegate_shader::{self as shader, BoundsChecks};

#[cfg(feature = "sim")]
use crate::backend::AnyDevice;
use crate::backend::{self, AnyContext};
use crate::buffer::bytes;
use crate::starter::{self, Bell};
use crate::{Buffer, Error, Event, Module, Stream, Trace};

/// A device that is open. Clones are handles to the same device, which is closed when the last handle and everything made from it is dropped.
#[derive(Clone, Debug)]
pub struct Device {
    context: AnyContext,
    bell: Bell,
    /// For modules from WGSL that are made through this handle.
    checks: BoundsChecks,
}

/// How to open a device.
///
/// ```
/// use tidegate::{Limits, Options, QueueFamily};
///
/// let options = Options::default()
///     .with_device("lavapipe")
///     .with_queue_family(QueueFamily::Graphics)
///     .with_limits(Limits {
///         wait_ns: 5_000_000_000,
///         ..Limits::default()
///     });
/// assert_eq!(options.device.as_deref(), Some("lavapipe"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Which device: its position in [`devices`], or part of its name in any case of letters. The best one if not given.
    pub device: Option<String>,
    /// Which backend, where a system has more than one; the system's own first if not given.
    pub backend: Option<Backend>,
    /// The limits of its streams.
    pub limits: Limits,
    /// Which queues to use, where a device has a choice.
    pub queue_family: QueueFamily,
    /// Most queues that streams are spread over; streams beyond that share. Streams that share one take part in the same batches, and their independent launches still run side by side, between
    /// the same barriers; on queues of their own they do not wait for each other's barriers. Not given, it is 8, and 1 where the queues are of a family that can draw, which runs them in turns.
    pub queues_max: Option<u32>,
    /// Whether Vulkan's validation layer watches every call. Slow, for tests; see [`Device::validation_messages`].
    pub validation: bool,
    /// A folder that keeps compiled kernels for the next run, at most 64 MiB of them. It need not exist; nothing is kept without one. What is damaged is passed over and written anew, and
    /// several processes may share it. Read when the device is opened, written when it is closed. Vulkan only: on Metal the system keeps a cache of its own.
    pub cache_folder: Option<PathBuf>,
    /// Whether a thread starts recorded work within a millisecond of the device having nothing to do, even if no further call is made. On by default: it costs a launch one load, and a look at the
    /// queues every 0.3 milliseconds while there is work. Off, such work starts with the next call that submits. It leaves streams with [`Policy::UntilSync`] alone.
    pub background_start: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: None,
            backend: None,
            limits: Limits::default(),
            queue_family: QueueFamily::default(),
            queues_max: None,
            validation: false,
            cache_folder: None,
            background_start: true,
        }
    }
}

impl Options {
    /// Chooses [`Self::device`].
    #[must_use]
    pub fn with_device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Chooses [`Self::backend`].
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Replaces [`Self::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Chooses [`Self::queue_family`].
    #[must_use]
    pub fn with_queue_family(mut self, family: QueueFamily) -> Self {
        self.queue_family = family;
        self
    }

    /// Chooses [`Self::queues_max`].
    #[must_use]
    pub fn with_queues_max(mut self, queues: u32) -> Self {
        self.queues_max = Some(queues);
        self
    }

    /// Turns [`Self::validation`] on or off.
    #[must_use]
    pub fn with_validation(mut self, validation: bool) -> Self {
        self.validation = validation;
        self
    }

    /// Turns [`Self::background_start`] on or off.
    #[must_use]
    pub fn with_background_start(mut self, background_start: bool) -> Self {
        self.background_start = background_start;
        self
    }

    /// Chooses [`Self::cache_folder`].
    #[must_use]
    pub fn with_cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_folder = Some(folder.into());
        self
    }
}

/// A way to reach a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Apple's own.
    Metal,
    /// Everyone else's, and on Apple's systems through a layer above Metal.
    Vulkan,
}

impl fmt::Display for Backend {
    /// As in [`Capabilities::backend`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
        })
    }
}

/// Which of a device's queues to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueFamily {
    /// Queues for compute alone where there are some: a submission costs half as much there on NVIDIA's.
    #[default]
    Compute,
    /// Queues that draw, too.
    Graphics,
}

/// A device that could be opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What it is and can do.
    pub capabilities: Capabilities,
    /// Why it cannot be opened, if so.
    pub refusal: Option<String>,
}

/// The devices that [`Options::device`] selects from, in the order of their positions.
///
/// # Errors
/// [`Error::Open`]: no backend has a device and one says why, for instance that no driver can be loaded; the text says what to install.
pub fn devices() -> Result<Vec<DeviceInfo>, Error> {
    backend::devices()
}

impl Device {
    /// Opens the best device there is: Metal's on Apple's systems, else Vulkan's.
    ///
    /// # Errors
    /// [`Error::Open`] says what is missing and what to install.
    pub fn open_default() -> Result<Self, Error> {
        Self::open(&Options::default())
    }

    /// Opens a device.
    ///
    /// # Errors
    /// [`Error::Open`]: no driver, no such device, or it lacks what is needed.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let device = backend::open(options)?;
        let context = AnyContext::new(device, options.limits.clone());
        let bell = if options.background_start {
            starter::start(&context)
        } else {
            Bell::default()
        };
        let checks = BoundsChecks::Checked;
        Ok(Self {
            context,
            bell,
            checks,
        })
    }

    /// Takes a simulated device into use.
    #[cfg(feature = "sim")]
    pub fn simulated(device: tidegate_sim::Sim, limits: Limits) -> Self {
        Self {
            context: AnyContext::new(AnyDevice::new(device), limits),
            bell: Bell::default(),
            checks: BoundsChecks::Checked,
        }
    }

    /// The simulated device behind this one, if it is one.
    #[cfg(feature = "sim")]
    pub fn simulator(&self) -> Option<&tidegate_sim::Sim> {
        self.context.device().backend().simulator()
    }

    /// Says that work was recorded.
    #[inline]
    pub(crate) fn recorded(&self) {
        self.bell.ring();
    }

    /// A handle to the same device through which every module from WGSL is taken as trusted, as by [`Self::module_from_trusted_wgsl`]: for libraries that make their modules themselves. Other
    /// handles stay as they are.
    ///
    /// # Safety
    /// As for [`Self::module_from_trusted_wgsl`], for every module that is made through the handle, its clones, and the streams made from either, which have a handle of their own ([`Stream::device`]).
    #[must_use]
    #[expect(
        unsafe_code,
        reason = "states a duty of the caller; there is no unsafe block in this crate"
    )]
    pub unsafe fn unchecked(&self) -> Self {
        Self {
            checks: BoundsChecks::Unchecked,
            ..self.clone()
        }
    }

    /// What the device is and can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.context.capabilities()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        self.context.limits()
    }

    /// What all its streams together have done.
    pub fn counters(&self) -> Counters {
        self.context.counters()
    }

    /// Starts counting again. Levels, such as memory in use, stay.
    pub fn reset_counters(&self) {
        self.context.reset_counters();
    }

    /// Starts a trace of everything that all streams do, of at most `events_max` events; a kernel launch is one, a submission three. One that was being taken is forgotten.
    ///
    /// While it is taken, each command costs two timestamps on the device, and graphs are translated at every launch instead of replayed. Otherwise tracing costs
    /// nothing that can be measured.
    ///
    /// Says whether the device will tell when it ran commands. If not, the trace has the host's side alone.
    ///
    /// # Errors
    /// The device is lost.
    pub fn start_trace(&self, events_max: usize) -> Result<bool, Error> {
        Ok(self.context.start_trace(events_max)?)
    }

    /// Ends a trace and gives it; empty if none was being taken. Synchronize streams first: what has not run yet is missing in it, and counted as dropped. Metal tells no
    /// times of single commands, and so does a Vulkan device without `VK_EXT_calibrated_timestamps`. A lost device's trace says what led to the loss.
    ///
    /// # Errors
    /// The device is another process's, from which this one was forked.
    pub fn end_trace(&self) -> Result<Trace, Error> {
        Ok(Trace::new(self.context.end_trace()?))
    }

    /// What Vulkan's validation layer has said so far: its latest 256 messages, oldest first. Empty without [`Options::validation`].
    pub fn validation_messages(&self) -> Vec<String> {
        self.context.device().backend().validation_messages()
    }

    /// A new stream, with the default policy.
    ///
    /// # Errors
    /// The device is lost.
    pub fn stream(&self) -> Result<Stream, Error> {
        self.stream_with(Policy::default())
    }

    /// A new stream.
    ///
    /// # Errors
    /// The device is lost.
    pub fn stream_with(&self, policy: Policy) -> Result<Stream, Error> {
        Ok(Stream::new(self.clone(), self.context.stream(policy)?))
    }

    /// A new event, complete until it is recorded.
    pub fn event(&self) -> Event {
        Event::new(self.context.event())
    }

    /// A buffer of `len` elements. Their content is unspecified: it may be what an earlier buffer left there. See [`Stream::zeros`] and [`Stream::upload_new`].
    ///
    /// Waits only if memory is short, for the oldest work that still uses a dropped buffer.
    ///
    /// # Errors
    /// Memory that runs out, or a buffer larger than the device allows; a lost device; a stall or a failed submission if it waits.
    pub fn buffer<T: Pod>(&self, len: usize) -> Result<Buffer<T>, Error> {
        let memory = self.context.allocate(bytes::<T>(len), MemoryKind::Device)?;
        Ok(Buffer::new(memory, len))
    }

    /// A module from WGSL. Its kernels check every index, so that untrusted source reaches no memory but its own bindings. What cannot be checked, a cooperative matrix or
    /// an index of other than 32 bits, is refused when the kernel is asked for.
    ///
    /// # Errors
    /// [`Error::Shader`], with the line.
    pub fn module_from_wgsl(&self, source: &str) -> Result<Module, Error> {
        let module = shader::Module::from_wgsl(source)?;
        Ok(Module::from_shader(
            self.context.clone(),
            module,
            self.checks,
        ))
    }

    /// A module from WGSL that is trusted: no index is checked, and workgroup memory does not start as zeros.
    ///
    /// # Errors
    /// [`Error::Shader`], with the line.
    ///
    /// # Safety
    /// No launch may make a kernel index outside its bindings or its arrays, loop for ever, divide an integer by zero, or read workgroup memory before it is written.
    #[expect(
        unsafe_code,
        reason = "states a duty of the caller; there is no unsafe block in this crate"
    )]
    pub unsafe fn module_from_trusted_wgsl(&self, source: &str) -> Result<Module, Error> {
        let module = shader::Module::from_wgsl(source)?;
        Ok(Module::from_shader(
            self.context.clone(),
            module,
            BoundsChecks::Unchecked,
        ))
    }

    /// A module from SPIR-V, taken as it is.
    ///
    /// # Errors
    /// [`Error::Shader`] if its interface cannot be read.
    ///
    /// # Safety
    /// The SPIR-V must be valid for Vulkan 1.2 (`spirv-val --target-env vulkan1.2`), as drivers do not check it, and no launch may make a kernel do what the Vulkan specification leaves undefined.
    #[expect(
        unsafe_code,
        reason = "states a duty of the caller; there is no unsafe block in this crate"
    )]
    pub unsafe fn module_from_spirv(&self, words: &[u32]) -> Result<Module, Error> {
        let module = shader::Module::from_spirv(words)?;
        Ok(Module::from_shader(
            self.context.clone(),
            module,
            BoundsChecks::Unchecked,
        ))
    }

    /// A module from source in the Metal Shading Language, taken as it is. Its kernels take the buffers of `kernels`, in order, at `buffer(0)` and on, and
    /// scalars in immediates after them. Only Metal's devices compile it.
    ///
    /// # Safety
    /// `kernels` must say the truth of the source, and no launch may make a kernel do what the language leaves undefined, such as reaching outside its buffers.
    #[expect(
        unsafe_code,
        reason = "states a duty of the caller; there is no unsafe block in this crate"
    )]
    pub unsafe fn module_from_msl(&self, source: &str, kernels: Vec<shader::Kernel>) -> Module {
        let module = shader::Module::from_msl(source, kernels);
        Module::from_shader(self.context.clone(), module, BoundsChecks::Unchecked)
    }

    /// A module from a library that Apple's compiler made (the content of a `.metallib` file), taken as it is; otherwise as [`Self::module_from_msl`].
    ///
    /// # Safety
    /// As for [`Self::module_from_msl`].
    #[expect(
        unsafe_code,
        reason = "states a duty of the caller; there is no unsafe block in this crate"
    )]
    pub unsafe fn module_from_metallib(
        &self,
        library: &[u8],
        kernels: Vec<shader::Kernel>,
    ) -> Module {
        let module = shader::Module::from_metallib(library, kernels);
        Module::from_shader(self.context.clone(), module, BoundsChecks::Unchecked)
    }

    /// A module of kernels written in Rust, for the simulated device.
    #[cfg(feature = "sim")]
    pub fn module_from_host(
        &self,
        kernels: Vec<(tidegate_core::Kernel, tidegate_core::HostKernel)>,
    ) -> Module {
        Module::from_host(self.context.clone(), kernels)
    }
}
