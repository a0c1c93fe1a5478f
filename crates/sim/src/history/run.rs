//! Makes a history's calls on a context, and holds every answer against the model.

mod finish;
mod launch;
mod recover;

use std::fmt;

use tidegate_core::{
    Code, Context, Device, Download, Error, Event, Graph, Kernel, Limits, Memory, MemoryKind,
    Pipeline, Status, Stream,
};

use super::model::{Model, upload_bytes};
use super::op::{History, Init, Op, Which};
use crate::kernels;
pub use recover::{Met, Tolerance};

/// Gives a device the kernels of histories, in the code that it takes.
pub trait Kernels: Sync {
    /// The interface and the code of a kernel.
    fn make(&self, which: Which) -> (Kernel, Code);
}

/// The kernels in Rust, for simulated devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostKernels;

impl Kernels for HostKernels {
    fn make(&self, which: Which) -> (Kernel, Code) {
        match which {
            Which::Affine => kernels::affine(),
            Which::AffineUniform => kernels::affine_uniform(),
            Which::Add => kernels::add(),
            Which::Copy => kernels::copy(),
            Which::Swap => kernels::swap(),
            Which::FillIndex => kernels::fill_index(),
        }
    }
}

/// Where a history and its model part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The call's index; the history's length if it is about what was found after the last one.
    pub at: usize,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}: {}", self.at, self.detail)
    }
}

impl std::error::Error for Failure {}

/// Makes every call of `history` on a new context over `device`, compares every result with the model's, then compares all buffers, drops
/// everything and checks that nothing is left and that no limit was passed.
///
/// # Errors
/// The first difference, or the first call that fails.
pub fn run<D: Device, K: Kernels>(
    device: D,
    limits: &Limits,
    kernels: &K,
    history: &History,
) -> Result<(), Failure> {
    run_all(vec![device], limits, kernels, history, Tolerance::default()).map(|_| ())
}

/// As [`run`], on several devices, whose slots take turns, and with the faults that are planned for. A call that fails as planned is made again, or left out.
///
/// # Errors
/// As [`run`].
pub fn run_all<D: Device, K: Kernels>(
    devices: Vec<D>,
    limits: &Limits,
    kernels: &K,
    history: &History,
    tolerance: Tolerance,
) -> Result<Met, Failure> {
    let mut runner = Runner {
        model: Model::on(devices.len()),
        contexts: devices
            .into_iter()
            .map(|it| Context::new(it, limits.clone()))
            .collect(),
        kernels,
        tolerance,
        met: Met::default(),
        streams: Vec::new(),
        buffers: Vec::new(),
        downloads: Vec::new(),
        events: Vec::new(),
        marks: Vec::new(),
        calls: 0,
        last_calls: Vec::new(),
        pipelines: Vec::new(),
        graphs: Vec::new(),
    };
    let mut first = 0;
    for part in history.0.split(|it| *it == Op::Thread) {
        runner = match first {
            0 => runner.part(first, part)?,
            _ => in_another_thread(runner, first, part)?,
        };
        runner.met.threads += 1;
        first += part.len() + 1;
    }
    runner.finish().map_err(|it| Failure {
        at: history.0.len(),
        detail: it.words(),
    })
}

/// Makes calls in a thread of their own. What they need goes there and comes back.
fn in_another_thread<'a, D: Device, K: Kernels>(
    runner: Runner<'a, D, K>,
    first: usize,
    part: &[Op],
) -> Result<Runner<'a, D, K>, Failure> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || runner.part(first, part));
        thread
            .join()
            .unwrap_or_else(|it| std::panic::resume_unwind(it))
    })
}

struct Runner<'a, D: Device, K> {
    contexts: Vec<Context<D>>,
    kernels: &'a K,
    model: Model,
    tolerance: Tolerance,
    met: Met,
    streams: Vec<Option<Stream<D>>>,
    buffers: Vec<Option<Memory<D>>>,
    downloads: Vec<Option<Download<D>>>,
    events: Vec<Option<Event<D>>>,
    /// For each event, the stream that recorded it last and that stream's last call then.
    marks: Vec<Option<(usize, u64)>>,
    /// Calls so far, and for each stream the number of the last one that gave it work.
    calls: u64,
    last_calls: Vec<u64>,
    /// By kernel, device after device.
    pipelines: Vec<Option<Pipeline<D>>>,
    graphs: Vec<Option<Graph<D>>>,
}

type Checked<T> = Result<T, Wrong>;

/// Why a call is not as it should be.
enum Wrong {
    Refused(Error),
    Differs(String),
}

impl Wrong {
    fn words(&self) -> String {
        match self {
            Self::Refused(error) => format!("refused: {error}"),
            Self::Differs(words) => words.clone(),
        }
    }
}

fn put<T>(slots: &mut Vec<Option<T>>, at: usize, value: Option<T>) -> Option<T> {
    if slots.len() <= at {
        slots.resize_with(at + 1, || None);
    }
    std::mem::replace(&mut slots[at], value)
}

fn found<T>(slots: &mut [Option<T>], at: usize) -> Checked<&mut T> {
    let slot = slots.get_mut(at).and_then(Option::as_mut);
    slot.ok_or_else(|| Wrong::Differs(format!("slot {at} is empty")))
}

fn told(error: Error) -> Wrong {
    Wrong::Refused(error)
}

fn ensure(holds: bool, detail: &str) -> Checked<()> {
    if holds {
        Ok(())
    } else {
        Err(Wrong::Differs(detail.to_owned()))
    }
}

impl<D: Device, K: Kernels> Runner<'_, D, K> {
    /// Makes some calls, of which the first has number `first`.
    fn part(mut self, first: usize, ops: &[Op]) -> Result<Self, Failure> {
        for (at, op) in (first..).zip(ops) {
            if self.met.is_lost || self.met.is_stuck {
                break;
            }
            if !self.model.admits(op) {
                continue;
            }
            let made = self.insist(op).map_err(|it| Failure {
                at,
                detail: it.words(),
            })?;
            if made {
                self.model.apply(op);
            }
        }
        Ok(self)
    }

    /// The context of a slot.
    fn context(&self, slot: usize) -> &Context<D> {
        &self.contexts[self.model.device(slot)]
    }

    fn step(&mut self, op: &Op) -> Checked<()> {
        self.calls += 1;
        if let Some(stream) = op.worker() {
            if self.last_calls.len() <= stream {
                self.last_calls.resize(stream + 1, 0);
            }
            self.last_calls[stream] = self.calls;
        }
        match op {
            Op::Stream(slot, policy) => {
                let stream = self.context(*slot).stream(*policy).map_err(told)?;
                drop(put(&mut self.streams, *slot, Some(stream)));
            }
            Op::DropStream(slot) => drop(put(&mut self.streams, *slot, None)),
            Op::Policy(slot, policy) => found(&mut self.streams, *slot)?.set_policy(*policy),
            Op::Buffer {
                buffer,
                bytes,
                stream,
                init,
            } => return self.make_buffer(*buffer, *bytes, *stream, *init),
            Op::DropBuffer(slot) => {
                return self.quietly(|it| drop(put(&mut it.buffers, *slot, None)));
            }
            Op::Upload(..) | Op::Fill(..) | Op::Copy(..) | Op::Launch(..) => {
                return self.record(op);
            }
            Op::Download(stream, part, slot) => {
                let memory = found(&mut self.buffers, part.buffer)?;
                let stream = found(&mut self.streams, *stream)?;
                let download = stream.download(memory, part.offset, part.bytes);
                drop(put(
                    &mut self.downloads,
                    *slot,
                    Some(download.map_err(told)?),
                ));
            }
            Op::Take(slot) => return self.take(*slot),
            Op::Peek(slot) => {
                let download = found(&mut self.downloads, *slot)?;
                download.is_complete().map_err(told)?;
            }
            Op::Forget(slot) => drop(put(&mut self.downloads, *slot, None)),
            Op::Record(..) | Op::Wait(..) | Op::EventQuery(_) | Op::EventSync(_) => {
                return self.event(op);
            }
            Op::Flush(slot) | Op::Query(slot) | Op::Synchronize(slot) => {
                return self.host_side(op, *slot);
            }
            Op::Counters => return self.counters(),
            Op::ResetCounters => {
                self.counters()?;
                self.contexts.iter().for_each(Context::reset_counters);
            }
            Op::DropPipeline(which) => {
                let slots = self.pipelines.iter_mut().skip(*which as usize);
                slots.step_by(Which::ALL.len()).for_each(|it| *it = None);
            }
            Op::Foreign(stream, buffer) => return self.foreign(*stream, *buffer),
            Op::Thread => {}
            Op::Capture(_)
            | Op::Graph(..)
            | Op::Abandon(_)
            | Op::LaunchGraph(..)
            | Op::Arguments { .. }
            | Op::DropGraph(_) => return self.graph(op),
        }
        Ok(())
    }

    fn host_side(&mut self, op: &Op, slot: usize) -> Checked<()> {
        let stream = found(&mut self.streams, slot)?;
        match op {
            Op::Flush(_) => stream.flush().map_err(told)?,
            Op::Synchronize(_) => stream.synchronize().map_err(told)?,
            _ => {}
        }
        let status = stream.query().map_err(told)?;
        match op {
            Op::Flush(_) => ensure(status != Status::Pending, "work is held back after a flush"),
            Op::Synchronize(_) => ensure(status == Status::Idle, "not idle after synchronize"),
            _ => Ok(()),
        }
    }

    fn make_buffer(&mut self, slot: usize, bytes: u64, stream: usize, init: Init) -> Checked<()> {
        let memory = self.context(slot).allocate(bytes, MemoryKind::Device);
        let memory = memory.map_err(told)?;
        let stream = found(&mut self.streams, stream)?;
        let result = match init {
            Init::Upload(seed) => stream.upload(&memory, 0, &upload_bytes(seed, bytes)),
            Init::Fill(byte) => stream.fill(&memory, 0, bytes, &[byte]),
        };
        // After an error nothing has changed.
        result.map_err(told)?;
        drop(put(&mut self.buffers, slot, Some(memory)));
        Ok(())
    }

    fn foreign(&mut self, stream: usize, buffer: usize) -> Checked<()> {
        let memory = found(&mut self.buffers, buffer)?;
        let stream = found(&mut self.streams, stream)?;
        let results = [
            stream.upload(memory, 0, &[0; 4]),
            stream.fill(memory, 0, memory.bytes(), &[0]),
            stream.copy(memory, 0, memory, 8, 4),
            stream.download(memory, 0, 4).map(|_| ()),
        ];
        let is_foreign = |it: &Result<(), Error>| matches!(it, Err(Error::ForeignDevice { .. }));
        self.met.foreign += 1;
        ensure(
            results.iter().all(is_foreign),
            "a buffer of another device is not refused",
        )
    }

    fn record(&mut self, op: &Op) -> Checked<()> {
        let buffers = &mut self.buffers;
        match op {
            Op::Upload(stream, part, seed) => {
                let data = upload_bytes(*seed, part.bytes);
                let memory = found(buffers, part.buffer)?;
                let stream = found(&mut self.streams, *stream)?;
                stream.upload(memory, part.offset, &data).map_err(told)
            }
            Op::Fill(stream, part, pattern) => {
                let memory = found(buffers, part.buffer)?;
                let stream = found(&mut self.streams, *stream)?;
                let filled = stream.fill(memory, part.offset, part.bytes, pattern);
                filled.map_err(told)
            }
            Op::Copy(stream, from, to) => {
                let stream = found(&mut self.streams, *stream)?;
                let (Some(Some(source)), Some(Some(target))) =
                    (buffers.get(from.buffer), buffers.get(to.buffer))
                else {
                    return Err(Wrong::Differs("a slot is empty".to_owned()));
                };
                let copied = stream.copy(source, from.offset, target, to.offset, from.bytes);
                copied.map_err(told)
            }
            Op::Launch(stream, which, parts, scalars) => {
                self.launch(*stream, *which, parts, *scalars)
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, slot: usize) -> Checked<()> {
        let download = found(&mut self.downloads, slot)?;
        compare(download, self.model.download(slot).unwrap_or_default())?;
        self.downloads[slot] = None;
        Ok(())
    }

    fn event(&mut self, op: &Op) -> Checked<()> {
        let (Op::Record(_, slot) | Op::Wait(_, slot) | Op::EventQuery(slot) | Op::EventSync(slot)) =
            op
        else {
            return Ok(());
        };
        if !matches!(self.events.get(*slot), Some(Some(_))) {
            let event = self.context(*slot).event();
            let complete = event.is_complete().map_err(told)?;
            ensure(complete, "an event never recorded is not complete")?;
            put(&mut self.events, *slot, Some(event));
        }
        let event = found(&mut self.events, *slot)?;
        match op {
            Op::Record(stream, _) => {
                if self.model.capture(*stream).is_none() {
                    let last = self.last_calls.get(*stream).copied().unwrap_or(0);
                    put(&mut self.marks, *slot, Some((*stream, last)));
                }
                found(&mut self.streams, *stream)?.record(event)
            }
            Op::Wait(stream, _) => found(&mut self.streams, *stream)?.wait(event),
            Op::EventQuery(_) => event.is_complete().map(|_| ()),
            _ => {
                event.synchronize().map_err(told)?;
                let complete = event.is_complete().map_err(told)?;
                ensure(complete, "an event is not complete after it was waited for")?;
                return self.nothing_is_left_before(*slot);
            }
        }
        .map_err(told)
    }

    /// After an event was waited for, the stream that recorded it is idle unless it got more work.
    fn nothing_is_left_before(&mut self, event: usize) -> Checked<()> {
        let Some(Some((slot, last))) = self.marks.get(event).copied() else {
            return Ok(());
        };
        if self.last_calls.get(slot) != Some(&last) || self.model.capture(slot).is_some() {
            return Ok(());
        }
        let Ok(stream) = found(&mut self.streams, slot) else {
            return Ok(());
        };
        let status = stream.query().map_err(told)?;
        ensure(
            status == Status::Idle,
            "an event came before its stream's work",
        )
    }
}

fn compare<D: Device>(download: &Download<D>, want: &[u8]) -> Checked<()> {
    let mut got = vec![0; want.len()];
    download.wait_into(&mut got).map_err(told)?;
    let Some(at) = (0..got.len()).find(|at| got[*at] != want[*at]) else {
        return Ok(());
    };
    let count = got.iter().zip(want).filter(|(a, b)| a != b).count();
    let until = (at + 16).min(got.len());
    Err(Wrong::Differs(format!(
        "wrong bytes: {count} of {}, from byte {at}: {:02x?}, not {:02x?}",
        got.len(),
        &got[at..until],
        &want[at..until]
    )))
}
