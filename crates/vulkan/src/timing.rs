//! When commands ran: timestamps that the device writes, told on the host's clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ash::{ext, vk};
use tidegate_core::{DeviceError, Stages, Ticket, Timing};

use crate::device::Logical;

/// Times that are kept until somebody asks; later ones are lost.
const TIMINGS_MAX: usize = 1 << 20;
/// How often the clocks are compared for one answer at most, and how long a comparison may take not to be repeated.
const CALIBRATIONS_MAX: u32 = 3;
const CALIBRATION_NS: u64 = 20_000;

/// A device's clock, and the times that it has told.
pub(crate) struct Timer {
    opened: Instant,
    on: AtomicBool,
    /// None on a device that cannot compare its clock with the host's.
    calibrated: Option<ext::calibrated_timestamps::Device>,
    /// Nanoseconds of one step of the device's clock.
    period_ns: f64,
    /// The bits of a timestamp that count.
    mask: u64,
    done: Mutex<Vec<Timing>>,
}

impl Timer {
    /// `valid_bits` is the queue family's: 0 if its queues write no timestamps.
    pub(crate) fn new(
        calibrated: Option<ext::calibrated_timestamps::Device>,
        period_ns: f32,
        valid_bits: u32,
    ) -> Self {
        Self {
            opened: Instant::now(),
            on: AtomicBool::new(false),
            calibrated: calibrated.filter(|_| valid_bits > 0),
            period_ns: f64::from(period_ns),
            mask: u64::MAX >> (64 - valid_bits.clamp(1, 64)),
            done: Mutex::default(),
        }
    }

    /// Nanoseconds since the device was opened, from 1: 0 stands for no clock.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).map_or(u64::MAX, |it| it.saturating_add(1))
    }

    /// Does nothing on a device that cannot tell. Whether it tells from now on.
    pub(crate) fn set(&self, on: bool) -> bool {
        let on = on && self.calibrated.is_some();
        self.on.store(on, Ordering::Relaxed);
        on
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Takes what is known.
    pub(crate) fn take(&self, into: &mut Vec<Timing>) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut done);
    }

    /// The same moment on both clocks: the device's steps, and the host's nanoseconds. The error is at most the length of the call, which is made again if the thread was
    /// interrupted meanwhile.
    fn calibrate(&self) -> Option<(u64, u64)> {
        let mut best = self.calibrate_once()?;
        for _ in 1..CALIBRATIONS_MAX {
            if best.2 <= CALIBRATION_NS {
                break;
            }
            let again = self.calibrate_once()?;
            if again.2 < best.2 {
                best = again;
            }
        }
        Some((best.0, best.1))
    }

    /// The moment on both clocks, and how long the call took.
    fn calibrate_once(&self) -> Option<(u64, u64, u64)> {
        let info =
            [vk::CalibratedTimestampInfoEXT::default().time_domain(vk::TimeDomainEXT::DEVICE)];
        let before = self.now_ns();
        // SAFETY: the extension is enabled, and every device that has it knows its own clock. VUID-VkCalibratedTimestampInfoKHR-timeDomain-02354.
        let (times, _) =
            unsafe { self.calibrated.as_ref()?.get_calibrated_timestamps(&info) }.ok()?;
        let after = self.now_ns();
        let took = after.saturating_sub(before);
        Some((*times.first()?, before + took / 2, took))
    }

    /// Keeps the times of a submission that has run.
    fn keep(&self, ticket: Ticket, commands: &[u32], times: &[u64]) {
        let Some((device_now, host_now)) = self.calibrate() else {
            return;
        };
        let host = |time: u64| {
            let ago = device_now.wrapping_sub(time) & self.mask;
            // What the device wrote after it was asked lies less than half its range ahead.
            let ago = if ago > self.mask / 2 { 0 } else { ago };
            host_now.saturating_sub((ago as f64 * self.period_ns) as u64)
        };
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        for (command, pair) in commands.iter().zip(times.chunks_exact(2)) {
            if done.len() >= TIMINGS_MAX {
                break;
            }
            done.push(Timing {
                ticket,
                command: *command,
                start_ns: host(pair[0]),
                end_ns: host(pair[1]).max(host(pair[0])),
            });
        }
    }
}

/// The timestamps of one submission: two for each command.
#[derive(Default)]
pub(crate) struct Timestamps {
    pool: vk::QueryPool,
    capacity: u32,
    ticket: Option<Ticket>,
    /// The commands, by their index in the batch.
    commands: Vec<u32>,
    after_barrier: bool,
}

impl Timestamps {
    /// Makes room for a batch of so many commands, and begins to note it in `buffer`.
    pub(crate) fn begin(
        &mut self,
        device: &Logical,
        buffer: vk::CommandBuffer,
        ticket: Ticket,
        commands: u32,
    ) -> Result<(), DeviceError> {
        let count = commands.saturating_mul(2).max(2);
        if count > self.capacity {
            // Core's limit on a batch's commands keeps this far below 2^31.
            let capacity = count.checked_next_power_of_two().unwrap_or(count);
            let info = vk::QueryPoolCreateInfo::default()
                .query_type(vk::QueryType::TIMESTAMP)
                .query_count(capacity);
            // SAFETY: the count is not 0. VUID-VkQueryPoolCreateInfo-queryCount-02763.
            let pool = unsafe { device.raw.create_query_pool(&info, None) }
                .map_err(|result| device.error("vkCreateQueryPool", result))?;
            // SAFETY: the recording that it belongs to is not pending.
            unsafe { self.destroy(device) };
            (self.pool, self.capacity) = (pool, capacity);
        }
        self.ticket = Some(ticket);
        self.commands.clear();
        self.after_barrier = true;
        // SAFETY: the buffer is being recorded, and the pool has as many queries. VUID-vkCmdResetQueryPool-firstQuery-09436, -09437.
        unsafe {
            device
                .raw
                .cmd_reset_query_pool(buffer, self.pool, 0, self.capacity);
        }
        Ok(())
    }

    /// Forgets what was noted: it was not submitted, or has been told.
    pub(crate) fn clear(&mut self) {
        self.ticket = None;
    }

    pub(crate) fn barrier(&mut self) {
        self.after_barrier = true;
    }

    /// Notes when the next command begins: once what stands before a barrier has ended, or else at once.
    pub(crate) fn start(&mut self, device: &Logical, buffer: vk::CommandBuffer, command: usize) {
        let stage = if std::mem::take(&mut self.after_barrier) {
            vk::PipelineStageFlags::BOTTOM_OF_PIPE
        } else {
            vk::PipelineStageFlags::TOP_OF_PIPE
        };
        self.write(device, buffer, stage, self.commands.len() * 2);
        self.commands
            .push(u32::try_from(command).unwrap_or(u32::MAX));
    }

    /// Notes when the last command has ended.
    pub(crate) fn end(&self, device: &Logical, buffer: vk::CommandBuffer, stage: Stages) {
        let stage = if stage == Stages::COMPUTE {
            vk::PipelineStageFlags::COMPUTE_SHADER
        } else {
            vk::PipelineStageFlags::TRANSFER
        };
        self.write(device, buffer, stage, self.commands.len() * 2 - 1);
    }

    fn write(
        &self,
        device: &Logical,
        buffer: vk::CommandBuffer,
        stage: vk::PipelineStageFlags,
        query: usize,
    ) {
        let query = u32::try_from(query).unwrap_or(u32::MAX);
        // SAFETY: the buffer is being recorded for a family that writes timestamps (`Timer`), the pool was reset in it, and has two queries for each command
        // of the batch. VUID-vkCmdWriteTimestamp-timestampValidBits-00829, -None-00830, -query-04904.
        unsafe {
            device
                .raw
                .cmd_write_timestamp(buffer, stage, self.pool, query);
        }
    }

    /// Tells the times of a submission that has run, once.
    pub(crate) fn harvest(&mut self, device: &Logical, timer: &Timer) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let mut times = vec![0_u64; self.commands.len() * 2];
        if times.is_empty() {
            return;
        }
        // SAFETY: the pool has that many queries, which the submission has written. VUID-vkGetQueryPoolResults-firstQuery-09436, -09437, -None-09401, -flags-00815, -queryType-09439.
        let read = unsafe {
            device.raw.get_query_pool_results(
                self.pool,
                0,
                &mut times,
                vk::QueryResultFlags::TYPE_64,
            )
        };
        if read.is_ok() {
            timer.keep(ticket, &self.commands, &times);
        }
    }

    /// # Safety
    /// No submission that may be pending uses it.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        // SAFETY: the caller's promise; null is ignored. VUID-vkDestroyQueryPool-queryPool-00793.
        unsafe { device.raw.destroy_query_pool(self.pool, None) };
    }
}
