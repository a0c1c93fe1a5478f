//! A script in hand-written Vulkan, in the ways of submitting and binding that are worth comparing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CString;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use ash::vk;
use tidegate_shader::{Module, SpirvOptions};

use super::gpu::Gpu;
use super::objects::{Memory, Use};
use crate::contest::Runner;
use crate::script::{Launch, Op, Place, Script, parameter};

/// When command buffers are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submit {
    /// Every so many commands.
    Cut(u32),
    /// All at once.
    One,
    /// All at once, recorded only once.
    Replay,
}

/// How kernels get their buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// Sets that were written beforehand.
    Sets,
    /// Descriptors pushed into the command buffer.
    Push,
}

/// How kernels get a parameter that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameters {
    /// A copy from staging memory, in its place among the launches.
    Staging,
    /// The host writes a ring, and each launch binds the slot that it is to read.
    Ring,
}

/// One way of doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// When to submit.
    pub submit: Submit,
    /// How to bind.
    pub bind: Bind,
    /// How parameters come.
    pub parameters: Parameters,
}

impl From<Submit> for Way {
    fn from(submit: Submit) -> Self {
        Self {
            submit,
            bind: Bind::Sets,
            parameters: Parameters::Staging,
        }
    }
}

/// From one slot to the next at least: no device asks for a larger alignment of storage buffers.
const ALIGN: u64 = 256;

/// A script on a device, which all ways share.
#[derive(Debug)]
pub struct RawWork {
    pub(super) gpu: Rc<Gpu>,
    pub(super) script: Rc<Script>,
    stores: Vec<Memory>,
    /// The parameters of a step, for copies and for kernels.
    pub(super) staging: Memory,
    ring: Memory,
    readback: Memory,
    /// By kernel; the second one takes pushed descriptors.
    pub(super) pipelines: Vec<(Pipeline, Option<Pipeline>)>,
    /// What each op binds, without and with the ring.
    pub(super) bound: [Vec<Option<Bound>>; 2],
    pub(super) pool: vk::CommandPool,
    pub(super) commands: Vec<vk::CommandBuffer>,
    pub(super) kept: HashMap<Way, Kept>,
    pub(super) steps: u64,
    pub(super) submissions: u64,
    pub(super) barriers: u64,
}

/// A pipeline with its layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipeline {
    pub(super) raw: vk::Pipeline,
    pub(super) layout: vk::PipelineLayout,
    set: vk::DescriptorSetLayout,
}

/// What a launch binds.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) set: vk::DescriptorSet,
    pub(super) infos: Vec<vk::DescriptorBufferInfo>,
}

/// A command buffer that was recorded once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) commands: vk::CommandBuffer,
    pub(super) barriers: u64,
}

impl RawWork {
    /// Makes and fills everything.
    ///
    /// # Errors
    /// The device's.
    pub fn new(gpu: &Rc<Gpu>, script: &Rc<Script>) -> Result<Self> {
        let staging = gpu.staging(Use::Staging)?;
        let mut stores = Vec::new();
        for store in &script.stores {
            let stride = stride(store.words);
            let memory = gpu.buffer(stride * u64::from(store.slots), Use::Device)?;
            for slot in 0..store.slots {
                let content = store.content(slot);
                gpu.upload(&staging, &memory, stride * u64::from(slot), &content)?;
            }
            stores.push(memory);
        }
        let slots = script.ops.len() as u64 * ALIGN;
        let mut made = Self {
            pipelines: pipelines(gpu, script)?,
            staging,
            ring: gpu.buffer(slots, Use::Ring)?,
            readback: gpu.staging(Use::Readback)?,
            bound: [Vec::new(), Vec::new()],
            pool: gpu.pool()?,
            commands: Vec::new(),
            kept: HashMap::new(),
            steps: 0,
            submissions: 0,
            barriers: 0,
            gpu: Rc::clone(gpu),
            script: Rc::clone(script),
            stores,
        };
        made.bound = [made.bind(false)?, made.bind(true)?];
        Ok(made)
    }

    /// Where the store of the parameters is.
    pub(super) fn parameter_buffer(&self) -> vk::Buffer {
        let store = self.script.parameters.map(|it| self.stores[it].buffer);
        store.unwrap_or_default()
    }

    /// One set for each different list of buffers, and which op has which.
    fn bind(&self, ring: bool) -> Result<Vec<Option<Bound>>> {
        let launches = self.script.ops.len() as u32;
        let buffers = self
            .script
            .kernels
            .iter()
            .map(|it| it.writes.len() as u32)
            .max();
        let pool = self
            .gpu
            .descriptors(launches, launches * buffers.unwrap_or(1))?;
        let mut sets: HashMap<(usize, &[Place], u32), Bound> = HashMap::new();
        let (mut bound, mut slot) = (Vec::new(), 0);
        for op in &self.script.ops {
            let launch = match op {
                Op::Upload(index) => {
                    slot = if ring { *index } else { 0 };
                    bound.push(None);
                    continue;
                }
                Op::Launch(launch) => launch,
            };
            let key = (launch.kernel, &launch.places[..], slot);
            let set = match sets.entry(key) {
                Entry::Occupied(set) => set.get().clone(),
                Entry::Vacant(place) => {
                    let set = self.write_set(pool, launch, ring.then_some(slot))?;
                    place.insert(set).clone()
                }
            };
            bound.push(Some(set));
        }
        Ok(bound)
    }

    fn write_set(
        &self,
        pool: vk::DescriptorPool,
        launch: &Launch,
        ring: Option<u32>,
    ) -> Result<Bound> {
        let info = |place: &Place| match ring {
            Some(slot) if Some(place.store) == self.script.parameters => vk::DescriptorBufferInfo {
                buffer: self.ring.buffer,
                offset: u64::from(slot) * ALIGN,
                range: 4,
            },
            _ => {
                let words = self.script.stores[place.store].words;
                vk::DescriptorBufferInfo {
                    buffer: self.stores[place.store].buffer,
                    offset: u64::from(place.slot) * stride(words),
                    range: u64::from(words) * 4,
                }
            }
        };
        let infos: Vec<_> = launch.places.iter().map(info).collect();
        let layouts = [self.pipelines[launch.kernel].0.set];
        let info = vk::DescriptorSetAllocateInfo::default()
            .descriptor_pool(pool)
            .set_layouts(&layouts);
        // SAFETY: the pool has room for one set an op. VUID-vkAllocateDescriptorSets-apiVersion-07895.
        let set = unsafe { self.gpu.raw.allocate_descriptor_sets(&info) }?[0];
        let writes: Vec<_> = (0..)
            .zip(&infos)
            .map(|(binding, info)| write(set, binding, info))
            .collect();
        // SAFETY: the set is new, and each range is inside its buffer by `new`. VUID-VkDescriptorBufferInfo-offset-00340, -range-00342.
        unsafe { self.gpu.raw.update_descriptor_sets(&writes, &[]) };
        Ok(Bound { set, infos })
    }

    /// One step, in one way.
    ///
    /// # Errors
    /// The device's.
    pub fn step(&mut self, way: Way) -> Result<()> {
        for op in &self.script.ops {
            if let Op::Upload(index) = op {
                let word = [parameter(self.steps, *index)];
                match way.parameters {
                    Parameters::Staging => self.staging.write(u64::from(*index) * 4, &word),
                    Parameters::Ring => self.ring.write(u64::from(*index) * ALIGN, &word),
                }
            }
        }
        match way.submit {
            Submit::Cut(cut) => self.step_cut(way, cut)?,
            Submit::One => self.step_cut(way, u32::MAX)?,
            Submit::Replay => self.step_replay(way)?,
        }
        self.gpu.wait()?;
        self.steps += 1;
        Ok(())
    }
}

/// A descriptor of a storage buffer.
pub(super) fn write(
    set: vk::DescriptorSet,
    binding: u32,
    info: &vk::DescriptorBufferInfo,
) -> vk::WriteDescriptorSet<'_> {
    vk::WriteDescriptorSet::default()
        .dst_set(set)
        .dst_binding(binding)
        .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
        .buffer_info(std::slice::from_ref(info))
}

fn stride(words: u32) -> u64 {
    (u64::from(words) * 4).next_multiple_of(ALIGN)
}

/// Kernels whose scalars are in a uniform block are not for this file: raw rows have no use for them.
fn pipelines(gpu: &Gpu, script: &Script) -> Result<Vec<(Pipeline, Option<Pipeline>)>> {
    let module = Module::from_wgsl(script.source)?;
    let used = |index| {
        let launches = |op: &Op| matches!(op, Op::Launch(it) if it.kernel == index);
        script.ops.iter().any(launches)
    };
    let mut made = Vec::new();
    for (index, kernel) in script.kernels.iter().enumerate() {
        if !used(index) {
            continue;
        }
        let words = module.spirv(kernel.name, &SpirvOptions::default())?;
        let name = CString::new(kernel.name).context("a kernel's name")?;
        let bindings = kernel.writes.len() as u32;
        let make = |flags| -> Result<Pipeline> {
            let (raw, layout, set) =
                gpu.pipeline((&words, &name), bindings, kernel.immediate, flags)?;
            Ok(Pipeline { raw, layout, set })
        };
        let push = vk::DescriptorSetLayoutCreateFlags::PUSH_DESCRIPTOR_KHR;
        let pushing = gpu.push.is_some().then(|| make(push)).transpose()?;
        made.push((make(vk::DescriptorSetLayoutCreateFlags::empty())?, pushing));
    }
    Ok(made)
}

/// One way, as a row.
#[derive(Clone, Debug)]
pub struct RawRow {
    work: Rc<RefCell<RawWork>>,
    way: Way,
}

impl RawRow {
    /// A row of shared work.
    pub fn new(work: &Rc<RefCell<RawWork>>, way: impl Into<Way>) -> Self {
        Self {
            work: Rc::clone(work),
            way: way.into(),
        }
    }
}

impl Runner for RawRow {
    fn step(&mut self) -> Result<()> {
        self.work.borrow_mut().step(self.way)
    }

    fn steps(&self) -> u64 {
        self.work.borrow().steps
    }

    fn read(&mut self, place: Place) -> Result<Vec<u32>> {
        let work = self.work.borrow();
        let count = work.script.stores[place.store].words;
        let mut words = vec![0; count as usize];
        let offset = u64::from(place.slot) * stride(count);
        work.gpu.download(
            &work.readback,
            &work.stores[place.store],
            offset,
            &mut words,
        )?;
        Ok(words)
    }

    fn counts(&self) -> (u64, u64) {
        let work = self.work.borrow();
        (work.submissions, work.barriers)
    }
}
