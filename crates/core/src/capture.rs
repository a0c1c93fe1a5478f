//! What a stream records while it captures: not work, but commands to keep.

use std::fmt;

use crate::batch::Batch;
use crate::command::{Command, Launch, MemoryId, Region};
use crate::context::Context;
use crate::device::Device;
use crate::error::Error;
use crate::event::Event;
use crate::graph::{Graph, GraphLaunch};
use crate::kernel::{Kernel, ScalarPlace};
use crate::pipeline::Pipeline;
use crate::policy::{Pending, Policy, decide};
use crate::stream::{Arguments, Stream};
use crate::transfer::{is_inline, usize_of};

/// A graph's part may be expected to run this many times as long as a batch. What was seen before a capture, the reading of a prompt perhaps, may have been heavier work by far, and a graph that is cut
/// stays cut. Half a second is still less than drivers allow.
const GRAPH_TIMES: u64 = 10;

/// Commands captured for one submission.
#[derive(Default)]
pub(crate) struct Captured {
    /// Without barriers, which are placed when the capture ends.
    pub(crate) batch: Batch,
    /// Calls that its commands stand for, for the counters.
    pub(crate) uploads: u64,
    pub(crate) copies: u64,
}

/// Stands in a region for the constants until their memory is there.
const CONSTANTS: MemoryId = MemoryId(u32::MAX);

/// Where a launch stands among the commands that were recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) part: usize,
    pub(crate) command: usize,
}

/// Commands on their way into a graph.
pub(crate) struct Capture<D: Device> {
    context: Context<D>,
    /// Whose pace says how long the commands will take.
    queue: u32,
    pub(crate) parts: Vec<Captured>,
    pending: Pending,
    pub(crate) launches: Vec<GraphLaunch<D>>,
    pub(crate) constants: Vec<u8>,
    pub(crate) pins: Vec<MemoryId>,
    pub(crate) waits: Vec<Event<D>>,
    pub(crate) records: Vec<Event<D>>,
}

impl<D: Device> fmt::Debug for Capture<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("launches", &self.launches.len())
            .finish_non_exhaustive()
    }
}

/// What is left here was never made a graph.
impl<D: Device> Drop for Capture<D> {
    fn drop(&mut self) {
        let mut state = self.context.0.state();
        for id in self.pins.drain(..) {
            state.unpin(id);
        }
        self.context.0.trim_excess(&mut state);
    }
}

/// A region, and whether it is written.
type Touch = (Region, bool);

impl Batch {
    /// What a command touches, and whether it writes it. `kernel` is that of a launch.
    pub(crate) fn accesses(
        &self,
        command: &Command,
        kernel: Option<&Kernel>,
    ) -> impl Iterator<Item = Touch> + Clone {
        let (launch, rest): (&[Region], [Option<Touch>; 2]) = match command {
            Command::Launch(it) => (self.bindings(it), [None; 2]),
            Command::Copy { source, target } => {
                (&[], [Some((*source, false)), Some((*target, true))])
            }
            Command::Upload { target, .. } | Command::Fill { target, .. } => {
                (&[], [Some((*target, true)), None])
            }
            Command::Barrier(_) => (&[], [None; 2]),
        };
        let bindings = kernel.map_or(&[][..], |it| &it.bindings);
        // A uniform block of scalars comes after the bindings, and is only read.
        let writes = bindings.iter().map(|it| it.access.writes());
        let writes = writes.chain(std::iter::repeat(false));
        let launch = launch.iter().copied().zip(writes);
        launch.chain(rest.into_iter().flatten())
    }
}

impl<D: Device> Capture<D> {
    fn new(context: Context<D>, queue: u32) -> Self {
        Self {
            context,
            queue,
            parts: vec![Captured::default()],
            pending: Pending::default(),
            launches: Vec::new(),
            constants: Vec::new(),
            pins: Vec::new(),
            waits: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Records a command and returns where it stands.
    pub(crate) fn record(
        &mut self,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
        build: impl FnOnce(&mut Batch) -> Command,
    ) -> Place {
        let (limits, pending) = (self.context.limits(), self.pending());
        if decide(Policy::UntilSync, pending, Default::default(), limits).is_some() {
            self.parts.push(Captured::default());
            self.pending = Pending::default();
        }
        self.keep(accesses.clone());
        let part = self.parts.len() - 1;
        let batch = &mut self.parts[part].batch;
        let command = build(batch);
        batch.commands.push(command);
        let place = Place {
            part,
            command: batch.commands.len() - 1,
        };
        self.pending.commands += 1;
        self.pending.inline_bytes = batch.data.len() as u64;
        for (region, _) in accesses {
            self.pending.bytes = self.pending.bytes.saturating_add(region.bytes);
        }
        place
    }

    /// What the last part holds, with how long it will take.
    fn pending(&self) -> Pending {
        let state = self.context.0.state();
        Pending {
            expected_ns: state.lane(self.queue).pace.settled_ns(self.pending) / GRAPH_TIMES,
            ..self.pending
        }
    }

    /// Keeps what a command uses alive.
    fn keep(&mut self, accesses: impl Iterator<Item = (Region, bool)>) {
        let kept = self.pins.len();
        for (region, _) in accesses {
            if region.memory != CONSTANTS && !self.pins.contains(&region.memory) {
                self.pins.push(region.memory);
            }
        }
        if self.pins.len() > kept {
            let mut state = self.context.0.state();
            self.pins[kept..].iter().for_each(|id| state.pin(*id));
        }
    }

    /// Counts the call whose last command was just recorded.
    pub(crate) fn count(&mut self, uploads: u64, copies: u64) {
        if let Some(part) = self.parts.last_mut() {
            part.uploads += uploads;
            part.copies += copies;
        }
    }

    /// Keeps bytes for the graph's own memory, and says where they will be.
    pub(crate) fn constant(&mut self, bytes: &[u8], align: u64) -> Region {
        let align = usize::try_from(align.max(16)).unwrap_or(16);
        let start = self.constants.len().next_multiple_of(align);
        self.constants.resize(start, 0);
        self.constants.extend_from_slice(bytes);
        Region {
            memory: CONSTANTS,
            offset: start as u64,
            bytes: bytes.len() as u64,
        }
    }

    /// Says where the constants are.
    pub(crate) fn place_constants(&mut self, memory: Option<MemoryId>) {
        let Some(memory) = memory else { return };
        let place = |region: &mut Region| {
            if region.memory == CONSTANTS {
                region.memory = memory;
            }
        };
        for Captured { batch, .. } in &mut self.parts {
            batch.regions.iter_mut().for_each(place);
            for command in &mut batch.commands {
                if let Command::Copy { source, .. } = command {
                    place(source);
                }
            }
        }
        let blocks = self.launches.iter_mut().filter_map(|it| it.block.as_mut());
        blocks.for_each(place);
    }

    /// Records a launch whose arguments have been checked.
    pub(crate) fn launch(
        &mut self,
        pipeline: &Pipeline<D>,
        grid: [u32; 3],
        arguments: Arguments<'_>,
    ) {
        let kernel = pipeline.kernel();
        let block = match kernel.scalars.as_ref().map(|it| it.place) {
            Some(ScalarPlace::Uniform { .. }) => {
                let align = self.context.capabilities().uniform_align;
                Some(self.constant(arguments.scalars, align))
            }
            _ => None,
        };
        let bound = arguments.regions.iter().zip(&kernel.bindings);
        let accesses = bound.map(|(region, binding)| (*region, binding.access.writes()));
        let scalars = if block.is_none() {
            arguments.scalars
        } else {
            &[]
        };
        let place = self.record(accesses, |batch| {
            let regions = arguments.regions.iter().copied().chain(block);
            Command::Launch(Launch {
                pipeline: pipeline.id(),
                bindings: batch.push_regions(regions),
                scalars: batch.push_data(scalars),
                grid,
            })
        });
        self.launches.push(GraphLaunch {
            place,
            pipeline: pipeline.clone(),
            block,
            aliasing: arguments.aliasing,
        });
    }
}

impl<D: Device> Stream<D> {
    /// From now on commands are not work: they are kept for a graph, which [`Self::end_capture`] gives. Launches, uploads, copies, fills and events can be captured. The
    /// bytes of an upload are read now, once.
    ///
    /// Events that are recorded in the capture mark each launch of the graph. Waiting for such an event in the same capture means nothing, as a graph's
    /// commands are in order; any other event is waited for, as it then stands, by each launch.
    ///
    /// # Errors
    /// [`Error::Capturing`] if it captures already; [`Error::Lost`].
    pub fn begin_capture(&mut self) -> Result<(), Error> {
        self.must_not_capture("the begin of a capture")?;
        self.context.0.state().check_lost()?;
        self.capture = Some(Box::new(Capture::new(self.context.clone(), self.queue)));
        Ok(())
    }

    /// Ends a capture and makes a graph of it.
    ///
    /// # Errors
    /// [`Error::NotCapturing`]; [`Error::Lost`]; what an allocation and an upload can meet: it captures on then, so that the call can be made again.
    pub fn end_capture(&mut self) -> Result<Graph<D>, Error> {
        self.context.0.check_forked()?;
        let mut capture = self.capture.take().ok_or(Error::NotCapturing)?;
        let made = Graph::new(self, &mut capture);
        if made.is_err() {
            self.capture = Some(capture);
        }
        made
    }

    /// Ends a capture, if there is one, and forgets it.
    pub fn abandon_capture(&mut self) {
        self.capture = None;
    }

    /// The bytes are kept with the graph: small ones in its batch, others in memory of its own from which they are copied.
    pub(crate) fn capture_upload(&mut self, region: Region, data: &[u8]) -> Result<(), Error> {
        self.check_align("upload", &[region.offset, region.bytes])?;
        let Some(capture) = self.capturing()? else {
            return Ok(());
        };
        let access = std::iter::once((region, true));
        if is_inline(region) {
            capture.record(access, |batch| Command::Upload {
                target: region,
                data: batch.push_data(data),
            });
        } else {
            let source = capture.constant(data, 16);
            capture.record(access, |_| Command::Copy {
                source,
                target: region,
            });
        }
        capture.count(1, 0);
        Ok(())
    }

    /// The graph keeps `data` once, however large the region is that it repeats in.
    pub(crate) fn capture_fill(&mut self, region: Region, data: &[u8]) -> Result<(), Error> {
        let Some(capture) = self.capturing()? else {
            return Ok(());
        };
        let most = data.len().min(usize_of(region.bytes));
        let kept = capture.constant(&data[..most], 16);
        let mut target = region;
        while target.offset < region.end() {
            target.bytes = kept.bytes.min(region.end() - target.offset);
            let source = Region {
                bytes: target.bytes,
                ..kept
            };
            let access = std::iter::once((target, true));
            capture.record(access, |_| Command::Copy { source, target });
            target.offset += target.bytes;
        }
        Ok(())
    }

    /// Whether it captures.
    pub fn is_capturing(&self) -> bool {
        self.capture.is_some()
    }

    /// What is being captured, if anything is, on a device that could run it.
    pub(crate) fn capturing(&mut self) -> Result<Option<&mut Capture<D>>, Error> {
        if self.capture.is_some() {
            self.context.0.state().check_lost()?;
        }
        Ok(self.capture.as_deref_mut())
    }

    pub(crate) fn must_not_capture(&self, what: &'static str) -> Result<(), Error> {
        self.context.0.check_forked()?;
        match self.capture {
            None => Ok(()),
            Some(_) => Err(Error::Capturing { what }),
        }
    }
}
