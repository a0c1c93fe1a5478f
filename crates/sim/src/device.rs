//! The calls of the contract.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, HostAccess, Kernel, MemoryId, MemoryKind,
    PipelineId, Region, Ticket,
};

use crate::check::{Pipeline, refusal};
use crate::clock::{Clock, Lane, QUEUES_MAX, Stamp};
use crate::fault::{Armed, due};
use crate::memory::Memory;
use crate::prng::Prng;
use crate::queue::Queue;
use crate::setup::Setup;
use crate::state::{State, bytes_of};
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
        let mut state = State {
            prng: Prng::new(seed),
            capabilities: capabilities.clone(),
            device_memory: setup.device_memory,
            memory: Vec::new(),
            pipelines: Vec::new(),
            pipeline_uses: Vec::new(),
            queues: (0..queues).map(Queue::new).collect(),
            ready: Vec::new(),
            blocked: Vec::new(),
            done: Clock::ZERO,
            told: Clock::ZERO,
            host_writes: 0,
            faults: Armed::default(),
            failures: Vec::new(),
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

    fn memory_available(&self) -> Option<u64> {
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

    fn allocate(
        &mut self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        let region = bytes_of(id, &(0..bytes));
        if self.live(id).is_some() {
            self.violate(Violation::new(Rule::Dead, "allocated twice").at(region));
        }
        if bytes < 16 || !bytes.is_multiple_of(16) {
            let detail = "an allocation is a multiple of 16 bytes, at least 16";
            self.violate(Violation::new(Rule::Align, detail).at(region));
        }
        let live = self.memory.iter().flatten().filter(|it| it.live).count() as u64;
        let too_large = bytes > self.capabilities.allocation_bytes_max;
        if too_large || live >= self.capabilities.allocations_max {
            let detail = "beyond allocation_bytes_max or allocations_max";
            self.violate(Violation::new(Rule::Range, detail).at(region));
        }
        let planned = due(&mut self.faults.allocations, &self.faults.plan.allocations);
        let full = self.memory_used().saturating_add(bytes) > self.memory_limit();
        if planned || full || too_large || self.faults.plan.kinds.contains(&kind) {
            return Err(DeviceError::OutOfMemory);
        }
        let host = match kind {
            MemoryKind::Device => self.device_memory,
            MemoryKind::Upload => HostAccess {
                write: true,
                read: false,
            },
            MemoryKind::Readback => HostAccess {
                write: false,
                read: true,
            },
        };
        let index = id.0 as usize;
        if self.memory.len() <= index {
            self.memory.resize_with(index + 1, || None);
        }
        self.memory[index] = Some(Memory::new(bytes, host, &mut self.prng));
        Ok(host)
    }

    pub(crate) fn memory_used(&self) -> u64 {
        let live = self.memory.iter().flatten().filter(|it| it.live);
        live.map(Memory::bytes).sum()
    }

    fn memory_limit(&self) -> u64 {
        let all = self.capabilities.memory_bytes;
        self.faults.plan.budget_bytes.map_or(all, |it| it.min(all))
    }

    fn free(&mut self, id: MemoryId) {
        let Some(memory) = self.live(id) else {
            let detail = format!("m{} is freed and does not exist", id.0);
            self.violate(Violation::new(Rule::Dead, detail));
            return;
        };
        let region = bytes_of(id, &(0..memory.bytes()));
        if self.lost.is_none()
            && let Some(user) = memory.uses.beyond(&self.told)
        {
            let detail = format!("freed, and {} may still run", self.name(user));
            self.violate(Violation::new(Rule::InUse, detail).at(region));
        }
        if let Some(memory) = &mut self.memory[id.0 as usize] {
            memory.free(&mut self.prng);
        }
    }

    fn host_write(&mut self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let planned = due(&mut self.faults.writes, &self.faults.plan.writes);
        let region = bytes_of(id, &(offset..offset.saturating_add(data.len() as u64)));
        if !self.host_touches(region, true) {
            return Ok(());
        }
        if planned {
            return Err(DeviceError::OutOfMemory);
        }
        self.host_writes += 1;
        let who = Stamp::new(Lane::HOST, self.host_writes, true);
        if let Some(memory) = &mut self.memory[id.0 as usize] {
            memory.shadow.note_write(&(offset..region.end()), who);
            memory.write(offset as usize, data, who);
        }
        Ok(())
    }

    fn host_read(&mut self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let planned = due(&mut self.faults.reads, &self.faults.plan.reads);
        let region = bytes_of(id, &(offset..offset.saturating_add(data.len() as u64)));
        if !self.host_touches(region, false) {
            return Ok(());
        }
        if planned {
            return Err(DeviceError::OutOfMemory);
        }
        let mut sees = self.told;
        sees.advance(Lane::HOST, self.host_writes);
        if let Some(memory) = &self.memory[id.0 as usize] {
            memory.read(offset as usize, data, &mut self.prng, |it| {
                sees.covers(it) && (it.host_reads() || it.number() == 0)
            });
        }
        Ok(())
    }

    /// Judges an access by the host; whether it can be made at all.
    fn host_touches(&mut self, region: Region, writes: bool) -> bool {
        if region.bytes == 0 {
            return false;
        }
        if let Err(violation) = self.world().inside(&region) {
            self.violate(*violation);
            return false;
        }
        let Some(memory) = self.live(region.memory) else {
            return false;
        };
        let allowed = if writes {
            memory.host.write
        } else {
            memory.host.read
        };
        let range = region.offset..region.end();
        let mut told = self.told;
        told.advance(Lane::HOST, self.host_writes);
        let race = memory.shadow.check_host(&range, writes, &told);
        let unseen = memory
            .shadow
            .find_write(&range, |it| it.host_reads() || it.number() == 0);
        let verb = if writes { "writes" } else { "reads" };
        if !allowed {
            let detail = format!("the host {verb} memory that it may not");
            self.violate(Violation::new(Rule::Call, detail).at(region));
        } else if let Some((range, other)) = race {
            let detail = format!("the host {verb} what {} still uses", self.name(other));
            let violation = Violation::new(Rule::HostRace, detail);
            self.violate(violation.at(bytes_of(region.memory, &range)));
        } else if let Some((range, other)) = unseen
            && !writes
        {
            let name = self.name(other);
            let detail = format!("the host reads what {name} wrote, without host_reads");
            let violation = Violation::new(Rule::HostUnseen, detail);
            self.violate(violation.at(bytes_of(region.memory, &range)));
        }
        allowed
    }

    fn create_pipeline(
        &mut self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        let index = id.0 as usize;
        if self.pipelines.get(index).is_some_and(Option::is_some) {
            let detail = format!("p{} is created twice", id.0);
            self.violate(Violation::new(Rule::Dead, detail));
        }
        let refused = |detail: String| Err(DeviceError::Refused { detail });
        if due(&mut self.faults.pipelines, &self.faults.plan.pipelines) {
            return refused(format!("kernel {}: refused, as planned", kernel.name));
        }
        let Code::Host(code) = code else {
            let name = &kernel.name;
            return refused(format!(
                "kernel {name}: a simulated device runs only Code::Host"
            ));
        };
        if let Some(detail) = refusal(&self.capabilities, kernel) {
            return refused(detail);
        }
        if self.pipelines.len() <= index {
            self.pipelines.resize_with(index + 1, || None);
            self.pipeline_uses.resize(index + 1, Clock::ZERO);
        }
        self.pipeline_uses[index] = Clock::ZERO;
        self.pipelines[index] = Some(Arc::new(Pipeline {
            kernel: kernel.clone(),
            code: code.clone(),
        }));
        Ok(())
    }

    fn destroy_pipeline(&mut self, id: PipelineId) {
        let index = id.0 as usize;
        if self
            .pipelines
            .get_mut(index)
            .and_then(Option::take)
            .is_none()
        {
            let detail = format!("p{} is destroyed and does not exist", id.0);
            self.violate(Violation::new(Rule::Dead, detail));
            return;
        }
        if self.lost.is_none()
            && let Some(user) = self.pipeline_uses[index].beyond(&self.told)
        {
            let name = self.name(user);
            let detail = format!("p{} is destroyed, and {name} may still run", id.0);
            self.violate(Violation::new(Rule::InUse, detail));
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
        for flight in self.queues.iter_mut().flat_map(|it| &mut it.flights) {
            flight.patience = flight.patience.saturating_sub(1);
        }
        self.run_impatient();
        let steps = self.prng.below(4);
        self.run_some(steps);
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
        let goal = self.queues[index].clock_of(ticket.value);
        if timeout_ns < SHORT_WAIT_NS && self.prng.chance(1, 2) {
            let steps = self.prng.below(3);
            self.run_some(steps);
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
