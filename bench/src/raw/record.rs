//! Recording a script, and submitting it.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Result, bail};
use ash::vk;

use super::scope::Scope;
use super::work::{Bind, Kept, Parameters, RawWork, Submit, Way, write};
use crate::script::{Launch, Op};

/// What a command buffer has bound so far, so that nothing is bound twice.
#[derive(Default)]
struct Current {
    pipeline: vk::Pipeline,
    set: vk::DescriptorSet,
    scalar: Option<u32>,
    /// Whether a copy came after the last barrier.
    copied: bool,
}

impl RawWork {
    pub(super) fn step_cut(&mut self, way: Way, cut: u32) -> Result<()> {
        let gpu = Rc::clone(&self.gpu);
        // SAFETY: the last step waited for all of its submissions. VUID-vkResetCommandPool-commandPool-00040.
        unsafe {
            let flags = vk::CommandPoolResetFlags::empty();
            gpu.raw.reset_command_pool(self.pool, flags)?;
        }
        let (all, cut) = (self.script.ops.len(), cut as usize);
        let count = all.div_ceil(cut);
        self.grow(count)?;
        for index in 0..count {
            let ops = index * cut..all.min((index + 1).saturating_mul(cut));
            let commands = self.commands[index];
            // SAFETY: it was reset with its pool and is submitted once before the next reset; `step` waits after the last one.
            unsafe {
                self.barriers += self.record(commands, way, ops)?;
                gpu.submit(commands, index + 1 == count)?;
            }
        }
        self.submissions += count as u64;
        Ok(())
    }

    pub(super) fn step_replay(&mut self, way: Way) -> Result<()> {
        let kept = match self.kept.get(&way) {
            Some(kept) => *kept,
            None => {
                let pool = self.gpu.pool()?;
                let commands = self.gpu.commands(pool, 1)?[0];
                // SAFETY: the command buffer is new, and its pool has no other.
                let barriers = unsafe { self.record(commands, way, 0..self.script.ops.len()) }?;
                let kept = Kept { commands, barriers };
                self.kept.insert(way, kept);
                kept
            }
        };
        // SAFETY: it was recorded to be submitted again and again, and `step` waits after each.
        unsafe { self.gpu.submit(kept.commands, true) }?;
        self.submissions += 1;
        self.barriers += kept.barriers;
        Ok(())
    }

    /// Records a whole step and submits nothing.
    fn record_only(&mut self, way: Way) -> Result<()> {
        self.grow(1)?;
        // SAFETY: no submission is in flight, as in `step_cut`.
        unsafe {
            let flags = vk::CommandPoolResetFlags::empty();
            self.gpu.raw.reset_command_pool(self.pool, flags)?;
            self.record(self.commands[0], way, 0..self.script.ops.len())?;
        }
        Ok(())
    }

    fn grow(&mut self, count: usize) -> Result<()> {
        let missing = count.saturating_sub(self.commands.len());
        if missing > 0 {
            let more = self.gpu.commands(self.pool, missing as u32)?;
            self.commands.extend(more);
        }
        Ok(())
    }

    /// Gives the number of barriers.
    ///
    /// # Safety
    /// The command buffer is reset and this thread's alone.
    unsafe fn record(
        &self,
        commands: vk::CommandBuffer,
        way: Way,
        ops: Range<usize>,
    ) -> Result<u64> {
        let flags = match way.submit {
            Submit::Replay => vk::CommandBufferUsageFlags::empty(),
            _ => vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT,
        };
        let begin = vk::CommandBufferBeginInfo::default().flags(flags);
        let gpu = &*self.gpu;
        // SAFETY: the caller's promise. VUID-vkBeginCommandBuffer-commandBuffer-00049.
        unsafe { gpu.raw.begin_command_buffer(commands, &begin) }?;
        let (mut current, mut barriers) = (Current::default(), 0);
        let first = ops.start == 0;
        for at in ops {
            match &self.script.ops[at] {
                Op::Upload(_) if way.parameters == Parameters::Ring => {}
                Op::Upload(index) => {
                    gpu.barrier(commands, Scope::KERNELS, Scope::COPIES);
                    barriers += 1;
                    self.copy(commands, *index);
                    current.copied = true;
                }
                Op::Launch(launch) => {
                    // A step's first launch comes after the last step's.
                    if launch.depends || current.copied || (first && at == 0) {
                        let before = if current.copied {
                            Scope::WORK
                        } else {
                            Scope::KERNELS
                        };
                        gpu.barrier(commands, before, Scope::KERNELS);
                        barriers += 1;
                        current.copied = false;
                    }
                    // SAFETY: the caller's promise.
                    unsafe { self.launch(commands, way, at, launch, &mut current) }?;
                }
            }
        }
        // SAFETY: as above.
        unsafe { gpu.raw.end_command_buffer(commands) }?;
        Ok(barriers)
    }

    fn copy(&self, commands: vk::CommandBuffer, index: u32) {
        let region = [vk::BufferCopy {
            src_offset: u64::from(index) * 4,
            dst_offset: 0,
            size: 4,
        }];
        let (from, to) = (self.staging.buffer, self.parameter_buffer());
        // SAFETY: `record` has begun the command buffer; the staging memory has room for far more parameters than a step has. VUID-vkCmdCopyBuffer-srcOffset-00113, -size-00115.
        unsafe { self.gpu.raw.cmd_copy_buffer(commands, from, to, &region) };
    }

    /// # Safety
    /// The command buffer is being recorded by this thread.
    unsafe fn launch(
        &self,
        commands: vk::CommandBuffer,
        way: Way,
        at: usize,
        launch: &Launch,
        current: &mut Current,
    ) -> Result<()> {
        let bound = &self.bound[usize::from(way.parameters == Parameters::Ring)][at];
        let (prebuilt, pushing) = self.pipelines[launch.kernel];
        let (Some(bound), raw) = (bound, &self.gpu.raw) else {
            bail!("a launch without buffers");
        };
        let point = vk::PipelineBindPoint::COMPUTE;
        let pipeline = match (way.bind, pushing) {
            (Bind::Sets, _) => prebuilt,
            (Bind::Push, Some(pushing)) => pushing,
            (Bind::Push, None) => bail!("the device has no push descriptors"),
        };
        // SAFETY: the caller's promise; pipeline, layout and set were made for each other, and workgroups are few. VUID-vkCmdDispatch-None-08600, -groupCountX-00386,
        // VUID-vkCmdPushConstants-offset-01795, VUID-vkCmdPushDescriptorSet-set-00365.
        unsafe {
            if current.pipeline != pipeline.raw {
                raw.cmd_bind_pipeline(commands, point, pipeline.raw);
                current.pipeline = pipeline.raw;
            }
            if current.set != bound.set {
                match (&self.gpu.push, way.bind) {
                    (Some(push), Bind::Push) => {
                        let mut writes = [vk::WriteDescriptorSet::default(); 4];
                        for (binding, info) in bound.infos.iter().take(4).enumerate() {
                            writes[binding] =
                                write(vk::DescriptorSet::null(), binding as u32, info);
                        }
                        let writes = &writes[..bound.infos.len().min(4)];
                        push.cmd_push_descriptor_set(commands, point, pipeline.layout, 0, writes);
                    }
                    _ => raw.cmd_bind_descriptor_sets(
                        commands,
                        point,
                        pipeline.layout,
                        0,
                        &[bound.set],
                        &[],
                    ),
                }
                current.set = bound.set;
            }
            if let (Some(scalar), true) = (launch.scalar, launch.scalar != current.scalar) {
                let stages = vk::ShaderStageFlags::COMPUTE;
                raw.cmd_push_constants(commands, pipeline.layout, stages, 0, &scalar.to_ne_bytes());
                current.scalar = launch.scalar;
            }
            raw.cmd_dispatch(commands, self.script.workgroups, 1, 1);
        }
        Ok(())
    }
}

/// Recording alone, for what a launch costs the CPU.
#[derive(Clone, Debug)]
pub struct RecordOnly(Rc<RefCell<RawWork>>);

impl RecordOnly {
    /// Of this work.
    pub fn new(work: &Rc<RefCell<RawWork>>) -> Self {
        Self(Rc::clone(work))
    }

    /// Records a step in one command buffer, and submits nothing.
    ///
    /// # Errors
    /// The device's.
    pub fn record(&self) -> Result<()> {
        self.0.borrow_mut().record_only(Submit::One.into())
    }

    /// Records a step in one command buffer and submits it. [`Self::wait`] follows.
    ///
    /// # Errors
    /// The device's.
    pub fn submit(&self) -> Result<()> {
        let mut work = self.0.borrow_mut();
        work.step_cut(Submit::One.into(), u32::MAX)
    }

    /// Waits for what [`Self::submit`] submitted.
    ///
    /// # Errors
    /// The device's.
    pub fn wait(&self) -> Result<()> {
        let mut work = self.0.borrow_mut();
        work.gpu.wait()?;
        work.steps += 1;
        Ok(())
    }
}
