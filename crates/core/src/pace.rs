//! How long a queue's work takes the device, learnt from the tickets that completed, and its caller. Pure: the time comes in as an argument.

use std::collections::VecDeque;

use crate::policy::Pending;

/// What one command counts as in bytes touched: an H100 takes about as long for a launch with its barrier as for moving a few megabytes, a small GPU
/// or a CPU for fewer. It only has to be of the right order: what a unit takes is learnt.
const COMMAND_BYTES: u64 = 1 << 20;

/// One queue's pace. It stays unknown on a device without a clock.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Batches handed over and not seen complete.
    sent: VecDeque<Sent>,
    /// Nanoseconds that a byte's worth of work takes, once known.
    byte_ns: Option<f64>,
    /// Whether that was ever measured between two ends that were seen. What was not holds the device's start as well, and perhaps the driver's first use of a kernel.
    exact: bool,
    /// How often it was measured.
    measured: u32,
    /// When the last batch was seen complete, and whether it cannot have been complete for long by then.
    done_at: u64,
    done_sharply: bool,
    /// When the device was last asked and had not finished the oldest batch.
    asked_at: u64,
    /// Nanoseconds that the caller takes for a command, from recording it to having handed it over.
    command_ns: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    value: u64,
    at: u64,
    work: u64,
    commands: u32,
}

/// A batch of so many commands tells well what one costs the caller.
const TELLING_COMMANDS: u32 = 64;
/// A batch of fewer commands says more of how long the device takes to start than of the commands.
const FEW_COMMANDS: u32 = 8;
/// The least measurement is believed at once, so that after so many a slow start is forgotten.
const SETTLED: u32 = 4;

impl Pace {
    /// A batch was handed over, which took until `now`.
    pub(crate) fn sent(&mut self, value: u64, batch: Pending, now: u64) {
        // After a wait, the time since the last batch would hold the wait.
        if let Some(last) = self.sent.back()
            && now > last.at
            && batch.commands > 0
        {
            let took = (now - last.at) as f64 / f64::from(batch.commands);
            let known = self.command_ns.unwrap_or(took);
            // What a submission costs by itself says less of a command the larger the batch; and a pause of the caller's is no pace.
            let weight =
                f64::from(batch.commands.min(TELLING_COMMANDS)) / f64::from(2 * TELLING_COMMANDS);
            self.command_ns = Some(known + weight * (took.min(2.0 * known) - known));
        }
        self.sent.push_back(Sent {
            value,
            at: now,
            work: work(batch),
            commands: batch.commands,
        });
    }

    /// The device was asked at `now` and has not finished its oldest batch.
    pub(crate) fn asked(&mut self, now: u64) {
        self.asked_at = now;
    }

    /// Batches up to `value` were seen complete at `now`. They were not complete just before that if somebody `waited` for them.
    pub(crate) fn completed(&mut self, value: u64, now: u64, waited: bool) {
        let (mut done, mut commands, mut first_at) = (0, 0, None);
        while let Some(front) = self.sent.front()
            && front.value <= value
        {
            first_at.get_or_insert(front.at);
            done += front.work;
            commands += front.commands;
            self.sent.pop_front();
        }
        let Some(first_at) = first_at else {
            return;
        };
        let start = self.done_at.max(first_at);
        let took = now.saturating_sub(start);
        let sharply =
            waited || (self.asked_at > start && now.saturating_sub(self.asked_at) <= took / 4);
        // Work that began as the last ended, and whose end was seen: this is how long it took. Otherwise the time holds a start or a wait, too.
        let exact = sharply && self.done_sharply && first_at <= self.done_at;
        self.done_at = now;
        self.done_sharply = sharply;
        self.exact |= exact && took > 0;
        if took > 0 && done > 0 && (exact || self.byte_ns.is_some() || commands >= FEW_COMMANDS) {
            self.learn(took as f64 / done as f64, exact);
        }
    }

    fn learn(&mut self, byte_ns: f64, exact: bool) {
        self.measured = self.measured.saturating_add(1);
        let known = self.byte_ns;
        self.byte_ns = Some(match known {
            None => byte_ns,
            Some(known) if exact => 0.5 * (known + byte_ns),
            Some(known) if byte_ns < known => byte_ns,
            // It may have been complete for long, so that this is believed slowly.
            Some(known) => byte_ns.min(1.5 * known),
        });
    }

    /// How long the caller takes for a command, in nanoseconds; 0 if unknown.
    pub(crate) fn command_ns(&self) -> u64 {
        self.command_ns.map_or(0, |it| it as u64)
    }

    /// As [`Self::expected_ns`], for what is decided once and for long: 0 until it was measured a few times, as the first work of a kernel may take a driver long.
    pub(crate) fn settled_ns(&self, pending: Pending) -> u64 {
        if self.measured < SETTLED {
            return 0;
        }
        self.expected_ns(pending)
    }

    /// How long pending work will take, in nanoseconds; 0 if unknown. Of few commands nothing is said from guesses.
    pub(crate) fn expected_ns(&self, pending: Pending) -> u64 {
        match self.byte_ns {
            Some(it) if self.exact || pending.commands >= FEW_COMMANDS => {
                (it * work(pending) as f64) as u64
            }
            _ => 0,
        }
    }
}

fn work(batch: Pending) -> u64 {
    let commands = u64::from(batch.commands) * COMMAND_BYTES;
    commands.saturating_add(batch.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launches(commands: u32) -> Pending {
        Pending {
            commands,
            ..Pending::default()
        }
    }

    /// Batches back to back, each waited for: 2 microseconds a launch.
    fn learnt() -> Pace {
        let mut pace = Pace::default();
        for value in 1..=4 {
            pace.sent(value, launches(8), 1000);
        }
        for value in 1..=4 {
            pace.completed(value, 1000 + value * 16_000, true);
        }
        pace
    }

    #[test]
    fn nothing_is_known_at_first_or_without_a_clock() {
        let mut pace = Pace::default();
        assert_eq!(pace.expected_ns(launches(8)), 0);
        pace.sent(1, launches(8), 0);
        pace.completed(1, 0, true);
        assert_eq!(pace.expected_ns(launches(8)), 0);
    }

    #[test]
    fn the_callers_pace_is_learnt_between_batches_with_no_wait_between() {
        let mut pace = Pace::default();
        pace.sent(1, launches(8), 10_000);
        assert_eq!(pace.command_ns(), 0);
        pace.sent(2, launches(16), 26_000);
        assert_eq!(pace.command_ns(), 1000);
        pace.sent(3, launches(16), 42_000);
        pace.completed(3, 90_000, true);
        // A wait came before this one.
        pace.sent(4, launches(8), 9_000_000);
        assert_eq!(pace.command_ns(), 1000);
        // A pause, and work as before.
        pace.sent(5, launches(64), 19_000_000);
        assert_eq!(pace.command_ns(), 1500);
        for value in 6..12 {
            pace.sent(value, launches(64), 19_000_000 + (value - 5) * 64_000);
        }
        // A small one, with a submission's share, hardly counts.
        pace.sent(12, launches(8), 19_000_000 + 6 * 64_000 + 16_000);
        assert!(pace.command_ns() < 1080, "{}", pace.command_ns());
        for value in 13..17 {
            pace.sent(value, launches(64), 19_400_000 + (value - 12) * 64_000);
        }
        assert!(pace.command_ns() < 1010, "{}", pace.command_ns());
    }

    #[test]
    fn what_a_launch_takes_is_learnt() {
        let expected = learnt().expected_ns(launches(100));
        assert!((199_000..=201_000).contains(&expected), "{expected}");
    }

    #[test]
    fn heavier_work_is_noticed() {
        let mut pace = learnt();
        for value in 5..=12 {
            pace.sent(value, launches(8), 70_000);
        }
        for value in 5..=12 {
            pace.completed(value, 70_000 + (value - 4) * 1_600_000, true);
        }
        let expected = pace.expected_ns(launches(8));
        assert!((1_400_000..=1_700_000).contains(&expected), "{expected}");
    }

    /// A caller that comes back after a second has not seen when the work ended.
    #[test]
    fn coming_back_late_is_not_taken_for_slow_work() {
        let mut pace = learnt();
        pace.sent(5, launches(8), 70_000);
        pace.completed(5, 1_000_000_000, false);
        assert!(pace.expected_ns(launches(8)) <= 24_100);
        // And if it was, the next batch corrects it.
        pace.sent(6, launches(8), 2_000_000_000);
        pace.completed(6, 2_000_016_000, true);
        let expected = pace.expected_ns(launches(8));
        assert!((15_900..=16_100).contains(&expected), "{expected}");
    }

    /// The first launch of a kernel may take a driver long.
    #[test]
    fn a_slow_start_does_not_make_small_batches() {
        let mut pace = Pace::default();
        pace.sent(1, launches(1), 1000);
        pace.completed(1, 30_000_000, true);
        assert_eq!(pace.expected_ns(launches(100)), 0);
        pace.sent(2, launches(8), 40_000_000);
        pace.completed(2, 840_000_000, true);
        assert_eq!(pace.expected_ns(launches(7)), 0);
        assert!(pace.expected_ns(launches(8)) > 700_000_000);
        // Nothing that is kept goes by it.
        assert_eq!(pace.settled_ns(launches(512)), 0);
        for value in 3..=5 {
            pace.sent(value, launches(8), value * 1_000_000_000);
            pace.completed(value, value * 1_000_000_000 + 16_000, true);
        }
        assert_eq!(pace.settled_ns(launches(512)), 1_024_000);
    }
}
