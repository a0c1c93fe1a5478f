//! What is in flight on a queue, what became of it, and waiting for it.
//!
//! A ticket is complete once its command buffer's *status* says so, which is read before anybody trusts what the batch wrote. The shared event alone would not do: whether
//! a command buffer that failed signals it, no page says. There is no completion handler, so that nothing of ours ever runs on a thread of the system's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLCommandBuffer, MTLCommandBufferStatus, MTLEvent, MTLSharedEvent};
use tidegate_core::{DeviceError, Ticket};

use crate::blame::Blame;
use crate::device::Logical;
use crate::error::{Failure, refused};
use crate::submit::Fences;

/// Longest sleep between two looks at the queues. A command buffer that failed may wake nobody.
const SLICE: Duration = Duration::from_millis(5);
/// Sleep between two looks when the event says that a command buffer has run and its status does not say so yet.
const LAG: Duration = Duration::from_micros(20);

/// A batch that was committed.
#[derive(Default)]
pub(crate) struct Flight {
    pub(crate) value: u64,
    pub(crate) buffer: Option<Retained<ProtocolObject<dyn MTLCommandBuffer>>>,
    /// Kept alive: the command buffer retains nothing that it uses.
    pub(crate) fences: Option<Fences>,
    /// Tickets that the batch rests on.
    pub(crate) waits: Vec<Ticket>,
    pub(crate) blame: Blame,
}

// SAFETY: a command buffer may be used by any thread, one at a time (Metal, "MTLCommandBuffer"): once committed it is used only under the lock of `Timeline::flights`.
// The fences are kept alive here and sent no other message than retain and release, which any thread may send (Metal, "MTLFence").
unsafe impl Send for Flight {}

impl Flight {
    /// Lets go of everything but memory.
    pub(crate) fn clear(&mut self) {
        self.buffer = None;
        self.fences = None;
        self.waits.clear();
        self.blame.clear();
    }
}

/// The batches of one queue, in order.
#[derive(Default)]
pub(crate) struct Flights {
    pub(crate) in_flight: VecDeque<Flight>,
    /// Complete, to be used again.
    pub(crate) idle: Vec<Flight>,
    /// Failed submissions that nobody has been told of.
    failures: VecDeque<DeviceError>,
    /// Whether any has failed: then the event may lag behind.
    failed: bool,
}

/// A queue's timeline: a shared event whose value is that of the last ticket that ran.
pub(crate) struct Timeline {
    pub(crate) event: Retained<ProtocolObject<dyn MTLSharedEvent>>,
    /// The last value handed over.
    pub(crate) submitted: AtomicU64,
    /// The last value whose command buffer was seen to be complete or failed.
    completed: AtomicU64,
    flights: Mutex<Flights>,
    /// Whether the next batch must not rest on fences, which one that failed may not have updated.
    pub(crate) restart: AtomicBool,
}

/// How to wait before sleeping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    pub(crate) time: Duration,
    /// Whether to offer the core to other threads in between: a software device needs it to run.
    pub(crate) yields: bool,
}

/// What a look at a queue found.
#[derive(Default)]
struct Look {
    /// Whether anything completed.
    progress: bool,
    /// Whether something ran that rests on a ticket of another queue not yet seen to be complete.
    blocked: bool,
}

impl Timeline {
    pub(crate) fn new(event: Retained<ProtocolObject<dyn MTLSharedEvent>>) -> Self {
        Self {
            event,
            submitted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            flights: Mutex::default(),
            restart: AtomicBool::new(false),
        }
    }

    /// The event as command buffers take it.
    pub(crate) fn raw(&self) -> &ProtocolObject<dyn MTLEvent> {
        ProtocolObject::from_ref(&*self.event)
    }

    pub(crate) fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is in flight, oldest first.
    fn look(&self, queue: u32, device: &Logical, all: &Timelines) -> Result<Look, DeviceError> {
        let mut look = Look::default();
        let mut guard = self.flights();
        let flights = &mut *guard;
        while let Some(flight) = flights.in_flight.front() {
            let Some(buffer) = &flight.buffer else {
                break;
            };
            let status = buffer.status();
            if status == MTLCommandBufferStatus::Error {
                let failure = Failure::of(buffer);
                if failure.lost {
                    return Err(device.lose(failure.detail));
                }
                let ticket = Ticket {
                    queue,
                    value: flight.value,
                };
                flights.failed = true;
                flights.failures.push_back(DeviceError::Failed {
                    ticket,
                    kernels: flight.blame.kernels(&failure.encoders),
                    detail: failure.detail,
                });
                self.restart.store(true, Ordering::Release);
            } else if status != MTLCommandBufferStatus::Completed {
                break;
            } else if !flight.waits.iter().all(|it| all.is_over(*it)) {
                // It ran, so that these ran too or were given up: but whether they failed is not known before they were looked at.
                look.blocked = true;
                break;
            }
            self.completed.store(flight.value, Ordering::Release);
            look.progress = true;
            if let Some(mut flight) = flights.in_flight.pop_front() {
                flight.clear();
                flights.idle.push(flight);
            }
        }
        // Other queues may wait on the GPU for a command buffer that failed and did not signal. They go on: what they read is known to be bad. A value below the
        // event's own changes nothing (Metal, "signaledValue"), so that a signal by the GPU meanwhile is not undone.
        let completed = self.completed.load(Ordering::Acquire);
        if flights.failed && self.event.signaledValue() < completed {
            self.event.setSignaledValue(completed);
        }
        Ok(look)
    }
}

/// The timelines of every queue.
pub(crate) struct Timelines(pub(crate) Vec<Timeline>);

impl Timelines {
    fn is_over(&self, ticket: Ticket) -> bool {
        let timeline = self.0.get(ticket.queue as usize);
        timeline.is_none_or(|it| it.completed.load(Ordering::Acquire) >= ticket.value)
    }

    /// Looks at every queue until none makes progress.
    fn look_around(&self, device: &Logical) -> Result<(), DeviceError> {
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for (queue, timeline) in (0..).zip(&self.0) {
                progress |= timeline.look(queue, device, self)?.progress;
            }
        }
        Ok(())
    }

    /// The last value of `queue` that is complete, or first a failure that nobody has been told of.
    pub(crate) fn completed(&self, queue: u32, device: &Logical) -> Result<u64, DeviceError> {
        let timeline = self.look_at(queue, device)?;
        match timeline.flights().failures.pop_front() {
            Some(failure) => Err(failure),
            None => Ok(timeline.completed.load(Ordering::Acquire)),
        }
    }

    /// Brings a queue's completed value up to date.
    fn look_at(&self, queue: u32, device: &Logical) -> Result<&Timeline, DeviceError> {
        let Some(timeline) = self.0.get(queue as usize) else {
            return Err(refused(format!(
                "there is no queue {queue}, only {}",
                self.0.len()
            )));
        };
        if timeline.look(queue, device, self)?.blocked {
            self.look_around(device)?;
        }
        Ok(timeline)
    }

    /// Waits for a ticket: first by asking for `spin`, then by sleeping, never longer than [`SLICE`] without a look at every queue. Failures are left to
    /// [`Self::completed`], which core calls under its own lock: between a failure told here and core's note of it, another thread could take the ticket for good.
    pub(crate) fn wait(
        &self,
        ticket: Ticket,
        device: &Logical,
        timeout: Duration,
        spin: Spin,
    ) -> Result<bool, DeviceError> {
        let start = Instant::now();
        loop {
            // A pool for each look: a wait may be long.
            let done = autoreleasepool(|_| {
                let timeline = self.look_at(ticket.queue, device)?;
                Ok(timeline.completed.load(Ordering::Acquire) >= ticket.value)
            })?;
            let waited = start.elapsed();
            if done || waited >= timeout {
                return Ok(done);
            }
            if waited < spin.time {
                if spin.yields {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
                continue;
            }
            autoreleasepool(|_| {
                // What it waits for may be a command buffer of another queue that has failed.
                self.look_around(device)?;
                self.sleep(ticket, timeout - waited);
                Ok(())
            })?;
        }
    }

    /// Sleeps until the event has the ticket's value, but not for long.
    fn sleep(&self, ticket: Ticket, most: Duration) {
        let Some(timeline) = self.0.get(ticket.queue as usize) else {
            return;
        };
        let most = most.min(SLICE);
        let milliseconds = most.as_millis() as u64;
        if timeline.event.signaledValue() >= ticket.value {
            std::thread::sleep(LAG);
        } else if milliseconds == 0 {
            std::thread::sleep(most.min(LAG));
        } else {
            let event = &timeline.event;
            let _ = event.waitUntilSignaledValue_timeoutMS(ticket.value, milliseconds);
        }
    }

    /// Waits until everything handed over has run, or for `timeout`. Whether it has.
    pub(crate) fn drain(&self, device: &Logical, timeout: Duration, spin: Spin) -> bool {
        let end = Instant::now() + timeout;
        (0..).zip(&self.0).all(|(queue, timeline)| {
            let ticket = Ticket {
                queue,
                value: timeline.submitted.load(Ordering::Acquire),
            };
            let left = end.saturating_duration_since(Instant::now());
            // On a lost device nothing more is known than what each command buffer says.
            self.wait(ticket, device, left, spin)
                .unwrap_or_else(|_| self.is_idle())
        })
    }

    /// Whether every command buffer has ended, well or not. Asks even on a lost device.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.iter().all(|timeline| {
            let flights = timeline.flights();
            let mut buffers = flights.in_flight.iter().filter_map(|it| it.buffer.as_ref());
            buffers.all(|it| it.status() >= MTLCommandBufferStatus::Completed)
        })
    }
}
