//! Memory, command buffers and pipelines.

use std::ffi::CStr;

use anyhow::{Context as _, Result};
use ash::vk;

use super::gpu::Gpu;

/// A buffer, and where the host sees it if it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) buffer: vk::Buffer,
    pub(super) bytes: u64,
    at: *mut u8,
}

impl Memory {
    /// Writes words at a byte offset.
    pub(super) fn write(&self, offset: u64, words: &[u32]) {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        assert!(!self.at.is_null() && offset + bytes.len() as u64 <= self.bytes);
        // SAFETY: `Gpu::buffer` mapped all of `self.bytes` for as long as the device lives, the range was just checked, and callers write only what no submission in
        // flight reads: every step ends with a wait. VUID-vkMapMemory-memory-00678 to -00682 were met there.
        unsafe {
            let to = self.at.add(offset as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Reads words at a byte offset.
    pub(super) fn read(&self, offset: u64, words: &mut [u32]) {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
        assert!(!self.at.is_null() && offset + bytes.len() as u64 <= self.bytes);
        // SAFETY: as in `write`; a barrier to the host and a wait stand between the copy and this.
        unsafe {
            let from = self.at.add(offset as usize);
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len());
        }
    }
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Kernels.
    Device,
    /// The host writes it and kernels read it: on the device, if the host can reach that.
    Ring,
    /// The host writes it and copies read it.
    Staging,
    /// Copies write it and the host reads it.
    Readback,
}

impl Use {
    /// Properties, best first.
    fn properties(self) -> &'static [vk::MemoryPropertyFlags] {
        use vk::MemoryPropertyFlags as P;
        const SEEN: P = P::from_raw(P::HOST_VISIBLE.as_raw() | P::HOST_COHERENT.as_raw());
        const NEAR: P = P::from_raw(SEEN.as_raw() | P::DEVICE_LOCAL.as_raw());
        const CACHED: P = P::from_raw(SEEN.as_raw() | P::HOST_CACHED.as_raw());
        match self {
            Self::Device => &[P::DEVICE_LOCAL],
            Self::Ring => &[NEAR, SEEN],
            Self::Staging => &[SEEN],
            Self::Readback => &[CACHED, SEEN],
        }
    }
}

impl Gpu {
    /// New memory, mapped if the host is to see it.
    pub(super) fn buffer(&self, bytes: u64, purpose: Use) -> Result<Memory> {
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let info = vk::BufferCreateInfo::default().size(bytes).usage(usage);
        // SAFETY: the size is not 0. VUID-VkBufferCreateInfo-size-00912.
        let buffer = unsafe { self.raw.create_buffer(&info, None) }?;
        // SAFETY: a query.
        let needs = unsafe { self.raw.get_buffer_memory_requirements(buffer) };
        let mut types = purpose.properties().iter().filter_map(|properties| {
            (0..self.memory.memory_type_count).find(|it| {
                let has = self.memory.memory_types[*it as usize].property_flags;
                needs.memory_type_bits & (1 << it) != 0 && has.contains(*properties)
            })
        });
        let index = types.next().context("no memory of the kind")?;
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(index);
        // SAFETY: the size and the type are those that the buffer needs, and memory is bound once. VUID-vkBindBufferMemory-memory-01035, -size-01037.
        let memory = unsafe {
            let memory = self.raw.allocate_memory(&info, None)?;
            self.raw.bind_buffer_memory(buffer, memory, 0)?;
            memory
        };
        self.made.borrow_mut().buffers.push((buffer, memory));
        let at = if purpose == Use::Device {
            std::ptr::null_mut()
        } else {
            let flags = vk::MemoryMapFlags::empty();
            // SAFETY: the type is visible to the host and the memory is mapped once. VUID-vkMapMemory-memory-00678, -00682.
            unsafe { self.raw.map_memory(memory, 0, vk::WHOLE_SIZE, flags) }?.cast()
        };
        Ok(Memory { buffer, bytes, at })
    }

    /// A new pool of command buffers.
    pub(super) fn pool(&self) -> Result<vk::CommandPool> {
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(self.family);
        // SAFETY: the family is the device's. VUID-vkCreateCommandPool-queueFamilyIndex-01937.
        let pool = unsafe { self.raw.create_command_pool(&info, None) }?;
        self.made.borrow_mut().pools.push(pool);
        Ok(pool)
    }

    /// New command buffers of a pool.
    pub(super) fn commands(
        &self,
        pool: vk::CommandPool,
        count: u32,
    ) -> Result<Vec<vk::CommandBuffer>> {
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .command_buffer_count(count);
        // SAFETY: the pool is this thread's: a `Gpu` is neither sent nor shared.
        Ok(unsafe { self.raw.allocate_command_buffers(&info) }?)
    }

    /// A pool for so many sets with so many storage buffers together.
    pub(super) fn descriptors(&self, sets: u32, buffers: u32) -> Result<vk::DescriptorPool> {
        let sizes = [vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(buffers)];
        let info = vk::DescriptorPoolCreateInfo::default()
            .max_sets(sets)
            .pool_sizes(&sizes);
        // SAFETY: neither number is 0. VUID-VkDescriptorPoolCreateInfo-descriptorPoolOverallocation-09227.
        let pool = unsafe { self.raw.create_descriptor_pool(&info, None) }?;
        self.made.borrow_mut().descriptors.push(pool);
        Ok(pool)
    }

    /// A pipeline of SPIR-V that binds so many storage buffers from binding 0 on, and takes a word if it is said so.
    pub(super) fn pipeline(
        &self,
        (words, name): (&[u32], &CStr),
        bindings: u32,
        immediate: bool,
        flags: vk::DescriptorSetLayoutCreateFlags,
    ) -> Result<(vk::Pipeline, vk::PipelineLayout, vk::DescriptorSetLayout)> {
        let bindings: Vec<_> = (0..bindings)
            .map(|it| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(it)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let info = vk::DescriptorSetLayoutCreateInfo::default()
            .flags(flags)
            .bindings(&bindings);
        let constants = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(4)];
        let mut made = self.made.borrow_mut();
        let raw = &self.raw;
        // SAFETY: the SPIR-V is naga's own and its interface is as described; a push layout is asked for only with the extension.
        // VUID-VkComputePipelineCreateInfo-layout-07988, VUID-VkDescriptorSetLayoutCreateInfo-flags-00280.
        unsafe {
            let set = raw.create_descriptor_set_layout(&info, None)?;
            made.set_layouts.push(set);
            let sets = [set];
            let info = vk::PipelineLayoutCreateInfo::default()
                .set_layouts(&sets)
                .push_constant_ranges(&constants[..usize::from(immediate)]);
            let layout = raw.create_pipeline_layout(&info, None)?;
            made.layouts.push(layout);
            let info = vk::ShaderModuleCreateInfo::default().code(words);
            let module = raw.create_shader_module(&info, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(name);
            let info = [vk::ComputePipelineCreateInfo::default()
                .stage(stage)
                .layout(layout)];
            let pipelines = raw.create_compute_pipelines(vk::PipelineCache::null(), &info, None);
            raw.destroy_shader_module(module, None);
            let pipeline = pipelines.map_err(|it| it.1)?[0];
            made.pipelines.push(pipeline);
            Ok((pipeline, layout, set))
        }
    }
}
