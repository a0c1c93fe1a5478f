//! A device that keeps in words what it is given, and kernels from WGSL.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_core::{Batch, Device, DeviceError, Ticket};

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
    tidegate_sim::pass_on!(device: capabilities process now_ns allocate free memory_available write read);
    tidegate_sim::pass_on!(device: create_pipeline destroy_pipeline set_timing take_timings forget_graph);
    tidegate_sim::pass_on!(device: completed wait);

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        self.log.note(ticket, batch);
        self.device.submit(batch, ticket)
    }
}
