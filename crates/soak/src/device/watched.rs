//! A device that keeps in words what it is given, and kernels from WGSL.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_core::{
    Batch, Capabilities, Code, Device, DeviceError, GraphId, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket,
};

#[path = "../../../tidegate/tests/conformance/kernels.rs"]
mod kernels;

pub(crate) use kernels::wgsl;

/// Batches that are kept.
const BATCHES_KEPT: usize = 16;

/// The last batches, oldest first. Printing every batch would take longer than running it, so they are kept as they are.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<(Ticket, Batch)>>>);

impl Log {
    pub(crate) fn words(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = kept
            .iter()
            .map(|(ticket, batch)| format!("submit q{}:{}\n{batch}", ticket.queue, ticket.value));
        words.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn note(&self, ticket: Ticket, batch: &Batch) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == BATCHES_KEPT {
            kept.pop_front();
        }
        kept.push_back((ticket, batch.clone()));
    }
}

/// A handle, so that the device can be asked what it saw after its context has gone.
pub(crate) struct Watched<D> {
    pub(crate) device: Arc<D>,
    pub(crate) log: Log,
}

impl<D: Device> Device for Watched<D> {
    fn capabilities(&self) -> &Capabilities {
        self.device.capabilities()
    }

    fn now_ns(&self) -> u64 {
        self.device.now_ns()
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.device.allocate(id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        self.device.free(id);
    }

    fn memory_available(&self, kind: MemoryKind) -> Option<u64> {
        self.device.memory_available(kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.device.write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.device.read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        self.device.create_pipeline(id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        self.device.destroy_pipeline(id);
    }

    fn forget_graph(&self, id: GraphId) {
        self.device.forget_graph(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.log.note(ticket, batch);
        self.device.submit(batch, ticket)
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.device.completed(queue)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.device.wait(ticket, timeout_ns)
    }
}
