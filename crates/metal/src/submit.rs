//! Queues: batches turned into command buffers and handed over.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::{
    MTLCommandBuffer, MTLCommandBufferDescriptor, MTLCommandBufferErrorOption, MTLCommandQueue,
    MTLDevice, MTLFence,
};
use tidegate_core::{Batch, DeviceError, Ticket};

use crate::Options;
use crate::barrier::Order;
use crate::command::{Encoder, Open, Scratch};
use crate::device::Logical;
use crate::error::{OpenError, refused};
use crate::flight::{Flight, Timeline, Timelines};
use crate::memory::Memory;
use crate::pipeline::Pipelines;

/// Command buffers of one queue that have not completed. For one more, Metal would make the caller wait (Metal, "makeCommandQueue(maxCommandBufferCount:)").
const COMMAND_BUFFERS_MAX: usize = 256;

/// The fences of one queue, one for each kind of encoder.
#[derive(Clone)]
pub(crate) struct Fences {
    pub(crate) compute: Retained<ProtocolObject<dyn MTLFence>>,
    pub(crate) blit: Retained<ProtocolObject<dyn MTLFence>>,
}

impl Fences {
    fn new(device: &ProtocolObject<dyn MTLDevice>) -> Option<Self> {
        Some(Self {
            compute: device.newFence()?,
            blit: device.newFence()?,
        })
    }
}

/// A queue: its timeline is in [`Timelines`], at the same index.
struct Queue {
    raw: Retained<ProtocolObject<dyn MTLCommandQueue>>,
    recorder: Mutex<Recorder>,
}

/// What the thread that submits needs.
struct Recorder {
    descriptor: Retained<MTLCommandBufferDescriptor>,
    /// None at first and after a failure.
    fences: Option<Fences>,
    order: Order,
    scratch: Scratch,
}

// SAFETY: the descriptor and the labels are used under the recorder's lock alone, by one thread at a time; neither belongs to a thread. The fences are given to encoders
// under the same lock, and have no state of their own that the host reads or changes (Metal, "MTLFence"); `Flight`'s clones of them are only kept and released, and to retain
// and release is safe from any thread (Memory Management Programming Guide).
unsafe impl Send for Recorder {}

/// A device's queues.
pub(crate) struct Queues {
    all: Vec<Queue>,
    pub(crate) timelines: Timelines,
    blame: bool,
}

impl Queues {
    pub(crate) fn new(
        device: &ProtocolObject<dyn MTLDevice>,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let mut queues = Self {
            all: Vec::new(),
            timelines: Timelines(Vec::new()),
            blame: options.blame,
        };
        for _ in 0..options.queues_max.max(1) {
            let raw = device
                .newCommandQueueWithMaxCommandBufferCount(COMMAND_BUFFERS_MAX)
                .ok_or(OpenError::nil("newCommandQueueWithMaxCommandBufferCount:"))?;
            let event = device
                .newSharedEvent()
                .ok_or(OpenError::nil("newSharedEvent"))?;
            let descriptor = MTLCommandBufferDescriptor::new();
            descriptor.setRetainedReferences(false);
            if options.blame {
                descriptor.setErrorOptions(MTLCommandBufferErrorOption::EncoderExecutionStatus);
            }
            queues.timelines.0.push(Timeline::new(event));
            queues.all.push(Queue {
                raw,
                recorder: Mutex::new(Recorder {
                    descriptor,
                    fences: None,
                    order: Order::default(),
                    scratch: Scratch::default(),
                }),
            });
        }
        Ok(queues)
    }

    /// Every queue, for residency sets.
    pub(crate) fn raw(&self) -> Vec<Retained<ProtocolObject<dyn MTLCommandQueue>>> {
        self.all.iter().map(|it| it.raw.clone()).collect()
    }

    /// Encodes and commits a batch.
    pub(crate) fn submit(
        &self,
        device: &Logical,
        memory: &Memory,
        pipelines: &Pipelines,
        batch: &Batch,
        ticket: Ticket,
    ) -> Result<(), DeviceError> {
        let index = ticket.queue as usize;
        let (Some(queue), Some(timeline)) = (self.all.get(index), self.timelines.0.get(index))
        else {
            return Err(refused(format!(
                "there is no queue {index}, only {}",
                self.all.len()
            )));
        };
        let mut recorder = queue
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if ticket.value <= timeline.submitted.load(Ordering::Relaxed) {
            return Err(refused(format!(
                "ticket {} of queue {index} is not after the last",
                ticket.value
            )));
        }
        self.check_waits(batch)?;
        let mut flight = {
            let mut flights = timeline.flights();
            if flights.in_flight.len() >= COMMAND_BUFFERS_MAX {
                return Err(DeviceError::OutOfMemory);
            }
            flights.idle.pop().unwrap_or_default()
        };
        let restarts = timeline.restart.swap(false, Ordering::AcqRel);
        if restarts {
            recorder.fences = None;
        }
        let made = self.record(
            device,
            (memory, pipelines),
            (queue, timeline),
            &mut recorder,
            batch,
            ticket.value,
            &mut flight,
        );
        match made {
            Ok(buffer) => {
                memory.keep_resident();
                // The lock makes this thread the only one to use the command buffer. The value is stored first, so that a completed one is never beyond it.
                let mut flights = timeline.flights();
                timeline.submitted.store(ticket.value, Ordering::Release);
                buffer.commit();
                flight.buffer = Some(buffer);
                flights.in_flight.push_back(flight);
                Ok(())
            }
            Err(error) => {
                if restarts {
                    timeline.restart.store(true, Ordering::Release);
                }
                flight.clear();
                timeline.flights().idle.push(flight);
                Err(error)
            }
        }
    }

    /// Waiting for what nobody has submitted could wait for ever.
    fn check_waits(&self, batch: &Batch) -> Result<(), DeviceError> {
        let submitted = |ticket: &Ticket| {
            let timeline = self.timelines.0.get(ticket.queue as usize);
            timeline.is_some_and(|it| ticket.value <= it.submitted.load(Ordering::Acquire))
        };
        match batch.waits.iter().find(|it| !submitted(it)) {
            None => Ok(()),
            Some(ticket) => Err(refused(format!(
                "ticket {} of queue {} is waited for and was never submitted",
                ticket.value, ticket.queue
            ))),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one device and one queue"
    )]
    fn record(
        &self,
        device: &Logical,
        (memory, pipelines): (&Memory, &Pipelines),
        (queue, timeline): (&Queue, &Timeline),
        recorder: &mut Recorder,
        batch: &Batch,
        value: u64,
        flight: &mut Flight,
    ) -> Result<Retained<ProtocolObject<dyn MTLCommandBuffer>>, DeviceError> {
        let buffer = queue
            .raw
            .commandBufferWithDescriptor(&recorder.descriptor)
            .ok_or(DeviceError::OutOfMemory)?;
        for ticket in &batch.waits {
            // `check_waits` has seen that there is such a queue.
            let other = &self.timelines.0[ticket.queue as usize];
            buffer.encodeWaitForEvent_value(other.raw(), ticket.value);
        }
        let before = timeline.submitted.load(Ordering::Relaxed);
        let (fences, mut order) = match &recorder.fences {
            Some(fences) => (fences.clone(), recorder.order),
            None => {
                // What came before is waited for through the event, which the host signals for a command buffer that failed.
                if before > 0 {
                    buffer.encodeWaitForEvent_value(timeline.raw(), before);
                }
                let fences = Fences::new(&device.raw).ok_or(DeviceError::OutOfMemory)?;
                (fences, Order::default())
            }
        };
        Encoder {
            buffer: &buffer,
            fences: &fences,
            slots: &memory.slots(),
            table: &pipelines.table(),
            builtins: &pipelines.builtins,
            scratch: &mut recorder.scratch,
            batch,
            order: &mut order,
            blame: self.blame.then_some(&mut flight.blame),
            open: Open::None,
        }
        .encode()?;
        if order.is_loose() {
            // Whoever waits for this ticket waits for all before it.
            buffer.encodeWaitForEvent_value(timeline.raw(), before);
        }
        buffer.encodeSignalEvent_value(timeline.raw(), value);
        flight.value = value;
        flight.waits.extend_from_slice(&batch.waits);
        flight.fences = Some(fences.clone());
        recorder.fences = Some(fences);
        recorder.order = order;
        Ok(buffer)
    }
}
