//! A script through wgpu, from the same WGSL.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail};
use wgpu::{Buffer, BufferUsages};

use crate::contest::Runner;
use crate::script::{Launch, Op, Place, Script, Store, mix, parameter};

/// A wgpu device.
#[derive(Debug)]
pub struct Peer {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// How the parameters of a step come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `Queue::write_buffer` before each upload, which takes a submission of what came before it.
    Write,
    /// A copy between two passes of one encoder.
    Copy,
    /// All of a step's parameters in one write, and a bind group for each.
    Slots,
}

/// What a bind group's parameter is bound at.
const ALIGN: u64 = 256;

impl Peer {
    /// The Vulkan adapter of this name, or nothing if wgpu finds none that will do.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub fn open(name: &str) -> Result<Option<Self>> {
        let mut info = wgpu::InstanceDescriptor::new_without_display_handle();
        info.backends = wgpu::Backends::VULKAN;
        info.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(info);
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        let Some(adapter) = adapters.into_iter().find(|it| it.get_info().name == name) else {
            return Ok(None);
        };
        if !adapter.features().contains(wgpu::Features::IMMEDIATES) {
            return Ok(None);
        }
        let opened = adapter.request_device(&wgpu::DeviceDescriptor {
            label: None,
            required_features: wgpu::Features::IMMEDIATES,
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..wgpu::DeviceDescriptor::default()
        });
        let (device, queue) = pollster::block_on(opened).context("wgpu opens no device")?;
        Ok(Some(Self { device, queue }))
    }

    fn buffer(&self, bytes: u64, usage: BufferUsages) -> Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    fn wait(&self) -> Result<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }

    /// Copies the start of a buffer to the host.
    fn read(&self, source: &Buffer, words: u32) -> Result<Vec<u32>> {
        let bytes = u64::from(words) * 4;
        let target = self.buffer(bytes, BufferUsages::COPY_DST | BufferUsages::MAP_READ);
        self.read_through(source, 0, &target, bytes)
    }

    fn read_through(
        &self,
        source: &Buffer,
        offset: u64,
        target: &Buffer,
        bytes: u64,
    ) -> Result<Vec<u32>> {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(source, offset, target, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        target.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        receiver.recv()??;
        let words = bytemuck::pod_collect_to_vec(&target.get_mapped_range(..)?);
        target.unmap();
        Ok(words)
    }
}

/// A script on a device, which all ways share.
#[derive(Debug)]
pub struct PeerWork {
    peer: Rc<Peer>,
    script: Rc<Script>,
    pipelines: Vec<wgpu::ComputePipeline>,
    stores: Vec<Vec<Buffer>>,
    /// A step's parameters.
    slots: Buffer,
    /// What each op binds, without and with slots of its own for parameters.
    groups: [Vec<Option<wgpu::BindGroup>>; 2],
    steps: u64,
    submissions: u64,
}

impl PeerWork {
    /// Makes and fills everything.
    ///
    /// # Errors
    /// The device's.
    pub fn new(peer: &Rc<Peer>, script: &Rc<Script>) -> Result<Self> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let mut stores = Vec::new();
        for store in &script.stores {
            let mut slots = Vec::new();
            for slot in 0..store.slots {
                let buffer = peer.buffer(u64::from(store.words) * 4, usage);
                peer.queue
                    .write_buffer(&buffer, 0, bytemuck::cast_slice(&store.content(slot)));
                // Else wgpu keeps all of it in staging memory.
                if store.words > 1 << 18 {
                    peer.queue.submit([]);
                    peer.wait()?;
                }
                slots.push(buffer);
            }
            stores.push(slots);
        }
        let mut made = Self {
            pipelines: pipelines(peer, script),
            slots: peer.buffer(script.ops.len() as u64 * ALIGN, usage),
            groups: [Vec::new(), Vec::new()],
            steps: 0,
            submissions: 0,
            peer: Rc::clone(peer),
            script: Rc::clone(script),
            stores,
        };
        made.groups = [made.bind(false), made.bind(true)];
        peer.queue.submit([]);
        peer.wait()?;
        Ok(made)
    }

    fn bind(&self, slots: bool) -> Vec<Option<wgpu::BindGroup>> {
        let mut groups: HashMap<(usize, &[Place], u32), wgpu::BindGroup> = HashMap::new();
        let (mut bound, mut slot) = (Vec::new(), 0);
        for op in &self.script.ops {
            match op {
                Op::Upload(index) => {
                    slot = if slots { *index } else { 0 };
                    bound.push(None);
                }
                Op::Launch(launch) => {
                    let key = (launch.kernel, &launch.places[..], slot);
                    let group = groups
                        .entry(key)
                        .or_insert_with(|| self.group(launch, slots.then_some(slot)));
                    bound.push(Some(group.clone()));
                }
            }
        }
        bound
    }

    fn group(&self, launch: &Launch, slot: Option<u32>) -> wgpu::BindGroup {
        let resource = |place: &Place| match slot {
            Some(slot) if Some(place.store) == self.script.parameters => {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &self.slots,
                    offset: u64::from(slot) * ALIGN,
                    size: std::num::NonZeroU64::new(4),
                })
            }
            _ => self.stores[place.store][place.slot as usize].as_entire_binding(),
        };
        let entries: Vec<_> = (0..)
            .zip(&launch.places)
            .map(|(binding, place)| wgpu::BindGroupEntry {
                binding,
                resource: resource(place),
            })
            .collect();
        self.peer
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.pipelines[launch.kernel].get_bind_group_layout(0),
                entries: &entries,
            })
    }

    fn step(&mut self, way: Way) -> Result<()> {
        let words = self.parameters();
        let mut encoder = self.encoder();
        match way {
            Way::Copy if !words.is_empty() => {
                self.peer
                    .queue
                    .write_buffer(&self.slots, 0, bytemuck::cast_slice(&words));
            }
            Way::Slots if !words.is_empty() => {
                let mut apart = vec![0; words.len() * (ALIGN / 4) as usize];
                for (to, word) in apart.iter_mut().step_by((ALIGN / 4) as usize).zip(&words) {
                    *to = *word;
                }
                self.peer
                    .queue
                    .write_buffer(&self.slots, 0, bytemuck::cast_slice(&apart));
            }
            _ => {}
        }
        let all = self.script.ops.len();
        let mut at = 0;
        while at < all {
            if let Op::Upload(index) = self.script.ops[at] {
                match way {
                    Way::Write => {
                        if at > 0 {
                            let full = std::mem::replace(&mut encoder, self.encoder());
                            self.submit(full);
                        }
                        let word = words[index as usize];
                        self.peer
                            .queue
                            .write_buffer(self.target()?, 0, &word.to_ne_bytes());
                    }
                    Way::Copy => {
                        let offset = u64::from(index) * 4;
                        encoder.copy_buffer_to_buffer(&self.slots, offset, self.target()?, 0, 4);
                    }
                    Way::Slots => {}
                }
                at += 1;
            }
            at = self.pass(&mut encoder, at, way);
        }
        self.submit(encoder);
        self.peer.wait()?;
        self.steps += 1;
        Ok(())
    }

    /// One pass from op `at` on, up to the next upload if that is none of a pass. Gives where it ended.
    fn pass(&self, encoder: &mut wgpu::CommandEncoder, at: usize, way: Way) -> usize {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let groups = &self.groups[usize::from(way == Way::Slots)];
        let (mut kernel, mut bound, mut scalar) = (None, None, None);
        for (index, op) in self.script.ops.iter().enumerate().skip(at) {
            let launch = match op {
                Op::Upload(_) if way == Way::Slots => continue,
                Op::Upload(_) => return index,
                Op::Launch(launch) => launch,
            };
            if kernel != Some(launch.kernel) {
                pass.set_pipeline(&self.pipelines[launch.kernel]);
                kernel = Some(launch.kernel);
            }
            if bound != groups[index].as_ref() {
                pass.set_bind_group(0, groups[index].as_ref(), &[]);
                bound = groups[index].as_ref();
            }
            if let (Some(word), true) = (launch.scalar, launch.scalar != scalar) {
                pass.set_immediates(0, &word.to_ne_bytes());
                scalar = launch.scalar;
            }
            pass.dispatch_workgroups(self.script.workgroups, 1, 1);
        }
        self.script.ops.len()
    }

    fn parameters(&self) -> Vec<u32> {
        let indices = self.script.ops.iter().filter_map(|it| match it {
            Op::Upload(index) => Some(*index),
            Op::Launch(_) => None,
        });
        indices.map(|it| parameter(self.steps, it)).collect()
    }

    fn target(&self) -> Result<&Buffer> {
        match self.script.parameters {
            Some(store) => Ok(&self.stores[store][0]),
            None => bail!("an upload without a place"),
        }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.peer
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn submit(&mut self, encoder: wgpu::CommandEncoder) {
        self.peer.queue.submit([encoder.finish()]);
        self.submissions += 1;
    }
}

fn pipelines(peer: &Peer, script: &Script) -> Vec<wgpu::ComputePipeline> {
    let used = script.kernels.iter().enumerate().filter(|(index, _)| {
        let launches = |op: &Op| matches!(op, Op::Launch(it) if it.kernel == *index);
        script.ops.iter().any(launches)
    });
    let module = peer
        .device
        .create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(script.source.into()),
        });
    let made = used.map(|(_, kernel)| {
        let entry = |(binding, writes): (u32, &bool)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: !writes },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..).zip(kernel.writes).map(entry).collect();
        let group = peer
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            });
        let layout = peer
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&group)],
                immediate_size: if kernel.immediate { 4 } else { 0 },
            });
        peer.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&layout),
                module: &module,
                entry_point: Some(kernel.name),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
    });
    made.collect()
}

/// One way, as a row.
#[derive(Clone, Debug)]
pub struct PeerRow {
    work: Rc<RefCell<PeerWork>>,
    way: Way,
}

impl PeerRow {
    /// A row of shared work.
    pub fn new(work: &Rc<RefCell<PeerWork>>, way: Way) -> Self {
        Self {
            work: Rc::clone(work),
            way,
        }
    }
}

impl Runner for PeerRow {
    fn step(&mut self) -> Result<()> {
        self.work.borrow_mut().step(self.way)
    }

    fn steps(&self) -> u64 {
        self.work.borrow().steps
    }

    fn read(&mut self, place: Place) -> Result<Vec<u32>> {
        let work = self.work.borrow();
        let words = work.script.stores[place.store].words;
        work.peer
            .read(&work.stores[place.store][place.slot as usize], words)
    }

    fn counts(&self) -> (u64, u64) {
        (self.work.borrow().submissions, 0)
    }
}

/// Each step copies another word, maps it and reads it.
#[derive(Debug)]
pub struct Readback {
    peer: Rc<Peer>,
    source: Buffer,
    target: Buffer,
    words: u32,
    steps: u64,
    mixed: u32,
}

impl Readback {
    /// Makes and fills everything.
    ///
    /// # Errors
    /// The device's.
    pub fn new(peer: &Rc<Peer>, store: &Store) -> Result<Self> {
        let usage = BufferUsages::COPY_SRC | BufferUsages::COPY_DST | BufferUsages::STORAGE;
        let source = peer.buffer(u64::from(store.words) * 4, usage);
        peer.queue
            .write_buffer(&source, 0, bytemuck::cast_slice(&store.content(0)));
        peer.queue.submit([]);
        peer.wait()?;
        Ok(Self {
            source,
            target: peer.buffer(4, BufferUsages::COPY_DST | BufferUsages::MAP_READ),
            peer: Rc::clone(peer),
            words: store.words,
            steps: 0,
            mixed: 0,
        })
    }
}

impl Runner for Readback {
    fn step(&mut self) -> Result<()> {
        let offset = (self.steps % u64::from(self.words)) * 4;
        let words = self
            .peer
            .read_through(&self.source, offset, &self.target, 4)?;
        self.mixed = mix(self.mixed, words.first().copied().unwrap_or_default());
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
        (self.steps, 0)
    }
}
