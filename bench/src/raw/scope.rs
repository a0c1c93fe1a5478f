//! Barriers.

use ash::vk;

use super::gpu::Gpu;

/// One side of a barrier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    stages: vk::PipelineStageFlags2,
    writes: vk::AccessFlags2,
    all: vk::AccessFlags2,
}

impl Scope {
    /// Kernels alone.
    pub(super) const KERNELS: Self = Self {
        stages: vk::PipelineStageFlags2::COMPUTE_SHADER,
        writes: vk::AccessFlags2::SHADER_WRITE,
        all: vk::AccessFlags2::from_raw(
            vk::AccessFlags2::SHADER_WRITE.as_raw() | vk::AccessFlags2::SHADER_READ.as_raw(),
        ),
    };
    /// Copies alone.
    pub(super) const COPIES: Self = Self {
        stages: vk::PipelineStageFlags2::ALL_TRANSFER,
        writes: vk::AccessFlags2::TRANSFER_WRITE,
        all: vk::AccessFlags2::from_raw(
            vk::AccessFlags2::TRANSFER_WRITE.as_raw() | vk::AccessFlags2::TRANSFER_READ.as_raw(),
        ),
    };
    /// Both.
    pub(super) const WORK: Self = Self {
        stages: vk::PipelineStageFlags2::from_raw(
            Self::KERNELS.stages.as_raw() | Self::COPIES.stages.as_raw(),
        ),
        writes: vk::AccessFlags2::from_raw(
            Self::KERNELS.writes.as_raw() | Self::COPIES.writes.as_raw(),
        ),
        all: vk::AccessFlags2::from_raw(Self::KERNELS.all.as_raw() | Self::COPIES.all.as_raw()),
    };
    /// The host, which reads.
    pub(super) const HOST: Self = Self {
        stages: vk::PipelineStageFlags2::HOST,
        writes: vk::AccessFlags2::empty(),
        all: vk::AccessFlags2::HOST_READ,
    };
}

impl Gpu {
    /// Makes what `after` does wait for what `before` did, and see it.
    pub(super) fn barrier(&self, commands: vk::CommandBuffer, before: Scope, after: Scope) {
        let barriers = [vk::MemoryBarrier2::default()
            .src_stage_mask(before.stages)
            .src_access_mask(before.writes)
            .dst_stage_mask(after.stages)
            .dst_access_mask(after.all)];
        let info = vk::DependencyInfo::default().memory_barriers(&barriers);
        // SAFETY: the caller records `commands`, outside of a render pass, and the feature is enabled. VUID-vkCmdPipelineBarrier2-synchronization2-03848.
        unsafe { self.sync2.cmd_pipeline_barrier2(commands, &info) };
    }
}
