//! One queue: its submissions in flight, its timeline, and how far the host has been told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::clock::Clock;
use crate::fault::Stall;
use crate::order::QueueOrder;
use crate::task::Work;

/// Tickets, and commands of each stage, that are remembered once they are over. It bounds memory in long runs.
const REMEMBERED: usize = 1024;

/// A submission that is not complete.
pub(crate) struct Flight {
    pub(crate) work: Arc<Work>,
    /// What must be done for it to be complete.
    pub(crate) clock: Clock,
    /// Polls after which it runs even if nobody waits.
    pub(crate) patience: u32,
}

/// Where a command stands: its submission's value and its index there.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) value: u64,
    pub(crate) index: usize,
}

/// One queue of the device.
pub(crate) struct Queue {
    pub(crate) order: QueueOrder,
    /// Value of the last submission.
    pub(crate) submitted: u64,
    /// Value of the last that is complete.
    pub(crate) complete: u64,
    /// Value of the last that the host knows to be complete.
    pub(crate) told: u64,
    pub(crate) flights: VecDeque<Flight>,
    pub(crate) stall: Option<Stall>,
    /// What each recent ticket stands for.
    tickets: VecDeque<(u64, Clock)>,
    /// Some are forgotten.
    is_forgetful: bool,
    /// Per stage, where the recent commands stand, and how many older ones are forgotten.
    origins: [(u32, VecDeque<Origin>); 2],
    /// Per stage, commands that are done although an earlier one is not.
    pub(crate) ahead: [BTreeSet<u32>; 2],
}

impl Queue {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            order: QueueOrder::new(index),
            submitted: 0,
            complete: 0,
            told: 0,
            flights: VecDeque::new(),
            stall: None,
            tickets: VecDeque::new(),
            is_forgetful: false,
            origins: Default::default(),
            ahead: Default::default(),
        }
    }

    pub(crate) fn note_ticket(&mut self, value: u64, clock: Clock) {
        self.submitted = value;
        self.tickets.push_back((value, clock));
        while self.tickets.len() > REMEMBERED && self.tickets[0].0 < self.told {
            self.tickets.pop_front();
            self.is_forgetful = true;
        }
    }

    pub(crate) fn note_command(&mut self, stage: usize, origin: Origin) {
        let (forgotten, kept) = &mut self.origins[stage];
        kept.push_back(origin);
        if kept.len() > REMEMBERED {
            kept.pop_front();
            *forgotten += 1;
        }
    }

    /// What the last ticket up to `value` stands for, nothing if there is none. For a forgotten one it is the oldest that is remembered, which stands
    /// for a little more.
    pub(crate) fn clock_of(&self, value: u64) -> Clock {
        let index = self.tickets.partition_point(|it| it.0 <= value);
        if index == 0 && (value == 0 || !self.is_forgetful) {
            return Clock::ZERO;
        }
        let found = self.tickets.get(index.saturating_sub(1));
        found.map_or(Clock::ZERO, |it| it.1)
    }

    /// Where command `number` of `stage` stands, if that is remembered.
    pub(crate) fn origin(&self, stage: usize, number: u32) -> Option<Origin> {
        let (forgotten, kept) = &self.origins[stage];
        let index = number.checked_sub(forgotten + 1)?;
        kept.get(index as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Lane;

    #[test]
    fn a_long_run_remembers_only_its_end() {
        let mut queue = Queue::new(0);
        for value in 1..10_000 {
            let mut clock = Clock::ZERO;
            clock.advance(Lane::of(0, 0), value as u32);
            queue.note_command(0, Origin { value, index: 3 });
            queue.note_ticket(value, clock);
            queue.told = value;
        }
        assert!(queue.tickets.len() <= REMEMBERED && queue.origins[0].1.len() <= REMEMBERED);
        assert_eq!(queue.clock_of(9_500).at(Lane::of(0, 0)), 9_500);
        assert_eq!(queue.clock_of(10_500).at(Lane::of(0, 0)), 9_999);
        assert_eq!(queue.origin(0, 9_500).map(|it| it.value), Some(9_500));
        assert!(queue.origin(0, 5).is_none() && queue.origin(0, 10_000).is_none());
    }

    /// It was taken for the first one once, so that a poll which said 0 told the host that the first submission was over.
    #[test]
    fn a_value_before_the_first_ticket_stands_for_nothing() {
        let mut queue = Queue::new(0);
        let mut clock = Clock::ZERO;
        clock.advance(Lane::of(0, 0), 1);
        queue.note_ticket(5, clock);
        assert!(queue.clock_of(0) == Clock::ZERO && queue.clock_of(4) == Clock::ZERO);
        assert!(queue.clock_of(5) == clock);
    }

    #[test]
    fn tickets_that_the_host_does_not_know_of_are_never_forgotten() {
        let mut queue = Queue::new(0);
        for value in 1..5_000 {
            queue.note_ticket(value, Clock::ZERO);
        }
        assert_eq!(queue.tickets.len(), 4_999);
    }
}
