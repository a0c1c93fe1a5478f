//! A device that calls somebody in the middle of what core asks of it.

use tidegate_core::{
    Batch, Device, DeviceError, GraphId, HostAccess, MemoryId, MemoryKind, PipelineId, Ticket,
};
use tidegate_sim::Sim;

/// What core asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Submit,
    Write,
    Read,
    Destroy,
    /// Of memory that the host writes.
    AllocateUpload,
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
    tidegate_sim::pass_on!(sim: capabilities process now_ns free memory_available);
    tidegate_sim::pass_on!(sim: create_pipeline set_timing take_timings);
    tidegate_sim::pass_on!(sim: completed wait);

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        if kind == MemoryKind::Upload {
            (self.tell)(Call::AllocateUpload);
        }
        self.sim.allocate(id, bytes, kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        (self.tell)(Call::Write);
        self.sim.write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        (self.tell)(Call::Read);
        self.sim.read(id, offset, data)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        (self.tell)(Call::Destroy);
        self.sim.destroy_pipeline(id);
    }

    fn forget_graph(&self, id: GraphId) {
        (self.tell)(Call::Destroy);
        self.sim.forget_graph(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        (self.tell)(Call::Submit);
        self.sim.submit(batch, ticket)
    }
}
