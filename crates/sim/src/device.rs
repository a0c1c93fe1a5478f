//! The calls of the contract.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, GraphId, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket,
};

use crate::clock::{Clock, QUEUES_MAX};
use crate::fault::{Armed, due};
use crate::graph::Graphs;
use crate::prng::Prng;
use crate::queue::Queue;
use crate::setup::{Peaks, Setup};
use crate::state::State;
use crate::violation::{Rule, Violation};

/// Waits shorter than this may time out although nothing is wrong, as the device has no clock of its own.
const SHORT_WAIT_NS: u64 = 1_000_000;

/// A simulated device. Clones are handles of the same device, so that a test can keep one and give one away.
#[derive(Clone)]
pub struct Sim(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    capabilities: Capabilities,
    /// Per queue, whether a `submit` is under way.
    submitting: Vec<AtomicBool>,
    state: Mutex<State>,
}

impl Sim {
    /// A device with the default [`Setup`], run by `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Setup::default())
    }

    /// A device run by `seed`. The number of queues is brought into 1 to 8.
    pub fn with(seed: u64, setup: Setup) -> Self {
        let mut capabilities = setup.capabilities;
        capabilities.queues = capabilities.queues.clamp(1, QUEUES_MAX as u32);
        let queues = capabilities.queues as usize;
        // A generator of its own, so that what a seed does otherwise does not hang on this.
        let late = Prng::new(seed ^ 0x1a7e).chance(1, 4);
        let mut state = State {
            prng: Prng::new(seed),
            late: setup.late.unwrap_or(late),
            capabilities: capabilities.clone(),
            device_memory: setup.device_memory,
            memory: Vec::new(),
            peaks: Peaks::default(),
            pipelines: Vec::new(),
            pipeline_uses: Vec::new(),
            queues: (0..queues).map(Queue::new).collect(),
            graphs: Graphs::default(),
            ready: Vec::new(),
            blocked: Vec::new(),
            done: Clock::ZERO,
            told: Clock::ZERO,
            host_writes: 0,
            faults: Armed::default(),
            failures: Vec::new(),
            failed: Vec::new(),
            commands_max: setup.commands_max,
            lost: None,
            violations: Vec::new(),
            violations_total: 0,
            trace: setup.trace.then(String::new),
            unblock_due: false,
            scratch: Vec::new(),
        };
        state.arm(setup.faults);
        Self(Arc::new(Shared {
            capabilities,
            submitting: (0..queues).map(|_| AtomicBool::new(false)).collect(),
            state: Mutex::new(state),
        }))
    }

    /// The state, whatever happened to a thread that held it: a kernel that panics must not take the device with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for a call that may meet, and fails after, a lost device.
    fn call(&self) -> Result<MutexGuard<'_, State>, DeviceError> {
        let mut state = self.state();
        state.faults.calls += 1;
        if state.faults.plan.lost_at_call == Some(state.faults.calls) {
            let detail = format!("lost in call {}, as planned", state.faults.calls);
            state.lost.get_or_insert(detail);
        }
        state.still_there()?;
        Ok(state)
    }
}

impl Device for Sim {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.call()?.allocate(id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        self.state().free(id);
    }

    fn memory_available(&self, _: MemoryKind) -> Option<u64> {
        let state = self.call().ok()?;
        Some(state.memory_limit().saturating_sub(state.memory_used()))
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.call()?.host_write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.call()?.host_read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        self.call()?.create_pipeline(id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        self.state().destroy_pipeline(id);
    }

    fn forget_graph(&self, id: GraphId) {
        self.state().forget_graph(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let flag = self.0.submitting.get(ticket.queue as usize);
        if flag.is_some_and(|it| it.swap(true, Ordering::AcqRel)) {
            let detail = "two threads submit to one queue at the same time";
            self.state().violate(Violation::new(Rule::Call, detail));
        }
        let result = self.call().and_then(|mut it| it.submit(batch, ticket));
        if let Some(flag) = flag {
            flag.store(false, Ordering::Release);
        }
        result
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.call()?.completed(queue)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.call()?.wait(ticket, timeout_ns)
    }
}

impl State {
    pub(crate) fn still_there(&self) -> Result<(), DeviceError> {
        match &self.lost {
            None => Ok(()),
            Some(detail) => Err(DeviceError::Lost {
                detail: detail.clone(),
            }),
        }
    }

    fn submit(&mut self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        if due(&mut self.faults.submits, &self.faults.plan.submits) {
            return Err(DeviceError::OutOfMemory);
        }
        self.enqueue(batch, ticket);
        self.run_impatient();
        self.still_there()
    }

    /// Runs the submissions that nobody needs to ask for any more.
    fn run_impatient(&mut self) {
        for queue in 0..self.queues.len() {
            self.complete(queue);
            let flights = self.queues[queue].flights.iter().rev();
            let goal = flights
                .filter(|it| it.patience == 0)
                .map(|it| it.clock)
                .next();
            if let Some(goal) = goal {
                self.run_until(&goal);
            }
        }
    }

    fn completed(&mut self, queue: u32) -> Result<u64, DeviceError> {
        let index = queue as usize;
        if index >= self.queues.len() {
            self.violate(Violation::new(Rule::Ticket, format!("no queue {queue}")));
            return Ok(0);
        }
        if due(&mut self.faults.polls, &self.faults.plan.polls) {
            return Err(DeviceError::OutOfMemory);
        }
        for flight in self.queues.iter_mut().flat_map(|it| &mut it.flights) {
            flight.patience = flight.patience.saturating_sub(1);
        }
        self.run_impatient();
        let steps = self.prng.below(4);
        if !self.late {
            self.run_some(steps);
        }
        self.still_there()?;
        self.report_failure(index, u64::MAX)?;
        if self.prng.chance(3, 4) {
            let value = self.queues[index].complete;
            self.tell(index, value);
        }
        Ok(self.queues[index].told)
    }

    fn wait(&mut self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        let index = ticket.queue as usize;
        let submitted = self.queues.get(index).map(|it| it.submitted);
        if submitted.is_none_or(|it| it < ticket.value) {
            let detail = "waits for a ticket that has not been submitted";
            self.violate(Violation {
                ticket: Some(ticket),
                ..Violation::new(Rule::Ticket, detail)
            });
            return Ok(false);
        }
        if due(&mut self.faults.waits, &self.faults.plan.waits) {
            return Err(DeviceError::OutOfMemory);
        }
        let goal = self.queues[index].clock_of(ticket.value);
        if timeout_ns < SHORT_WAIT_NS && self.prng.chance(1, 2) {
            let steps = self.prng.below(3);
            if !self.late {
                self.run_some(steps);
            }
        } else if !self.run_until(&goal) {
            self.still_there()?;
            self.time_out();
        }
        self.complete(index);
        self.still_there()?;
        self.report_failure(index, ticket.value)?;
        if self.queues[index].complete < ticket.value {
            return Ok(false);
        }
        self.tell(index, ticket.value);
        Ok(true)
    }

    /// Counts a wait that timed out, for the stalls that end after some.
    fn time_out(&mut self) {
        for queue in &mut self.queues {
            if let Some(stall) = &mut queue.stall
                && let Some(waits) = &mut stall.waits
            {
                *waits = waits.saturating_sub(1);
                if *waits == 0 {
                    queue.stall = None;
                }
            }
        }
    }

    /// Reports the first failure of `queue` up to `value`, or now and then one of another queue: the contract does not say
    /// which call learns of it.
    fn report_failure(&mut self, queue: usize, value: u64) -> Result<(), DeviceError> {
        let own = |it: &Ticket| it.queue as usize == queue && it.value <= value;
        let mut found = self.failures.iter().position(|it| own(&it.0));
        if found.is_none() && self.prng.chance(1, 4) {
            found = (!self.failures.is_empty()).then_some(0);
        }
        let Some(index) = found else { return Ok(()) };
        let (ticket, error) = self.failures.remove(index);
        self.tell(ticket.queue as usize, ticket.value);
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::Region;

    use super::*;
    use crate::state::bytes_of;

    #[test]
    fn two_threads_in_submit_for_one_queue_are_noticed() {
        let sim = Sim::new(0);
        let ticket = |queue| Ticket { queue, value: 1 };
        sim.0.submitting[0].store(true, Ordering::Release);
        sim.submit(&Batch::default(), ticket(1)).unwrap();
        assert_eq!(sim.violations().len(), 1, "only the empty batch");
        sim.submit(&Batch::default(), ticket(0)).unwrap();
        assert_eq!(sim.violations()[1].rule, Rule::Call);
        assert!(sim.violations()[1].detail.contains("two threads"));
    }

    #[test]
    fn threads_share_a_device_through_handles() {
        let sim = Sim::new(4);
        sim.allocate(MemoryId(0), 64, MemoryKind::Device).unwrap();
        std::thread::scope(|scope| {
            for queue in 0..2 {
                let sim = sim.clone();
                scope.spawn(move || {
                    for value in 1..50 {
                        let mut batch = Batch::default();
                        batch.opening.before = tidegate_core::Stages::ALL;
                        batch.opening.after = tidegate_core::Stages::ALL;
                        let target = bytes_of(MemoryId(0), &(0..32));
                        let target = Region {
                            offset: 32 * u64::from(queue),
                            ..target
                        };
                        let fill = tidegate_core::Command::Fill { target, pattern: 1 };
                        batch.commands.push(fill);
                        let ticket = Ticket { queue, value };
                        sim.submit(&batch, ticket).unwrap();
                        assert!(sim.wait(ticket, u64::MAX).unwrap());
                    }
                });
            }
        });
        sim.assert_clean();
        assert_eq!(sim.live().submissions, 0);
    }
}
