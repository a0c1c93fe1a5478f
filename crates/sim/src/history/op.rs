//! What a history is made of: plain data that prints itself, a line a call.

use std::fmt;

use tidegate_core::Policy;

/// Calls, in order. Any part of a history is a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(pub Vec<Op>);

/// Bytes `offset..offset + bytes` of the buffer in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The buffer's slot.
    pub buffer: usize,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl Part {
    /// Whether both name at least one common byte.
    pub fn overlaps(&self, other: &Self) -> bool {
        let end = |it: &Self| it.offset + it.bytes;
        self.buffer == other.buffer && self.offset < end(other) && other.offset < end(self)
    }
}

/// The kernels that histories launch; see [`kernels`](crate::kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `x[i] = x[i] * a + b`.
    Affine,
    /// The same, with its scalars in a uniform block.
    AffineUniform,
    /// `z[i] = x[i] + y[i]`.
    Add,
    /// `y[i] = x[i]`.
    Copy,
    /// `x[i]` and `y[i]` change places.
    Swap,
    /// `x[i] = a + i`.
    FillIndex,
}

impl Which {
    /// Every kernel.
    pub const ALL: [Self; 6] = [
        Self::Affine,
        Self::AffineUniform,
        Self::Add,
        Self::Copy,
        Self::Swap,
        Self::FillIndex,
    ];

    /// Its entry point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Affine => "affine",
            Self::AffineUniform => "affine_uniform",
            Self::Add => "add",
            Self::Copy => "copy",
            Self::Swap => "swap",
            Self::FillIndex => "fill_index",
        }
    }

    /// Number of buffers that it binds.
    pub fn buffers(self) -> usize {
        match self {
            Self::Affine | Self::AffineUniform | Self::FillIndex => 1,
            Self::Copy | Self::Swap => 2,
            Self::Add => 3,
        }
    }

    /// Number of `u32` scalars that it takes.
    pub fn scalars(self) -> usize {
        match self {
            Self::Affine | Self::AffineUniform => 2,
            Self::FillIndex => 1,
            Self::Add | Self::Copy | Self::Swap => 0,
        }
    }

    /// Whether it writes its buffer number `index`.
    pub fn writes(self, index: usize) -> bool {
        match self {
            Self::Affine | Self::AffineUniform | Self::FillIndex | Self::Swap => true,
            Self::Copy => index == 1,
            Self::Add => index == 2,
        }
    }
}

/// How a new buffer gets its first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// An upload of the bytes that this seed gives.
    Upload(u64),
    /// A fill with this byte.
    Fill(u8),
}

/// One call. Streams, buffers, graphs, events and downloads are named by slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes a stream, and drops the one that was in its slot.
    Stream(usize, Policy),
    /// Drops a stream.
    DropStream(usize),
    /// Changes a stream's policy.
    Policy(usize, Policy),
    /// Makes a buffer and drops the one that was in its slot; then a stream gives it its first content.
    Buffer {
        /// The slot.
        buffer: usize,
        /// Its size.
        bytes: u64,
        /// The stream.
        stream: usize,
        /// The first content.
        init: Init,
    },
    /// Drops a buffer, whatever is pending on it.
    DropBuffer(usize),
    /// Uploads the bytes that a seed gives.
    Upload(usize, Part, u64),
    /// Fills with a pattern.
    Fill(usize, Part, Vec<u8>),
    /// Copies from the first part to the second, of the same size.
    Copy(usize, Part, Part),
    /// Launches a kernel.
    Launch(usize, Which, Vec<Part>, [u32; 2]),
    /// Starts a download into a slot, and drops the one that was there.
    Download(usize, Part, usize),
    /// Waits on a download and compares.
    Take(usize),
    /// Asks whether a download is complete.
    Peek(usize),
    /// Drops a download unread.
    Forget(usize),
    /// Records an event on a stream.
    Record(usize, usize),
    /// Makes a stream wait for an event.
    Wait(usize, usize),
    /// Asks whether an event is complete.
    EventQuery(usize),
    /// Waits for an event.
    EventSync(usize),
    /// Flushes a stream.
    Flush(usize),
    /// Asks where a stream's work stands.
    Query(usize),
    /// Waits for a stream.
    Synchronize(usize),
    /// Compares the counters with the model's.
    Counters,
    /// Compares, then resets them.
    ResetCounters,
    /// Drops a kernel's pipeline; the next launch makes it again.
    DropPipeline(Which),
    /// What a stream records from now on is kept for a graph.
    Capture(usize),
    /// Ends a stream's capture, which makes a graph, and drops the one that was in its slot.
    Graph(usize, usize),
    /// Ends a stream's capture, which makes nothing.
    Abandon(usize),
    /// Launches a graph.
    LaunchGraph(usize, usize),
    /// Changes the arguments of one of a graph's launches, counted from 0.
    Arguments {
        /// The stream, for what has to be uploaded.
        stream: usize,
        /// The graph.
        graph: usize,
        /// The launch.
        launch: usize,
        /// Its new buffers.
        parts: Vec<Part>,
        /// Its new scalars.
        scalars: [u32; 2],
    },
    /// Drops a graph, whatever is in flight of it.
    DropGraph(usize),
    /// Offers a stream a buffer of another device, which it must refuse.
    Foreign(usize, usize),
    /// Goes on in another thread, which gets all that there is.
    Thread,
}

impl Op {
    /// The stream that the call gives work to, or makes.
    pub(crate) fn worker(&self) -> Option<usize> {
        match self {
            Self::Stream(stream, _)
            | Self::Buffer { stream, .. }
            | Self::Upload(stream, ..)
            | Self::Fill(stream, ..)
            | Self::Copy(stream, ..)
            | Self::Launch(stream, ..)
            | Self::Wait(stream, _)
            | Self::Graph(stream, _)
            | Self::LaunchGraph(stream, _)
            | Self::Arguments { stream, .. }
            | Self::Download(stream, ..) => Some(*stream),
            _ => None,
        }
    }
}

impl Op {
    /// Calls `each` with the slots that must be of one device.
    pub(crate) fn slots(&self, mut each: impl FnMut(usize)) {
        let mut all = |slots: &[usize]| slots.iter().for_each(|it| each(*it));
        match self {
            Self::Buffer { buffer, stream, .. } => all(&[*buffer, *stream]),
            Self::Upload(stream, part, _) | Self::Fill(stream, part, _) => {
                all(&[*stream, part.buffer]);
            }
            Self::Copy(stream, from, to) => all(&[*stream, from.buffer, to.buffer]),
            Self::Launch(stream, _, parts, _) => {
                all(&[*stream]);
                parts.iter().for_each(|it| all(&[it.buffer]));
            }
            Self::Download(stream, part, slot) => all(&[*stream, part.buffer, *slot]),
            Self::Record(stream, slot)
            | Self::Wait(stream, slot)
            | Self::Graph(stream, slot)
            | Self::LaunchGraph(stream, slot) => all(&[*stream, *slot]),
            Self::Arguments {
                stream,
                graph,
                parts,
                ..
            } => {
                all(&[*stream, *graph]);
                parts.iter().for_each(|it| all(&[it.buffer]));
            }
            _ => {}
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.offset + self.bytes;
        write!(f, "b{}[{}..{end}]", self.buffer, self.offset)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream, policy) => write!(f, "s{stream} = stream {policy:?}"),
            Self::DropStream(stream) => write!(f, "drop s{stream}"),
            Self::Policy(stream, policy) => write!(f, "s{stream} policy {policy:?}"),
            Self::Buffer {
                buffer,
                bytes,
                stream,
                init,
            } => write!(f, "b{buffer} = {bytes} bytes, s{stream} {init:x?}"),
            Self::DropBuffer(buffer) => write!(f, "drop b{buffer}"),
            Self::Upload(stream, to, seed) => write!(f, "s{stream} upload {to} from {seed:x}"),
            Self::Fill(stream, to, pattern) => write!(f, "s{stream} fill {to} with {pattern:02x?}"),
            Self::Copy(stream, from, to) => write!(f, "s{stream} copy {from} to {to}"),
            Self::Launch(stream, which, parts, scalars) => {
                write!(f, "s{stream} launch {}", which.name())?;
                for part in parts {
                    write!(f, " {part}")?;
                }
                write!(f, " {:?}", &scalars[..which.scalars()])
            }
            Self::Download(stream, from, slot) => write!(f, "d{slot} = s{stream} download {from}"),
            Self::Take(slot) => write!(f, "wait d{slot}"),
            Self::Peek(slot) => write!(f, "is d{slot} complete"),
            Self::Forget(slot) => write!(f, "drop d{slot}"),
            Self::Record(stream, event) => write!(f, "s{stream} record e{event}"),
            Self::Wait(stream, event) => write!(f, "s{stream} wait e{event}"),
            Self::EventQuery(event) => write!(f, "is e{event} complete"),
            Self::EventSync(event) => write!(f, "wait e{event}"),
            Self::Flush(stream) => write!(f, "s{stream} flush"),
            Self::Query(stream) => write!(f, "s{stream} query"),
            Self::Synchronize(stream) => write!(f, "s{stream} synchronize"),
            Self::Counters => write!(f, "counters"),
            Self::ResetCounters => write!(f, "reset counters"),
            Self::DropPipeline(which) => write!(f, "drop pipeline {}", which.name()),
            Self::Capture(stream) => write!(f, "s{stream} capture"),
            Self::Graph(stream, graph) => write!(f, "g{graph} = s{stream} end capture"),
            Self::Abandon(stream) => write!(f, "s{stream} abandon capture"),
            Self::LaunchGraph(stream, graph) => write!(f, "s{stream} launch g{graph}"),
            Self::Arguments {
                stream,
                graph,
                launch,
                parts,
                scalars,
            } => {
                write!(f, "s{stream} arguments g{graph} launch {launch}")?;
                for part in parts {
                    write!(f, " {part}")?;
                }
                write!(f, " {scalars:?}")
            }
            Self::DropGraph(graph) => write!(f, "drop g{graph}"),
            Self::Foreign(stream, buffer) => write!(f, "s{stream} is offered b{buffer}"),
            Self::Thread => write!(f, "another thread"),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, op) in self.0.iter().enumerate() {
            writeln!(f, "{at:5}  {op}")?;
        }
        Ok(())
    }
}
