//! What core's barriers are in Metal's words. The only place that says so.
//!
//! Our buffers are untracked, so that Metal orders nothing by itself: not the dispatches of a concurrent compute encoder, not one encoder after another, not one
//! command buffer after another. A memory barrier orders what one compute encoder runs. Between encoders stand two fences, one for each kind of encoder. An encoder
//! waits for the fence of its own kind before its first command and updates it after its last, so that each fence stands for *every* encoder of its kind so far. For the
//! other kind's fence it waits only when a barrier asks for it: a copy that nothing depends on runs beside the kernels.

use tidegate_core::{Barrier, Stages};

/// A kind of encoder. Kernels, and the transfers that are kernels of ours, run in compute encoders; the other transfers in blit encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Compute,
    Blit,
}

/// The fences of some kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) compute: bool,
    pub(crate) blit: bool,
}

/// What has to be done before a command is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: its encoder is open.
    Go,
    /// A memory barrier in its encoder, which is open and a compute encoder.
    Barrier,
    /// End the encoder that is open, if any, and open one that waits for these fences.
    Open(Waits),
}

/// How far the encoders of one queue are ordered. Goes from batch to batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    open: Option<Kind>,
    /// Fences that an encoder has updated. To wait for another would wait for nothing, or for ever.
    updated: Waits,
    /// What ran in compute encoders and blit encoders have not waited for.
    unseen_by_blit: Stages,
    /// What ran in blit encoders and compute encoders have not waited for.
    unseen_by_compute: Stages,
    /// Whether a barrier asks the next command of a compute encoder to wait for the blit encoders.
    compute_waits: bool,
    /// Whether a barrier asks the next command of a blit encoder to wait for the compute encoders.
    blit_waits: bool,
    /// What ran in the open encoder since its last barrier.
    ran: Stages,
    /// Whether a barrier asks the next command of the open encoder to wait for that.
    barrier: bool,
    /// What barriers ask the next kernels, and the next transfers, to wait for. A later barrier hands it on even if no such command came: barriers chain.
    owed: [Stages; 2],
    /// Stages that a later barrier may name to come after what this batch waited for, besides those that ran.
    stands_for: Stages,
    /// Kinds whose encoders of earlier batches this batch does not come after.
    loose: Waits,
}

impl Order {
    /// A batch begins, which may wait for other queues.
    pub(crate) fn begin(&mut self, waits: bool) {
        self.loose = self.updated;
        self.stands_for = if waits { Stages::ALL } else { Stages::NONE };
    }

    /// Whether something of an earlier batch may still run when this batch has. Its signal, which stands for all that came before, must then wait for the last one's.
    pub(crate) fn is_loose(&self) -> bool {
        self.loose != Waits::default()
    }

    /// Notes a barrier. What it takes is done before the next command that it is for.
    pub(crate) fn barrier(&mut self, it: Barrier) {
        if it.after.is_empty() {
            return;
        }
        let mut before = it.before;
        for (stage, owed) in EACH.iter().zip(self.owed) {
            if it.before.contains(*stage) {
                before = before.union(owed);
            }
        }
        for (stage, owed) in EACH.iter().zip(&mut self.owed) {
            if it.after.contains(*stage) {
                *owed = owed.union(before);
            }
        }
        let transfers_wait = it.after.contains(Stages::TRANSFER);
        if meet(self.unseen_by_compute, before) {
            self.compute_waits = true;
        }
        if transfers_wait && meet(self.unseen_by_blit, before) {
            self.blit_waits = true;
        }
        if meet(self.ran, before) && (transfers_wait || self.open == Some(Kind::Compute)) {
            self.barrier = true;
        }
    }

    /// What has to be done before a command of `stage` that goes into an encoder of `kind`.
    pub(crate) fn before(&mut self, kind: Kind, stage: Stages) -> Step {
        let waits = match kind {
            Kind::Compute => self.compute_waits,
            Kind::Blit => self.blit_waits,
        };
        let step = if self.open != Some(kind) || waits {
            self.open(kind)
        } else if !self.barrier {
            Step::Go
        } else if kind == Kind::Compute {
            self.barrier = false;
            self.ran = Stages::NONE;
            Step::Barrier
        } else {
            // A blit encoder has no memory barrier, and no page says in which order it runs copies of untracked buffers.
            self.open(kind)
        };
        self.ran = self.ran.union(stage);
        for (each, owed) in EACH.iter().zip(&mut self.owed) {
            if stage.contains(*each) {
                *owed = Stages::NONE;
            }
        }
        let stages = stage.union(self.stands_for);
        match kind {
            Kind::Compute => self.unseen_by_blit = self.unseen_by_blit.union(stages),
            Kind::Blit => self.unseen_by_compute = self.unseen_by_compute.union(stages),
        }
        step
    }

    /// Notes that the open encoder has ended.
    pub(crate) fn close(&mut self) {
        match self.open.take() {
            Some(Kind::Compute) => self.updated.compute = true,
            Some(Kind::Blit) => self.updated.blit = true,
            None => {}
        }
        self.ran = Stages::NONE;
        self.barrier = false;
    }

    fn open(&mut self, kind: Kind) -> Step {
        self.close();
        self.open = Some(kind);
        let mut waits = Waits::default();
        match kind {
            Kind::Compute => {
                waits.compute = self.updated.compute;
                self.loose.compute = false;
                if std::mem::take(&mut self.compute_waits) {
                    waits.blit = self.updated.blit;
                    self.unseen_by_compute = Stages::NONE;
                }
                self.loose.blit &= !self.unseen_by_compute.is_empty();
            }
            Kind::Blit => {
                waits.blit = self.updated.blit;
                self.loose.blit = false;
                if std::mem::take(&mut self.blit_waits) {
                    waits.compute = self.updated.compute;
                    self.unseen_by_blit = Stages::NONE;
                }
                self.loose.compute &= !self.unseen_by_blit.is_empty();
            }
        }
        Step::Open(waits)
    }
}

const EACH: [Stages; 2] = [Stages::COMPUTE, Stages::TRANSFER];

/// Whether the two sets have a stage in common.
fn meet(one: Stages, other: Stages) -> bool {
    EACH.into_iter()
        .any(|it| one.contains(it) && other.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program of letters and returns what each command took. `k` is a kernel, `t` a transfer in a compute encoder, `b` one in a blit encoder; `c` is a barrier
    /// from kernels to kernels, `a` one from all to all, `;` the end of a batch. A result is `.` for nothing, `|` for a memory barrier, and for a new encoder `(` with
    /// the fences that it waits for.
    #[track_caller]
    fn check(program: &str, want: &str) {
        let mut order = Order::default();
        let mut got = Vec::new();
        for letter in program.chars() {
            let (kind, stage) = match letter {
                'k' => (Kind::Compute, Stages::COMPUTE),
                't' => (Kind::Compute, Stages::TRANSFER),
                'b' => (Kind::Blit, Stages::TRANSFER),
                ';' => {
                    order.close();
                    order.begin(false);
                    continue;
                }
                barrier => {
                    let stages = match barrier {
                        'c' => Stages::COMPUTE,
                        _ => Stages::ALL,
                    };
                    order.barrier(Barrier {
                        before: stages,
                        after: stages,
                    });
                    continue;
                }
            };
            got.push(match order.before(kind, stage) {
                Step::Go => ".".to_owned(),
                Step::Barrier => "|".to_owned(),
                Step::Open(waits) => {
                    let compute = if waits.compute { "k" } else { "" };
                    let blit = if waits.blit { "b" } else { "" };
                    format!("({compute}{blit}")
                }
            });
        }
        assert_eq!(got.join(" "), want, "{program}");
    }

    #[test]
    fn launches_share_an_encoder_and_have_a_barrier_only_where_the_batch_has_one() {
        check("kkckk", "( . | .");
        check("kacak", "( |");
        check("ktk", "( . .");
        check("tak", "( |");
    }

    #[test]
    fn a_narrow_barrier_does_not_order_transfers_that_ran_alone() {
        check("tck", "( .");
        check("bck", "( (");
    }

    #[test]
    fn a_copy_runs_beside_kernels_unless_a_barrier_asks() {
        check("kbk", "( ( (k");
        check("kab", "( (k");
        check("bak", "( (b");
        check("kabak", "( (k (kb");
    }

    #[test]
    fn a_barrier_that_the_open_encoder_did_not_wait_for_splits_it() {
        check("bkak", "( ( (kb");
        check("kbab", "( ( (kb");
        check("bab", "( (b");
    }

    #[test]
    fn a_fence_stands_for_every_encoder_of_its_kind() {
        check("kbkbabk", "( ( (k (b (kb (kb");
        check("kbkbaabak", "( ( (k (b (kb (kb");
    }

    #[test]
    fn batches_are_ordered_by_their_opening_barriers() {
        check("k;ak", "( (k");
        check("kb;ak", "( ( (kb");
        check("kb;ab", "( ( (kb");
        check("k;acb", "( (k");
    }

    /// Core's batches open with a barrier for all that ran, so that their signals have nothing to wait for.
    #[test]
    fn a_batch_that_opens_with_a_barrier_signals_without_a_wait() {
        for batches in ["k;ak", "kb;ak", "kb;ab", "kb;ak;ab;ab;ak", "tbk;akbk;ab"] {
            let mut machine = Machine::default();
            for (index, letter) in batches.chars().enumerate() {
                let _ = match letter {
                    ';' => machine.signal(),
                    'a' => {
                        machine.order.barrier(Barrier {
                            before: Stages::ALL,
                            after: Stages::ALL,
                        });
                        0
                    }
                    'b' => machine.run(index, Kind::Blit, Stages::TRANSFER),
                    _ => machine.run(index, Kind::Compute, Stages::COMPUTE),
                };
            }
            machine.end();
            assert!(!machine.order.is_loose(), "{batches}");
        }
    }

    /// A kernel after a copy that waited for another queue: the barrier names kernels, and no kernel ran, but the wait was for kernels too.
    #[test]
    fn what_was_waited_for_is_handed_on() {
        let kernels = Barrier {
            before: Stages::COMPUTE,
            after: Stages::COMPUTE,
        };
        for waits in [false, true] {
            let mut order = Order::default();
            order.begin(waits);
            order.before(Kind::Blit, Stages::TRANSFER);
            order.close();
            order.begin(false);
            order.barrier(kernels);
            let blit = waits;
            let expected = Step::Open(Waits {
                compute: false,
                blit,
            });
            assert_eq!(order.before(Kind::Compute, Stages::COMPUTE), expected);
        }
    }

    #[test]
    fn a_wait_is_not_repeated() {
        check("bakbk;ak", "( (b (b (k (kb");
        check("bakak", "( (b |");
    }

    /// Metal's rules, for a GPU that runs at the same time whatever nothing orders. A set is a mask of commands.
    #[derive(Default)]
    struct Machine {
        order: Order,
        kind: Option<Kind>,
        /// What the open encoder's commands come after.
        after: u32,
        /// What the open encoder has run, with all that came before.
        ran: u32,
        compute: u32,
        blit: u32,
        /// What this batch's encoders come after, themselves included, and what the last batch's signal did.
        batch: u32,
        signal: u32,
    }

    impl Machine {
        fn end(&mut self) {
            match self.kind.take() {
                Some(Kind::Compute) => self.compute = self.ran,
                Some(Kind::Blit) => self.blit = self.ran,
                None => {}
            }
            self.batch |= self.ran;
        }

        /// Ends the batch; what has run for certain when it signals.
        fn signal(&mut self) -> u32 {
            self.end();
            self.order.close();
            if self.order.is_loose() {
                self.batch |= self.signal;
            }
            self.signal = std::mem::take(&mut self.batch);
            self.ran = 0;
            self.order.begin(false);
            self.signal
        }

        /// Runs command `index`; what it comes after.
        fn run(&mut self, index: usize, kind: Kind, stage: Stages) -> u32 {
            match self.order.before(kind, stage) {
                Step::Go => {}
                Step::Barrier => {
                    assert_eq!(kind, Kind::Compute);
                    self.after |= self.ran;
                }
                Step::Open(waits) => {
                    self.end();
                    self.after = 0;
                    if waits.compute {
                        self.after |= self.compute;
                    }
                    if waits.blit {
                        self.after |= self.blit;
                    }
                    self.ran = self.after;
                    self.kind = Some(kind);
                }
            }
            assert_eq!(self.kind, Some(kind), "a command in another's encoder");
            self.ran |= 1 << index;
            self.after
        }
    }

    /// Every program of six steps: what a barrier orders is ordered, and a batch's signal stands for all before it.
    #[test]
    fn every_barrier_holds_in_every_program() {
        const LETTERS: [char; 9] = ['k', 't', 'b', 'c', 'a', 'x', 'y', 'z', ';'];
        const STEPS: u32 = 6;
        for number in 0..9_u32.pow(STEPS) {
            let program = (0..STEPS).map(|step| LETTERS[(number / 9_u32.pow(step)) as usize % 9]);
            let mut machine = Machine::default();
            // For each stage, what ran in it, and what it must come after from now on.
            let (mut compute, mut transfer) = ((0_u32, 0_u32), (0_u32, 0_u32));
            for (index, letter) in program.clone().enumerate() {
                let (kind, stage) = match letter {
                    'k' => (Kind::Compute, Stages::COMPUTE),
                    't' => (Kind::Compute, Stages::TRANSFER),
                    'b' => (Kind::Blit, Stages::TRANSFER),
                    ';' => {
                        assert_eq!(machine.signal(), compute.0 | transfer.0, "a signal");
                        continue;
                    }
                    letter => {
                        let (before, after) = match letter {
                            'c' => (Stages::COMPUTE, Stages::COMPUTE),
                            'a' => (Stages::ALL, Stages::ALL),
                            'x' => (Stages::TRANSFER, Stages::ALL),
                            'y' => (Stages::TRANSFER, Stages::COMPUTE),
                            _ => (Stages::COMPUTE, Stages::TRANSFER),
                        };
                        machine.order.barrier(Barrier { before, after });
                        let mut first = 0;
                        if before.contains(Stages::COMPUTE) {
                            first |= compute.0 | compute.1;
                        }
                        if before.contains(Stages::TRANSFER) {
                            first |= transfer.0 | transfer.1;
                        }
                        if after.contains(Stages::COMPUTE) {
                            compute.1 |= first;
                        }
                        if after.contains(Stages::TRANSFER) {
                            transfer.1 |= first;
                        }
                        continue;
                    }
                };
                let own = match stage {
                    Stages::COMPUTE => &mut compute,
                    _ => &mut transfer,
                };
                let comes_after = machine.run(index, kind, stage);
                let missing = own.1 & !comes_after;
                assert_eq!(missing, 0, "{} at {index}", program.collect::<String>());
                own.0 |= 1 << index;
            }
            assert_eq!(machine.signal(), compute.0 | transfer.0, "the last signal");
        }
    }
}
