//! Descriptor sets for launches whose buffers cannot be pushed: taken from pools that the submission owns.

use ash::vk;
use tidegate_core::DeviceError;

use crate::device::Logical;
use crate::layout::Layout;
use crate::support::BINDINGS_MAX;

/// Sets of one pool.
const SETS: u32 = 256;
/// Descriptors of each type in one pool: room for any one launch, and for 256 of a common size.
const DESCRIPTORS: u32 = 1024;

const _: () = assert!(DESCRIPTORS >= BINDINGS_MAX);

/// The pools of one submission. All are reset together when it is complete.
#[derive(Default)]
pub(crate) struct Descriptors {
    pools: Vec<vk::DescriptorPool>,
    /// The pool in use: those before it are full, those after it empty.
    current: usize,
}

impl Descriptors {
    /// Binds a set for each group of the layout, filled from `infos`, which are in the order of a launch's regions.
    pub(crate) fn bind(
        &mut self,
        device: &Logical,
        buffer: vk::CommandBuffer,
        layout: &Layout,
        infos: &[vk::DescriptorBufferInfo],
    ) -> Result<(), DeviceError> {
        debug_assert_eq!(infos.len(), layout.bindings());
        for set in &layout.sets {
            let raw = self.allocate(device, set.layout)?;
            // SAFETY: the set is new and this thread's alone, and the template reads one `DescriptorBufferInfo` for each of the layout's
            // bindings, which `infos` has. VUID-vkUpdateDescriptorSetWithTemplate-pData-01685. The command buffer is being recorded, and the
            // set lives until its pool is reset after the batch has run. VUID-vkCmdBindDescriptorSets-pDescriptorSets-00358.
            unsafe {
                device.raw.update_descriptor_set_with_template(
                    raw,
                    set.template,
                    infos.as_ptr().cast(),
                );
                device.raw.cmd_bind_descriptor_sets(
                    buffer,
                    vk::PipelineBindPoint::COMPUTE,
                    layout.raw,
                    set.group,
                    &[raw],
                    &[],
                );
            }
        }
        Ok(())
    }

    fn allocate(
        &mut self,
        device: &Logical,
        layout: vk::DescriptorSetLayout,
    ) -> Result<vk::DescriptorSet, DeviceError> {
        let layouts = [layout];
        loop {
            let fresh = self.current == self.pools.len();
            if fresh {
                self.pools.push(pool(device)?);
            }
            let info = vk::DescriptorSetAllocateInfo::default()
                .descriptor_pool(self.pools[self.current])
                .set_layouts(&layouts);
            // SAFETY: the pool is this submission's alone, which one thread records. Since Vulkan 1.1 a full pool is an error and not a
            // fault. VUID-vkAllocateDescriptorSets-pAllocateInfo-parameter and the pool's host synchronisation.
            match unsafe { allocate_one(device, &info) } {
                Ok(set) => return Ok(set),
                Err(vk::Result::ERROR_OUT_OF_POOL_MEMORY | vk::Result::ERROR_FRAGMENTED_POOL)
                    if !fresh =>
                {
                    self.current += 1
                }
                Err(result) => return Err(device.error("vkAllocateDescriptorSets", result)),
            }
        }
    }

    /// Takes every set back.
    ///
    /// # Safety
    /// No command buffer that may still run uses any of them.
    pub(crate) unsafe fn reset(&mut self, device: &Logical) {
        for pool in self.pools.iter().take(self.current + 1) {
            // SAFETY: the caller's promise. VUID-vkResetDescriptorPool-descriptorPool-00313. It cannot fail.
            let _ = unsafe {
                device
                    .raw
                    .reset_descriptor_pool(*pool, vk::DescriptorPoolResetFlags::empty())
            };
        }
        self.current = 0;
    }

    /// # Safety
    /// As for [`Self::reset`], and it is not used again.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        for pool in &self.pools {
            // SAFETY: the caller's promise. VUID-vkDestroyDescriptorPool-descriptorPool-00303.
            unsafe { device.raw.destroy_descriptor_pool(*pool, None) };
        }
    }
}

/// Like `ash::Device::allocate_descriptor_sets`, which would allocate a vector.
///
/// # Safety
/// As for vkAllocateDescriptorSets. `info` asks for one set.
unsafe fn allocate_one(
    device: &Logical,
    info: &vk::DescriptorSetAllocateInfo<'_>,
) -> Result<vk::DescriptorSet, vk::Result> {
    let mut set = vk::DescriptorSet::null();
    let call = device.raw.fp_v1_0().allocate_descriptor_sets;
    // SAFETY: the caller's promise, and there is room for one set.
    unsafe { call(device.raw.handle(), info, &mut set) }.result_with_success(set)
}

fn pool(device: &Logical) -> Result<vk::DescriptorPool, DeviceError> {
    let sizes = [
        vk::DescriptorType::STORAGE_BUFFER,
        vk::DescriptorType::UNIFORM_BUFFER,
    ]
    .map(|it| {
        vk::DescriptorPoolSize::default()
            .ty(it)
            .descriptor_count(DESCRIPTORS)
    });
    let info = vk::DescriptorPoolCreateInfo::default()
        .max_sets(SETS)
        .pool_sizes(&sizes);
    // SAFETY: no size is zero. VUID-VkDescriptorPoolCreateInfo-descriptorPoolOverallocation-09227, VUID-VkDescriptorPoolSize-descriptorCount-00302.
    unsafe { device.raw.create_descriptor_pool(&info, None) }
        .map_err(|result| device.error("vkCreateDescriptorPool", result))
}
