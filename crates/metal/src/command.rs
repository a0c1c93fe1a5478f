//! A batch turned into a command buffer.

use std::ptr::NonNull;

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::{NSRange, NSString};
use objc2_metal::{
    MTLBarrierScope, MTLBlitCommandEncoder, MTLCommandBuffer, MTLCommandEncoder,
    MTLComputeCommandEncoder, MTLDispatchType, MTLSize,
};
use tidegate_core::{Batch, Command, DeviceError, Launch, Region, Span, Stages};

use crate::argument::Bound;
use crate::barrier::{Kind, Order, Step, Waits};
use crate::blame::Blame;
use crate::builtin::{Builtin, Builtins, COPY_BYTES};
use crate::error::refused;
use crate::memory::Slots;
use crate::pipeline::Table;
use crate::submit::Fences;
use crate::support::INLINE_BYTES_MAX;

/// Most bytes that one launch of a kernel of ours covers: it counts them as a `u32`.
const LAUNCH_BYTES_MAX: u64 = 1 << 30;

/// Room that one queue's batches use again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    bound: Bound,
    sizes: Vec<u8>,
    /// Names of encoders, by their place in a batch.
    labels: Vec<Retained<NSString>>,
}

/// Writes one batch into one command buffer. At most one of its encoders is open at a time, which ends when this is dropped at the latest: Metal does not let an encoder
/// go that was not ended (Metal, "endEncoding()").
pub(crate) struct Encoder<'a> {
    pub(crate) buffer: &'a ProtocolObject<dyn MTLCommandBuffer>,
    pub(crate) fences: &'a Fences,
    pub(crate) slots: &'a Slots,
    pub(crate) table: &'a Table,
    pub(crate) builtins: &'a Builtins,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) batch: &'a Batch,
    pub(crate) order: &'a mut Order,
    /// What each encoder launches, if the driver is asked to name those that fail.
    pub(crate) blame: Option<&'a mut Blame>,
    pub(crate) open: Open,
}

/// The encoder that is open.
#[derive(Default)]
pub(crate) enum Open {
    #[default]
    None,
    Compute(Retained<ProtocolObject<dyn MTLComputeCommandEncoder>>),
    Blit(Retained<ProtocolObject<dyn MTLBlitCommandEncoder>>),
}

impl Encoder<'_> {
    /// Encodes the whole batch, with the barriers that it states.
    pub(crate) fn encode(&mut self) -> Result<(), DeviceError> {
        let batch = self.batch;
        self.order.begin(!batch.waits.is_empty());
        self.order.barrier(batch.opening);
        for command in &batch.body().commands {
            match command {
                Command::Barrier(it) => self.order.barrier(*it),
                Command::Launch(launch) => self.launch(launch)?,
                Command::Upload { target, data } => self.upload(target, *data)?,
                Command::Copy { source, target } => self.copy(source, target)?,
                Command::Fill { target, pattern } => self.fill(target, *pattern)?,
                other => return Err(refused(format!("this backend has no {other:?}"))),
            }
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.finish();
        self.order.close();
    }

    /// Ends the open encoder, if any, of which `order` need not be told. What it ran then stands behind the fence of its kind.
    fn finish(&mut self) {
        match std::mem::take(&mut self.open) {
            Open::None => {}
            Open::Compute(raw) => {
                raw.updateFence(&self.fences.compute);
                raw.endEncoding();
            }
            Open::Blit(raw) => {
                raw.updateFence(&self.fences.blit);
                raw.endEncoding();
            }
        }
    }

    /// Makes the open encoder one for a compute command of `stage`, ordered as the batch asks.
    fn compute(&mut self, stage: Stages) -> Result<(), DeviceError> {
        match self.order.before(Kind::Compute, stage) {
            Step::Go => {}
            Step::Barrier => {
                if let Open::Compute(raw) = &self.open {
                    raw.memoryBarrierWithScope(MTLBarrierScope::Buffers);
                }
            }
            Step::Open(waits) => {
                self.finish();
                let raw = self
                    .buffer
                    .computeCommandEncoderWithDispatchType(MTLDispatchType::Concurrent)
                    .ok_or(DeviceError::OutOfMemory)?;
                self.name(|label| raw.setLabel(Some(label)));
                let Waits { compute, blit } = waits;
                if compute {
                    raw.waitForFence(&self.fences.compute);
                }
                if blit {
                    raw.waitForFence(&self.fences.blit);
                }
                self.open = Open::Compute(raw);
                self.scratch.bound.clear();
            }
        }
        Ok(())
    }

    /// The same for a blit.
    fn blit(&mut self) -> Result<(), DeviceError> {
        if let Step::Open(waits) = self.order.before(Kind::Blit, Stages::TRANSFER) {
            self.finish();
            let raw = self
                .buffer
                .blitCommandEncoder()
                .ok_or(DeviceError::OutOfMemory)?;
            self.name(|label| raw.setLabel(Some(label)));
            let Waits { compute, blit } = waits;
            if compute {
                raw.waitForFence(&self.fences.compute);
            }
            if blit {
                raw.waitForFence(&self.fences.blit);
            }
            self.open = Open::Blit(raw);
        }
        Ok(())
    }

    /// Names an encoder by its place in the batch, which is how the driver names it in turn when it fails.
    fn name(&mut self, set: impl FnOnce(&NSString)) {
        let Some(blame) = &mut self.blame else {
            return;
        };
        let index = blame.begin();
        let labels = &mut self.scratch.labels;
        while labels.len() <= index {
            labels.push(NSString::from_str(&Blame::label(labels.len())));
        }
        set(&labels[index]);
    }

    fn launch(&mut self, launch: &Launch) -> Result<(), DeviceError> {
        let (batch, slots) = (self.batch, self.slots);
        let pipeline = self.table.pipeline(launch.pipeline)?;
        let regions = batch.body().regions.get(launch.bindings.range());
        let Some(regions) = regions.filter(|it| it.len() == pipeline.buffers.len()) else {
            return Err(refused(format!(
                "a launch of a kernel with {} buffers gives {}",
                pipeline.buffers.len(),
                launch.bindings.len
            )));
        };
        let scalar_bytes = pipeline.scalars.map_or(0, |it| it.1);
        let scalars = batch.body().data.get(launch.scalars.range());
        let Some(scalars) = scalars.filter(|it| it.len() <= scalar_bytes) else {
            return Err(refused(format!(
                "a launch of a kernel with {scalar_bytes} bytes of scalars gives {}",
                launch.scalars.len
            )));
        };
        if launch.grid.contains(&0) {
            return Err(refused("a launch of no workgroup"));
        }
        self.compute(Stages::COMPUTE)?;
        let Open::Compute(raw) = &self.open else {
            return Err(DeviceError::OutOfMemory);
        };
        let Scratch { bound, sizes, .. } = &mut *self.scratch;
        bound.pipeline(raw, &pipeline.raw, &pipeline.threadgroup);
        for (slot, region) in pipeline.buffers.iter().zip(regions) {
            bound.buffer(raw, *slot, slots.buffer(region)?, region)?;
        }
        if let Some((slot, bytes)) = pipeline.scalars {
            bound.bytes(raw, slot, scalars, bytes)?;
        }
        if let Some(list) = &pipeline.sizes {
            sizes.clear();
            for index in &list.regions {
                let bytes = regions.get(*index as usize).map_or(0, |it| it.bytes);
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                sizes.extend_from_slice(&bytes.to_ne_bytes());
            }
            bound.bytes(raw, list.slot as usize, sizes, sizes.len())?;
        }
        let [width, height, depth] = launch.grid.map(|it| it as usize);
        let groups = MTLSize {
            width,
            height,
            depth,
        };
        // Every slot that the kernel reads is bound, and the threadgroup was checked against the pipeline's own limit when it was made. That the grid is within the
        // device's limits is core's promise.
        raw.dispatchThreadgroups_threadsPerThreadgroup(groups, pipeline.threads);
        if let Some(blame) = &mut self.blame {
            blame.launch(launch.pipeline);
        }
        Ok(())
    }

    /// Bytes that travel in the batch go through the argument table, so that the launches around them stay in one encoder.
    fn upload(&mut self, target: &Region, data: Span) -> Result<(), DeviceError> {
        let buffer = self.slots.buffer(target)?;
        let bytes = self.batch.body().data.get(data.range());
        let Some(bytes) = bytes.filter(|it| it.len() as u64 == target.bytes) else {
            return Err(refused(format!("{} bytes for {target}", data.len)));
        };
        if !is_words(target) || bytes.len() > INLINE_BYTES_MAX {
            return Err(refused(format!(
                "a small upload to {target}: whole words, at most {INLINE_BYTES_MAX} bytes"
            )));
        }
        self.compute(Stages::TRANSFER)?;
        let Open::Compute(raw) = &self.open else {
            return Err(DeviceError::OutOfMemory);
        };
        let kernel = &self.builtins.upload;
        let bound = &mut self.scratch.bound;
        let words = (bytes.len() / 4) as u32;
        bound.pipeline(raw, &kernel.raw, &[]);
        bound.buffer(raw, 0, buffer, target)?;
        bound.bytes(raw, 1, bytes, bytes.len())?;
        bound.bytes(raw, 2, &words.to_ne_bytes(), 4)?;
        dispatch(raw, kernel, words.into());
        Ok(())
    }

    fn copy(&mut self, source: &Region, target: &Region) -> Result<(), DeviceError> {
        let (from, to) = (self.slots.buffer(source)?, self.slots.buffer(target)?);
        if source.bytes == 0 || source.bytes != target.bytes || source.overlaps(target) {
            return Err(refused(format!(
                "a copy from {source} to {target}: sizes are equal and not 0, and the two do not overlap"
            )));
        }
        if !is_words(source) || !is_words(target) {
            return self.copy_bytes(source, target);
        }
        self.blit()?;
        let Open::Blit(raw) = &self.open else {
            return Err(DeviceError::OutOfMemory);
        };
        // SAFETY: both regions were checked against their buffers, are not empty, and are made of whole words, as macOS asks
        // (Metal, "copy(from:sourceOffset:to:destinationOffset:size:)").
        unsafe {
            raw.copyFromBuffer_sourceOffset_toBuffer_destinationOffset_size(
                from,
                source.offset as usize,
                to,
                target.offset as usize,
                source.bytes as usize,
            );
        }
        Ok(())
    }

    /// A copy that a blit cannot do, by a kernel of ours.
    fn copy_bytes(&mut self, source: &Region, target: &Region) -> Result<(), DeviceError> {
        let kernel = &self.builtins.copy;
        let mut done = 0;
        while done < target.bytes {
            let bytes = (target.bytes - done).min(LAUNCH_BYTES_MAX);
            let (from, to) = (part(source, done, bytes), part(target, done, bytes));
            self.compute(Stages::TRANSFER)?;
            let Open::Compute(raw) = &self.open else {
                return Err(DeviceError::OutOfMemory);
            };
            let bound = &mut self.scratch.bound;
            bound.pipeline(raw, &kernel.raw, &[]);
            bound.buffer(raw, 0, self.slots.buffer(&to)?, &to)?;
            bound.buffer(raw, 1, self.slots.buffer(&from)?, &from)?;
            bound.bytes(raw, 2, &(bytes as u32).to_ne_bytes(), 4)?;
            dispatch(raw, kernel, bytes.div_ceil(COPY_BYTES));
            done += bytes;
        }
        Ok(())
    }

    fn fill(&mut self, target: &Region, pattern: u32) -> Result<(), DeviceError> {
        let buffer = self.slots.buffer(target)?;
        if !is_words(target) {
            return Err(refused(format!("a fill of {target}: whole words")));
        }
        let [byte, rest @ ..] = pattern.to_ne_bytes();
        // A blit repeats one byte only, and is not worth the end of a compute encoder.
        if rest != [byte; 3] || matches!(self.open, Open::Compute(_)) {
            return self.fill_words(target, pattern);
        }
        self.blit()?;
        let Open::Blit(raw) = &self.open else {
            return Err(DeviceError::OutOfMemory);
        };
        let range = NSRange::new(target.offset as usize, target.bytes as usize);
        // The range was checked, is not empty, and is made of whole words, as macOS asks (Metal, "fill(buffer:range:value:)").
        raw.fillBuffer_range_value(buffer, range, byte);
        Ok(())
    }

    fn fill_words(&mut self, target: &Region, pattern: u32) -> Result<(), DeviceError> {
        let kernel = &self.builtins.fill;
        let mut done = 0;
        while done < target.bytes {
            let bytes = (target.bytes - done).min(LAUNCH_BYTES_MAX);
            let to = part(target, done, bytes);
            self.compute(Stages::TRANSFER)?;
            let Open::Compute(raw) = &self.open else {
                return Err(DeviceError::OutOfMemory);
            };
            let bound = &mut self.scratch.bound;
            let words = (bytes / 4) as u32;
            bound.pipeline(raw, &kernel.raw, &[]);
            bound.buffer(raw, 0, self.slots.buffer(&to)?, &to)?;
            bound.bytes(raw, 1, &pattern.to_ne_bytes(), 4)?;
            bound.bytes(raw, 2, &words.to_ne_bytes(), 4)?;
            dispatch(raw, kernel, words.into());
            done += bytes;
        }
        Ok(())
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        // After an error the command buffer is not committed, and its encoder has to end all the same.
        self.end();
    }
}

/// Runs a kernel of ours with at least `threads` threads, at most 2^30.
fn dispatch(raw: &ProtocolObject<dyn MTLComputeCommandEncoder>, kernel: &Builtin, threads: u64) {
    let line = |width| MTLSize {
        width,
        height: 1,
        depth: 1,
    };
    let groups = (threads as usize).div_ceil(kernel.threads);
    raw.dispatchThreadgroups_threadsPerThreadgroup(line(groups), line(kernel.threads));
}

/// `bytes` bytes of a region, from its byte `first` on.
fn part(of: &Region, first: u64, bytes: u64) -> Region {
    Region {
        memory: of.memory,
        offset: of.offset + first,
        bytes,
    }
}

/// Whether the region is made of whole words, at least one.
fn is_words(region: &Region) -> bool {
    region.bytes > 0 && region.bytes.is_multiple_of(4) && region.offset.is_multiple_of(4)
}

/// A slice's address as Metal takes it.
pub(crate) fn address(bytes: &[u8]) -> NonNull<std::ffi::c_void> {
    NonNull::from(bytes).cast()
}
