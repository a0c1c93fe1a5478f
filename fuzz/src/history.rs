//! Whole histories: the bytes choose the device, the limits and every call, and each download must return what a plain byte array holds.

use tidegate_core::{HostAccess, Limits, Policy};
use tidegate_sim::Setup;
use tidegate_sim::history::{Case, History, Init, Model, Op, Part, Which};

use crate::bytes::Bytes;

/// Most calls of a history; more take long, and what they find is rarely new.
const OPS_MAX: usize = 150;
const STREAMS: usize = 4;
const BUFFERS: usize = 6;
const SLOTS: usize = 3;
const POLICIES: [Policy; 3] = [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive];

/// Makes the calls and compares.
///
/// # Panics
/// With the calls, if a result differs, the device was misused, or something is not given back.
pub fn run(data: &[u8]) {
    let case = case(&mut Bytes::new(data));
    if let Err(failure) = case.run() {
        panic!(
            "{failure}\nseed {}, {:?}\n{:?}\n{}",
            case.seed, case.limits, case.setup, case.history
        );
    }
}

fn case(bytes: &mut Bytes<'_>) -> Case {
    let seed = bytes.u16().into();
    let mut setup = Setup::default();
    setup.capabilities.queues = 1 + bytes.below(3) as u32;
    setup.capabilities.copy_align = bytes.pick(&[1, 4]);
    let (write, read) = bytes.pick(&[(false, false), (true, false), (true, true)]);
    setup.capabilities.unified = read;
    setup.device_memory = HostAccess { write, read };
    let limits = Limits {
        commands_max: bytes.pick(&[1, 3, 8, 64, 4096]),
        in_flight_max: 1 + bytes.below(4) as u32,
        staging_bytes: 4096,
        inline_bytes_max: bytes.pick(&[256, 1 << 20]),
        bytes_max: bytes.pick(&[4096, 16 << 30]),
        cached_bytes_max: bytes.pick(&[0, 2048, 1 << 20]),
        direct: bytes.flag(),
        reorder: bytes.flag(),
        ..Limits::default()
    };
    let mut writer = Writer {
        binding_align: setup.capabilities.binding_align,
        copy_align: setup.capabilities.copy_align,
        model: Model::default(),
        ops: Vec::new(),
    };
    writer.push(Op::Stream(0, Policy::Adaptive));
    while !bytes.is_empty() && writer.ops.len() < OPS_MAX {
        if let Some(op) = writer.op(bytes) {
            writer.push(op);
        }
    }
    Case {
        seed,
        setup,
        limits,
        history: History(writer.ops),
        // One device, and nothing goes wrong on it.
        ..Case::new(0, 1)
    }
}

struct Writer {
    binding_align: u64,
    copy_align: u64,
    model: Model,
    ops: Vec<Op>,
}

impl Writer {
    /// A call that the model does not admit means nothing, and is left out.
    fn push(&mut self, op: Op) {
        if self.model.admits(&op) {
            self.model.apply(&op);
            self.ops.push(op);
        }
    }

    fn op(&self, bytes: &mut Bytes<'_>) -> Option<Op> {
        let kind = bytes.below(32);
        let stream = bytes.below(STREAMS);
        Some(match kind {
            0 => Op::Stream(stream, bytes.pick(&POLICIES)),
            1 => Op::DropStream(stream),
            2 => Op::Policy(stream, bytes.pick(&POLICIES)),
            3..=5 => self.buffer(stream, bytes),
            6 => Op::DropBuffer(bytes.below(BUFFERS)),
            7 | 8 => Op::Upload(stream, self.copy_part(bytes)?, bytes.byte().into()),
            9 | 10 => self.fill(stream, bytes)?,
            11 => self.copy(stream, bytes)?,
            12..=16 => self.launch(stream, bytes)?,
            17 | 18 => Op::Download(stream, self.copy_part(bytes)?, bytes.below(SLOTS)),
            19 => Op::Take(bytes.below(SLOTS)),
            20 => match bytes.below(4) {
                0 => Op::Peek(bytes.below(SLOTS)),
                1 => Op::Forget(bytes.below(SLOTS)),
                2 => Op::Counters,
                _ => Op::ResetCounters,
            },
            21 => Op::Record(stream, bytes.below(SLOTS)),
            22 => Op::Wait(stream, bytes.below(SLOTS)),
            23 => match bytes.flag() {
                true => Op::EventQuery(bytes.below(SLOTS)),
                false => Op::EventSync(bytes.below(SLOTS)),
            },
            24 => Op::Flush(stream),
            25 => match bytes.flag() {
                true => Op::Query(stream),
                false => Op::Synchronize(stream),
            },
            26 => Op::DropPipeline(bytes.pick(&Which::ALL)),
            27 => Op::Capture(stream),
            28 => match bytes.below(8) {
                0 => Op::Abandon(stream),
                1 => Op::DropGraph(bytes.below(SLOTS)),
                _ => Op::Graph(stream, bytes.below(SLOTS)),
            },
            29 | 30 => Op::LaunchGraph(stream, bytes.below(SLOTS)),
            _ => self.arguments(stream, bytes)?,
        })
    }

    fn buffer(&self, stream: usize, bytes: &mut Bytes<'_>) -> Op {
        let buffer = bytes.below(BUFFERS);
        let size = 16 * (1 + u64::from(bytes.byte()));
        // A few are so large that uploads need the staging ring more than once.
        let size = if bytes.below(16) == 0 { 3 * size } else { size };
        let init = match bytes.flag() {
            true => Init::Fill(bytes.byte()),
            false => Init::Upload(bytes.byte().into()),
        };
        Op::Buffer {
            buffer,
            bytes: size,
            stream,
            init,
        }
    }

    /// A range whose bounds are multiples of `align`, of a buffer that there is.
    fn part(&self, align: u64, bytes: &mut Bytes<'_>) -> Option<Part> {
        let buffer = bytes.below(BUFFERS);
        let units = self.model.buffer(buffer)?.len() as u64 / align;
        if units == 0 {
            return None;
        }
        let start = u64::from(bytes.byte()) % units;
        let count = 1 + u64::from(bytes.byte()) % (units - start);
        Some(Part {
            buffer,
            offset: start * align,
            bytes: count * align,
        })
    }

    fn copy_part(&self, bytes: &mut Bytes<'_>) -> Option<Part> {
        self.part(self.copy_align, bytes)
    }

    fn fill(&self, stream: usize, bytes: &mut Bytes<'_>) -> Option<Op> {
        let len = bytes.pick(&[1, 2, 4, 8, 12]);
        let mut part = self.copy_part(bytes)?;
        let unit = if self.copy_align > 1 { 24 } else { len };
        part.bytes = part.bytes / unit * unit;
        let pattern = (0..len).map(|_| bytes.byte()).collect();
        (part.bytes > 0).then_some(Op::Fill(stream, part, pattern))
    }

    fn copy(&self, stream: usize, bytes: &mut Bytes<'_>) -> Option<Op> {
        let (mut from, mut to) = (self.copy_part(bytes)?, self.copy_part(bytes)?);
        let size = from.bytes.min(to.bytes);
        (from.bytes, to.bytes) = (size, size);
        Some(Op::Copy(stream, from, to))
    }

    fn parts(&self, which: Which, bytes: &mut Bytes<'_>) -> Option<Vec<Part>> {
        let align = self.binding_align;
        (0..which.buffers())
            .map(|_| self.part(align, bytes))
            .collect()
    }

    fn launch(&self, stream: usize, bytes: &mut Bytes<'_>) -> Option<Op> {
        let which = bytes.pick(&Which::ALL);
        let parts = self.parts(which, bytes)?;
        let scalars = [bytes.byte(), bytes.byte()].map(u32::from);
        Some(Op::Launch(stream, which, parts, scalars))
    }

    fn arguments(&self, stream: usize, bytes: &mut Bytes<'_>) -> Option<Op> {
        let graph = bytes.below(SLOTS);
        let launches: Vec<Which> = self.model.graph(graph)?.launches().collect();
        if launches.is_empty() {
            return None;
        }
        let launch = bytes.below(launches.len().min(256));
        Some(Op::Arguments {
            stream,
            graph,
            launch,
            parts: self.parts(launches[launch], bytes)?,
            scalars: [bytes.byte(), bytes.byte()].map(u32::from),
        })
    }
}
