//! A batch: the commands that go to a device in one submission. Plain data that prints itself.

use std::fmt;
use std::sync::Arc;

use crate::command::{Barrier, Command, GraphId, Launch, PipelineId, Region, Span, Stages, Ticket};

/// Commands that go to the device in one submission, with every barrier already placed.
///
/// A batch owns all its bytes, so that it can be printed, kept, compared and sent to another thread. Cleared and used again, it allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Tickets of *other* queues that must complete before the first command runs. Each has been submitted already.
    pub waits: Vec<Ticket>,
    /// The dependency on everything that ran earlier on this queue.
    pub opening: Barrier,
    /// In execution order.
    pub commands: Vec<Command>,
    /// Arena of the buffers that launches bind.
    pub regions: Vec<Region>,
    /// Arena of push constants (each span starts at a multiple of 4) and of small uploads.
    pub data: Vec<u8>,
    /// Whether the host may read what this batch wrote, which needs a last dependency on the host.
    pub host_reads: bool,
    /// The kept commands that run instead of this batch's own, which has none then.
    pub replay: Option<Replay>,
}

/// Commands of a graph, kept to be submitted many times, also while earlier submissions of them still run.
///
/// A device may keep what it made of them, by `graph` and `version`, and submit that again: neither the commands nor the opening barrier
/// and `host_reads` of the batch around them ever differ under the same pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Which graph, or which part of a long one.
    pub graph: GraphId,
    /// Grows with each change of the commands.
    pub version: u64,
    /// The commands. Waits and opening barrier stand in the batch around it.
    pub body: Arc<Batch>,
}

impl Batch {
    /// Whether nothing would run.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.replay.is_none()
    }

    /// What holds the commands: this batch, or the kept one that it runs. Spans of commands are into its arenas.
    pub fn body(&self) -> &Self {
        self.replay.as_ref().map_or(self, |it| &it.body)
    }

    /// Forgets everything but keeps the arenas' memory.
    pub fn clear(&mut self) {
        self.waits.clear();
        self.opening = Barrier::default();
        self.commands.clear();
        self.regions.clear();
        self.data.clear();
        self.host_reads = false;
        self.replay = None;
    }

    /// Copies `bytes` into the data arena, at a multiple of 4.
    pub fn push_data(&mut self, bytes: &[u8]) -> Span {
        let start = self.data.len().next_multiple_of(4);
        self.data.resize(start, 0);
        self.data.extend_from_slice(bytes);
        Span {
            start: narrow(start),
            len: narrow(bytes.len()),
        }
    }

    /// Appends regions to their arena.
    pub fn push_regions(&mut self, regions: impl IntoIterator<Item = Region>) -> Span {
        let start = self.regions.len();
        self.regions.extend(regions);
        Span {
            start: narrow(start),
            len: narrow(self.regions.len() - start),
        }
    }

    /// The buffers that a launch binds.
    pub fn bindings(&self, launch: &Launch) -> &[Region] {
        &self.body().regions[launch.bindings.range()]
    }

    /// The push constants of a launch.
    pub fn scalars(&self, launch: &Launch) -> &[u8] {
        &self.body().data[launch.scalars.range()]
    }

    /// The pipelines launched, each once, in the order of their first launch.
    pub fn pipelines(&self) -> Vec<PipelineId> {
        let mut found = Vec::new();
        for command in &self.body().commands {
            if let Command::Launch(launch) = command
                && !found.contains(&launch.pipeline)
            {
                found.push(launch.pipeline);
            }
        }
        found
    }

    /// The stages that any command runs in.
    pub fn stages(&self) -> Stages {
        self.body()
            .commands
            .iter()
            .fold(Stages::NONE, |all, it| all.union(it.stage()))
    }
}

/// Arena indices stay far below 2^32: `Limits` bounds a batch's commands and bytes.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}[{}..{}]", self.memory.0, self.offset, self.end())
    }
}

/// One line a command, as in a bug report or a snapshot test.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ticket in &self.waits {
            writeln!(f, "wait queue {} value {}", ticket.queue, ticket.value)?;
        }
        writeln!(f, "open {} -> {}", self.opening.before, self.opening.after)?;
        if let Some(replay) = &self.replay {
            writeln!(
                f,
                "replay graph {} version {}",
                replay.graph.0, replay.version
            )?;
        }
        for command in &self.body().commands {
            match command {
                Command::Barrier(it) => writeln!(f, "barrier {} -> {}", it.before, it.after)?,
                Command::Launch(it) => {
                    let [x, y, z] = it.grid;
                    write!(f, "launch p{} grid {x}x{y}x{z}", it.pipeline.0)?;
                    for region in self.bindings(it) {
                        write!(f, " {region}")?;
                    }
                    if it.scalars.len > 0 {
                        write!(f, " scalars ")?;
                        for byte in self.scalars(it) {
                            write!(f, "{byte:02x}")?;
                        }
                    }
                    writeln!(f)?;
                }
                Command::Upload { target, .. } => writeln!(f, "upload {target}")?,
                Command::Copy { source, target } => writeln!(f, "copy {source} -> {target}")?,
                Command::Fill { target, pattern } => writeln!(f, "fill {target} {pattern:#010x}")?,
            }
        }
        if self.host_reads {
            writeln!(f, "close -> host")?;
        }
        Ok(())
    }
}
