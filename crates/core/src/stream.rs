//! A stream: work in the order of the calls, let through together.

use std::fmt;

use crate::capture::Capture;
use crate::command::{Command, Launch, Region, Stages, Ticket};
use crate::context::Context;
use crate::device::{Device, MemoryKind};
use crate::error::{Error, LaunchProblem};
use crate::event::Event;
use crate::kernel::{Kernel, ScalarPlace};
use crate::pipeline::Pipeline;
use crate::policy::{Cause, Policy};
use crate::state::State;

/// Where a stream's work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Some of it is recorded and not yet submitted.
    Pending,
    /// All of it is submitted and some is not complete.
    InFlight,
    /// All of it is complete.
    Idle,
}

/// The arguments of a launch: buffers in the order of the kernel's bindings, and its block of scalars.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// One region a binding.
    pub regions: &'a [Region],
    /// The whole block of scalars, or nothing if the kernel takes none.
    pub scalars: &'a [u8],
    /// Whether bindings may share bytes although one is written. The caller then answers for what the kernel's invocations do to each other.
    pub aliasing: bool,
}

/// Commands that take effect in the order recorded.
///
/// A stream belongs to one thread at a time and may move between threads. Recording never waits for the device, unless a limit of
/// [`Limits`](crate::Limits) is reached, and then only for the oldest work that makes room. Dropping a stream submits what is pending and does not wait.
pub struct Stream<D: Device> {
    pub(crate) context: Context<D>,
    pub(crate) queue: u32,
    pub(crate) policy: Policy,
    /// Value of the last work recorded here.
    pub(crate) last: u64,
    /// Events' tickets waited for since then: part of this stream's work, though no command of its own stands for them yet.
    waited: Vec<Ticket>,
    /// `last` when they were waited for: once it has moved, it stands for them.
    waited_after: u64,
    pub(crate) faults_seen: u64,
    /// What is being captured, if anything is.
    pub(crate) capture: Option<Box<Capture<D>>>,
}

impl<D: Device> fmt::Debug for Stream<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("queue", &self.queue)
            .field("policy", &self.policy)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl<D: Device> Drop for Stream<D> {
    fn drop(&mut self) {
        // An error is kept by the context: whoever waits for this work gets it.
        let _ = self.context.0.submit(self.queue, self.last, Cause::Flush);
        let mut state = self.context.0.state();
        let lane = state.lane_mut(self.queue);
        // A child of fork has not counted its parent's.
        lane.streams = lane.streams.saturating_sub(1);
    }
}

impl<D: Device> Context<D> {
    /// A new stream, on the queue that the fewest streams use.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn stream(&self, policy: Policy) -> Result<Stream<D>, Error> {
        let mut state = self.0.state();
        state.check_lost()?;
        // What nobody was told of may have spoilt what this stream reads.
        let faults_seen = state.faults_told.get();
        let lanes = state.lanes.iter().enumerate();
        let queue = lanes
            .min_by_key(|(_, it)| it.streams)
            .map_or(0, |(queue, _)| queue as u32);
        state.lane_mut(queue).streams += 1;
        Ok(Stream {
            context: self.clone(),
            queue,
            policy,
            last: 0,
            waited: Vec::new(),
            waited_after: 0,
            faults_seen,
            capture: None,
        })
    }
}

impl<D: Device> Stream<D> {
    /// The context that it belongs to.
    pub fn context(&self) -> &Context<D> {
        &self.context
    }

    /// The policy that cuts this stream's batches.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Changes the policy for what is recorded from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Records a kernel launch over `grid` workgroups.
    ///
    /// # Errors
    /// [`Error::Launch`] says what the kernel's interface or the device does not allow. [`Error::ForeignDevice`]; [`Error::Lost`]; [`Error::Failed`]
    /// reports an earlier failure once.
    pub fn launch(
        &mut self,
        pipeline: &Pipeline<D>,
        grid: [u32; 3],
        arguments: Arguments<'_>,
    ) -> Result<(), Error> {
        if !pipeline.context().same(&self.context) {
            return Err(Error::ForeignDevice { what: "kernel" });
        }
        let kernel = pipeline.kernel();
        check(kernel, self.context.capabilities(), grid, arguments).map_err(|problem| {
            Error::Launch {
                kernel: kernel.name.clone(),
                problem,
            }
        })?;
        if let Some(capture) = self.capturing()? {
            capture.launch(pipeline, grid, arguments);
            return Ok(());
        }
        let accesses = arguments
            .regions
            .iter()
            .zip(&kernel.bindings)
            .map(|(region, binding)| (*region, binding.access.writes()));
        let block = match kernel.scalars.as_ref().map(|it| it.place) {
            Some(ScalarPlace::Uniform { .. }) => Some(arguments.scalars),
            _ => None,
        };
        let (mut state, block) = match block {
            None => (self.context.0.ready(self.queue, accesses.clone())?, None),
            Some(bytes) => {
                let align = self.context.capabilities().uniform_align;
                let (state, region) =
                    self.context
                        .0
                        .stage(self.queue, accesses.clone(), bytes, align)?;
                (state, Some(region))
            }
        };
        report_fault(&mut self.faults_seen, &state)?;
        self.last = state.record(self.queue, Stages::COMPUTE, accesses, |batch| {
            let regions = arguments.regions.iter().copied().chain(block);
            let scalars = if block.is_none() {
                arguments.scalars
            } else {
                &[]
            };
            Command::Launch(Launch {
                pipeline: pipeline.id(),
                bindings: batch.push_regions(regions),
                scalars: batch.push_data(scalars),
                grid,
            })
        });
        state.counters.dispatches += 1;
        self.context.0.after(state, self.queue, self.policy)
    }

    /// Submits what is pending, and does not wait.
    ///
    /// # Errors
    /// [`Error::SubmissionOutOfMemory`] keeps the work for the next try; [`Error::Lost`]; [`Error::Failed`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.must_not_capture("a flush")?;
        let shared = &self.context.0;
        report_fault(&mut self.faults_seen, &shared.state())?;
        let mut tickets = self.tickets();
        tickets.try_for_each(|it| shared.submit(it.queue, it.value, Cause::Flush))
    }

    /// Where the stream's work stands, without waiting and without submitting.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Failed`].
    pub fn query(&mut self) -> Result<Status, Error> {
        self.must_not_capture("a query")?;
        let shared = &self.context.0;
        let mut state = shared.state();
        let complete = state.all_complete(shared, self.tickets())?;
        let held_back = |it: Ticket| it.value > state.lane(it.queue).submitted;
        let status = if complete {
            Status::Idle
        } else if self.tickets().any(held_back) {
            Status::Pending
        } else {
            Status::InFlight
        };
        report_fault(&mut self.faults_seen, &state)?;
        Ok(status)
    }

    /// Submits what is pending and waits until all of this stream's work is complete.
    ///
    /// # Errors
    /// [`Error::Stalled`] if the device makes no progress; [`Error::SubmissionOutOfMemory`]; [`Error::Lost`]; [`Error::Failed`].
    pub fn synchronize(&mut self) -> Result<(), Error> {
        self.must_not_capture("a synchronisation")?;
        let shared = &self.context.0;
        shared.wait(self.tickets())?;
        report_fault(&mut self.faults_seen, &shared.state())
    }

    /// Records an event: it is complete once everything recorded here so far is, and everything that was waited for. Recording it again moves it.
    ///
    /// # Errors
    /// [`Error::ForeignDevice`]; [`Error::Lost`].
    pub fn record(&mut self, event: &Event<D>) -> Result<(), Error> {
        if !event.context().same(&self.context) {
            return Err(Error::ForeignDevice { what: "event" });
        }
        self.context.0.state().check_lost()?;
        match &mut self.capture {
            Some(capture) => {
                if !capture.records.iter().any(|it| it.same(event)) {
                    capture.records.push(event.clone());
                }
            }
            None => {
                let mut tickets = Vec::new();
                self.tickets().for_each(|it| it.join(&mut tickets));
                event.set(tickets);
            }
        }
        Ok(())
    }

    /// Makes everything recorded here from now on come after the event's work. An event that was never recorded is complete. The event's work is submitted first
    /// if it is still held back, so that nothing ever waits for what has not been let through.
    ///
    /// # Errors
    /// [`Error::ForeignDevice`]; [`Error::SubmissionOutOfMemory`]; [`Error::Lost`]; [`Error::Failed`].
    pub fn wait(&mut self, event: &Event<D>) -> Result<(), Error> {
        if !event.context().same(&self.context) {
            return Err(Error::ForeignDevice { what: "event" });
        }
        if let Some(capture) = self.capturing()? {
            let mut known = capture.records.iter().chain(&capture.waits);
            if !known.any(|it| it.same(event)) {
                capture.waits.push(event.clone());
            }
            return Ok(());
        }
        let shared = &self.context.0;
        report_fault(&mut self.faults_seen, &shared.state())?;
        if self.waited_after != self.last {
            self.waited.clear();
            self.waited_after = self.last;
        }
        for ticket in event.tickets() {
            shared.wait_on_queue(self.queue, ticket)?;
            ticket.join(&mut self.waited);
        }
        Ok(())
    }

    /// The tickets that this stream's work is complete with.
    fn tickets(&self) -> impl Iterator<Item = Ticket> + Clone {
        let own = Ticket {
            queue: self.queue,
            value: self.last,
        };
        let waited = if self.waited_after == self.last {
            self.waited.as_slice()
        } else {
            &[]
        };
        std::iter::once(own).chain(waited.iter().copied())
    }

    /// Checks that memory belongs to this stream's device.
    pub(crate) fn check_owner(&self, owner: &Context<D>) -> Result<(), Error> {
        if owner.same(&self.context) {
            self.context.0.check_forked()
        } else {
            Err(Error::ForeignDevice { what: "buffer" })
        }
    }

    /// Memory that the device writes and the host reads.
    pub(crate) fn readback(&self, bytes: u64) -> Result<crate::Memory<D>, Error> {
        self.context.allocate(bytes, MemoryKind::Readback)
    }
}

/// Reports a failed submission to a stream that has `seen` so many, once.
pub(crate) fn report_fault(seen: &mut u64, state: &State) -> Result<(), Error> {
    state.check_lost()?;
    match &state.fault {
        Some(fault) if *seen < state.faults => {
            *seen = state.faults;
            state.faults_told.set(state.faults);
            Err(Error::Failed(std::sync::Arc::clone(fault)))
        }
        _ => Ok(()),
    }
}

/// Checks a launch against the kernel's interface and the device's limits.
pub(crate) fn check(
    kernel: &Kernel,
    device: &crate::Capabilities,
    grid: [u32; 3],
    arguments: Arguments<'_>,
) -> Result<(), LaunchProblem> {
    if (0..3).any(|axis| grid[axis] == 0 || grid[axis] > device.grid_max[axis]) {
        return Err(LaunchProblem::Grid {
            given: grid,
            allowed: device.grid_max,
        });
    }
    let regions = arguments.regions;
    if regions.len() != kernel.bindings.len() {
        return Err(LaunchProblem::BufferCount {
            expected: kernel.bindings.len(),
            given: regions.len(),
        });
    }
    let block = kernel.scalars.as_ref().map_or(0, |it| it.bytes);
    if arguments.scalars.len() != block as usize {
        return Err(LaunchProblem::ScalarBytes {
            expected: block,
            given: arguments.scalars.len(),
        });
    }
    for (at, (region, binding)) in regions.iter().zip(&kernel.bindings).enumerate() {
        let (align, most) = if binding.uniform {
            (device.uniform_align, device.uniform_bytes_max)
        } else {
            (device.binding_align, device.binding_bytes_max)
        };
        let name = || binding.name.clone();
        if region.bytes < binding.bytes_min.max(1) {
            return Err(LaunchProblem::TooShort {
                binding: name(),
                needed: binding.bytes_min.max(1),
                given: region.bytes,
            });
        }
        if region.bytes > most {
            return Err(LaunchProblem::TooLong {
                binding: name(),
                allowed: most,
                given: region.bytes,
            });
        }
        if region.offset % align != 0 {
            return Err(LaunchProblem::Misaligned {
                binding: name(),
                align,
                given: region.offset,
            });
        }
        if arguments.aliasing {
            continue;
        }
        for (other, earlier) in regions[..at].iter().zip(&kernel.bindings) {
            let written = binding.access.writes() || earlier.access.writes();
            if written && region.overlaps(other) {
                return Err(LaunchProblem::Aliased {
                    first: earlier.name.clone(),
                    second: name(),
                });
            }
        }
    }
    Ok(())
}
