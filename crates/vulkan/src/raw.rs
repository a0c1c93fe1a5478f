//! A chain of dependent dispatches as one would write it by hand in Vulkan: what Tidegate is measured against.
//!
//! It is no strawman. The descriptor set is written once and bound once a command buffer, command buffers are used again,
//! the first submission is handed over while the second is recorded, and only the last one signals.

mod objects;

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use ash::vk;
use tidegate_core::{
    Barrier, Batch, Capabilities, Code, Command, Device, DeviceError, Kernel, MemoryId, MemoryKind,
    PipelineId, Region, Stages, Ticket,
};

use crate::error::refused;
use crate::raw::objects::{ONCE, Objects, allocate};
use crate::{OpenError, Options, Select, ValidationLog, VulkanDevice};

/// A wait that takes longer is a hang.
const WAIT: Duration = Duration::from_secs(60);
const DATA: MemoryId = MemoryId(0);
const BACK: MemoryId = MemoryId(1);
const PIPELINE: PipelineId = PipelineId(0);

/// The chain, on a device of its own.
#[derive(Debug)]
pub struct RawChain {
    dispatches: u32,
    workgroups: u32,
    bytes: u64,
    objects: Objects,
    commands: Vec<vk::CommandBuffer>,
    /// The whole chain, recorded once.
    kept: Option<vk::CommandBuffer>,
    /// The last value that the timeline was asked to reach.
    value: u64,
    /// The last ticket given to the device for uploads and readbacks.
    ticket: u64,
    /// Whether a step failed half-way, so that something may run of which the timeline does not tell.
    failed: bool,
    /// Outlives what is made on it, and is let go of if that may still run.
    device: ManuallyDrop<VulkanDevice>,
}

impl RawChain {
    /// Opens the device that `select` means, with the same family of queues as [`VulkanDevice`].
    ///
    /// # Errors
    /// The device cannot be opened.
    pub fn open(select: &Select, options: &Options) -> Result<Self, OpenError> {
        let options = Options {
            // The set is written once, so that there is nothing to push.
            push_descriptors: false,
            ..options.clone()
        };
        Ok(Self {
            dispatches: 0,
            workgroups: 0,
            bytes: 0,
            objects: Objects::default(),
            commands: Vec::new(),
            kept: None,
            value: 0,
            ticket: 0,
            failed: false,
            device: ManuallyDrop::new(VulkanDevice::open(select, &options)?),
        })
    }

    /// Prepares steps of `dispatches` dispatches of `workgroups` workgroups of `kernel`, which binds one storage buffer of one word for
    /// each of its invocations and takes no scalars. Called once.
    ///
    /// # Errors
    /// Those of the device; the kernel is of another shape; the chain is prepared already.
    pub fn prepare(
        &mut self,
        kernel: &Kernel,
        code: &Code,
        dispatches: u32,
        workgroups: u32,
    ) -> Result<(), DeviceError> {
        let grid_max = self.device.capabilities().grid_max[0];
        if kernel.bindings.len() != 1
            || kernel.scalars.is_some()
            || self.dispatches > 0
            || dispatches == 0
            || workgroups == 0
            || workgroups > grid_max
        {
            return Err(refused(
                "a raw chain is prepared once, for at least one dispatch, with a kernel of one buffer and no scalars",
            ));
        }
        let invocations: u32 = kernel.workgroup_size.iter().product();
        self.bytes = u64::from(workgroups) * u64::from(invocations) * 4;
        let room = self.bytes.next_multiple_of(16);
        self.device.allocate(DATA, room, MemoryKind::Device)?;
        self.device.allocate(BACK, room, MemoryKind::Readback)?;
        self.device.create_pipeline(PIPELINE, kernel, code)?;
        self.make_objects()?;
        self.dispatches = dispatches;
        self.workgroups = workgroups;
        self.restart()
    }

    /// The device that it runs on.
    pub fn capabilities(&self) -> &Capabilities {
        self.device.capabilities()
    }

    /// What the validation layer says, if [`Options::validation`] is on.
    pub fn validation_log(&self) -> ValidationLog {
        self.device.validation_log()
    }

    /// Sets the words to 0, 1, 2 and so on.
    ///
    /// # Errors
    /// Those of the device.
    pub fn restart(&mut self) -> Result<(), DeviceError> {
        let words: Vec<u8> = (0..self.words()).flat_map(u32::to_ne_bytes).collect();
        self.device.write(BACK, 0, &words)?;
        self.transfer(BACK, DATA)
    }

    /// The words as the last step left them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn result(&mut self) -> Result<Vec<u32>, DeviceError> {
        self.transfer(DATA, BACK)?;
        let mut bytes = vec![0; self.words() as usize * 4];
        self.device.read(BACK, 0, &mut bytes)?;
        let words = bytes.chunks_exact(4);
        Ok(words
            .map(|it| u32::from_ne_bytes([it[0], it[1], it[2], it[3]]))
            .collect())
    }

    /// One step with a submission for each dispatch, and one wait.
    ///
    /// # Errors
    /// Those of the device.
    pub fn step_each(&mut self) -> Result<(), DeviceError> {
        self.step_cut(1)
    }

    /// One step in one command buffer.
    ///
    /// # Errors
    /// Those of the device.
    pub fn step_one(&mut self) -> Result<(), DeviceError> {
        self.step_cut(self.dispatches)
    }

    /// One step with a submission for every `cut` dispatches. Returns when the device has run it.
    ///
    /// # Errors
    /// Those of the device.
    pub fn step_cut(&mut self, cut: u32) -> Result<(), DeviceError> {
        self.device.device.alive()?;
        if self.failed || self.dispatches == 0 {
            return Err(refused(
                "this raw chain has not been prepared, or a step has failed before",
            ));
        }
        let done = self.step(cut);
        self.failed |= done.is_err();
        done
    }

    /// One step by submitting a command buffer that was recorded once.
    ///
    /// # Errors
    /// Those of the device.
    pub fn step_replay(&mut self) -> Result<(), DeviceError> {
        self.device.device.alive()?;
        if self.failed || self.dispatches == 0 {
            return Err(refused(
                "this raw chain has not been prepared, or a step has failed before",
            ));
        }
        let done = self.replay();
        self.failed |= done.is_err();
        done
    }

    fn replay(&mut self) -> Result<(), DeviceError> {
        let (device, objects) = (&self.device.device, &self.objects);
        let buffer = match self.kept {
            Some(buffer) => buffer,
            None => {
                let made = allocate(device, objects.kept, 1)?;
                let buffer = made[0];
                let flags = vk::CommandBufferUsageFlags::empty();
                // SAFETY: the buffer is new and this thread's alone.
                unsafe {
                    objects.record(device, (buffer, flags), self.dispatches, self.workgroups)
                }
                .map_err(|it| device.submission_error("raw chain", it))?;
                self.kept = Some(buffer);
                buffer
            }
        };
        // SAFETY: it was recorded to be submitted many times, and each step waits for its submission.
        unsafe { objects.submit(device, buffer, Some(self.value + 1)) }
            .map_err(|it| device.submission_error("raw chain", it))?;
        self.value += 1;
        self.wait()
    }

    /// Records one step in one command buffer, and submits nothing: what a launch costs the CPU by hand.
    ///
    /// # Errors
    /// Those of the device.
    pub fn record(&mut self) -> Result<(), DeviceError> {
        self.grow(1)?;
        let (device, objects) = (&self.device.device, &self.objects);
        // SAFETY: the last step waited for all of its submissions, and this submits none. VUID-vkResetCommandPool-commandPool-00040. The buffer was
        // reset with its pool and is this thread's alone.
        unsafe {
            device
                .raw
                .reset_command_pool(objects.commands, vk::CommandPoolResetFlags::empty())
                .and_then(|()| {
                    objects.record(
                        device,
                        (self.commands[0], ONCE),
                        self.dispatches,
                        self.workgroups,
                    )
                })
        }
        .map_err(|it| device.submission_error("raw chain", it))
    }

    fn step(&mut self, cut: u32) -> Result<(), DeviceError> {
        let cut = cut.max(1);
        let count = self.dispatches.div_ceil(cut) as usize;
        self.grow(count)?;
        let (device, objects) = (&self.device.device, &self.objects);
        // SAFETY: the last step waited for all of its submissions. VUID-vkResetCommandPool-commandPool-00040.
        unsafe {
            device
                .raw
                .reset_command_pool(objects.commands, vk::CommandPoolResetFlags::empty())
        }
        .map_err(|it| device.submission_error("vkResetCommandPool", it))?;
        let mut left = self.dispatches;
        for (index, buffer) in self.commands[..count].iter().enumerate() {
            let dispatches = left.min(cut);
            left -= dispatches;
            let signal = (index + 1 == count).then_some(self.value + 1);
            // SAFETY: the buffer was reset with its pool, is this thread's alone, and is submitted once.
            unsafe {
                objects
                    .record(device, (*buffer, ONCE), dispatches, self.workgroups)
                    .and_then(|()| objects.submit(device, *buffer, signal))
            }
            .map_err(|it| device.submission_error("raw chain", it))?;
        }
        self.value += 1;
        self.wait()
    }

    fn words(&self) -> u32 {
        u32::try_from(self.bytes / 4).unwrap_or(u32::MAX)
    }

    /// The same policy as [`VulkanDevice`]'s.
    fn wait(&self) -> Result<(), DeviceError> {
        let (device, spin) = (&self.device.device, self.device.spin);
        let start = Instant::now();
        loop {
            let waited = start.elapsed();
            if waited >= spin.time {
                return self.block();
            }
            // SAFETY: the semaphore is a timeline of this device. VUID-vkGetSemaphoreCounterValue-semaphore-03255.
            let value = unsafe {
                device
                    .raw
                    .get_semaphore_counter_value(self.objects.timeline)
            }
            .map_err(|it| device.submission_error("vkGetSemaphoreCounterValue", it))?;
            if value >= self.value {
                return Ok(());
            }
            if waited >= spin.alone {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    fn block(&self) -> Result<(), DeviceError> {
        let device = &self.device.device;
        let (semaphores, values) = ([self.objects.timeline], [self.value]);
        let info = vk::SemaphoreWaitInfo::default()
            .semaphores(&semaphores)
            .values(&values);
        // SAFETY: the semaphore is a timeline of this device. VUID-VkSemaphoreWaitInfo-pSemaphores-03256.
        unsafe { device.raw.wait_semaphores(&info, WAIT.as_nanos() as u64) }
            .map_err(|it| device.submission_error("vkWaitSemaphores", it))
    }

    /// Copies all words and waits, through the device's own way.
    fn transfer(&mut self, source: MemoryId, target: MemoryId) -> Result<(), DeviceError> {
        let region = |memory| Region {
            memory,
            offset: 0,
            bytes: self.bytes,
        };
        let mut batch = Batch::default();
        batch.opening = Barrier {
            before: Stages::ALL,
            after: Stages::TRANSFER,
        };
        batch.commands.push(Command::Copy {
            source: region(source),
            target: region(target),
        });
        // The next step's barriers are from kernel to kernel only.
        batch.commands.push(Command::Barrier(Barrier {
            before: Stages::TRANSFER,
            after: Stages::COMPUTE,
        }));
        batch.host_reads = true;
        self.ticket += 1;
        let ticket = Ticket {
            queue: 0,
            value: self.ticket,
        };
        self.device.submit(&batch, ticket)?;
        if self.device.wait(ticket, WAIT.as_nanos() as u64)? {
            Ok(())
        } else {
            Err(refused("a copy did not finish within a minute"))
        }
    }

    /// Makes as many command buffers as a step needs.
    fn grow(&mut self, count: usize) -> Result<(), DeviceError> {
        let missing = count.saturating_sub(self.commands.len());
        if missing == 0 {
            return Ok(());
        }
        let more = allocate(&self.device.device, self.objects.commands, missing)?;
        self.commands.extend(more);
        Ok(())
    }

    fn make_objects(&mut self) -> Result<(), DeviceError> {
        let device = &self.device.device;
        let queue = self.device.queues.find(0)?;
        let objects = &mut self.objects;
        objects.queue = queue.raw;
        let fail = |result| device.error("making a raw chain", result);
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let semaphore = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        let pool = vk::CommandPoolCreateInfo::default()
            .queue_family_index(queue.family)
            .flags(vk::CommandPoolCreateFlags::TRANSIENT);
        let sizes = [vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(1)];
        let descriptors = vk::DescriptorPoolCreateInfo::default()
            .max_sets(1)
            .pool_sizes(&sizes);
        // SAFETY: timelines are enabled, the family is the device's, and the pool has room for one set.
        // VUID-VkSemaphoreTypeCreateInfo-timelineSemaphore-03252, VUID-vkCreateCommandPool-queueFamilyIndex-01937.
        unsafe {
            objects.timeline = device
                .raw
                .create_semaphore(&semaphore, None)
                .map_err(fail)?;
            objects.commands = device.raw.create_command_pool(&pool, None).map_err(fail)?;
            objects.kept = device.raw.create_command_pool(&pool, None).map_err(fail)?;
            objects.descriptors = device
                .raw
                .create_descriptor_pool(&descriptors, None)
                .map_err(fail)?;
        }
        let table = self.device.pipelines.table();
        let (pipeline, layout) = table.pipeline(PIPELINE)?;
        objects.pipeline = pipeline.raw;
        objects.layout = layout.raw;
        let [set] = &layout.sets[..] else {
            return Err(refused("a raw chain's kernel has one group"));
        };
        let slots = self.device.memory.slots();
        let buffer = [vk::DescriptorBufferInfo {
            buffer: slots.buffer(&Region {
                memory: DATA,
                offset: 0,
                bytes: self.bytes,
            })?,
            offset: 0,
            range: self.bytes,
        }];
        let layouts = [set.layout];
        let info = vk::DescriptorSetAllocateInfo::default()
            .descriptor_pool(objects.descriptors)
            .set_layouts(&layouts);
        // SAFETY: the pool was made for this set, and the template reads its one descriptor.
        // VUID-vkUpdateDescriptorSetWithTemplate-pData-01685.
        unsafe {
            objects.set = device.raw.allocate_descriptor_sets(&info).map_err(fail)?[0];
            device.raw.update_descriptor_set_with_template(
                objects.set,
                set.template,
                buffer.as_ptr().cast(),
            );
        }
        Ok(())
    }
}

impl Drop for RawChain {
    fn drop(&mut self) {
        let device = &self.device.device;
        // What a failed step left running must not lose what it uses, which is then left to the end of the process.
        if self.failed {
            return;
        }
        // SAFETY: the last step has run, and `self` is being dropped. VUID-vkDestroyCommandPool-commandPool-00041,
        // VUID-vkDestroyDescriptorPool-descriptorPool-00303, VUID-vkDestroySemaphore-semaphore-05149.
        unsafe {
            device.raw.destroy_command_pool(self.objects.commands, None);
            device.raw.destroy_command_pool(self.objects.kept, None);
            device
                .raw
                .destroy_descriptor_pool(self.objects.descriptors, None);
            device.raw.destroy_semaphore(self.objects.timeline, None);
            ManuallyDrop::drop(&mut self.device);
        }
    }
}
