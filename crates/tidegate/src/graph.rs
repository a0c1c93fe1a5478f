//! Graphs: work recorded once and launched many times.

use std::fmt;

use crate::Error;
use crate::arguments::{Arguments, List};
use crate::backend::AnyDevice;
use crate::stream::Stream;

/// Commands of a stream, kept with their barriers, and launched by [`Stream::launch_graph`]. Vulkan translates them once and replays them; Metal encodes them again.
///
/// It keeps the buffers and kernels that it uses alive. Dropping it never waits.
///
/// ```
/// # use tidegate::{Device, Error};
/// # fn main() -> Result<(), Error> {
/// # let device = Device::open_default()?;
/// # let source = "
/// #     @group(0) @binding(0) var<storage, read_write> x: array<u32>;
/// #     var<immediate> a: u32;
/// #     @compute @workgroup_size(64)
/// #     fn add(@builtin(global_invocation_id) id: vec3<u32>) { if id.x < arrayLength(&x) { x[id.x] += a; } }";
/// # let add = device.module_from_wgsl(source)?.kernel("add")?;
/// let mut stream = device.stream()?;
/// let x = stream.zeros::<u32>(64)?;
/// let mut graph = stream.capture(|stream| {
///     stream.launch(&add, 1, (&x, 1_u32))?;
///     stream.launch(&add, 1, (&x, 10_u32))
/// })?;
/// stream.launch_graph(&graph)?;
/// stream.launch_graph(&graph)?;
/// graph.set_arguments(&mut stream, 1, (&x, 100_u32))?;
/// stream.launch_graph(&graph)?;
/// assert_eq!(stream.download(&x)?.wait()?, vec![2 * 11 + 101; 64]);
/// # Ok(())
/// # }
/// ```
pub struct Graph(pub(crate) tidegate_core::Graph<AnyDevice>);

impl Graph {
    /// Number of kernel launches in it.
    pub fn launches(&self) -> usize {
        self.0.launches()
    }

    /// Number of submissions that a launch of it makes: 1, unless it is longer than a batch may be (see [`Limits`](crate::Limits)).
    pub fn submissions(&self) -> usize {
        self.0.submissions()
    }

    /// Changes the arguments of kernel launch `index`, counted from 0 in the order of recording, for the launches of the graph that follow. Those recorded already
    /// keep theirs.
    ///
    /// Scalars in a uniform block (`var<uniform>`) cost one small upload on `stream`. Other scalars, and buffers, make Vulkan translate the graph's commands anew at its next
    /// launch, on the CPU, while earlier launches still run.
    ///
    /// # Errors
    /// [`StreamError::NoSuchLaunch`](crate::StreamError::NoSuchLaunch); arguments that do not fit, as for [`Stream::launch`]; those of an upload. The graph is then as before.
    pub fn set_arguments(
        &mut self,
        stream: &mut Stream,
        index: usize,
        arguments: impl Arguments,
    ) -> Result<(), Error> {
        let mut list = List::default();
        let kernel = self.0.pipeline(index)?.clone();
        list.fill(self.0.context(), &arguments, kernel.kernel())?;
        stream.set_arguments(&mut self.0, index, &list)
    }
}

/// Its commands, a line each, as a bug report would show them.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.batches().try_for_each(|it| it.fmt(f))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
