//! A device, and what is made on it. Nothing is destroyed before the device itself: a benchmark's objects live as long as it does.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ash::{khr, vk};

use super::objects::{Memory, Use};
use super::scope::Scope;

/// A wait that takes longer is a hang.
const WAIT: Duration = Duration::from_secs(60);
/// Bytes that go up or come down at a time.
const STAGING: u64 = 8 << 20;

/// Which queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Without graphics, where there are such.
    Compute,
    /// With graphics, where there are such.
    Graphics,
}

/// What tells the host that a step is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A fence. Lavapipe, on a device without timelines, was seen to run a submission inside the call that submits it.
    Fence,
    /// A timeline semaphore, as Tidegate has it.
    Timeline,
}

/// What the driver says of itself.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The device's name.
    pub device: String,
    /// Name and version.
    pub driver: String,
    /// The index of the queue family in use.
    pub family: u32,
}

/// A device with one queue.
pub struct Gpu {
    pub(super) raw: ash::Device,
    pub(super) sync2: khr::synchronization2::Device,
    pub(super) push: Option<khr::push_descriptor::Device>,
    pub(super) queue: vk::Queue,
    pub(super) family: u32,
    /// Signalled by the last submission of each wait, with values that grow by 1.
    timeline: vk::Semaphore,
    waited: Cell<u64>,
    fence: vk::Fence,
    signal: Signal,
    software: bool,
    driver: Driver,
    instance: ash::Instance,
    pub(super) memory: vk::PhysicalDeviceMemoryProperties,
    pub(super) made: RefCell<Made>,
    /// For commands between steps.
    once: Cell<Option<(vk::CommandPool, vk::CommandBuffer)>>,
}

/// Everything to destroy at the end.
#[derive(Default)]
pub(super) struct Made {
    pub(super) buffers: Vec<(vk::Buffer, vk::DeviceMemory)>,
    pub(super) pools: Vec<vk::CommandPool>,
    pub(super) descriptors: Vec<vk::DescriptorPool>,
    pub(super) set_layouts: Vec<vk::DescriptorSetLayout>,
    pub(super) layouts: Vec<vk::PipelineLayout>,
    pub(super) pipelines: Vec<vk::Pipeline>,
}

/// The loader, which is never unloaded: drivers' threads may outlive what they made.
fn entry() -> Result<&'static ash::Entry> {
    static ENTRY: OnceLock<ash::Entry> = OnceLock::new();
    if let Some(entry) = ENTRY.get() {
        return Ok(entry);
    }
    // SAFETY: loading runs the library's initialisers, which is the system's word; it stays loaded.
    let entry = unsafe { ash::Entry::load() }.context("no Vulkan loader")?;
    Ok(ENTRY.get_or_init(|| entry))
}

impl Gpu {
    /// Opens the first device of this name.
    ///
    /// # Errors
    /// There is none, or it lacks synchronization2.
    pub fn open(name: &str, family: Family, signal: Signal) -> Result<Self> {
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `info` names no layer and no extension, and what it points to lives on.
        let instance = unsafe { entry()?.create_instance(&info, None) }?;
        Self::on(&instance, name, (family, signal)).inspect_err(|_| {
            // SAFETY: `on` destroys what it made where it fails. VUID-vkDestroyInstance-instance-00629.
            unsafe { instance.destroy_instance(None) }
        })
    }

    fn on(
        instance: &ash::Instance,
        name: &str,
        (wanted, signal): (Family, Signal),
    ) -> Result<Self> {
        // SAFETY: the instance lives; queries only.
        let (physical, properties, families) = unsafe {
            let all = instance.enumerate_physical_devices()?;
            let physical = all.into_iter().find(|it| {
                let properties = instance.get_physical_device_properties(*it);
                properties
                    .device_name_as_c_str()
                    .is_ok_and(|it| it.to_string_lossy() == name)
            });
            let physical =
                physical.with_context(|| format!("raw Vulkan finds no device {name:?}"))?;
            let families = instance.get_physical_device_queue_family_properties(physical);
            (
                physical,
                instance.get_physical_device_properties(physical),
                families,
            )
        };
        let family = choose(&families, wanted).context("no queue computes")?;
        let extensions = offered(instance, physical)?;
        let has = |name: &CStr| extensions.iter().any(|it| it.as_c_str() == name);
        if !has(khr::synchronization2::NAME) {
            bail!("{name} has no synchronization2, which the hand-written rows use");
        }
        let mut enabled = vec![khr::synchronization2::NAME.as_ptr()];
        if has(khr::push_descriptor::NAME) {
            enabled.push(khr::push_descriptor::NAME.as_ptr());
        }
        let queue = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let mut sync2 =
            vk::PhysicalDeviceSynchronization2Features::default().synchronization2(true);
        let mut timelines = vk::PhysicalDeviceTimelineSemaphoreFeatures::default()
            .timeline_semaphore(signal == Signal::Timeline);
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queue)
            .enabled_extension_names(&enabled)
            .push_next(&mut sync2)
            .push_next(&mut timelines);
        // SAFETY: the family and the extensions were reported by this device, and a device with the extension has its feature, as one of Vulkan 1.2 has timelines.
        // VUID-vkCreateDevice-ppEnabledExtensionNames-01387, VUID-VkDeviceQueueCreateInfo-queueFamilyIndex-00381.
        let raw = unsafe { instance.create_device(physical, &info, None) }?;
        let (queue, fence, timeline) = signals(&raw, family, signal)?;
        Ok(Self {
            sync2: khr::synchronization2::Device::new(instance, &raw),
            push: has(khr::push_descriptor::NAME)
                .then(|| khr::push_descriptor::Device::new(instance, &raw)),
            queue,
            family,
            timeline,
            fence,
            signal,
            waited: Cell::new(0),
            software: properties.device_type == vk::PhysicalDeviceType::CPU,
            driver: Driver {
                device: name.to_owned(),
                driver: version(instance, physical, properties.driver_version),
                family,
            },
            // SAFETY: a query.
            memory: unsafe { instance.get_physical_device_memory_properties(physical) },
            instance: instance.clone(),
            made: RefCell::default(),
            once: Cell::new(None),
            raw,
        })
    }

    /// What it is.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Whether descriptors can be pushed.
    pub fn pushes(&self) -> bool {
        self.push.is_some()
    }

    /// Hands a command buffer over; the last one before a wait signals.
    ///
    /// # Safety
    /// It is recorded and not pending, and [`Self::wait`] follows each `last`.
    pub(super) unsafe fn submit(&self, commands: vk::CommandBuffer, last: bool) -> Result<()> {
        let (buffers, semaphores) = ([commands], [self.timeline]);
        let is_last = |signal| last && self.signal == signal;
        let count = usize::from(is_last(Signal::Timeline));
        let values = [self.waited.get() + 1];
        let mut timeline =
            vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&values[..count]);
        let mut info = vk::SubmitInfo::default().command_buffers(&buffers);
        if count > 0 {
            info = info.signal_semaphores(&semaphores).push_next(&mut timeline);
        }
        let fence = if is_last(Signal::Fence) {
            self.fence
        } else {
            vk::Fence::null()
        };
        // SAFETY: the caller's promise; values only grow, and `wait` leaves the fence unsignalled. VUID-vkQueueSubmit-pCommandBuffers-00070, -fence-00063, -00064,
        // VUID-VkSubmitInfo-pSignalSemaphores-03242.
        unsafe { self.raw.queue_submit(self.queue, &[info], fence) }?;
        Ok(())
    }

    /// Waits for the last submission without ever sleeping: that is the quickest way to notice.
    pub(super) fn wait(&self) -> Result<()> {
        let (start, value) = (Instant::now(), self.waited.get() + 1);
        while !self.is_over(value)? {
            if self.software {
                // The driver's threads need this core.
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
            if start.elapsed() > WAIT {
                bail!("hand-written Vulkan: no end after a minute");
            }
        }
        self.waited.set(value);
        if self.signal == Signal::Fence {
            // SAFETY: what it stood for is over. VUID-vkResetFences-pFences-01123.
            unsafe { self.raw.reset_fences(&[self.fence]) }?;
        }
        Ok(())
    }

    fn is_over(&self, value: u64) -> Result<bool> {
        // SAFETY: both are this device's, and the semaphore is a timeline. VUID-vkGetFenceStatus-device-parameter, VUID-vkGetSemaphoreCounterValue-semaphore-03255.
        Ok(unsafe {
            match self.signal {
                Signal::Fence => self.raw.get_fence_status(self.fence)?,
                Signal::Timeline => self.raw.get_semaphore_counter_value(self.timeline)? >= value,
            }
        })
    }

    /// Records commands, submits them and waits.
    fn once(&self, record: impl FnOnce(vk::CommandBuffer)) -> Result<()> {
        let (pool, commands) = match self.once.get() {
            Some(once) => once,
            None => {
                let pool = self.pool()?;
                let once = (pool, self.commands(pool, 1)?[0]);
                self.once.set(Some(once));
                once
            }
        };
        let begin = vk::CommandBufferBeginInfo::default();
        // SAFETY: each use waits for its submission, so that the pool is not pending, and only callers in this file record.
        // VUID-vkResetCommandPool-commandPool-00040, VUID-vkBeginCommandBuffer-commandBuffer-00049.
        unsafe {
            self.raw
                .reset_command_pool(pool, vk::CommandPoolResetFlags::empty())?;
            self.raw.begin_command_buffer(commands, &begin)?;
            record(commands);
            self.raw.end_command_buffer(commands)?;
            self.submit(commands, true)?;
        }
        self.wait()
    }

    /// Fills device memory from a byte offset on. Nothing is in flight.
    pub(super) fn upload(
        &self,
        staging: &Memory,
        target: &Memory,
        offset: u64,
        words: &[u32],
    ) -> Result<()> {
        let chunk = (staging.bytes / 4) as usize;
        for (index, words) in words.chunks(chunk).enumerate() {
            staging.write(0, words);
            let region = [vk::BufferCopy {
                src_offset: 0,
                dst_offset: offset + (index * chunk * 4) as u64,
                size: words.len() as u64 * 4,
            }];
            self.once(|commands| {
                // SAFETY: both ranges are inside their buffers: the chunk is no longer than the staging memory, and stores are as long as their content.
                // VUID-vkCmdCopyBuffer-srcOffset-00113, -dstOffset-00114, -size-00115, -00116.
                unsafe {
                    self.raw
                        .cmd_copy_buffer(commands, staging.buffer, target.buffer, &region)
                };
            })?;
        }
        Ok(())
    }

    /// Reads device memory from a byte offset on. Nothing is in flight.
    pub(super) fn download(
        &self,
        readback: &Memory,
        source: &Memory,
        offset: u64,
        words: &mut [u32],
    ) -> Result<()> {
        let chunk = (readback.bytes / 4) as usize;
        for (index, words) in words.chunks_mut(chunk).enumerate() {
            let region = [vk::BufferCopy {
                src_offset: offset + (index * chunk * 4) as u64,
                dst_offset: 0,
                size: words.len() as u64 * 4,
            }];
            self.once(|commands| {
                self.barrier(commands, Scope::KERNELS, Scope::COPIES);
                // SAFETY: as in `upload`.
                unsafe {
                    self.raw
                        .cmd_copy_buffer(commands, source.buffer, readback.buffer, &region)
                };
                self.barrier(commands, Scope::COPIES, Scope::HOST);
            })?;
            readback.read(0, words);
        }
        Ok(())
    }

    /// Memory through which [`Self::upload`] and [`Self::download`] go.
    pub(super) fn staging(&self, purpose: Use) -> Result<Memory> {
        self.buffer(STAGING, purpose)
    }
}

/// The device's queue, and what tells that it is through. The device is destroyed if there is no such thing.
fn signals(
    raw: &ash::Device,
    family: u32,
    signal: Signal,
) -> Result<(vk::Queue, vk::Fence, vk::Semaphore)> {
    let mut kind =
        vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
    let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
    // SAFETY: the device is new, has this queue and has timelines. VUID-vkGetDeviceQueue-queueFamilyIndex-00384,
    // VUID-VkSemaphoreTypeCreateInfo-timelineSemaphore-03252.
    unsafe {
        let fence = raw.create_fence(&vk::FenceCreateInfo::default(), None);
        let timeline = match signal {
            Signal::Fence => Ok(vk::Semaphore::null()),
            Signal::Timeline => raw.create_semaphore(&info, None),
        };
        let queue = raw.get_device_queue(family, 0);
        let made = fence.and_then(|fence| Ok((queue, fence, timeline?)));
        Ok(made.inspect_err(|_| raw.destroy_device(None))?)
    }
}

fn choose(families: &[vk::QueueFamilyProperties], wanted: Family) -> Option<u32> {
    let computes =
        |it: &&vk::QueueFamilyProperties| it.queue_flags.contains(vk::QueueFlags::COMPUTE);
    let draws = wanted == Family::Graphics;
    let fits = |it: &vk::QueueFamilyProperties| {
        computes(&it) && it.queue_flags.contains(vk::QueueFlags::GRAPHICS) == draws
    };
    let index = families.iter().position(fits);
    let index = index.or_else(|| families.iter().position(|it| computes(&it)));
    index.and_then(|it| u32::try_from(it).ok())
}

fn offered(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
) -> Result<Vec<std::ffi::CString>> {
    // SAFETY: a query of a device of this instance.
    let listed = unsafe { instance.enumerate_device_extension_properties(physical) }?;
    let names = listed
        .iter()
        .filter_map(|it| it.extension_name_as_c_str().ok());
    Ok(names.map(CStr::to_owned).collect())
}

fn version(instance: &ash::Instance, physical: vk::PhysicalDevice, number: u32) -> String {
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
    // SAFETY: a query; a driver older than Vulkan 1.2 leaves the structure as it is.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let text = |it: Result<&CStr, _>| {
        it.map_or_else(
            |_: std::ffi::FromBytesUntilNulError| String::new(),
            |it| it.to_string_lossy().into_owned(),
        )
    };
    let (name, info) = (
        text(driver.driver_name_as_c_str()),
        text(driver.driver_info_as_c_str()),
    );
    if name.is_empty() {
        return format!("{number:#x}");
    }
    format!("{name} {info}").trim().to_owned()
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.driver).finish()
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        let made = self.made.get_mut();
        let raw = &self.raw;
        // SAFETY: nothing runs once the device is idle, or it is lost; all that was made on it is in `made`, and nobody else has this device or its instance.
        // VUID-vkDestroyDevice-device-05137, VUID-vkDestroyInstance-instance-00629.
        unsafe {
            let _ = raw.device_wait_idle();
            for it in made.pipelines.drain(..) {
                raw.destroy_pipeline(it, None);
            }
            for it in made.layouts.drain(..) {
                raw.destroy_pipeline_layout(it, None);
            }
            for it in made.descriptors.drain(..) {
                raw.destroy_descriptor_pool(it, None);
            }
            for it in made.set_layouts.drain(..) {
                raw.destroy_descriptor_set_layout(it, None);
            }
            for it in made.pools.drain(..) {
                raw.destroy_command_pool(it, None);
            }
            for (buffer, memory) in made.buffers.drain(..) {
                raw.destroy_buffer(buffer, None);
                raw.free_memory(memory, None);
            }
            raw.destroy_semaphore(self.timeline, None);
            raw.destroy_fence(self.fence, None);
            raw.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}
