//! Streams, events and results on their way.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;
use tidegate_core::{Download, Policy, Status, Ticket};

use crate::arguments::{Arguments, List};
use crate::backend::AnyDevice;
use crate::buffer::{Buffer, Slice, bytes};
use crate::device::Device;
use crate::graph::Graph;
use crate::module::Kernel;
use crate::{Counters, Error};

/// Commands that take effect in the order recorded.
///
/// A stream belongs to one thread at a time and may move between threads. Dropping it submits what is pending and does not wait.
///
/// Two threads that record on one stream do not compile; each takes a stream of its own, and their order where they share a buffer is that of recording:
///
/// ```compile_fail,E0499
/// # let device = tidegate::Device::open_default()?;
/// let mut stream = device.stream()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| stream.flush());
///     scope.spawn(|| stream.flush());
/// });
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    raw: tidegate_core::Stream<AnyDevice>,
    device: Device,
    list: List,
}

/// A point in a stream's work, for other streams and for the host to wait for. Clones are the same event. One that was never recorded is complete, as in CUDA.
#[derive(Clone, Debug)]
pub struct Event(tidegate_core::Event<AnyDevice>);

/// Elements on their way from the device. Dropping it unread is fine.
pub struct Pending<T> {
    raw: Download<AnyDevice>,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.raw).finish()
    }
}

impl<T: Pod> Pending<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether [`Self::wait`] would return at once. Neither waits nor submits, so that work which is held back stays so.
    ///
    /// # Errors
    /// The device is lost.
    pub fn is_complete(&self) -> Result<bool, Error> {
        Ok(self.raw.is_complete()?)
    }

    /// Waits for this copy's own submission, which is submitted first if it is still held back, and returns the elements as they were when it was recorded. Nothing is used up: after a
    /// success, a stall and a submission without memory it may be called again.
    ///
    /// # Errors
    /// A stall; no memory for a submission (the work is kept); a failed submission; a lost device. Then no elements are returned.
    pub fn wait(&self) -> Result<Vec<T>, Error> {
        let mut elements = vec![T::zeroed(); self.len];
        self.wait_into(&mut elements)?;
        Ok(elements)
    }

    /// As [`Self::wait`], into `target`, which has exactly [`Self::len`] elements.
    ///
    /// # Errors
    /// As [`Self::wait`], and [`StreamError::SizeMismatch`](crate::StreamError::SizeMismatch), in bytes, before any wait. After an error the content of `target` is
    /// unspecified.
    pub fn wait_into(&self, target: &mut [T]) -> Result<(), Error> {
        Ok(self.raw.wait_into(bytemuck::cast_slice_mut(target))?)
    }
}

impl Event {
    pub(crate) fn new(raw: tidegate_core::Event<AnyDevice>) -> Self {
        Self(raw)
    }

    /// Whether the work that it marks is complete. Neither waits nor submits.
    ///
    /// # Errors
    /// The device is lost.
    pub fn is_complete(&self) -> Result<bool, Error> {
        Ok(self.0.is_complete()?)
    }

    /// The submissions that it marks, at most one a queue; none before it was recorded. What a [`Trace`](crate::Trace) has of the work between two events of a stream, each recorded after a flush, is what ran
    /// under tickets later than the first's and not later than the second's.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.0.tickets()
    }

    /// Waits until the work that it marks is complete, and submits it first if it is still held back.
    ///
    /// # Errors
    /// A stall; no memory for a submission (the work is kept); a lost device.
    pub fn synchronize(&self) -> Result<(), Error> {
        Ok(self.0.synchronize()?)
    }
}

impl Stream {
    pub(crate) fn new(device: Device, raw: tidegate_core::Stream<AnyDevice>) -> Self {
        Self {
            raw,
            device,
            list: List::default(),
        }
    }

    /// The device that it belongs to.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// The policy that decides when its work is let through.
    pub fn policy(&self) -> Policy {
        self.raw.policy()
    }

    /// Changes the policy for what is recorded from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.raw.set_policy(policy);
    }

    /// Launches `kernel` over `grid` workgroups (along x, or x, y and z). Returns at once, unless a limit of [`Limits`](crate::Limits) is reached.
    ///
    /// # Errors
    /// Arguments that do not fit the kernel, a grid that the device does not allow, a buffer or kernel of another device, and two arguments that share bytes of which one is
    /// written: see [`LaunchProblem`](crate::LaunchProblem). A lost device. A submission that failed is reported once, by this or by the next call on the stream.
    pub fn launch(
        &mut self,
        kernel: &Kernel,
        grid: impl Into<Grid>,
        arguments: impl Arguments,
    ) -> Result<(), Error> {
        self.launch_as(kernel, grid.into(), &arguments, false)
    }

    /// As [`Self::launch`], but arguments may share bytes although the kernel writes them: the caller answers for what its invocations do to each other.
    ///
    /// # Errors
    /// As [`Self::launch`], without the check for shared bytes.
    pub fn launch_aliased(
        &mut self,
        kernel: &Kernel,
        grid: impl Into<Grid>,
        arguments: impl Arguments,
    ) -> Result<(), Error> {
        self.launch_as(kernel, grid.into(), &arguments, true)
    }

    fn launch_as(
        &mut self,
        kernel: &Kernel,
        grid: Grid,
        arguments: &dyn Arguments,
        aliasing: bool,
    ) -> Result<(), Error> {
        self.list
            .fill(self.raw.context(), arguments, kernel.raw.kernel())?;
        let arguments = self.list.as_core(aliasing);
        self.raw.launch(&kernel.raw, grid.0, arguments)?;
        self.device.recorded();
        Ok(())
    }

    /// Records what `record` does, not as work but as a graph, which can be launched many times. Launches, uploads, copies, fills and events can be captured. The
    /// bytes of an upload are read now, once.
    ///
    /// Events that are recorded in the capture mark each launch of the graph. Waiting for such an event in the same capture means nothing, as a graph's commands are
    /// in order; any other event is waited for by each launch, as it then stands.
    ///
    /// # Errors
    /// What `record` returns; [`StreamError::Capturing`](crate::StreamError::Capturing), also from `record`, for what cannot be captured: a download, a flush, a query, a
    /// synchronisation, the launch of a graph; memory for what large uploads carry; a lost device. Nothing is captured then.
    pub fn capture(
        &mut self,
        record: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<Graph, Error> {
        self.begin_capture()?;
        let made = record(self).and_then(|()| self.end_capture());
        // After an error; otherwise it has ended.
        self.raw.abandon_capture();
        made
    }

    /// Begins what [`Self::capture`] does in one call: commands are kept for a graph, until [`Self::end_capture`].
    ///
    /// # Errors
    /// [`StreamError::Capturing`](crate::StreamError::Capturing) if it captures already; a lost device.
    pub fn begin_capture(&mut self) -> Result<(), Error> {
        Ok(self.raw.begin_capture()?)
    }

    /// Ends a capture and gives its graph.
    ///
    /// # Errors
    /// [`StreamError::NotCapturing`](crate::StreamError::NotCapturing); memory for what large uploads carry; a lost device. It captures on then, so that the call can be made again;
    /// [`Self::abandon_capture`] ends it without a graph.
    pub fn end_capture(&mut self) -> Result<Graph, Error> {
        Ok(Graph(self.raw.end_capture()?))
    }

    /// Ends a capture, if there is one, and forgets it.
    pub fn abandon_capture(&mut self) {
        self.raw.abandon_capture();
    }

    /// Launches a graph: everything in it as if it were recorded here anew. It goes to the device at once, under every policy, after what is pending. Several launches
    /// may be in flight.
    ///
    /// # Errors
    /// A graph of another device; [`StreamError::Capturing`](crate::StreamError::Capturing); no memory to submit what is pending; a failed submission or a lost device.
    pub fn launch_graph(&mut self, graph: &Graph) -> Result<(), Error> {
        Ok(self.raw.launch_graph(&graph.0)?)
    }

    pub(crate) fn set_arguments(
        &mut self,
        graph: &mut tidegate_core::Graph<AnyDevice>,
        index: usize,
        list: &List,
    ) -> Result<(), Error> {
        Ok(graph.set_arguments(&mut self.raw, index, list.as_core(false))?)
    }

    /// Copies `data` to the start of `target`. The slice has been read when the call returns.
    ///
    /// # Errors
    /// More elements than `target` has; a buffer of another device; memory for staging; a failed submission or a lost device. After the last three, part of a large upload may
    /// have been recorded.
    pub fn upload<'a, T: Pod>(
        &mut self,
        target: impl Into<Slice<'a, T>>,
        data: &[T],
    ) -> Result<(), Error> {
        let target = target.into().slice(..data.len())?;
        let data = bytemuck::cast_slice(data);
        self.raw.upload(target.memory, target.offset(), data)?;
        self.device.recorded();
        Ok(())
    }

    /// A new buffer that holds `data`.
    ///
    /// # Errors
    /// As [`Device::buffer`] and [`Self::upload`].
    pub fn upload_new<T: Pod>(&mut self, data: &[T]) -> Result<Buffer<T>, Error> {
        let buffer = self.device.buffer(data.len())?;
        self.upload(&buffer, data)?;
        Ok(buffer)
    }

    /// A new buffer of `len` zeros.
    ///
    /// # Errors
    /// As [`Device::buffer`] and [`Self::fill`].
    pub fn zeros<T: Pod>(&mut self, len: usize) -> Result<Buffer<T>, Error> {
        let buffer = self.device.buffer(len)?;
        let (memory, size) = (&buffer.memory, bytes::<T>(len));
        self.raw.fill(memory, 0, size, &[0])?;
        self.device.recorded();
        Ok(buffer)
    }

    /// Starts to copy `source` to the host, as it is at this point of the stream.
    ///
    /// # Errors
    /// A buffer of another device; memory that the host can read; a failed submission or a lost device.
    pub fn download<'a, T: Pod>(
        &mut self,
        source: impl Into<Slice<'a, T>>,
    ) -> Result<Pending<T>, Error> {
        let source = source.into();
        let raw = self
            .raw
            .download(source.memory, source.offset(), source.bytes())?;
        self.device.recorded();
        Ok(Pending {
            raw,
            len: source.len(),
            element: PhantomData,
        })
    }

    /// Copies all of `source` to `target`, which has the same length.
    ///
    /// # Errors
    /// Lengths that differ; overlapping slices of one buffer; a buffer of another device; a failed submission or a lost device.
    pub fn copy<'a, 'b, T: Pod>(
        &mut self,
        source: impl Into<Slice<'a, T>>,
        target: impl Into<Slice<'b, T>>,
    ) -> Result<(), Error> {
        let (source, target) = (source.into(), target.into());
        if source.len() != target.len() {
            return Err(tidegate_core::Error::SizeMismatch {
                what: "copy",
                expected: target.bytes(),
                given: source.bytes(),
            }
            .into());
        }
        self.raw.copy(
            source.memory,
            source.offset(),
            target.memory,
            target.offset(),
            source.bytes(),
        )?;
        self.device.recorded();
        Ok(())
    }

    /// Sets every element of `target` to `value`. Elements of other sizes than 1, 2 and 4 bytes go up as data.
    ///
    /// # Errors
    /// A buffer of another device; elements of no size; memory for staging; a failed submission or a lost device. After the last three, part of a fill that goes up as data may have
    /// been recorded.
    pub fn fill<'a, T: Pod>(
        &mut self,
        target: impl Into<Slice<'a, T>>,
        value: T,
    ) -> Result<(), Error> {
        let target = target.into();
        let pattern = bytemuck::bytes_of(&value);
        self.raw
            .fill(target.memory, target.offset(), target.bytes(), pattern)?;
        self.device.recorded();
        Ok(())
    }

    /// Records `event`: it is complete once everything recorded here so far is.
    ///
    /// # Errors
    /// An event of another device; a lost device.
    pub fn record(&mut self, event: &Event) -> Result<(), Error> {
        Ok(self.raw.record(&event.0)?)
    }

    /// Makes everything recorded here from now on come after the event's work, which is submitted first if it is still held back. The host does not wait for it.
    ///
    /// # Errors
    /// An event of another device; no memory for a submission (the work is kept); a failed submission or a lost device.
    pub fn wait(&mut self, event: &Event) -> Result<(), Error> {
        Ok(self.raw.wait(&event.0)?)
    }

    /// Submits what is pending, and does not wait.
    ///
    /// # Errors
    /// No memory for the submission (the work is kept); a failed submission or a lost device.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.raw.flush()?)
    }

    /// Where the stream's work stands. Neither waits nor submits.
    ///
    /// # Errors
    /// A failed submission or a lost device.
    pub fn query(&mut self) -> Result<Status, Error> {
        Ok(self.raw.query()?)
    }

    /// Submits what is pending and waits until all of this stream's work is complete.
    ///
    /// # Errors
    /// A stall; a failed submission; no memory for a submission (the work is kept); a lost device.
    pub fn synchronize(&mut self) -> Result<(), Error> {
        Ok(self.raw.synchronize()?)
    }

    /// The counters of all streams of the device together.
    pub fn counters(&self) -> Counters {
        self.raw.context().counters()
    }
}

/// Workgroups along x, y and z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl From<u32> for Grid {
    fn from(x: u32) -> Self {
        Self([x, 1, 1])
    }
}

impl From<[u32; 2]> for Grid {
    fn from([x, y]: [u32; 2]) -> Self {
        Self([x, y, 1])
    }
}

impl From<[u32; 3]> for Grid {
    fn from(grid: [u32; 3]) -> Self {
        Self(grid)
    }
}
