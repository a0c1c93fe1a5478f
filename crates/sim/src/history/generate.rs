//! Histories from a seed.

use tidegate_core::{Capabilities, Policy};

use super::model::Model;
use super::op::{History, Init, Op, Part, Which};
use crate::prng::Prng;

const POLICIES: [Policy; 3] = [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive];
const PATTERNS: [usize; 5] = [1, 2, 4, 8, 12];

/// What histories are like, apart from their seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Calls.
    pub ops: usize,
    /// Slots of streams.
    pub streams: usize,
    /// Slots of buffers.
    pub buffers: usize,
    /// Largest buffer. A few are up to four times as large, so that uploads need the staging ring.
    pub bytes_max: u64,
    /// Slots of downloads.
    pub downloads: usize,
    /// Slots of events.
    pub events: usize,
    /// Slots of graphs; with none, nothing is captured.
    pub graphs: usize,
    /// Devices, which the slots of everything take turns to belong to.
    pub devices: usize,
    /// Whether the calls go from thread to thread.
    pub threads: bool,
    /// Whether ranges are many, small and apart from each other, rather than large.
    pub scattered: bool,
    /// What the offsets of bindings are multiples of.
    pub binding_align: u64,
    /// What the offsets and sizes of copies are multiples of.
    pub copy_align: u64,
}

impl Shape {
    /// The usual shape for a device.
    pub fn of(device: &Capabilities, ops: usize) -> Self {
        Self {
            ops,
            streams: 4,
            buffers: 8,
            bytes_max: 2048,
            downloads: 4,
            events: 3,
            graphs: 3,
            devices: 1,
            threads: false,
            scattered: false,
            binding_align: device.binding_align.max(4),
            copy_align: device.copy_align.max(1),
        }
    }

    /// The history of a seed.
    pub fn history(&self, seed: u64) -> History {
        let mut writer = Writer {
            shape: *self,
            prng: Prng::new(seed),
            model: Model::on(self.devices),
            device: 0,
            ops: Vec::with_capacity(self.ops),
        };
        writer.push(Op::Stream(0, Policy::Adaptive));
        while writer.ops.len() < self.ops {
            if let Some(op) = writer.next() {
                writer.push(op);
            }
        }
        History(writer.ops)
    }
}

struct Writer {
    shape: Shape,
    prng: Prng,
    /// Knows what the slots hold.
    model: Model,
    /// The device of the call that is being made up.
    device: usize,
    ops: Vec<Op>,
}

impl Writer {
    fn push(&mut self, op: Op) {
        if self.model.admits(&op) {
            self.model.apply(&op);
            self.ops.push(op);
        }
    }

    /// A call that may be admitted, or nothing if the dice ask for what is not there.
    fn next(&mut self) -> Option<Op> {
        let stream = self.stream()?;
        self.device = self.model.device(stream);
        if self.shape.threads && self.prng.chance(1, 32) {
            return Some(Op::Thread);
        }
        if self.shape.devices > 1 && self.prng.chance(1, 32) {
            return Some(Op::Foreign(stream, self.prng.index(self.shape.buffers)));
        }
        if self.shape.graphs > 0 && self.prng.chance(1, 8) {
            return self.graph(stream);
        }
        let downloads = self.shape.downloads;
        Some(match self.prng.below(100) {
            0..8 => {
                let buffer = self.slot(self.shape.buffers);
                let init = match self.prng.below(3) {
                    0 => Init::Fill(self.prng.next_u8()),
                    _ => Init::Upload(self.prng.next_u64()),
                };
                let bytes = self.size(&init);
                Op::Buffer {
                    buffer,
                    bytes,
                    stream,
                    init,
                }
            }
            8..12 => Op::DropBuffer(self.buffer()?),
            12..25 => Op::Upload(stream, self.copy_part()?, self.prng.next_u64()),
            25..33 => self.fill(stream)?,
            33..43 => self.copy(stream)?,
            43..67 => self.launch(stream)?,
            67..76 => Op::Download(stream, self.copy_part()?, self.slot(downloads)),
            76..80 => Op::Take(self.prng.index(downloads)),
            80..82 => Op::Forget(self.prng.index(downloads)),
            82 => Op::Peek(self.prng.index(downloads)),
            83..91 => self.host_side(stream),
            91..95 => self.event(stream),
            95..98 => {
                let slot = self.prng.index(self.shape.streams);
                Op::Stream(slot, self.policy())
            }
            98 => Op::Policy(stream, self.policy()),
            _ => self.rare(stream)?,
        })
    }

    fn rare(&mut self, stream: usize) -> Option<Op> {
        Some(match self.prng.below(4) {
            0 => Op::DropStream(stream),
            1 => Op::Counters,
            2 => Op::ResetCounters,
            _ => Op::DropPipeline(*self.prng.pick(&Which::ALL)?),
        })
    }

    fn host_side(&mut self, stream: usize) -> Op {
        match self.prng.below(8) {
            0..4 => Op::Flush(stream),
            4..6 => Op::Query(stream),
            _ => Op::Synchronize(stream),
        }
    }

    fn event(&mut self, stream: usize) -> Op {
        let event = self.slot(self.shape.events);
        match self.prng.below(8) {
            0..3 => Op::Record(stream, event),
            3..6 => Op::Wait(stream, event),
            6 => Op::EventQuery(event),
            _ => Op::EventSync(event),
        }
    }

    /// Captures begin and end more often than chance would have it, so that most are a few commands long.
    fn graph(&mut self, stream: usize) -> Option<Op> {
        let slot = self.slot(self.shape.graphs);
        let dice = self.prng.below(16);
        if self.model.capture(stream).is_some() {
            return Some(match dice {
                0 => Op::Abandon(stream),
                1..10 => Op::Graph(stream, slot),
                _ => return self.launch(stream),
            });
        }
        let graphs = self.model.graphs();
        let graphs: Vec<usize> = graphs.filter(|it| self.is_here(*it)).collect();
        let Some(graph) = self.prng.pick(&graphs).copied() else {
            return Some(Op::Capture(stream));
        };
        match dice {
            0 => Some(Op::DropGraph(graph)),
            1..5 => Some(Op::Capture(stream)),
            5..11 => Some(Op::LaunchGraph(stream, graph)),
            _ => self.arguments(stream, graph),
        }
    }

    fn arguments(&mut self, stream: usize, graph: usize) -> Option<Op> {
        let launches: Vec<Which> = self.model.graph(graph)?.launches().collect();
        let launch = self.prng.index(launches.len().max(1));
        let which = *launches.get(launch)?;
        let scalars = [self.prng.next_u32() | 1, self.prng.next_u32()];
        let mut parts: Option<Vec<Part>> = None;
        if self.prng.chance(1, 2) {
            parts = self.model.parts_of(graph, launch);
        }
        if parts.is_none() {
            let align = self.shape.binding_align;
            parts = (0..which.buffers()).map(|_| self.part(align)).collect();
        }
        Some(Op::Arguments {
            stream,
            graph,
            launch,
            parts: parts?,
            scalars,
        })
    }

    fn policy(&mut self) -> Policy {
        POLICIES[self.prng.index(POLICIES.len())]
    }

    fn stream(&mut self) -> Option<usize> {
        let streams: Vec<usize> = self.model.streams().collect();
        match self.prng.pick(&streams) {
            Some(stream) => Some(*stream),
            None => {
                self.push(Op::Stream(0, Policy::Adaptive));
                None
            }
        }
    }

    /// One of `count` slots that are of the call's device.
    fn slot(&mut self, count: usize) -> usize {
        let devices = self.shape.devices.max(1);
        let any = self.prng.index(count);
        let here = any - any % devices + self.device;
        // The last round may be short.
        if here < count { here } else { self.device }
    }

    fn is_here(&self, slot: usize) -> bool {
        self.model.device(slot) == self.device
    }

    fn buffer(&mut self) -> Option<usize> {
        let buffers = self.model.buffers().map(|it| it.0);
        let buffers: Vec<usize> = buffers.filter(|it| self.is_here(*it)).collect();
        self.prng.pick(&buffers).copied()
    }

    /// Sizes repeat often, so that freed memory is used again.
    fn size(&mut self, init: &Init) -> u64 {
        let most = self.shape.bytes_max;
        if self.shape.scattered {
            return most;
        }
        let any = match self.prng.below(16) {
            0 => 16 + self.prng.below(4 * most),
            1..5 => 16 + self.prng.below(most),
            5..10 => 256,
            _ => 512,
        };
        match init {
            Init::Upload(_) if self.prng.chance(1, 4) => {
                any / self.shape.copy_align * self.shape.copy_align
            }
            _ => any / 16 * 16,
        }
    }

    /// A range of a buffer whose bounds are multiples of `align`; mostly all of it or a large part.
    fn part(&mut self, align: u64) -> Option<Part> {
        let buffer = self.buffer()?;
        let size = self.model.buffer(buffer)?.len() as u64 / align * align;
        let (mut start, mut end) = (0, size);
        if self.shape.scattered {
            start = self.prng.below(size / align) * align;
            end = (start + align.max(16)).min(size);
        } else if self.prng.chance(1, 2) {
            start = self.prng.below(size / align) * align;
            end = start + (1 + self.prng.below((size - start) / align)) * align;
        }
        (start < end).then_some(Part {
            buffer,
            offset: start,
            bytes: end - start,
        })
    }

    fn copy_part(&mut self) -> Option<Part> {
        let align = if self.prng.chance(1, 4) {
            self.shape.copy_align
        } else {
            self.shape.copy_align.max(4)
        };
        self.part(align)
    }

    fn fill(&mut self, stream: usize) -> Option<Op> {
        let len = *self.prng.pick(&PATTERNS)?;
        let mut part = self.copy_part()?;
        // 24 is a multiple of every pattern.
        let unit = (len as u64).max(if self.shape.copy_align > 1 { 24 } else { 1 });
        part.bytes = part.bytes / unit * unit;
        let mut pattern = vec![0; len];
        self.prng.fill(&mut pattern);
        (part.bytes > 0).then_some(Op::Fill(stream, part, pattern))
    }

    fn copy(&mut self, stream: usize) -> Option<Op> {
        let (mut from, mut to) = (self.copy_part()?, self.copy_part()?);
        let bytes = from.bytes.min(to.bytes);
        if from.buffer == to.buffer {
            // Halves of one buffer, which touch but do not overlap.
            let half = bytes / 2 / self.shape.copy_align * self.shape.copy_align;
            to = Part {
                offset: from.offset + half,
                ..from
            };
            (from.bytes, to.bytes) = (half, half);
            if self.prng.chance(1, 2) {
                (from, to) = (to, from);
            }
        } else {
            (from.bytes, to.bytes) = (bytes, bytes);
        }
        (from.bytes > 0).then_some(Op::Copy(stream, from, to))
    }

    fn launch(&mut self, stream: usize) -> Option<Op> {
        let which = *self.prng.pick(&Which::ALL)?;
        let align = self.shape.binding_align;
        let parts: Option<Vec<Part>> = (0..which.buffers()).map(|_| self.part(align)).collect();
        let scalars = [self.prng.next_u32() | 1, self.prng.next_u32()];
        Some(Op::Launch(stream, which, parts?, scalars))
    }
}
