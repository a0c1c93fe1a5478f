//! For devices that stand between core and another device.

/// Within `impl Device`, the named methods of a device that keeps another in a field: each calls the same method of that one.
///
/// ```
/// use tidegate_core::{Batch, Device, DeviceError, Ticket};
///
/// struct Loud<D>(D);
///
/// impl<D: Device> Device for Loud<D> {
///     tidegate_sim::pass_on!(0: capabilities process now_ns allocate free memory_available write read);
///     tidegate_sim::pass_on!(0: create_pipeline destroy_pipeline set_timing take_timings forget_graph completed wait);
///
///     fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
///         println!("{batch}");
///         self.0.submit(batch, ticket)
///     }
/// }
/// ```
#[macro_export]
macro_rules! pass_on {
    ($to:tt:) => {};
    ($to:tt: capabilities $($more:ident)*) => {
        fn capabilities(&self) -> &::tidegate_core::Capabilities {
            self.$to.capabilities()
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: process $($more:ident)*) => {
        fn process(&self) -> Option<&'static ::core::sync::atomic::AtomicU32> {
            self.$to.process()
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: now_ns $($more:ident)*) => {
        fn now_ns(&self) -> u64 {
            self.$to.now_ns()
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: allocate $($more:ident)*) => {
        fn allocate(
            &self,
            id: ::tidegate_core::MemoryId,
            bytes: u64,
            kind: ::tidegate_core::MemoryKind,
        ) -> Result<::tidegate_core::HostAccess, ::tidegate_core::DeviceError> {
            self.$to.allocate(id, bytes, kind)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: free $($more:ident)*) => {
        fn free(&self, id: ::tidegate_core::MemoryId) {
            self.$to.free(id);
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: memory_available $($more:ident)*) => {
        fn memory_available(&self, kind: ::tidegate_core::MemoryKind) -> Option<u64> {
            self.$to.memory_available(kind)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: write $($more:ident)*) => {
        fn write(
            &self,
            id: ::tidegate_core::MemoryId,
            offset: u64,
            data: &[u8],
        ) -> Result<(), ::tidegate_core::DeviceError> {
            self.$to.write(id, offset, data)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: read $($more:ident)*) => {
        fn read(
            &self,
            id: ::tidegate_core::MemoryId,
            offset: u64,
            data: &mut [u8],
        ) -> Result<(), ::tidegate_core::DeviceError> {
            self.$to.read(id, offset, data)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: create_pipeline $($more:ident)*) => {
        fn create_pipeline(
            &self,
            id: ::tidegate_core::PipelineId,
            kernel: &::tidegate_core::Kernel,
            code: &::tidegate_core::Code,
        ) -> Result<(), ::tidegate_core::DeviceError> {
            self.$to.create_pipeline(id, kernel, code)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: destroy_pipeline $($more:ident)*) => {
        fn destroy_pipeline(&self, id: ::tidegate_core::PipelineId) {
            self.$to.destroy_pipeline(id);
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: set_timing $($more:ident)*) => {
        fn set_timing(&self, on: bool) -> bool {
            self.$to.set_timing(on)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: take_timings $($more:ident)*) => {
        fn take_timings(&self, into: &mut Vec<::tidegate_core::Timing>) {
            self.$to.take_timings(into);
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: forget_graph $($more:ident)*) => {
        fn forget_graph(&self, id: ::tidegate_core::GraphId) {
            self.$to.forget_graph(id);
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: submit $($more:ident)*) => {
        fn submit(
            &self,
            batch: &::tidegate_core::Batch,
            ticket: ::tidegate_core::Ticket,
        ) -> Result<(), ::tidegate_core::DeviceError> {
            self.$to.submit(batch, ticket)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: completed $($more:ident)*) => {
        fn completed(&self, queue: u32) -> Result<u64, ::tidegate_core::DeviceError> {
            self.$to.completed(queue)
        }
        $crate::pass_on!($to: $($more)*);
    };
    ($to:tt: wait $($more:ident)*) => {
        fn wait(
            &self,
            ticket: ::tidegate_core::Ticket,
            timeout_ns: u64,
        ) -> Result<bool, ::tidegate_core::DeviceError> {
            self.$to.wait(ticket, timeout_ns)
        }
        $crate::pass_on!($to: $($more)*);
    };
}
