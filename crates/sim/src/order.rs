//! What the barriers and waits of one queue promise. Known in full when a batch is submitted; how it then runs adds nothing.

use tidegate_core::{Barrier, Stages};

use crate::clock::{Clock, Lane, STAGES, Stamp};

/// The order of one queue.
///
/// Per stage there are two clocks. `sees` is what a command of that stage, issued now, comes after and sees the writes of.
/// `chain` is what a barrier hands on whose `before` names the stage: its commands so far, and all that the stage was itself
/// promised. So compute -> transfer followed by transfer -> compute orders compute after compute, as in Vulkan, even with no
/// transfer in between.
pub(crate) struct QueueOrder {
    queue: usize,
    issued: [u32; 2],
    sees: [Clock; 2],
    chain: [Clock; 2],
    waited: Clock,
}

impl QueueOrder {
    pub(crate) fn new(queue: usize) -> Self {
        Self {
            queue,
            issued: [0; 2],
            sees: [Clock::ZERO; 2],
            chain: [Clock::ZERO; 2],
            waited: Clock::ZERO,
        }
    }

    /// Starts a batch. What it waits for, and what the host wrote until now, counts for this batch alone; later batches have
    /// it only through their opening barrier.
    pub(crate) fn open(&mut self, waited: Clock, opening: Barrier) {
        self.waited = waited;
        for chain in &mut self.chain {
            chain.join(&waited);
        }
        self.barrier(opening);
    }

    pub(crate) fn barrier(&mut self, barrier: Barrier) {
        let mut handed_on = Clock::ZERO;
        for stage in stages_of(barrier.before) {
            handed_on.join(&self.chain[stage]);
        }
        for stage in stages_of(barrier.after) {
            self.sees[stage].join(&handed_on);
            self.chain[stage].join(&handed_on);
        }
    }

    /// Numbers the next command, of stage 0 (compute) or 1 (transfer), and says what it comes after and sees.
    pub(crate) fn issue(&mut self, stage: usize, host_reads: bool) -> (Stamp, Clock) {
        let lane = Lane::of(self.queue, stage);
        self.issued[stage] += 1;
        self.chain[stage].advance(lane, self.issued[stage]);
        let stamp = Stamp::new(lane, self.issued[stage], host_reads);
        (stamp, self.sees[stage].joined(&self.waited))
    }

    /// Ends the batch. The result is what its ticket stands for: tickets complete in order, so every batch up to this one,
    /// and all that these came after.
    pub(crate) fn close(&self) -> Clock {
        self.chain[0].joined(&self.chain[1])
    }
}

fn stages_of(set: Stages) -> impl Iterator<Item = usize> {
    (0..STAGES.len()).filter(move |&stage| set.contains(STAGES[stage]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(before: Stages, after: Stages) -> Barrier {
        Barrier { before, after }
    }

    #[test]
    fn queue_order_alone_promises_nothing() {
        let mut order = QueueOrder::new(0);
        let (first, _) = order.issue(0, false);
        let (_, sees) = order.issue(0, false);
        assert!(!sees.covers(first));
    }

    #[test]
    fn a_barrier_orders_only_its_stages() {
        let mut order = QueueOrder::new(0);
        let (launch, _) = order.issue(0, false);
        let (copy, _) = order.issue(1, false);
        order.barrier(barrier(Stages::COMPUTE, Stages::COMPUTE));
        let (_, compute) = order.issue(0, false);
        let (_, transfer) = order.issue(1, false);
        assert!(compute.covers(launch) && !compute.covers(copy));
        assert!(!transfer.covers(launch) && !transfer.covers(copy));
    }

    #[test]
    fn barriers_chain() {
        let mut order = QueueOrder::new(0);
        let (launch, _) = order.issue(0, false);
        order.barrier(barrier(Stages::COMPUTE, Stages::TRANSFER));
        order.barrier(barrier(Stages::TRANSFER, Stages::COMPUTE));
        let (_, sees) = order.issue(0, false);
        assert!(sees.covers(launch));
    }

    #[test]
    fn a_wait_counts_for_its_batch_and_is_handed_on_by_barriers() {
        let mut other = QueueOrder::new(1);
        let (write, _) = other.issue(0, false);
        let ticket = other.close();

        let mut order = QueueOrder::new(0);
        order.open(ticket, Barrier::default());
        assert!(order.issue(0, false).1.covers(write));
        order.close();
        order.open(Clock::ZERO, Barrier::default());
        assert!(!order.issue(0, false).1.covers(write));
        order.open(Clock::ZERO, barrier(Stages::TRANSFER, Stages::COMPUTE));
        assert!(order.issue(0, false).1.covers(write));
    }
}
