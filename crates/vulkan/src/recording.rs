//! A command buffer, and what lives as long as it.

use ash::vk;
use tidegate_core::{Batch, DeviceError, Ticket};

use crate::command::{Bound, Encoder, Scratch};
use crate::descriptor::Descriptors;
use crate::device::Logical;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::timing::{Timer, Timestamps};

/// A command buffer with a pool of its own, for one submission at a time, or for all those of a graph.
pub(crate) struct Recording {
    pool: vk::CommandPool,
    pub(crate) buffer: vk::CommandBuffer,
    descriptors: Descriptors,
    /// Whether it is submitted many times.
    kept: bool,
    timestamps: Timestamps,
}

impl Recording {
    /// An empty one. `kept` is what it is for: a graph rather than one submission.
    pub(crate) fn new(device: &Logical, family: u32, kept: bool) -> Result<Self, DeviceError> {
        let info = vk::CommandPoolCreateInfo::default()
            .queue_family_index(family)
            .flags(if kept {
                vk::CommandPoolCreateFlags::empty()
            } else {
                vk::CommandPoolCreateFlags::TRANSIENT
            });
        // SAFETY: the device was made with this family. VUID-vkCreateCommandPool-queueFamilyIndex-01937.
        let pool = unsafe { device.raw.create_command_pool(&info, None) }
            .map_err(|result| device.error("vkCreateCommandPool", result))?;
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .level(vk::CommandBufferLevel::PRIMARY)
            .command_buffer_count(1);
        // SAFETY: the pool is new and this thread's alone. VUID-vkAllocateCommandBuffers-pAllocateInfo::commandBufferCount-arraylength.
        match unsafe { device.raw.allocate_command_buffers(&info) } {
            Ok(buffers) => Ok(Self {
                pool,
                buffer: buffers[0],
                descriptors: Descriptors::default(),
                kept,
                timestamps: Timestamps::default(),
            }),
            Err(result) => {
                // SAFETY: made above and used by nothing. VUID-vkDestroyCommandPool-commandPool-00041.
                unsafe { device.raw.destroy_command_pool(pool, None) };
                Err(device.error("vkAllocateCommandBuffers", result))
            }
        }
    }

    /// Writes a batch into it, with timestamps if it is `timed`.
    pub(crate) fn record(
        &mut self,
        device: &Logical,
        memory: &Memory,
        pipelines: &Pipelines,
        scratch: &mut Scratch,
        batch: &Batch,
        timed: Option<Ticket>,
    ) -> Result<(), DeviceError> {
        let info = vk::CommandBufferBeginInfo::default().flags(if self.kept {
            // To any queue of the family, also while earlier submissions of it are pending.
            vk::CommandBufferUsageFlags::SIMULTANEOUS_USE
        } else {
            vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT
        });
        // SAFETY: the command buffer is new or was reset with its pool, and this thread's alone.
        // VUID-vkBeginCommandBuffer-commandBuffer-00049, -00050.
        unsafe { device.raw.begin_command_buffer(self.buffer, &info) }
            .map_err(|result| device.error("vkBeginCommandBuffer", result))?;
        self.timestamps.clear();
        if let Some(ticket) = timed {
            let commands = u32::try_from(batch.body().commands.len()).unwrap_or(u32::MAX);
            self.timestamps
                .begin(device, self.buffer, ticket, commands)?;
        }
        Encoder {
            device,
            buffer: self.buffer,
            slots: &memory.slots(),
            table: &pipelines.table(),
            descriptors: &mut self.descriptors,
            scratch,
            batch,
            bound: Bound::default(),
            timestamps: timed.map(|_| &mut self.timestamps),
        }
        .encode()?;
        // SAFETY: it is being recorded, and no query or render pass is open. VUID-vkEndCommandBuffer-commandBuffer-00059.
        unsafe { device.raw.end_command_buffer(self.buffer) }
            .map_err(|result| device.error("vkEndCommandBuffer", result))
    }

    /// Tells when its commands ran, if it was timed.
    ///
    /// # Safety
    /// It has run.
    pub(crate) unsafe fn harvest(&mut self, device: &Logical, timer: &Timer) {
        self.timestamps.harvest(device, timer);
    }

    /// Makes it ready to be recorded again. Keeps its memory.
    ///
    /// # Safety
    /// It is not pending.
    pub(crate) unsafe fn reset(&mut self, device: &Logical) -> Result<(), vk::Result> {
        self.timestamps.clear();
        // SAFETY: the caller's promise. VUID-vkResetCommandPool-commandPool-00040.
        unsafe {
            self.descriptors.reset(device);
            device
                .raw
                .reset_command_pool(self.pool, vk::CommandPoolResetFlags::empty())
        }
    }

    /// # Safety
    /// It is not pending.
    pub(crate) unsafe fn destroy(self, device: &Logical) {
        // SAFETY: the caller's promise. VUID-vkDestroyCommandPool-commandPool-00041. The buffer goes with its pool.
        unsafe {
            self.descriptors.destroy(device);
            self.timestamps.destroy(device);
            device.raw.destroy_command_pool(self.pool, None);
        }
    }
}
