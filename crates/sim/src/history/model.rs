//! The sequential model: every call takes effect at once, in the order of the calls.

use super::graph::{Sketch, Step};
use super::op::{Init, Op, Part, Which};
use crate::kernels::WORKGROUP;
use crate::prng::Prng;

/// Buffers as arrays of bytes, and what is in the other slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Devices, at least 1: slot `n` of everything is of device `n` modulo this.
    devices: usize,
    /// Every buffer that was made: a graph may use one that no slot holds any more.
    bytes: Vec<Vec<u8>>,
    /// What each slot holds, as an index of `bytes`.
    buffers: Vec<Option<usize>>,
    streams: Vec<bool>,
    /// What each stream has captured, if it captures.
    captures: Vec<Option<Sketch>>,
    graphs: Vec<Option<Sketch>>,
    downloads: Vec<Option<Vec<u8>>>,
    /// What was counted since the last reset.
    pub counts: Counts,
}

/// The counters that are a function of the calls alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launches.
    pub dispatches: u64,
    /// Launches of graphs.
    pub graph_launches: u64,
    /// Uploads.
    pub cpu_to_gpu: u64,
    /// Downloads.
    pub gpu_to_cpu: u64,
    /// Copies between buffers.
    pub gpu_to_gpu: u64,
}

/// The bytes that an upload's seed stands for.
pub(crate) fn upload_bytes(seed: u64, bytes: u64) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    Prng::new(seed).fill(&mut data);
    data
}

fn set<T>(slots: &mut Vec<T>, at: usize, value: T)
where
    T: Default,
{
    if slots.len() <= at {
        slots.resize_with(at + 1, T::default);
    }
    slots[at] = value;
}

impl Model {
    /// A model of so many devices, whose slots take turns.
    pub fn on(devices: usize) -> Self {
        Self {
            devices,
            ..Self::default()
        }
    }

    /// The device of a slot.
    pub fn device(&self, slot: usize) -> usize {
        slot % self.devices.max(1)
    }

    /// Forgets all but the buffers in slots, as when a fault has spoilt the rest.
    pub(crate) fn keep_buffers(&mut self) {
        self.streams.clear();
        self.captures.clear();
        self.graphs.clear();
        self.downloads.clear();
    }

    fn is_of_one_device(&self, op: &Op) -> bool {
        let mut first = None;
        let mut same = true;
        op.slots(|slot| same &= *first.get_or_insert(self.device(slot)) == self.device(slot));
        same
    }

    /// The buffers that exist: slot and bytes.
    pub fn buffers(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let slots = self.buffers.iter().enumerate();
        slots.filter_map(|(slot, it)| Some((slot, self.bytes[(*it)?].as_slice())))
    }

    /// The bytes of the buffer in a slot.
    pub fn buffer(&self, slot: usize) -> Option<&[u8]> {
        Some(self.bytes[(*self.buffers.get(slot)?)?].as_slice())
    }

    /// The streams that exist.
    pub fn streams(&self) -> impl Iterator<Item = usize> {
        (0..self.streams.len()).filter(|it| self.has_stream(*it))
    }

    /// Whether a stream is in a slot.
    pub fn has_stream(&self, slot: usize) -> bool {
        self.streams.get(slot) == Some(&true)
    }

    /// What a stream has captured so far, if it captures.
    pub fn capture(&self, stream: usize) -> Option<&Sketch> {
        self.captures.get(stream)?.as_ref()
    }

    /// The graph in a slot.
    pub fn graph(&self, slot: usize) -> Option<&Sketch> {
        self.graphs.get(slot)?.as_ref()
    }

    /// The graphs that exist.
    pub fn graphs(&self) -> impl Iterator<Item = usize> {
        (0..self.graphs.len()).filter(|it| self.graph(*it).is_some())
    }

    /// The arguments that a graph's launch has now, by slot, if slots still hold them.
    pub(crate) fn parts_of(&self, graph: usize, launch: usize) -> Option<Vec<Part>> {
        let parts = self.graph(graph)?.parts(launch)?.iter();
        let by_slot = parts.map(|part| {
            let slot = self
                .buffers
                .iter()
                .position(|it| *it == Some(part.buffer))?;
            Some(Part {
                buffer: slot,
                ..*part
            })
        });
        by_slot.collect()
    }

    /// Whether a graph uses a buffer that no slot holds any more.
    pub fn outlives_a_buffer(&self, graph: &Sketch) -> bool {
        let mut used = graph.steps.iter().flat_map(Step::parts);
        used.any(|it| !self.buffers.contains(&Some(it.buffer)))
    }

    /// Whether a stream exists and does not capture.
    fn works(&self, stream: usize) -> bool {
        self.has_stream(stream) && self.capture(stream).is_none()
    }

    /// Whether buffers fit a kernel: no byte that it writes is bound twice.
    fn binds(&self, which: Which, parts: &[Part]) -> bool {
        let clash = |at: usize| {
            (0..at).any(|other| {
                (which.writes(at) || which.writes(other)) && parts[at].overlaps(&parts[other])
            })
        };
        parts.len() == which.buffers()
            && parts.iter().all(|it| self.fits(it))
            && !(0..parts.len()).any(clash)
    }

    fn fits(&self, part: &Part) -> bool {
        let end = usize::try_from(part.offset + part.bytes).unwrap_or(usize::MAX);
        self.buffer(part.buffer).is_some_and(|it| end <= it.len())
    }

    /// What the download in a slot must return.
    pub fn download(&self, slot: usize) -> Option<&[u8]> {
        self.downloads.get(slot)?.as_deref()
    }

    /// Whether a call's slots hold what it needs and its ranges fit. Others are left out.
    pub fn admits(&self, op: &Op) -> bool {
        let fits = |it: &Part| self.fits(it);
        if self.devices > 1 && !self.is_of_one_device(op) {
            return false;
        }
        match op {
            Op::Upload(stream, part, _) | Op::Fill(stream, part, _) => {
                self.has_stream(*stream) && fits(part)
            }
            Op::Download(stream, part, _) => self.works(*stream) && fits(part),
            Op::Copy(stream, from, to) => {
                self.has_stream(*stream) && fits(from) && fits(to) && !from.overlaps(to)
            }
            Op::Launch(stream, which, parts, _) => {
                self.has_stream(*stream) && self.binds(*which, parts)
            }
            Op::Arguments {
                stream,
                graph,
                launch,
                parts,
                ..
            } => {
                let which = self.graph(*graph).and_then(|it| it.launches().nth(*launch));
                self.works(*stream) && which.is_some_and(|it| self.binds(it, parts))
            }
            Op::LaunchGraph(stream, graph) => self.works(*stream) && self.graph(*graph).is_some(),
            Op::DropGraph(graph) => self.graph(*graph).is_some(),
            Op::Graph(stream, _) | Op::Abandon(stream) => self.capture(*stream).is_some(),
            Op::DropBuffer(slot) => self.buffer(*slot).is_some(),
            Op::DropStream(stream)
            | Op::Policy(stream, _)
            | Op::Record(stream, _)
            | Op::Wait(stream, _) => self.has_stream(*stream),
            Op::Buffer { stream, .. }
            | Op::Capture(stream)
            | Op::Flush(stream)
            | Op::Query(stream)
            | Op::Synchronize(stream) => self.works(*stream),
            Op::Foreign(stream, buffer) => {
                let is_foreign = self.device(*stream) != self.device(*buffer);
                self.works(*stream) && self.buffer(*buffer).is_some() && is_foreign
            }
            Op::Take(slot) | Op::Peek(slot) | Op::Forget(slot) => self.download(*slot).is_some(),
            Op::Stream(..)
            | Op::EventQuery(_)
            | Op::EventSync(_)
            | Op::Counters
            | Op::ResetCounters
            | Op::DropPipeline(_)
            | Op::Thread => true,
        }
    }

    /// Takes a call that it admits.
    pub fn apply(&mut self, op: &Op) {
        if let Op::Upload(stream, ..)
        | Op::Fill(stream, ..)
        | Op::Copy(stream, ..)
        | Op::Launch(stream, ..)
        | Op::Record(stream, _) = op
        {
            return self.record(*stream, op);
        }
        match op {
            Op::Stream(slot, _) => {
                set(&mut self.streams, *slot, true);
                set(&mut self.captures, *slot, None);
            }
            Op::DropStream(slot) => {
                self.streams[*slot] = false;
                set(&mut self.captures, *slot, None);
            }
            Op::Buffer {
                buffer,
                bytes,
                init,
                ..
            } => {
                let content = match init {
                    Init::Upload(seed) => {
                        self.counts.cpu_to_gpu += 1;
                        upload_bytes(*seed, *bytes)
                    }
                    Init::Fill(byte) => upload_bytes(0, *bytes).iter().map(|_| *byte).collect(),
                };
                self.bytes.push(content);
                set(&mut self.buffers, *buffer, Some(self.bytes.len() - 1));
            }
            Op::DropBuffer(slot) => self.buffers[*slot] = None,
            Op::Capture(stream) => set(&mut self.captures, *stream, Some(Sketch::default())),
            Op::Abandon(stream) => self.captures[*stream] = None,
            Op::Graph(stream, slot) => {
                let sketch = self.captures[*stream].take();
                set(&mut self.graphs, *slot, sketch);
            }
            Op::LaunchGraph(_, slot) => {
                self.counts.graph_launches += 1;
                let steps = self.graph(*slot).map(|it| it.steps.clone());
                steps.iter().flatten().for_each(|it| self.take(it));
            }
            Op::Arguments {
                graph,
                launch,
                parts,
                scalars,
                ..
            } => {
                let parts = parts.iter().map(|it| self.numbered(it)).collect();
                if let Some(Some(graph)) = self.graphs.get_mut(*graph) {
                    graph.change(*launch, parts, *scalars);
                }
            }
            Op::DropGraph(slot) => self.graphs[*slot] = None,
            Op::Download(_, part, slot) => {
                self.counts.gpu_to_cpu += 1;
                let data = self.part(&self.numbered(part)).to_vec();
                set(&mut self.downloads, *slot, Some(data));
            }
            Op::Take(slot) | Op::Forget(slot) => self.downloads[*slot] = None,
            Op::ResetCounters => self.counts = Counts::default(),
            _ => {}
        }
    }

    /// Does what a call asks for, or keeps it if its stream captures.
    fn record(&mut self, stream: usize, op: &Op) {
        let step = Step::of(op, |it| self.numbered(it));
        match (self.captures.get_mut(stream), step) {
            (Some(Some(capture)), Some(step)) => capture.steps.push(step),
            (Some(Some(capture)), None) => {
                if let Op::Record(_, event) = op {
                    capture.records.push(*event);
                }
            }
            (_, Some(step)) => self.take(&step),
            _ => {}
        }
    }

    /// The same bytes, by the buffer's number.
    fn numbered(&self, part: &Part) -> Part {
        let slot = self.buffers.get(part.buffer).copied().flatten();
        Part {
            buffer: slot.unwrap_or(usize::MAX),
            ..*part
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Upload(part, seed) => {
                self.counts.cpu_to_gpu += 1;
                let data = upload_bytes(*seed, part.bytes);
                self.part(part).copy_from_slice(&data);
            }
            Step::Fill(part, pattern) => {
                for chunk in self.part(part).chunks_mut(pattern.len()) {
                    chunk.copy_from_slice(pattern);
                }
            }
            Step::Copy(from, to) => {
                self.counts.gpu_to_gpu += 1;
                let data = self.part(from).to_vec();
                self.part(to).copy_from_slice(&data);
            }
            Step::Launch(which, parts, scalars, groups) => {
                self.counts.dispatches += 1;
                self.launch(*which, parts, *scalars, *groups);
            }
        }
    }

    fn part(&mut self, part: &Part) -> &mut [u8] {
        let (start, bytes) = (part.offset as usize, part.bytes as usize);
        match self.bytes.get_mut(part.buffer) {
            Some(buffer) => &mut buffer[start..start + bytes],
            None => &mut [],
        }
    }

    /// A launch keeps its grid when its buffers change: it may then reach only the first elements of them.
    fn launch(&mut self, which: Which, parts: &[Part], [a, b]: [u32; 2], groups: usize) {
        let reach = groups * WORKGROUP as usize;
        let inputs: Vec<Vec<u32>> = parts.iter().map(|it| words(self.part(it))).collect();
        let least = inputs.iter().map(Vec::len).min().unwrap_or(0).min(reach);
        let outputs: Vec<(usize, Vec<u32>)> = match which {
            Which::Affine | Which::AffineUniform => {
                let all = inputs[0].iter().take(least);
                vec![(0, all.map(|x| x.wrapping_mul(a).wrapping_add(b)).collect())]
            }
            Which::FillIndex => {
                let all = 0..least as u32;
                vec![(0, all.map(|i| a.wrapping_add(i)).collect())]
            }
            Which::Add => {
                let sums = inputs[0].iter().zip(&inputs[1]).take(least);
                vec![(2, sums.map(|(x, y)| x.wrapping_add(*y)).collect())]
            }
            Which::Copy => vec![(1, inputs[0][..least].to_vec())],
            Which::Swap => vec![
                (0, inputs[1][..least].to_vec()),
                (1, inputs[0][..least].to_vec()),
            ],
        };
        for (at, output) in outputs {
            let target = self.part(&parts[at]);
            for (bytes, word) in target.chunks_exact_mut(4).zip(output) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let chunks = bytes.chunks_exact(4);
    chunks
        .map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]]))
        .collect()
}
