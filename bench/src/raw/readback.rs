//! A copy of one word to the host.

use std::rc::Rc;

use anyhow::Result;
use ash::vk;

use super::gpu::Gpu;
use super::objects::{Memory, Use};
use super::scope::Scope;
use crate::contest::Runner;
use crate::script::{Place, Store};

/// Each step copies another word, spins and reads.
#[derive(Debug)]
pub struct Readback {
    gpu: Rc<Gpu>,
    source: Memory,
    readback: Memory,
    pool: vk::CommandPool,
    /// One, recorded anew for each step; or one for each word, recorded once.
    commands: Vec<vk::CommandBuffer>,
    words: u32,
    steps: u64,
    mixed: u32,
}

impl Readback {
    /// Makes and fills everything. With `kept` the copies are recorded here, else each in its step.
    ///
    /// # Errors
    /// The device's.
    pub fn new(gpu: &Rc<Gpu>, store: &Store, kept: bool) -> Result<Self> {
        let staging = gpu.staging(Use::Staging)?;
        let source = gpu.buffer(u64::from(store.words) * 4, Use::Device)?;
        gpu.upload(&staging, &source, 0, &store.content(0))?;
        let pool = gpu.pool()?;
        let made = Self {
            source,
            readback: gpu.buffer(256, Use::Readback)?,
            commands: gpu.commands(pool, if kept { store.words } else { 1 })?,
            pool,
            words: store.words,
            gpu: Rc::clone(gpu),
            steps: 0,
            mixed: 0,
        };
        if kept {
            for (word, commands) in (0..).zip(&made.commands) {
                // SAFETY: the command buffers are new.
                unsafe { made.record(*commands, word, vk::CommandBufferUsageFlags::empty()) }?;
            }
        }
        Ok(made)
    }

    /// # Safety
    /// The command buffer is reset, or new, and this thread's alone.
    unsafe fn record(
        &self,
        commands: vk::CommandBuffer,
        word: u32,
        flags: vk::CommandBufferUsageFlags,
    ) -> Result<()> {
        let region = [vk::BufferCopy {
            src_offset: u64::from(word) * 4,
            dst_offset: 0,
            size: 4,
        }];
        let begin = vk::CommandBufferBeginInfo::default().flags(flags);
        let (gpu, from, to) = (&self.gpu, self.source.buffer, self.readback.buffer);
        // SAFETY: the caller's promise; both ranges are inside their buffers. VUID-vkBeginCommandBuffer-commandBuffer-00049,
        // VUID-vkCmdCopyBuffer-srcOffset-00113, -size-00115.
        unsafe {
            gpu.raw.begin_command_buffer(commands, &begin)?;
            // Only copies came before: the upload, and the last step's.
            gpu.barrier(commands, Scope::COPIES, Scope::COPIES);
            gpu.raw.cmd_copy_buffer(commands, from, to, &region);
            gpu.barrier(commands, Scope::COPIES, Scope::HOST);
            gpu.raw.end_command_buffer(commands)?;
        }
        Ok(())
    }
}

impl Runner for Readback {
    fn step(&mut self) -> Result<()> {
        let word = (self.steps % u64::from(self.words)) as u32;
        let kept = self.commands.get(word as usize).copied();
        let commands = match kept {
            Some(kept) if self.commands.len() > 1 => kept,
            _ => {
                let flags = vk::CommandPoolResetFlags::empty();
                let once = vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT;
                // SAFETY: the last step waited for its submission. VUID-vkResetCommandPool-commandPool-00040.
                unsafe {
                    self.gpu.raw.reset_command_pool(self.pool, flags)?;
                    self.record(self.commands[0], word, once)?;
                }
                self.commands[0]
            }
        };
        // SAFETY: it is recorded, and its last submission is over, as each step waits.
        unsafe { self.gpu.submit(commands, true) }?;
        self.gpu.wait()?;
        let mut read = [0];
        self.readback.read(0, &mut read);
        self.mixed = crate::script::mix(self.mixed, read[0]);
        self.steps += 1;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn read(&mut self, _: Place) -> Result<Vec<u32>> {
        Ok(vec![self.mixed])
    }

    fn counts(&self) -> (u64, u64) {
        (self.steps, 2 * self.steps)
    }
}
