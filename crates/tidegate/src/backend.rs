//! One type for every backend. It is asked once a batch, so that the match costs nothing that can be measured.

use tidegate_core::{
    Batch, Capabilities, Code, Context, Device, DeviceError, HostAccess, Kernel, MemoryId,
    MemoryKind, PipelineId, Ticket,
};

pub(crate) type AnyContext = Context<AnyDevice>;

/// A device of any backend that this build has.
#[derive(Debug)]
pub(crate) enum AnyDevice {
    #[cfg(feature = "vulkan")]
    Vulkan(Box<tidegate_vulkan::VulkanDevice>),
    #[cfg(feature = "sim")]
    Sim(Box<tidegate_sim::Sim>),
}

impl AnyDevice {
    fn inner(&self) -> &dyn Device {
        // By value: without any backend there is none, and nothing to match.
        match *self {
            #[cfg(feature = "vulkan")]
            Self::Vulkan(ref it) => &**it,
            #[cfg(feature = "sim")]
            Self::Sim(ref it) => &**it,
        }
    }
}

impl Device for AnyDevice {
    fn capabilities(&self) -> &Capabilities {
        self.inner().capabilities()
    }

    fn now_ns(&self) -> u64 {
        self.inner().now_ns()
    }

    fn allocate(
        &self,
        id: MemoryId,
        bytes: u64,
        kind: MemoryKind,
    ) -> Result<HostAccess, DeviceError> {
        self.inner().allocate(id, bytes, kind)
    }

    fn free(&self, id: MemoryId) {
        self.inner().free(id);
    }

    fn memory_available(&self, kind: MemoryKind) -> Option<u64> {
        self.inner().memory_available(kind)
    }

    fn write(&self, id: MemoryId, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.inner().write(id, offset, data)
    }

    fn read(&self, id: MemoryId, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        self.inner().read(id, offset, data)
    }

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        self.inner().create_pipeline(id, kernel, code)
    }

    fn destroy_pipeline(&self, id: PipelineId) {
        self.inner().destroy_pipeline(id);
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.inner().submit(batch, ticket)
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        self.inner().completed(queue)
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.inner().wait(ticket, timeout_ns)
    }
}
