//! A device that stands between core and the simulated one, and does what a peer's runtime did. To the rest it looks as if core did it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_core::{
    Barrier, Batch, Capabilities, Code, Command, Device, DeviceError, HostAccess, Kernel, Launch,
    MemoryId, MemoryKind, PipelineId, Region, Ticket,
};
use tidegate_sim::Sim;

/// What the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Nothing wrong: the control.
    Nothing,
    /// The status of finished work is not read.
    StatusUnread,
    /// The status of finished work is read a few calls later.
    StatusLate,
    /// A handler of completed work throws.
    HandlerThrows,
    /// A failure is blamed on what was encoded last.
    LastKernelBlamed,
    /// After a failure launches are left out without a word.
    LaunchesSkipped,
    /// Freed memory is never given back.
    NeverTrims,
    /// Each wait submits a batch of nothing.
    EmptyBatchPerWait,
    /// There is no device, and every call on it succeeds.
    NoDevice,
    /// Launches go to the first queue, whichever stream they were made on.
    LaunchesToDefaultQueue,
    /// Two threads are in one queue's submission: every second batch overtakes the one before.
    Overtaking,
    /// The buffer of scalars is made anew with each pipeline.
    ScalarsRemade,
    /// A wait that timed out begins again, for ever.
    WaitsForEver,
    /// A wait that timed out is taken for completion.
    TimeoutIsCompletion,
    /// Nobody counts allocations.
    NoCountLimit,
    /// A wait by the host forgets what other queues have to be waited for.
    WaitsForgotten,
    /// The bytes of an upload are taken after the call has returned.
    WritesLate,
}

/// How often a wait that never gives up is made again before the test calls it that.
const FOR_EVER: u32 = 1000;
/// Calls after which a late status is read.
const LATE_CALLS: u32 = 6;

pub(crate) struct Between {
    sim: Sim,
    peer: Peer,
    capabilities: Capabilities,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures that are held back, and for how many calls.
    late: VecDeque<(u32, DeviceError)>,
    has_failed: bool,
    /// The kernels of the batch encoded last.
    last_kernels: Vec<PipelineId>,
    /// Allocations that were freed and are not given back.
    kept: Vec<MemoryId>,
    uploads: Vec<(MemoryId, u64)>,
    /// Launches on their way to the first queue: buffers and scalars.
    strays: Vec<(Launch, Vec<Region>, Vec<u8>)>,
    /// By queue, a batch that will be overtaken.
    held: Vec<(Batch, Ticket)>,
    /// By queue, whether it has forgotten its waits.
    forgets: [bool; 8],
    writes: Vec<(MemoryId, u64, Vec<u8>)>,
}

impl Between {
    pub(crate) fn new(sim: Sim, peer: Peer) -> Self {
        let mut capabilities = sim.capabilities().clone();
        if peer == Peer::NoCountLimit {
            capabilities.allocations_max = u64::MAX;
        }
        Self {
            sim,
            peer,
            capabilities,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket as the simulated device knows it: there is room between two for an empty batch.
    fn spread(&self, ticket: Ticket) -> Ticket {
        match self.peer {
            Peer::EmptyBatchPerWait => Ticket {
                value: 2 * ticket.value,
                ..ticket
            },
            _ => ticket,
        }
    }

    /// What becomes of an answer that may be a failure.
    fn heard<T>(&self, ask: impl Fn() -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        if let Some(error) = self.late_failure() {
            return Err(error);
        }
        loop {
            let answer = ask();
            let Err(DeviceError::Failed {
                ticket,
                kernels,
                detail,
            }) = answer
            else {
                return answer;
            };
            let mut state = self.state();
            state.has_failed = true;
            let error = |kernels| DeviceError::Failed {
                ticket,
                kernels,
                detail,
            };
            match self.peer {
                Peer::StatusUnread => {}
                Peer::StatusLate => state.late.push_back((LATE_CALLS, error(kernels))),
                // A second one, met while all is dropped, would end the process, as the peer's did.
                Peer::HandlerThrows if !std::thread::panicking() => panic!("thrown by a handler"),
                Peer::LastKernelBlamed => return Err(error(state.last_kernels.clone())),
                _ => return Err(error(kernels)),
            }
        }
    }

    fn late_failure(&self) -> Option<DeviceError> {
        let mut state = self.state();
        let calls = state.late.iter_mut();
        calls.for_each(|it| it.0 = it.0.saturating_sub(1));
        let is_due = state.late.front().is_some_and(|it| it.0 == 0);
        let due = if is_due { state.late.pop_front() } else { None };
        due.map(|it| it.1)
    }

    fn spoil(&self, batch: &mut Batch, ticket: Ticket) {
        let mut state = self.state();
        match self.peer {
            Peer::NoDevice => {
                batch.replay = None;
                batch.commands.clear();
            }
            Peer::LaunchesSkipped if state.has_failed && batch.replay.is_none() => {
                batch
                    .commands
                    .retain(|it| !matches!(it, Command::Launch(_)));
            }
            Peer::LaunchesToDefaultQueue if batch.replay.is_none() => {
                stray(batch, ticket.queue, &mut state.strays);
            }
            Peer::WaitsForgotten if std::mem::take(&mut state.forgets[ticket.queue as usize]) => {
                batch.waits.clear();
            }
            _ => {}
        }
        if batch.is_empty() {
            batch.commands.push(Command::Barrier(Barrier::default()));
        }
        if !batch.pipelines().is_empty() {
            state.last_kernels = batch.pipelines();
        }
        batch.waits.iter_mut().for_each(|it| *it = self.spread(*it));
    }

    /// Submits what is held back, after `first` if there is one.
    fn let_pass(&self, first: Option<(&Batch, Ticket)>, queue: u32) -> Result<(), DeviceError> {
        if let Some((batch, ticket)) = first {
            self.sim.submit(batch, ticket)?;
        }
        let held = {
            let mut state = self.state();
            let at = state.held.iter().position(|it| it.1.queue == queue);
            at.map(|it| state.held.remove(it))
        };
        match held {
            Some((batch, ticket)) => self.sim.submit(&batch, ticket),
            None => Ok(()),
        }
    }

    fn write_what_is_held(&self) {
        for (id, offset, data) in std::mem::take(&mut self.state().writes) {
            let _ = self.sim.write(id, offset, &data);
        }
    }
}

/// Takes the launches of other queues out, and puts them into the next batch of the first.
fn stray(batch: &mut Batch, queue: u32, strays: &mut Vec<(Launch, Vec<Region>, Vec<u8>)>) {
    if queue == 0 {
        for (launch, regions, scalars) in strays.drain(..) {
            let launch = Launch {
                bindings: batch.push_regions(regions),
                scalars: batch.push_data(&scalars),
                ..launch
            };
            batch.commands.push(Command::Launch(launch));
        }
        return;
    }
    for command in &batch.commands {
        if let Command::Launch(launch) = command {
            let regions = batch.bindings(launch).to_vec();
            strays.push((*launch, regions, batch.scalars(launch).to_vec()));
        }
    }
    batch
        .commands
        .retain(|it| !matches!(it, Command::Launch(_)));
}

impl Device for Between {
    tidegate_sim::pass_on!(sim: memory_available read destroy_pipeline forget_graph);

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        let mut state = self.state();
        if let Some(at) = state.kept.iter().position(|it| *it == id) {
            state.kept.remove(at);
            self.sim.free(id);
        }
        let host = self.sim.allocate(id, bytes, kind)?;
        if kind == MemoryKind::Upload {
            state.uploads.push((id, bytes));
        }
        Ok(host)
    }

    fn free(&self, id: MemoryId) {
        let mut state = self.state();
        state.uploads.retain(|it| it.0 != id);
        state.writes.retain(|it| it.0 != id);
        if self.peer == Peer::NeverTrims {
            state.kept.push(id);
        } else {
            self.sim.free(id);
        }
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        if self.peer == Peer::WritesLate {
            self.state().writes.push((id, offset, data.to_vec()));
            return Ok(());
        }
        self.sim.write(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        if self.peer == Peer::ScalarsRemade {
            for (id, bytes) in &self.state().uploads {
                self.sim.free(*id);
                self.sim.allocate(*id, *bytes, MemoryKind::Upload)?;
            }
        }
        self.sim.create_pipeline(id, kernel, code)
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let mut batch = batch.clone();
        self.spoil(&mut batch, ticket);
        let ticket = self.spread(ticket);
        if self.peer == Peer::Overtaking {
            let is_second = self
                .state()
                .held
                .iter()
                .any(|it| it.1.queue == ticket.queue);
            if !is_second && ticket.value.is_multiple_of(2) {
                self.state().held.push((batch, ticket));
                return Ok(());
            }
            return self.let_pass(Some((&batch, ticket)), ticket.queue);
        }
        self.sim.submit(&batch, ticket)?;
        self.write_what_is_held();
        Ok(())
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.let_pass(None, queue)?;
        let value = self.heard(|| self.sim.completed(queue))?;
        Ok(match self.peer {
            Peer::EmptyBatchPerWait => value / 2,
            _ => value,
        })
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.let_pass(None, ticket.queue)?;
        self.state().forgets = [true; 8];
        let ticket = self.spread(ticket);
        let mut ended = self.heard(|| self.sim.wait(ticket, timeout_ns))?;
        match self.peer {
            Peer::TimeoutIsCompletion => ended = true,
            Peer::WaitsForEver => {
                let mut waits = 0;
                while !ended && !std::thread::panicking() {
                    waits += 1;
                    assert!(waits < FOR_EVER, "waits for ever");
                    ended = self.heard(|| self.sim.wait(ticket, timeout_ns))?;
                }
            }
            Peer::EmptyBatchPerWait => {
                let ticket = Ticket {
                    value: ticket.value + 1,
                    ..ticket
                };
                // Where later work is submitted already there is no room for it.
                let _ = self.sim.submit(&Batch::default(), ticket);
            }
            _ => {}
        }
        Ok(ended)
    }
}
