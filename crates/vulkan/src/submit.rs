//! Queues: what is handed over, what is complete, and the command buffers in between.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ash::vk;
use tidegate_core::{Batch, DeviceError, GraphId, Stages, Ticket, Timing};

use crate::barrier;
use crate::command::Scratch;
use crate::debug;
use crate::device::Logical;
use crate::ending;
use crate::error::{OpenError, is_out_of_memory, refused};
use crate::flight::Flight;
use crate::memory::Memory;
use crate::pipeline::Pipelines;
use crate::progress::Progress;
use crate::recording::Recording;
use crate::replay::Replays;
use crate::spin::Spin;
use crate::timing::Timer;

/// A queue and its timeline, on which the value of a ticket is the value of the semaphore.
pub(crate) struct Queue {
    pub(crate) raw: vk::Queue,
    timeline: vk::Semaphore,
    pub(crate) family: u32,
    progress: Progress,
    recorder: Mutex<Recorder>,
}

/// What the thread that submits needs. Its lock also keeps the queue to one thread, as Vulkan asks.
#[derive(Default)]
struct Recorder {
    in_flight: VecDeque<(u64, Flight)>,
    /// Complete and reset.
    idle: Vec<Recording>,
    scratch: Scratch,
    waits: Waits,
}

/// The semaphores that a submission waits for, in the forms of both submit calls.
#[derive(Default)]
struct Waits {
    infos: Vec<vk::SemaphoreSubmitInfo<'static>>,
    semaphores: Vec<vk::Semaphore>,
    values: Vec<u64>,
    stages: Vec<vk::PipelineStageFlags>,
}

/// A device's queues.
pub(crate) struct Queues {
    queues: Vec<Queue>,
    replays: Replays,
    timer: Timer,
}

impl Queues {
    pub(crate) fn new(
        device: &Logical,
        (family, count): (u32, u32),
        timer: Timer,
    ) -> Result<Self, OpenError> {
        let mut queues = Self {
            queues: Vec::new(),
            replays: Replays::default(),
            timer,
        };
        for index in 0..count {
            match Queue::new(device, family, index) {
                Ok(queue) => queues.queues.push(queue),
                Err(error) => {
                    // SAFETY: nothing was submitted.
                    unsafe { queues.destroy(device) };
                    return Err(error);
                }
            }
        }
        Ok(queues)
    }

    pub(crate) fn find(&self, index: u32) -> Result<&Queue, DeviceError> {
        self.queues.get(index as usize).ok_or_else(|| {
            refused(format!(
                "there is no queue {index}, only {}",
                self.queues.len()
            ))
        })
    }

    /// Returns once every thread that is recording or submitting has done so.
    pub(crate) fn settle(&self) {
        for queue in &self.queues {
            drop(queue.recorder.lock());
        }
    }

    /// Records and submits a batch.
    pub(crate) fn submit(
        &self,
        device: &Logical,
        memory: &Memory,
        pipelines: &Pipelines,
        batch: &Batch,
        ticket: Ticket,
    ) -> Result<(), DeviceError> {
        let queue = self.find(ticket.queue)?;
        let mut recorder = queue
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let recorder = &mut *recorder;
        // Under the lock: what a lost device frees, it frees after whoever holds the lock.
        device.alive()?;
        if ticket.value <= queue.progress.submitted() {
            return Err(refused(format!(
                "ticket {} of queue {} is not after the last",
                ticket.value, ticket.queue
            )));
        }
        recorder.waits.fill(self, &batch.waits)?;
        let timed = self.timer.is_on().then_some(ticket);
        let flight = match &batch.replay {
            // With timestamps in it, a recording could not run twice at a time.
            Some(replay) if timed.is_none() => {
                let family = queue.family;
                let make = |recording: &mut Recording| {
                    recording.record(
                        device,
                        memory,
                        pipelines,
                        &mut recorder.scratch,
                        batch,
                        None,
                    )
                };
                Flight::Kept(self.replays.recorded(device, family, replay, make)?)
            }
            _ => {
                let with = (device, &self.timer, memory, pipelines);
                Flight::Once(queue.record(with, recorder, batch, timed)?)
            }
        };
        let signal = (ticket.value, timed.is_some());
        match queue.hand_over(device, &recorder.waits, flight.buffer(), signal) {
            Ok(()) => {
                recorder.in_flight.push_back((ticket.value, flight));
                // The device works by now: what resetting costs delays nothing.
                queue.recycle((device, &self.timer), recorder, queue.progress.seen());
                Ok(())
            }
            // After a loss it is unknown whether the command buffer is pending. It then waits for the end of the device.
            Err(error @ DeviceError::Lost { .. }) => {
                recorder.in_flight.push_back((ticket.value, flight));
                Err(error)
            }
            Err(error) => {
                // SAFETY: not submitted.
                unsafe { flight.end(device, &mut recorder.idle) };
                Err(error)
            }
        }
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Adds when the commands of completed batches ran.
    pub(crate) fn take_timings(&self, device: &Logical, into: &mut Vec<Timing>) {
        for queue in &self.queues {
            let mut recorder = queue
                .recorder
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // On a lost device nothing more is known.
            if let Ok(completed) = queue.completed(device) {
                queue.recycle((device, &self.timer), &mut recorder, completed);
            }
        }
        self.timer.take(into);
    }

    /// Gives back what is kept of a graph.
    pub(crate) fn forget_graph(&self, device: &Logical, id: GraphId) {
        self.replays.forget(device, id);
    }

    /// Waits until everything handed over has run, or for `timeout`. Whether it has, or never will because the driver has lost the device.
    pub(crate) fn drain(&self, device: &Logical, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        self.queues.iter().all(|queue| {
            let value = queue.progress.submitted();
            loop {
                let left = end.saturating_duration_since(Instant::now());
                match queue.sleep(device, value, left.min(SLICE)) {
                    Ok(()) | Err(vk::Result::ERROR_DEVICE_LOST) => return true,
                    // The driver had no memory to wait with, which says nothing of the work.
                    Err(result) if is_out_of_memory(result) && !left.is_zero() => {
                        std::thread::sleep(NO_MEMORY_PAUSE);
                    }
                    Err(vk::Result::TIMEOUT) if left > SLICE && !ending::has_begun() => {}
                    Err(_) => return false,
                }
            }
        })
    }

    /// # Safety
    /// Nothing on the device runs any more, the device still lives, and the queues are not used again.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        for queue in &self.queues {
            let mut recorder = queue
                .recorder
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let recorder = std::mem::take(&mut *recorder);
            let Recorder {
                in_flight,
                mut idle,
                ..
            } = recorder;
            // SAFETY: the caller's promise. VUID-vkDestroyCommandPool-commandPool-00041, VUID-vkDestroySemaphore-semaphore-05149.
            unsafe {
                for (_, flight) in in_flight {
                    flight.end(device, &mut idle);
                }
                for recording in idle {
                    recording.destroy(device);
                }
                device.raw.destroy_semaphore(queue.timeline, None);
            }
        }
        self.replays.clear(device);
    }
}

impl Queue {
    fn new(device: &Logical, family: u32, index: u32) -> Result<Self, OpenError> {
        let mut timeline = vk::SemaphoreTypeCreateInfo::default()
            .semaphore_type(vk::SemaphoreType::TIMELINE)
            .initial_value(0);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut timeline);
        // SAFETY: the feature is enabled: devices without it are refused. VUID-VkSemaphoreTypeCreateInfo-timelineSemaphore-03252.
        let timeline = unsafe { device.raw.create_semaphore(&info, None) }
            .map_err(OpenError::of("vkCreateSemaphore"))?;
        debug::name(device.debug.as_ref(), timeline, || {
            format!("timeline of queue {index}")
        });
        // SAFETY: the device was made with this many queues of the family. VUID-vkGetDeviceQueue-queueIndex-00385.
        let raw = unsafe { device.raw.get_device_queue(family, index) };
        Ok(Self {
            raw,
            timeline,
            family,
            progress: Progress::new(),
            recorder: Mutex::default(),
        })
    }

    /// Resets what has run, up to the value `completed`, so that it can be recorded again.
    fn recycle(
        &self,
        (device, timer): (&Logical, &Timer),
        recorder: &mut Recorder,
        completed: u64,
    ) {
        while let Some((value, _)) = recorder.in_flight.front()
            && *value <= completed
        {
            let Some((_, flight)) = recorder.in_flight.pop_front() else {
                break;
            };
            let mut flight = flight;
            if let Flight::Once(recording) = &mut flight {
                // SAFETY: its timeline value is reached, so that it has run.
                unsafe { recording.harvest(device, timer) };
            }
            // SAFETY: as above.
            unsafe { flight.end(device, &mut recorder.idle) };
        }
    }

    /// Records a batch for one submission.
    fn record(
        &self,
        (device, timer, memory, pipelines): (&Logical, &Timer, &Memory, &Pipelines),
        recorder: &mut Recorder,
        batch: &Batch,
        timed: Option<Ticket>,
    ) -> Result<Recording, DeviceError> {
        if recorder.idle.is_empty() {
            let completed = self.completed(device)?;
            self.recycle((device, timer), recorder, completed);
        }
        let mut recording = match recorder.idle.pop() {
            Some(recording) => recording,
            None => Recording::new(device, self.family, false)?,
        };
        let scratch = &mut recorder.scratch;
        match recording.record(device, memory, pipelines, scratch, batch, timed) {
            Ok(()) => Ok(recording),
            Err(error) => {
                // SAFETY: not submitted.
                unsafe { Flight::Once(recording).end(device, &mut recorder.idle) };
                Err(error)
            }
        }
    }

    fn hand_over(
        &self,
        device: &Logical,
        waits: &Waits,
        buffer: vk::CommandBuffer,
        (value, timed): (u64, bool),
    ) -> Result<(), DeviceError> {
        let before = self.progress.hand_over(value);
        // SAFETY, for both: the recorder's lock makes this thread the only one to use the queue (host synchronisation of `queue`). The command
        // buffer is recorded, and not pending unless it is a graph's, which may be (SIMULTANEOUS_USE); the value is larger than any handed over before; the semaphores waited for are timelines
        // of this device. VUID-vkQueueSubmit2-commandBuffer-03874, -03875, VUID-VkSubmitInfo2-semaphore-03882, -semaphore-03881.
        let (call, result) = if let Some(functions) = &device.synchronization2 {
            let buffers = [vk::CommandBufferSubmitInfo::default().command_buffer(buffer)];
            let signals = [vk::SemaphoreSubmitInfo::default()
                .semaphore(self.timeline)
                .value(value)
                .stage_mask(if timed {
                    // Timestamps are written by other stages.
                    vk::PipelineStageFlags2::ALL_COMMANDS
                } else {
                    barrier::pipeline_stages2(barrier::pipeline_stages(Stages::ALL))
                })];
            let info = [vk::SubmitInfo2::default()
                .wait_semaphore_infos(&waits.infos)
                .command_buffer_infos(&buffers)
                .signal_semaphore_infos(&signals)];
            // SAFETY: see above. VUID-vkQueueSubmit2-synchronization2-03866.
            let result = unsafe { functions.queue_submit2(self.raw, &info, vk::Fence::null()) };
            ("vkQueueSubmit2", result)
        } else {
            let (buffers, signals, values) = ([buffer], [self.timeline], [value]);
            let mut timeline = vk::TimelineSemaphoreSubmitInfo::default()
                .wait_semaphore_values(&waits.values)
                .signal_semaphore_values(&values);
            let info = [vk::SubmitInfo::default()
                .wait_semaphores(&waits.semaphores)
                .wait_dst_stage_mask(&waits.stages)
                .command_buffers(&buffers)
                .signal_semaphores(&signals)
                .push_next(&mut timeline)];
            // SAFETY: see above. VUID-VkSubmitInfo-pWaitSemaphores-03239, -pNext-03240, -pNext-03241, -pSignalSemaphores-03242.
            let result = unsafe { device.raw.queue_submit(self.raw, &info, vk::Fence::null()) };
            ("vkQueueSubmit", result)
        };
        result.map_err(|result| {
            let error = device.submission_error(call, result);
            if error == DeviceError::OutOfMemory {
                self.progress.take_back(before);
            }
            error
        })
    }

    /// The last value whose batch has run. The driver is asked only while something may still run.
    pub(crate) fn completed(&self, device: &Logical) -> Result<u64, DeviceError> {
        if let Some(value) = self.progress.known() {
            return Ok(value);
        }
        // SAFETY: the semaphore is a timeline of this device. VUID-vkGetSemaphoreCounterValue-semaphore-03255.
        let value = unsafe { device.raw.get_semaphore_counter_value(self.timeline) }
            .map_err(|result| device.submission_error("vkGetSemaphoreCounterValue", result))?;
        // Some drivers set a lost device's timelines to the largest value, which must not pass for completion.
        if !self.progress.saw(value) {
            return Err(device.lose(format!(
                "a timeline stands at {value}, which was never submitted"
            )));
        }
        Ok(value)
    }

    /// Waits for a value: by asking again and again, after a while with the core on offer in between, and at last by sleeping.
    pub(crate) fn wait(
        &self,
        device: &Logical,
        value: u64,
        timeout: Duration,
        spin: Spin,
    ) -> Result<bool, DeviceError> {
        let start = Instant::now();
        loop {
            if self.completed(device)? >= value {
                return Ok(true);
            }
            let waited = start.elapsed();
            if waited >= timeout {
                return Ok(false);
            }
            if waited >= spin.time {
                return self.block(device, value, timeout - waited);
            }
            if waited >= spin.alone {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Sleeps until a value is reached, but never for long without asking whether another thread has found the device lost: not every driver wakes the others.
    fn block(&self, device: &Logical, value: u64, timeout: Duration) -> Result<bool, DeviceError> {
        let start = Instant::now();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            match self.sleep(device, value, left.min(SLICE)) {
                // A lost device may report success for what did not run; the counter tells.
                Ok(()) => return Ok(self.completed(device)? >= value),
                Err(vk::Result::TIMEOUT) if left <= SLICE || ending::has_begun() => {
                    return Ok(false);
                }
                Err(vk::Result::TIMEOUT) => {}
                Err(result) => return Err(device.submission_error("vkWaitSemaphores", result)),
            }
            device.alive()?;
        }
    }

    fn sleep(&self, device: &Logical, value: u64, timeout: Duration) -> Result<(), vk::Result> {
        let (semaphores, values) = ([self.timeline], [value]);
        let info = vk::SemaphoreWaitInfo::default()
            .semaphores(&semaphores)
            .values(&values);
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: the semaphore is a timeline of this device. VUID-VkSemaphoreWaitInfo-pSemaphores-03256.
        unsafe { device.raw.wait_semaphores(&info, timeout_ns) }
    }
}

#[cfg(test)]
impl Queues {
    pub(crate) fn hold(&self, then: impl FnOnce()) {
        let locks = self.queues.iter().map(|it| it.recorder.lock().unwrap());
        let _locks: Vec<_> = locks.collect();
        self.replays.hold(then);
    }
}

#[cfg(test)]
impl Queue {
    /// Signals the timeline from the host, as a driver does that loses its device.
    pub(crate) fn signal(&self, device: &Logical, value: u64) {
        let info = vk::SemaphoreSignalInfo::default()
            .semaphore(self.timeline)
            .value(value);
        // SAFETY: the semaphore is a timeline of this device, below `value`, with no signal pending.
        // VUID-VkSemaphoreSignalInfo-value-03258, -value-03259.
        unsafe { device.raw.signal_semaphore(&info) }.unwrap();
    }

    /// Makes it seem that `value` was handed over.
    pub(crate) fn pretend(&self, value: u64) {
        self.progress.hand_over(value);
    }
}

/// Before a wait that found no memory is tried again.
const NO_MEMORY_PAUSE: Duration = Duration::from_millis(1);
/// Longest sleep in the driver at a time. A thread that wakes ten times a second costs nothing that can be measured.
const SLICE: Duration = Duration::from_millis(100);

impl Waits {
    fn fill(&mut self, queues: &Queues, tickets: &[Ticket]) -> Result<(), DeviceError> {
        self.infos.clear();
        self.semaphores.clear();
        self.values.clear();
        self.stages.clear();
        let stages = barrier::pipeline_stages(Stages::ALL);
        for ticket in tickets {
            let queue = queues.find(ticket.queue)?;
            // Waiting for what nobody has submitted could wait for ever.
            if ticket.value > queue.progress.submitted() {
                return Err(refused(format!(
                    "ticket {} of queue {} is waited for and was never submitted",
                    ticket.value, ticket.queue
                )));
            }
            self.infos.push(
                vk::SemaphoreSubmitInfo::default()
                    .semaphore(queue.timeline)
                    .value(ticket.value)
                    .stage_mask(barrier::pipeline_stages2(stages)),
            );
            self.semaphores.push(queue.timeline);
            self.values.push(ticket.value);
            self.stages.push(stages);
        }
        Ok(())
    }
}
