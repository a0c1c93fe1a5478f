//! The raw chain's objects, and what is recorded and submitted by hand.

use ash::vk;
use tidegate_core::{DeviceError, Stages};

use crate::barrier;
use crate::device::Logical;

/// What [`RawChain`] makes by hand. Null until made, which destroying ignores.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) queue: vk::Queue,
    pub(super) timeline: vk::Semaphore,
    pub(super) commands: vk::CommandPool,
    pub(super) kept: vk::CommandPool,
    pub(super) descriptors: vk::DescriptorPool,
    pub(super) set: vk::DescriptorSet,
    pub(super) layout: vk::PipelineLayout,
    pub(super) pipeline: vk::Pipeline,
}

/// A command buffer for one submission.
pub(super) const ONCE: vk::CommandBufferUsageFlags = vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT;

/// Command buffers from a pool that is this thread's alone.
pub(super) fn allocate(
    device: &Logical,
    pool: vk::CommandPool,
    count: usize,
) -> Result<Vec<vk::CommandBuffer>, DeviceError> {
    let info = vk::CommandBufferAllocateInfo::default()
        .command_pool(pool)
        .level(vk::CommandBufferLevel::PRIMARY)
        .command_buffer_count(u32::try_from(count).unwrap_or(u32::MAX));
    // SAFETY: a raw chain's pools are used by the thread that has it, through `&mut`. VUID-vkAllocateCommandBuffers-pAllocateInfo::commandBufferCount-arraylength.
    unsafe { device.raw.allocate_command_buffers(&info) }
        .map_err(|it| device.error("vkAllocateCommandBuffers", it))
}

impl Objects {
    /// # Safety
    /// The command buffer is reset and this thread's alone, and the objects are made.
    pub(super) unsafe fn record(
        &self,
        device: &Logical,
        (buffer, flags): (vk::CommandBuffer, vk::CommandBufferUsageFlags),
        dispatches: u32,
        workgroups: u32,
    ) -> Result<(), vk::Result> {
        let (before, after) = (
            barrier::before(Stages::COMPUTE),
            barrier::after(Stages::COMPUTE),
        );
        let old = [vk::MemoryBarrier::default()
            .src_access_mask(before.access)
            .dst_access_mask(after.access)];
        let new = [vk::MemoryBarrier2::default()
            .src_stage_mask(barrier::pipeline_stages2(before.stages))
            .src_access_mask(barrier::access2(before.access))
            .dst_stage_mask(barrier::pipeline_stages2(after.stages))
            .dst_access_mask(barrier::access2(after.access))];
        let dependency = vk::DependencyInfo::default().memory_barriers(&new);
        let begin = vk::CommandBufferBeginInfo::default().flags(flags);
        let point = vk::PipelineBindPoint::COMPUTE;
        let raw = &device.raw;
        // SAFETY: the caller's promise; pipeline, set and layout belong together (`make_objects`), and `prepare` has checked the grid.
        // VUID-vkBeginCommandBuffer-commandBuffer-00049, VUID-vkCmdDispatch-None-08600, -groupCountX-00386.
        unsafe {
            raw.begin_command_buffer(buffer, &begin)?;
            raw.cmd_bind_pipeline(buffer, point, self.pipeline);
            raw.cmd_bind_descriptor_sets(buffer, point, self.layout, 0, &[self.set], &[]);
            for _ in 0..dispatches {
                // Before each: the first one follows what was submitted before.
                if let Some(functions) = &device.synchronization2 {
                    functions.cmd_pipeline_barrier2(buffer, &dependency);
                } else {
                    let flags = vk::DependencyFlags::empty();
                    raw.cmd_pipeline_barrier(
                        buffer,
                        before.stages,
                        after.stages,
                        flags,
                        &old,
                        &[],
                        &[],
                    );
                }
                raw.cmd_dispatch(buffer, workgroups, 1, 1);
            }
            raw.end_command_buffer(buffer)
        }
    }

    /// # Safety
    /// The command buffer is recorded and not pending, and no other thread uses the queue.
    pub(super) unsafe fn submit(
        &self,
        device: &Logical,
        buffer: vk::CommandBuffer,
        signal: Option<u64>,
    ) -> Result<(), vk::Result> {
        let (buffers, semaphores) = ([buffer], [self.timeline]);
        let values = [signal.unwrap_or_default()];
        let count = usize::from(signal.is_some());
        let mut timeline =
            vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&values[..count]);
        let info = [vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .signal_semaphores(&semaphores[..count])
            .push_next(&mut timeline)];
        // SAFETY: the caller's promise, and values only grow. VUID-vkQueueSubmit-pCommandBuffers-00070, VUID-VkSubmitInfo-pSignalSemaphores-03242.
        unsafe {
            device
                .raw
                .queue_submit(self.queue, &info, vk::Fence::null())
        }
    }
}
