//! Memory and pipelines: made, given back, and touched by the host.

use std::sync::Arc;

use tidegate_core::{
    Code, DeviceError, GraphId, HostAccess, Kernel, MemoryId, MemoryKind, PipelineId, Region,
};

use crate::check::{Pipeline, refusal};
use crate::clock::{Clock, Lane, Stamp};
use crate::fault::due;
use crate::memory::Memory;
use crate::state::{State, bytes_of};
use crate::violation::{Rule, Violation};

impl State {
    pub(crate) fn allocate(
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
        self.pass_on(id);
        let index = id.0 as usize;
        if self.memory.len() <= index {
            self.memory.resize_with(index + 1, || None);
        }
        self.memory[index] = Some(Memory::new(bytes, kind, host, &mut self.prng));
        self.note_peaks();
        Ok(host)
    }

    /// Gives the bytes of freed memory that commands still use to the next allocation, whatever its size. Only a wrong program can tell.
    fn pass_on(&mut self, id: MemoryId) {
        let done = self.done;
        for memory in self.memory.iter_mut().flatten() {
            if !memory.live && memory.heir.is_none() && memory.uses.beyond(&done).is_some() {
                memory.heir = Some(id);
                return;
            }
        }
    }

    pub(crate) fn memory_used(&self) -> u64 {
        let live = self.memory.iter().flatten().filter(|it| it.live);
        live.map(Memory::bytes).sum()
    }

    fn note_peaks(&mut self) {
        let (mut device, mut host) = (0, 0);
        for memory in self.memory.iter().flatten().filter(|it| it.live) {
            match memory.kind {
                MemoryKind::Device => device += memory.bytes(),
                MemoryKind::Upload | MemoryKind::Readback => host += memory.bytes(),
            }
        }
        let peaks = &mut self.peaks;
        peaks.device_bytes = peaks.device_bytes.max(device);
        peaks.host_bytes = peaks.host_bytes.max(host);
    }

    pub(crate) fn memory_limit(&self) -> u64 {
        let all = self.capabilities.memory_bytes;
        self.faults.plan.budget_bytes.map_or(all, |it| it.min(all))
    }

    pub(crate) fn free(&mut self, id: MemoryId) {
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

    pub(crate) fn host_write(
        &mut self,
        id: MemoryId,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
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

    pub(crate) fn host_read(
        &mut self,
        id: MemoryId,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), DeviceError> {
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

    pub(crate) fn create_pipeline(
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
        let memory = &self.faults.plan.pipelines_memory;
        if memory.contains(&self.faults.pipelines) {
            return Err(DeviceError::OutOfMemory);
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

    pub(crate) fn destroy_pipeline(&mut self, id: PipelineId) {
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

    pub(crate) fn forget_graph(&mut self, id: GraphId) {
        let mut tickets = self.graphs.forget(id);
        if self.lost.is_some() {
            tickets.clear();
        }
        for ticket in tickets {
            let clock = self.queues[ticket.queue as usize].clock_of(ticket.value);
            if clock.beyond(&self.told).is_some() {
                let detail = format!(
                    "graph {} is given back, and ticket {} of queue {} may still replay it",
                    id.0, ticket.value, ticket.queue
                );
                self.violate(Violation::new(Rule::InUse, detail));
            }
        }
    }
}
