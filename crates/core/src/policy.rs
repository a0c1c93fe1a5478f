//! When a pending batch is cut: pure functions of what is pending and what is in flight.

/// How a stream decides when to let its work through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// One submission a command, as runtimes did before batching.
    EveryDispatch,
    /// Nothing is let through until somebody waits or a limit is reached.
    UntilSync,
    /// Start early when the device has nothing to do, and let batches grow while it is busy.
    #[default]
    Adaptive,
}

/// What is recorded on a queue and not yet submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Commands, barriers not counted.
    pub commands: u32,
    /// Bytes that they touch.
    pub bytes: u64,
    /// Bytes in the batch's own arena.
    pub inline_bytes: u64,
    /// How long it will run, in nanoseconds, going by what earlier work took; 0 if that is not known.
    pub expected_ns: u64,
}

/// What was submitted on a queue and is not known to be complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Batches.
    pub batches: u32,
    /// Commands of the batch submitted last, barriers not counted.
    pub commands_last: u32,
    /// How long that batch will run, in nanoseconds, going by what earlier work took; 0 if that is not known.
    pub expected_last_ns: u64,
    /// How long the caller takes for a command, in nanoseconds, all told: its own work, recording, encoding, and its share of the submission; 0 if that is not known.
    pub command_ns: u64,
}

/// Limits of a context; each has a counter that shows how near it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most commands in one batch, barriers not counted.
    pub commands_max: u32,
    /// Bytes that one batch touches, which bounds its duration until it is known how long work takes. The batch is cut once it touches so many; its last command may touch more.
    pub bytes_max: u64,
    /// Longest time that a batch is expected to run, in nanoseconds, going by what earlier work took: drivers kill a submission that runs for seconds. A single command
    /// may take longer, and so may work that is heavier than what came before. A graph is cut once, when it is captured, into parts of up to ten times as long, by what its
    /// stream's queue was seen to take until then: before four batches have been timed, by the other limits alone.
    pub batch_ns: u64,
    /// Bytes of small uploads and scalars carried inside one batch. The batch is cut once it has them, so that its last command may add some more: 4 KiB, or a kernel's scalars.
    pub inline_bytes_max: u64,
    /// Most batches of one queue in flight; one more waits for the oldest.
    pub in_flight_max: u32,
    /// Size of each queue's staging ring.
    pub staging_bytes: u64,
    /// Device memory in use and cached together; the device's own size if smaller.
    pub memory_bytes_max: u64,
    /// Host memory for staging rings and results, in use and cached together.
    pub host_bytes_max: u64,
    /// Freed memory kept for reuse.
    pub cached_bytes_max: u64,
    /// Longest wait, in nanoseconds, during which the device makes no progress.
    pub wait_ns: u64,
    /// Whether idle host-visible buffers are written and read directly. Off, all data goes through staging memory.
    pub direct: bool,
    /// Whether the commands of a batch, and of a graph, are put in an order that needs fewer barriers, where there is one: commands that do not depend on each other run side by
    /// side although others were recorded between them. No result changes. Off by default: where there are barriers it costs the host 40 to 100 nanoseconds a command as a batch is
    /// cut, and it gains nothing where work is one chain or is recorded side by side already.
    pub reorder: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commands_max: 512,
            bytes_max: 16 << 30,
            batch_ns: 50_000_000,
            inline_bytes_max: 1 << 20,
            in_flight_max: 16,
            staging_bytes: 16 << 20,
            memory_bytes_max: u64::MAX,
            host_bytes_max: 8 << 30,
            cached_bytes_max: 1 << 30,
            wait_ns: 60_000_000_000,
            direct: true,
            reorder: false,
        }
    }
}

/// Why a batch was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The policy submits every command.
    Dispatch,
    /// The device has nothing to do.
    Idle,
    /// The device will soon have nothing to do.
    Overlap,
    /// The batch reached a limit of commands or bytes.
    Limit,
    /// The caller flushed.
    Flush,
    /// The host waits for it.
    Wait,
    /// Another queue waits for it, or it would wait for another queue.
    Dependency,
    /// Memory that it holds is needed.
    Memory,
    /// It is a graph's, or a graph comes after it.
    Graph,
}

impl Cause {
    /// Every cause, in the order of [`Counters::submissions_by_cause`](crate::Counters::submissions_by_cause).
    pub const ALL: [Self; 9] = [
        Self::Dispatch,
        Self::Idle,
        Self::Overlap,
        Self::Limit,
        Self::Flush,
        Self::Wait,
        Self::Dependency,
        Self::Memory,
        Self::Graph,
    ];

    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Idle => "idle",
            Self::Overlap => "overlap",
            Self::Limit => "limit",
            Self::Flush => "flush",
            Self::Wait => "wait",
            Self::Dependency => "dependency",
            Self::Memory => "memory",
            Self::Graph => "graph",
        }
    }
}

/// The first batch on an idle device: small, so that it starts while the CPU still records.
const FIRST_COMMANDS: u32 = 8;
/// Where growing stops while a single batch runs. Measured on an H100: cuts every 32 to 64 commands hide the recording, and larger ones gain nothing.
const GROWN_COMMANDS: u32 = 64;

/// Whether to cut here, and why.
///
/// `Adaptive`: a device with nothing to do gets a small batch at once. While batches run, the next is cut when it is as large as the caller can make it in the time that the last one
/// runs, so that it is with the device before that one ends, and there are as few as that allows.
///
/// Whether a batch still runs is asked of the device. To foretell it from what earlier work took was tried on an H100 (2026-11): short launches got 7 to 13 % slower, because every estimate holds some of the time that a
/// batch takes to start, and launches of 4,192 workgroups 1 % faster. That estimate only bounds a batch's duration and its growth.
pub fn decide(
    policy: Policy,
    pending: Pending,
    in_flight: InFlight,
    limits: &Limits,
) -> Option<Cause> {
    if pending.commands == 0 {
        return None;
    }
    if pending.commands >= limits.commands_max
        || pending.bytes >= limits.bytes_max
        || pending.inline_bytes >= limits.inline_bytes_max
        || pending.expected_ns >= limits.batch_ns
    {
        return Some(Cause::Limit);
    }
    match policy {
        Policy::EveryDispatch => Some(Cause::Dispatch),
        Policy::UntilSync => None,
        Policy::Adaptive => match in_flight.batches {
            0 => (pending.commands >= FIRST_COMMANDS).then_some(Cause::Idle),
            1 => {
                (pending.commands >= grown(in_flight).min(GROWN_COMMANDS)).then_some(Cause::Overlap)
            }
            _ => (pending.commands >= grown(in_flight)).then_some(Cause::Overlap),
        },
    }
}

/// Commands of the next batch, while the last one runs. It doubles if nothing is known, and also if the caller is by far the slower of the two: the device then runs dry whatever is done, and fewer
/// batches are less work.
fn grown(in_flight: InFlight) -> u32 {
    let last = in_flight.commands_last;
    let possible = match in_flight.expected_last_ns.checked_div(in_flight.command_ns) {
        Some(it) if it >= u64::from(last) / 5 * 4 => u32::try_from(it).unwrap_or(u32::MAX),
        _ => last.saturating_mul(2),
    };
    let least = last.saturating_add(last / 4);
    possible
        .clamp(least, last.saturating_mul(3).max(least))
        .max(FIRST_COMMANDS)
}

/// Whether asking the device what completed could change what [`decide`] says. Asking costs a driver call.
pub fn worth_asking(policy: Policy, pending: Pending) -> bool {
    policy == Policy::Adaptive && pending.commands.is_multiple_of(FIRST_COMMANDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adaptive(commands: u32, batches: u32, commands_last: u32) -> Option<Cause> {
        let pending = Pending {
            commands,
            ..Pending::default()
        };
        let in_flight = InFlight {
            batches,
            commands_last,
            ..InFlight::default()
        };
        decide(Policy::Adaptive, pending, in_flight, &Limits::default())
    }

    #[test]
    fn a_batch_that_will_take_long_is_cut() {
        let limits = Limits::default();
        for policy in [Policy::UntilSync, Policy::Adaptive] {
            for (expected_ns, cause) in [
                (limits.batch_ns - 1, None),
                (limits.batch_ns, Some(Cause::Limit)),
            ] {
                let pending = Pending {
                    commands: 3,
                    expected_ns,
                    ..Pending::default()
                };
                let in_flight = InFlight {
                    batches: 2,
                    ..InFlight::default()
                };
                assert_eq!(decide(policy, pending, in_flight, &limits), cause);
            }
        }
    }

    #[test]
    fn an_idle_device_starts_early() {
        assert_eq!(adaptive(7, 0, 0), None);
        assert_eq!(adaptive(8, 0, 0), Some(Cause::Idle));
    }

    #[test]
    fn batches_grow_while_the_device_is_busy() {
        assert_eq!(adaptive(15, 1, 8), None);
        assert_eq!(adaptive(16, 1, 8), Some(Cause::Overlap));
        assert_eq!(adaptive(64, 1, 4000), Some(Cause::Overlap));
        assert_eq!(adaptive(64, 2, 40), None);
        assert_eq!(adaptive(80, 2, 40), Some(Cause::Overlap));
    }

    /// The size at which the batch after one of 40 commands is cut, with two in flight.
    fn grown_from_40(expected_last_ns: u64, command_ns: u64) -> u32 {
        grown(InFlight {
            batches: 2,
            commands_last: 40,
            expected_last_ns,
            command_ns,
        })
    }

    #[test]
    fn batches_grow_as_fast_as_the_caller_keeps_ahead_of_the_device() {
        let device_ns = 40 * 2200;
        assert_eq!(grown_from_40(device_ns, 1600), 55);
        assert_eq!(grown_from_40(device_ns, 900), 97);
        // Bounds, which keep a wrong estimate from doing much harm.
        assert_eq!(grown_from_40(device_ns, 10), 120);
        assert_eq!(grown_from_40(device_ns, 1900), 50);
        // The device waits for the caller whatever is done, or nothing is known.
        assert_eq!(grown_from_40(device_ns, 2800), 80);
        assert_eq!(grown_from_40(0, 900), 80);
        assert_eq!(grown_from_40(device_ns, 0), 80);
        assert_eq!(grown_from_40(u64::MAX, 1), 120);
    }

    #[test]
    fn no_policy_exceeds_a_limit() {
        let limits = Limits::default();
        let commands = Pending {
            commands: limits.commands_max,
            ..Pending::default()
        };
        let bytes = Pending {
            commands: 1,
            bytes: limits.bytes_max,
            ..Pending::default()
        };
        let inline = Pending {
            commands: 1,
            inline_bytes: limits.inline_bytes_max,
            ..Pending::default()
        };
        for policy in [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive] {
            for pending in [commands, bytes, inline] {
                let cause = decide(policy, pending, InFlight::default(), &limits);
                assert_eq!(cause, Some(Cause::Limit));
            }
        }
    }

    #[test]
    fn until_sync_keeps_everything_and_every_dispatch_nothing() {
        let pending = Pending {
            commands: 1,
            ..Pending::default()
        };
        let (none, limits) = (InFlight::default(), Limits::default());
        assert_eq!(decide(Policy::UntilSync, pending, none, &limits), None);
        let every = decide(Policy::EveryDispatch, pending, none, &limits);
        assert_eq!(every, Some(Cause::Dispatch));
    }
}
