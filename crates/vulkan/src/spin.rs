//! How a wait begins: asking takes a core and notices sooner than sleeping.

use std::time::Duration;

/// How to wait before sleeping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    pub(crate) time: Duration,
    /// After this time the core is offered to other threads in between. None on a software device, which needs it to run.
    pub(crate) alone: Duration,
}

impl Spin {
    /// A wait that spins as long as `options` says. A software device wakes a sleeper quickly, and spinning takes its time away.
    pub(crate) fn new(spin_ns: u64, software: bool) -> Self {
        let (most, alone) = if software {
            (SOFTWARE_SPIN_NS, 0)
        } else {
            (u64::MAX, ALONE_NS)
        };
        Self {
            time: Duration::from_nanos(spin_ns.min(most)),
            alone: Duration::from_nanos(alone),
        }
    }
}

/// A wait of this length no longer hangs on the last fraction of a microsecond that offering the core costs.
const ALONE_NS: u64 = 50_000;
const SOFTWARE_SPIN_NS: u64 = 50_000;
