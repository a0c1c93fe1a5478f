//! A batch: the commands that go to a device in one submission. Plain data that prints itself.

use std::fmt;

use crate::command::{Barrier, Command, Launch, PipelineId, Region, Span, Stages, Ticket};

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
}

impl Batch {
    /// Whether nothing would run.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Forgets everything but keeps the arenas' memory.
    pub fn clear(&mut self) {
        self.waits.clear();
        self.opening = Barrier::default();
        self.commands.clear();
        self.regions.clear();
        self.data.clear();
        self.host_reads = false;
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
        &self.regions[launch.bindings.range()]
    }

    /// The push constants of a launch.
    pub fn scalars(&self, launch: &Launch) -> &[u8] {
        &self.data[launch.scalars.range()]
    }

    /// The pipelines launched, each once, in the order of their first launch.
    pub fn pipelines(&self) -> Vec<PipelineId> {
        let mut found = Vec::new();
        for command in &self.commands {
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
        self.commands
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
        for command in &self.commands {
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
