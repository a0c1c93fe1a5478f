//! A device that calls somebody in the middle of what core asks of it.

use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, GraphId, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket,
};
use tidegate_sim::Sim;

/// What core asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Submit,
    Write,
    Read,
}

/// The device in between.
pub(crate) struct Nosy {
    sim: Sim,
    tell: Box<dyn Fn(Call) + Send + Sync>,
}

impl Nosy {
    pub(crate) fn new(sim: Sim, tell: impl Fn(Call) + Send + 'static) -> Self {
        let tell = std::sync::Mutex::new(tell);
        Self {
            sim,
            tell: Box::new(move |call| (tell.lock().unwrap())(call)),
        }
    }
}

impl Device for Nosy {
    fn capabilities(&self) -> &Capabilities {
        self.sim.capabilities()
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.sim.allocate(id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        self.sim.free(id);
    }

    fn memory_available(&self, kind: MemoryKind) -> Option<u64> {
        self.sim.memory_available(kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        (self.tell)(Call::Write);
        self.sim.write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        (self.tell)(Call::Read);
        self.sim.read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        self.sim.create_pipeline(id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        self.sim.destroy_pipeline(id);
    }

    fn forget_graph(&self, id: GraphId) {
        self.sim.forget_graph(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        (self.tell)(Call::Submit);
        self.sim.submit(batch, ticket)
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.sim.completed(queue)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.sim.wait(ticket, timeout_ns)
    }
}
