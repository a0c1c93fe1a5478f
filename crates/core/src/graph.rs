//! Graphs: commands recorded once and launched many times.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::allocate::Memory;
use crate::batch::{Batch, Replay};
use crate::capture::{Capture, Captured, Place};
use crate::command::{Command, GraphId, MemoryId, PipelineId, Region, Span};
use crate::context::Context;
use crate::device::Device;
use crate::error::Error;
use crate::event::Event;
use crate::hazard::Hazards;
use crate::kernel::Kernel;
use crate::lane::Lane;
use crate::memory::Row;
use crate::pipeline::{Pipeline, Retired};
use crate::policy::{Cause, Pending};
use crate::reorder::{Reorder, place};
use crate::state::State;
use crate::stream::{Arguments, Stream, check, report_fault};
use crate::transfer::CHUNK_BYTES_MAX;

/// Commands of a stream, kept with their barriers. [`Stream::launch_graph`] runs them all, in few submissions of their own.
///
/// A graph keeps the memory and the pipelines that it uses. Dropping it never waits.
pub struct Graph<D: Device> {
    context: Context<D>,
    parts: Vec<Part>,
    launches: Vec<GraphLaunch<D>>,
    /// Those of its launches, each once, by number.
    pipelines: BTreeMap<u32, Pipeline<D>>,
    /// What it uses, each once, kept alive until it is dropped.
    pins: Vec<MemoryId>,
    /// Uniform blocks and data to upload, which no command of the graph writes.
    _constants: Option<Memory<D>>,
    waits: Vec<Event<D>>,
    records: Vec<Event<D>>,
}

/// Commands that go to the device together: those of one submission.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) id: GraphId,
    version: u64,
    /// Its commands as they were recorded, without barriers: what they mean, whatever order is made of them.
    recorded: Vec<Command>,
    body: Arc<Batch>,
    /// What it touches: each allocation once, and whether it is written.
    uses: Vec<(MemoryId, Touched)>,
    pending: Pending,
    totals: Totals,
}

/// What a command does to an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Touched {
    read: bool,
    write: bool,
}

/// What a part adds to the counters at each launch. Uploads and copies are the caller's, whatever commands they became.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    dispatches: u64,
    barriers: u64,
    barriers_saved: u64,
    blits: u64,
    uploads: u64,
    copies: u64,
    bytes_inline: u64,
}

/// One kernel launch of a graph.
pub(crate) struct GraphLaunch<D: Device> {
    pub(crate) place: Place,
    pub(crate) pipeline: Pipeline<D>,
    /// Its uniform block of scalars, in the constants.
    pub(crate) block: Option<Region>,
    pub(crate) aliasing: bool,
}

impl<D: Device> fmt::Debug for Graph<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("launches", &self.launches.len())
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl<D: Device> Drop for Graph<D> {
    fn drop(&mut self) {
        let shared = &self.context.0;
        let mut state = shared.state();
        for part in &self.parts {
            state.retire(Retired::Graph(part.id));
        }
        drop(state);
        shared.destroy_retired();
        let mut state = shared.state();
        for id in self.pins.drain(..) {
            state.unpin(id);
        }
        shared.trim_excess(&mut state);
    }
}

impl<D: Device> Graph<D> {
    /// Makes a graph of what was captured, and leaves nothing behind. Constants go up on `stream`; after an error the capture is as before.
    pub(crate) fn new(stream: &mut Stream<D>, capture: &mut Capture<D>) -> Result<Self, Error> {
        let context = stream.context().clone();
        let constants = if capture.constants.is_empty() {
            None
        } else {
            let bytes = &capture.constants;
            let memory = context.allocate(bytes.len() as u64, crate::MemoryKind::Device)?;
            stream.write(memory.region(0, memory.bytes())?, bytes, CHUNK_BYTES_MAX, 0)?;
            Some(memory)
        };
        let mut state = context.0.state();
        state.check_lost()?;
        let first = state.graphs + 1;
        state.graphs += capture.parts.len() as u64;
        drop(state);
        // Only now: what came before may have failed, and the capture then goes on.
        capture.place_constants(constants.as_ref().map(|it| it.id));
        let launches = std::mem::take(&mut capture.launches);
        let mut pipelines = BTreeMap::new();
        for GraphLaunch { pipeline, .. } in &launches {
            let id = pipeline.id().0;
            pipelines.entry(id).or_insert_with(|| pipeline.clone());
        }
        let kernel = |id: PipelineId| pipelines.get(&id.0).map(Pipeline::kernel);
        let parts = std::mem::take(&mut capture.parts).into_iter();
        let parts = parts.filter(|it| !it.batch.is_empty()).zip(first..);
        let parts = parts.map(|(it, id)| {
            let mut part = Part::new(GraphId(id), it, kernel, context.limits().reorder);
            part.note_host(&context.0.state());
            part
        });
        let parts = parts.collect();
        Ok(Self {
            context,
            parts,
            launches,
            pipelines,
            pins: std::mem::take(&mut capture.pins),
            _constants: constants,
            waits: std::mem::take(&mut capture.waits),
            records: std::mem::take(&mut capture.records),
        })
    }

    /// The context that it belongs to.
    pub fn context(&self) -> &Context<D> {
        &self.context
    }

    /// Number of kernel launches in it.
    pub fn launches(&self) -> usize {
        self.launches.len()
    }

    /// Number of submissions that a launch of it makes: 1, unless it is longer than [`Limits::commands_max`](crate::Limits::commands_max) or one of the other
    /// limits of a batch.
    pub fn submissions(&self) -> usize {
        self.parts.len()
    }

    /// The commands, as in a bug report.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.parts.iter().map(|it| &*it.body)
    }

    /// The pipeline of kernel launch `index`.
    ///
    /// # Errors
    /// [`Error::NoSuchLaunch`].
    pub fn pipeline(&self, index: usize) -> Result<&Pipeline<D>, Error> {
        let found = self.launches.get(index).map(|it| &it.pipeline);
        found.ok_or(Error::NoSuchLaunch {
            index,
            launches: self.launches.len(),
        })
    }

    /// Changes the arguments of kernel launch `index` (in the order of recording, from 0) for launches of the graph recorded from now on; those recorded already keep
    /// theirs. Barriers are placed anew if a buffer changed.
    ///
    /// Scalars in a uniform block are uploaded on `stream`, which costs one small upload. Any other change makes the device translate the graph's commands anew
    /// at its next launch.
    ///
    /// # Errors
    /// [`Error::NoSuchLaunch`]; [`Error::Launch`]; [`Error::ForeignDevice`]; [`Error::Capturing`]; [`Error::Lost`]; those of an upload; [`Error::SubmissionOutOfMemory`] if a launch
    /// of it is still held back for want of memory. The graph is then as before.
    pub fn set_arguments(
        &mut self,
        stream: &mut Stream<D>,
        index: usize,
        arguments: Arguments<'_>,
    ) -> Result<(), Error> {
        if !self.context.same(stream.context()) {
            return Err(Error::ForeignDevice { what: "graph" });
        }
        stream.must_not_capture("a change of a graph's arguments")?;
        self.context.0.state().check_lost()?;
        let pipeline = self.pipeline(index)?.clone();
        let launch = &self.launches[index];
        let arguments = Arguments {
            aliasing: launch.aliasing || arguments.aliasing,
            ..arguments
        };
        let part = &self.parts[launch.place.part];
        let Some(Command::Launch(command)) = part.recorded.get(launch.place.command) else {
            return Ok(());
        };
        let kernel = pipeline.kernel();
        check(kernel, self.context.capabilities(), command.grid, arguments).map_err(|problem| {
            Error::Launch {
                kernel: kernel.name.clone(),
                problem,
            }
        })?;
        let count = kernel.bindings.len();
        let (bindings, scalars) = (command.bindings, command.scalars);
        let regions = Span {
            start: bindings.start,
            len: count as u32,
        };
        let same_regions = part.body.regions[regions.range()] == *arguments.regions;
        let same_scalars =
            launch.block.is_some() || part.body.data[scalars.range()] == *arguments.scalars;
        let same = same_regions && same_scalars;
        if !same {
            self.context.0.submit_recorded()?;
        }
        if let Some(block) = launch.block {
            // In one piece, so that an error means that nothing of it was recorded.
            stream.write(block, arguments.scalars, u64::MAX, 0)?;
        }
        if same {
            return Ok(());
        }
        let place = launch.place;
        let part = &mut self.parts[place.part];
        let body = Arc::make_mut(&mut part.body);
        let bound = &mut body.regions[regions.range()];
        let replaced: Vec<MemoryId> = bound.iter().map(|it| it.memory).collect();
        bound.copy_from_slice(arguments.regions);
        if !same_scalars {
            body.data[scalars.range()].copy_from_slice(arguments.scalars);
        }
        part.version += 1;
        if !same_regions {
            self.place_barriers(place.part, &replaced, arguments.regions);
        }
        Ok(())
    }

    /// Places the barriers of a part anew, where `added` took the place of regions of `replaced`. Keeps what was added, and no longer what nothing uses now.
    fn place_barriers(&mut self, at: usize, replaced: &[MemoryId], added: &[Region]) {
        let kernel = |id: PipelineId| self.pipelines.get(&id.0).map(Pipeline::kernel);
        self.parts[at].place(kernel, self.context.limits().reorder);
        let uses = |part: &Part, id| part.uses.iter().any(|it| it.0 == id);
        let is_used = |id| self.parts.iter().any(|it| uses(it, id));
        let gone = |id: &mut MemoryId| replaced.contains(id) && !is_used(*id);
        let gone: Vec<MemoryId> = self.pins.extract_if(.., gone).collect();
        let kept = self.pins.len();
        for region in added {
            if !self.pins.contains(&region.memory) {
                self.pins.push(region.memory);
            }
        }
        // What took long is done: others have recorded meanwhile.
        let mut state = self.context.0.state();
        self.parts[at].note_host(&state);
        self.pins[kept..].iter().for_each(|id| state.pin(*id));
        gone.into_iter().for_each(|id| state.unpin(id));
        self.context.0.trim_excess(&mut state);
    }
}

impl Part {
    /// Makes of what was captured what goes to the device in one submission.
    fn new<'a>(
        id: GraphId,
        captured: Captured,
        kernel: impl Fn(PipelineId) -> Option<&'a Kernel> + Copy,
        reorder: bool,
    ) -> Self {
        let mut batch = captured.batch;
        let mut part = Self {
            id,
            version: 0,
            recorded: std::mem::take(&mut batch.commands),
            body: Arc::new(batch),
            uses: Vec::new(),
            pending: Pending::default(),
            totals: Totals {
                uploads: captured.uploads,
                copies: captured.copies,
                ..Totals::default()
            },
        };
        part.place(kernel, reorder);
        part
    }

    /// Makes commands with barriers of what was recorded, and notes what they touch. Takes long in a large graph, and so is done without the state.
    fn place<'a>(
        &mut self,
        kernel: impl Fn(PipelineId) -> Option<&'a Kernel> + Copy,
        reorder: bool,
    ) {
        let body = Arc::make_mut(&mut self.body);
        let recorded = self.recorded.iter().copied();
        place(body, recorded, &mut Hazards::default(), kernel);
        let saved = if reorder {
            Reorder::default().arrange(body, kernel)
        } else {
            0
        };
        self.summarise(kernel);
        self.totals.barriers_saved = saved;
    }

    /// Notes what the commands touch.
    fn summarise<'a>(&mut self, kernel: impl Fn(PipelineId) -> Option<&'a Kernel>) {
        let mut uses: Vec<(MemoryId, Touched)> = Vec::new();
        let mut pending = Pending::default();
        let mut totals = Totals {
            uploads: self.totals.uploads,
            copies: self.totals.copies,
            ..Totals::default()
        };
        for command in &self.body.commands {
            let kernel = match command {
                Command::Launch(it) => kernel(it.pipeline),
                _ => None,
            };
            totals.count(command);
            if let Command::Barrier(_) = command {
                continue;
            }
            pending.commands += 1;
            for (region, write) in self.body.accesses(command, kernel) {
                pending.bytes = pending.bytes.saturating_add(region.bytes);
                let at = uses.iter().position(|it| it.0 == region.memory);
                let at = at.unwrap_or_else(|| {
                    uses.push((region.memory, Touched::default()));
                    uses.len() - 1
                });
                let touched = &mut uses[at].1;
                touched.write |= write;
                touched.read |= !write;
            }
        }
        pending.inline_bytes = self.body.data.len() as u64;
        (self.uses, self.pending, self.totals) = (uses, pending, totals);
    }

    /// Notes whether the host may look at what the commands write.
    fn note_host(&mut self, state: &State) {
        let sees = |id| state.memory.row(id).is_some_and(Row::host_sees);
        let host_reads = self.uses.iter().any(|(id, it)| it.write && sees(*id));
        Arc::make_mut(&mut self.body).host_reads = host_reads;
    }

    /// One entry an access, for what has to be known of whole allocations only.
    fn accesses(&self) -> impl Iterator<Item = (Region, bool)> + Clone {
        self.uses.iter().flat_map(|(memory, touched)| {
            let region = Region {
                memory: *memory,
                offset: 0,
                bytes: 0,
            };
            let read = touched.read.then_some((region, false));
            read.into_iter()
                .chain(touched.write.then_some((region, true)))
        })
    }
}

impl Totals {
    fn count(&mut self, command: &Command) {
        match command {
            Command::Barrier(_) => self.barriers += 1,
            Command::Launch(_) => self.dispatches += 1,
            Command::Upload { target, .. } => {
                self.blits += 1;
                self.bytes_inline += target.bytes;
            }
            Command::Copy { .. } | Command::Fill { .. } => self.blits += 1,
        }
    }
}

impl State {
    /// Makes the pending batch of `queue`, which is empty, a launch of a graph's part; returns the value of its ticket.
    fn replay(&mut self, queue: u32, part: &Part) -> u64 {
        let lane: &mut Lane = &mut self.lanes[queue as usize];
        lane.batch.replay = Some(Replay {
            graph: part.id,
            version: part.version,
            body: Arc::clone(&part.body),
        });
        lane.batch.host_reads = part.body.host_reads;
        lane.pending = part.pending;
        let value = lane.next_value();
        for (region, write) in part.accesses() {
            if let Some(row) = self.memory.row_mut(region.memory) {
                row.note(queue, value, write);
            }
        }
        let (counters, totals) = (&mut self.counters, part.totals);
        counters.dispatches += totals.dispatches;
        counters.barriers += totals.barriers;
        counters.barriers_saved += totals.barriers_saved;
        counters.blits += totals.blits;
        counters.cpu_to_gpu += totals.uploads;
        counters.gpu_to_gpu += totals.copies;
        counters.bytes_inline += totals.bytes_inline;
        value
    }
}

impl<D: Device> Stream<D> {
    /// Launches a graph: everything in it, as if it were recorded here anew, in submissions of its own that are let through at once under every policy. What
    /// is pending on the queue is submitted before it. Several launches may be in flight.
    ///
    /// Events that the graph waits for are waited for as they stand now, and events that it records stand for this launch.
    ///
    /// # Errors
    /// [`Error::ForeignDevice`]; [`Error::Capturing`]; [`Error::Lost`]; [`Error::Failed`]; [`Error::SubmissionOutOfMemory`] if what is pending could not be
    /// submitted. Of a graph of several submissions a part may have been recorded.
    pub fn launch_graph(&mut self, graph: &Graph<D>) -> Result<(), Error> {
        if !graph.context.same(&self.context) {
            return Err(Error::ForeignDevice { what: "graph" });
        }
        self.must_not_capture("the launch of a graph")?;
        self.context.0.state().check_lost()?;
        for event in &graph.waits {
            self.wait(event)?;
        }
        for (at, part) in graph.parts.iter().enumerate() {
            let shared = &self.context.0;
            let mut state = shared.ready_empty(self.queue, part.accesses())?;
            if at == 0 {
                // Once a part is recorded the others follow: the next call reports what is met on the way.
                report_fault(&mut self.faults_seen, &state)?;
            }
            self.last = state.replay(self.queue, part);
            drop(state);
            match shared.submit(self.queue, self.last, Cause::Graph) {
                // It is recorded: that it found no memory is reported by whatever needs it next.
                Ok(()) | Err(Error::SubmissionOutOfMemory) => {}
                Err(error) => return Err(error),
            }
        }
        self.context.0.state().counters.graph_launches += 1;
        graph.records.iter().try_for_each(|it| self.record(it))
    }
}
