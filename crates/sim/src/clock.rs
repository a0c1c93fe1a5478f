//! Vector clocks: who has done how much, and what a command may rely on.
//!
//! A *lane* is one stage of one queue, or the host. Commands of one lane are numbered from 1 in the order of submission. A
//! *clock* holds one number a lane. That is enough, because every dependency in the contract covers a whole prefix of a lane:
//! a barrier covers *every* earlier command of a stage, and a ticket covers every batch up to it.

use std::fmt;

use tidegate_core::Stages;

/// Queues that a simulated device may have at most. It bounds a clock's size.
pub(crate) const QUEUES_MAX: usize = 8;

const LANES: usize = 1 + 2 * QUEUES_MAX;

/// The host, or one stage of one queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane(u8);

impl Lane {
    pub(crate) const HOST: Self = Self(0);

    /// The lane of `queue`'s compute (0) or transfer (1) stage.
    pub(crate) fn of(queue: usize, stage: usize) -> Self {
        debug_assert!(queue < QUEUES_MAX && stage < 2);
        Self((1 + 2 * queue + stage) as u8)
    }

    /// Queue and stage; nothing for the host.
    pub(crate) fn place(self) -> Option<(usize, usize)> {
        let index = usize::from(self.0).checked_sub(1)?;
        Some((index / 2, index % 2))
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            None => f.write_str("host"),
            Some((queue, stage)) => write!(f, "queue {queue} {}", STAGES[stage]),
        }
    }
}

/// The two stages, in the order in which lanes and queues index them.
pub(crate) const STAGES: [Stages; 2] = [Stages::COMPUTE, Stages::TRANSFER];

/// One access: its lane, its number there, and whether its batch said `host_reads`. Packed, as there is one a byte of memory.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    const HOST_READS: u64 = 1 << 32;

    pub(crate) fn new(lane: Lane, number: u32, host_reads: bool) -> Self {
        let flag = if host_reads { Self::HOST_READS } else { 0 };
        Self(u64::from(lane.0) << 40 | flag | u64::from(number))
    }

    pub(crate) fn lane(self) -> Lane {
        Lane((self.0 >> 40) as u8)
    }

    /// From 1; 0 for memory that nobody has written.
    pub(crate) fn number(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn host_reads(self) -> bool {
        self.0 & Self::HOST_READS != 0
    }
}

/// One number a lane: every command up to that number is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock([u32; LANES]);

impl Clock {
    pub(crate) const ZERO: Self = Self([0; LANES]);

    pub(crate) fn at(&self, lane: Lane) -> u32 {
        self.0[lane.index()]
    }

    /// Moves `lane` on to `number`; it never goes back.
    pub(crate) fn advance(&mut self, lane: Lane, number: u32) {
        let at = &mut self.0[lane.index()];
        *at = (*at).max(number);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }

    pub(crate) fn joined(mut self, other: &Self) -> Self {
        self.join(other);
        self
    }

    /// Whether the access is one of those that this clock means.
    pub(crate) fn covers(&self, stamp: Stamp) -> bool {
        stamp.number() <= self.at(stamp.lane())
    }

    /// The first lane, other than the host, where this clock means something that `other` does not.
    pub(crate) fn beyond(&self, other: &Self) -> Option<Stamp> {
        (1..LANES)
            .find(|&lane| self.0[lane] > other.0[lane])
            .map(|lane| Stamp::new(Lane(lane as u8), self.0[lane], false))
    }
}
