//! A batch turned into a command buffer.

use ash::vk;
use tidegate_core::{
    AddressBlock, Barrier, Batch, Command, DeviceError, Launch, Region, Span, Stages,
};

use crate::barrier::{self, Scope};
use crate::descriptor::Descriptors;
use crate::device::Logical;
use crate::error::refused;
use crate::layout::Layout;
use crate::pipeline::Table;
use crate::slots::Slots;
use crate::timing::Timestamps;

/// Room that one queue's batches use again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    infos: Vec<vk::DescriptorBufferInfo>,
    scalars: Vec<u8>,
}

/// Writes one batch into one command buffer.
pub(crate) struct Encoder<'a> {
    pub(crate) device: &'a Logical,
    pub(crate) buffer: vk::CommandBuffer,
    pub(crate) slots: &'a Slots,
    pub(crate) table: &'a Table,
    pub(crate) descriptors: &'a mut Descriptors,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) batch: &'a Batch,
    pub(crate) bound: Bound,
    pub(crate) timestamps: Option<&'a mut Timestamps>,
}

/// What earlier launches of the batch left bound.
#[derive(Default)]
pub(crate) struct Bound {
    pipeline: vk::Pipeline,
    /// The layout under which `regions` and `scalars` were bound.
    layout: vk::PipelineLayout,
    regions: Option<Span>,
    scalars: Option<Span>,
}

impl Encoder<'_> {
    /// Records the whole batch, with the barriers that it states and no other.
    ///
    /// The command buffer is being recorded and is this thread's alone; every call below relies on that
    /// (VUID-vkCmd*-commandBuffer-recording and the host synchronisation of its pool).
    pub(crate) fn encode(&mut self) -> Result<(), DeviceError> {
        let mut ran = Stages::NONE;
        self.barrier(self.batch.opening);
        for (index, command) in self.batch.body().commands.iter().enumerate() {
            if let Command::Barrier(it) = command {
                self.barrier(*it);
                continue;
            }
            ran = ran.union(command.stage());
            if let Some(timestamps) = &mut self.timestamps {
                timestamps.start(self.device, self.buffer, index);
            }
            self.command(command)?;
            if let Some(timestamps) = &self.timestamps {
                timestamps.end(self.device, self.buffer, command.stage());
            }
        }
        if self.batch.host_reads && !ran.is_empty() {
            self.dependency(barrier::before(ran), barrier::HOST);
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), DeviceError> {
        match command {
            Command::Launch(launch) => self.launch(launch),
            Command::Upload { target, data } => self.upload(target, *data),
            Command::Copy { source, target } => self.copy(source, target),
            Command::Fill { target, pattern } => self.fill(target, *pattern),
            other => Err(refused(format!("this backend has no {other:?}"))),
        }
    }

    fn barrier(&mut self, it: Barrier) {
        if let Some(timestamps) = &mut self.timestamps {
            timestamps.barrier();
        }
        if !it.before.is_empty() && !it.after.is_empty() {
            self.dependency(barrier::before(it.before), barrier::after(it.after));
        }
    }

    fn dependency(&self, before: Scope, after: Scope) {
        if let Some(functions) = &self.device.synchronization2 {
            let barriers = [vk::MemoryBarrier2::default()
                .src_stage_mask(barrier::pipeline_stages2(before.stages))
                .src_access_mask(barrier::access2(before.access))
                .dst_stage_mask(barrier::pipeline_stages2(after.stages))
                .dst_access_mask(barrier::access2(after.access))];
            let info = vk::DependencyInfo::default().memory_barriers(&barriers);
            // SAFETY: the feature is enabled, and each access belongs to one of its stages (`barrier`).
            // VUID-vkCmdPipelineBarrier2-synchronization2-03848, VUID-VkMemoryBarrier2-srcAccessMask-03907 and its like.
            unsafe { functions.cmd_pipeline_barrier2(self.buffer, &info) };
        } else {
            let barriers = [vk::MemoryBarrier::default()
                .src_access_mask(before.access)
                .dst_access_mask(after.access)];
            // SAFETY: as above. VUID-vkCmdPipelineBarrier-srcAccessMask-02815, -dstAccessMask-02816.
            unsafe {
                self.device.raw.cmd_pipeline_barrier(
                    self.buffer,
                    before.stages,
                    after.stages,
                    vk::DependencyFlags::empty(),
                    &barriers,
                    &[],
                    &[],
                );
            }
        }
    }

    fn launch(&mut self, launch: &Launch) -> Result<(), DeviceError> {
        let (pipeline, layout) = self.table.pipeline(launch.pipeline)?;
        if pipeline.raw != self.bound.pipeline {
            // SAFETY: the pipeline lives until the batch has run: core's promise. VUID-vkCmdBindPipeline-pipeline-parameter.
            unsafe {
                self.device.raw.cmd_bind_pipeline(
                    self.buffer,
                    vk::PipelineBindPoint::COMPUTE,
                    pipeline.raw,
                );
            }
            self.bound.pipeline = pipeline.raw;
            if pipeline.addresses.is_some() {
                // Another kernel reads the same bytes in another way.
                self.bound.regions = None;
            }
        }
        if layout.raw != self.bound.layout {
            // Under another layout nothing that was bound is of use.
            self.bound.layout = layout.raw;
            self.bound.regions = None;
            self.bound.scalars = None;
        }
        if let Some((count, block)) = &pipeline.addresses {
            self.push_addresses(launch, layout, *count, block)?;
        } else {
            self.bind_regions(launch.bindings, layout)?;
            self.bind_scalars(launch.scalars, layout)?;
        }
        let [x, y, z] = launch.grid;
        // SAFETY: every set and all push constants that the kernel declares are bound. That the grid is within the device's limits is
        // core's promise. VUID-vkCmdDispatch-None-08600, -08601, -groupCountX-00386, -groupCountY-00387, -groupCountZ-00388.
        unsafe { self.device.raw.cmd_dispatch(self.buffer, x, y, z) };
        Ok(())
    }

    /// Pushes a launch's scalars, the addresses of its buffers and the sizes that it asks for, unless the last launch's are the same.
    fn push_addresses(
        &mut self,
        launch: &Launch,
        layout: &Layout,
        count: u32,
        block: &AddressBlock,
    ) -> Result<(), DeviceError> {
        let regions = self.batch.body().regions.get(launch.bindings.range());
        let scalars = self.batch.body().data.get(launch.scalars.range());
        let (Some(regions), Some(scalars)) = (regions, scalars) else {
            return Err(refused("a launch whose arguments are not in its batch"));
        };
        if regions.len() != count as usize || scalars.len() > block.first as usize {
            return Err(refused(format!(
                "a launch of a kernel with {count} buffers and {} bytes of scalars gives {} and {}",
                block.first,
                regions.len(),
                scalars.len()
            )));
        }
        let same = self.bound.regions.is_some_and(|it| {
            self.batch.body().regions.get(it.range()) == Some(regions)
                && self
                    .bound
                    .scalars
                    .and_then(|it| self.batch.body().data.get(it.range()))
                    == Some(scalars)
        });
        if same {
            return Ok(());
        }
        (self.bound.regions, self.bound.scalars) = (Some(launch.bindings), Some(launch.scalars));
        let bytes = &mut self.scratch.scalars;
        bytes.clear();
        bytes.extend_from_slice(scalars);
        bytes.resize(block.first as usize, 0);
        for region in regions {
            bytes.extend_from_slice(&self.slots.address(region)?.to_ne_bytes());
        }
        for index in &block.sizes {
            // A storage buffer that may be bound has fewer than 2^32 bytes: `maxStorageBufferRange`.
            let size = u32::try_from(regions[*index as usize].bytes).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&size.to_ne_bytes());
        }
        // SAFETY: as many bytes as the layout's one range has, which is for compute: `Shape::addressed` has checked that the parts add up.
        // VUID-vkCmdPushConstants-size-00369, -offset-01795, -size-00371.
        unsafe {
            self.device.raw.cmd_push_constants(
                self.buffer,
                layout.raw,
                vk::ShaderStageFlags::COMPUTE,
                0,
                bytes,
            );
        }
        Ok(())
    }

    fn bind_regions(&mut self, span: Span, layout: &Layout) -> Result<(), DeviceError> {
        let regions = self.batch.body().regions.get(span.range());
        let Some(regions) = regions.filter(|it| it.len() == layout.bindings()) else {
            return Err(refused(format!(
                "a launch of a kernel with {} buffers gives {}",
                layout.bindings(),
                span.len
            )));
        };
        // Empty, or the same as the last launch's.
        let same = |it: Span| self.batch.body().regions.get(it.range()) == Some(regions);
        if regions.is_empty() || self.bound.regions.is_some_and(same) {
            return Ok(());
        }
        self.bound.regions = Some(span);
        let infos = &mut self.scratch.infos;
        infos.clear();
        for region in regions {
            infos.push(vk::DescriptorBufferInfo {
                buffer: self.slots.buffer(region)?,
                offset: region.offset,
                range: region.bytes,
            });
        }
        if let (true, Some(functions), [set]) = (
            layout.pushed,
            &self.device.push_descriptor,
            &layout.sets[..],
        ) {
            // SAFETY: the template was made for this layout and set and reads one `DescriptorBufferInfo` for each of the layout's bindings,
            // which `infos` has. Offsets, sizes and lifetimes are core's promise.
            // VUID-vkCmdPushDescriptorSetWithTemplateKHR-commandBuffer-00366, -pData-01686, -layout-07993.
            unsafe {
                functions.cmd_push_descriptor_set_with_template(
                    self.buffer,
                    set.template,
                    layout.raw,
                    set.group,
                    infos.as_ptr().cast(),
                );
            }
            return Ok(());
        }
        self.descriptors
            .bind(self.device, self.buffer, layout, infos)
    }

    fn bind_scalars(&mut self, span: Span, layout: &Layout) -> Result<(), DeviceError> {
        let bytes = self.batch.body().data.get(span.range());
        let Some(bytes) = bytes.filter(|it| it.len() <= layout.scalar_bytes() as usize) else {
            return Err(refused(format!(
                "a launch of a kernel with {} bytes of scalars gives {}",
                layout.scalar_bytes(),
                span.len
            )));
        };
        let same = |it: Span| self.batch.body().data.get(it.range()) == Some(bytes);
        if bytes.is_empty() || self.bound.scalars.is_some_and(same) {
            return Ok(());
        }
        self.bound.scalars = Some(span);
        let whole = if bytes.len().is_multiple_of(4) {
            bytes
        } else {
            let scalars = &mut self.scratch.scalars;
            scalars.clear();
            scalars.extend_from_slice(bytes);
            scalars.resize(bytes.len().next_multiple_of(4), 0);
            scalars
        };
        // SAFETY: the size is a multiple of 4 and within the layout's one range, which is for compute.
        // VUID-vkCmdPushConstants-size-00369, -offset-01795, -size-00371.
        unsafe {
            self.device.raw.cmd_push_constants(
                self.buffer,
                layout.raw,
                vk::ShaderStageFlags::COMPUTE,
                0,
                whole,
            );
        }
        Ok(())
    }

    fn upload(&self, target: &Region, data: Span) -> Result<(), DeviceError> {
        let buffer = self.slots.buffer(target)?;
        let bytes = self.batch.body().data.get(data.range());
        let Some(bytes) = bytes.filter(|it| it.len() as u64 == target.bytes) else {
            return Err(refused(format!("{} bytes for {target}", data.len)));
        };
        if !is_words(target) || target.bytes > 65536 {
            return Err(refused(format!(
                "a small upload to {target}: whole words, at most 65536 bytes"
            )));
        }
        // SAFETY: offset and size were checked just now, against the buffer too, which may be a transfer's target.
        // VUID-vkCmdUpdateBuffer-dstOffset-00036, -dataSize-00037, -dataSize-00038, -dstBuffer-00034.
        unsafe {
            self.device
                .raw
                .cmd_update_buffer(self.buffer, buffer, target.offset, bytes);
        }
        Ok(())
    }

    fn copy(&self, source: &Region, target: &Region) -> Result<(), DeviceError> {
        let (from, to) = (self.slots.buffer(source)?, self.slots.buffer(target)?);
        if source.bytes == 0 || source.bytes != target.bytes || source.overlaps(target) {
            return Err(refused(format!(
                "a copy from {source} to {target}: sizes are equal and not 0, and the two do not overlap"
            )));
        }
        let regions = [vk::BufferCopy {
            src_offset: source.offset,
            dst_offset: target.offset,
            size: source.bytes,
        }];
        // SAFETY: both regions were checked just now, and every buffer may be a transfer's source and target.
        // VUID-vkCmdCopyBuffer-srcOffset-00113, -size-00115, -size-00116, -pRegions-00117, VUID-VkBufferCopy-size-01988.
        unsafe {
            self.device
                .raw
                .cmd_copy_buffer(self.buffer, from, to, &regions);
        }
        Ok(())
    }

    fn fill(&self, target: &Region, pattern: u32) -> Result<(), DeviceError> {
        let buffer = self.slots.buffer(target)?;
        if !is_words(target) {
            return Err(refused(format!("a fill of {target}: whole words")));
        }
        // SAFETY: offset and size were checked just now, and every buffer may be a transfer's target.
        // VUID-vkCmdFillBuffer-dstOffset-00025, -size-00026, -size-00027, -size-00028, -dstBuffer-00029.
        unsafe {
            self.device.raw.cmd_fill_buffer(
                self.buffer,
                buffer,
                target.offset,
                target.bytes,
                pattern,
            );
        }
        Ok(())
    }
}

/// Whether the region is made of whole words, at least one.
fn is_words(region: &Region) -> bool {
    region.bytes > 0 && region.bytes.is_multiple_of(4) && region.offset.is_multiple_of(4)
}
