//! Decides where a barrier is needed, from byte ranges and stages alone.

use crate::command::{Barrier, MemoryId, Region, Stages};

/// Ranges of one allocation that are kept apart between two barriers; further ones are merged, which can only add a barrier.
const TOUCHES_MAX: u32 = 32;
const NIL: u32 = u32::MAX;

/// What the commands since the last barrier touched, by allocation and byte range.
///
/// Rows are found by the allocation's index, and a barrier forgets everything by moving to the next epoch: noting a command costs time in proportion to
/// its arguments, hashes nothing, and allocates nothing once warm.
#[derive(Debug)]
pub(crate) struct Hazards {
    rows: Vec<Row>,
    touches: Vec<Touch>,
    epoch: u64,
    /// Stages that ran and that commands of each stage do not yet wait for.
    unseen_by: PerStage,
    /// The part of `unseen_by` that ran before the last barrier, whose bytes are forgotten.
    unknown_to: PerStage,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    epoch: u64,
    first: u32,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    start: u64,
    end: u64,
    write: bool,
    next: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct PerStage {
    compute: Stages,
    transfer: Stages,
}

impl PerStage {
    fn of(&self, stage: Stages) -> Stages {
        if stage == Stages::COMPUTE {
            self.compute
        } else {
            self.transfer
        }
    }
}

impl Default for Hazards {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            touches: Vec::new(),
            epoch: 1,
            unseen_by: PerStage::default(),
            unknown_to: PerStage::default(),
        }
    }
}

impl Hazards {
    /// Notes a command of `stage` (compute or transfer, not both) and what it touches; returns the barrier that must stand before it, if any.
    pub(crate) fn note(
        &mut self,
        stage: Stages,
        accesses: impl Iterator<Item = (Region, bool)> + Clone,
    ) -> Option<Barrier> {
        let unknown = !self.unknown_to.of(stage).is_empty();
        let needed = unknown
            || accesses
                .clone()
                .any(|(it, write)| self.conflicts(it, write));
        let barrier = needed.then(|| self.barrier(stage));
        self.unseen_by.compute = self.unseen_by.compute.union(stage);
        self.unseen_by.transfer = self.unseen_by.transfer.union(stage);
        for (region, write) in accesses {
            self.touch(region, write);
        }
        barrier
    }

    /// Forgets everything: a batch starts, and its opening barrier waits for all that came before.
    pub(crate) fn reset(&mut self) {
        self.forget();
        self.unseen_by = PerStage::default();
        self.unknown_to = PerStage::default();
    }

    /// A barrier among kernels alone stays as narrow as that (on an H100 a wide mask costs 2.4 times as much); anything else is ordered for both stages.
    fn barrier(&mut self, stage: Stages) -> Barrier {
        let before = self.unseen_by.of(stage);
        let narrow = stage == Stages::COMPUTE && before == Stages::COMPUTE;
        self.forget();
        self.unseen_by.compute = Stages::NONE;
        self.unknown_to.compute = Stages::NONE;
        if narrow {
            self.unknown_to.transfer = self.unseen_by.transfer;
            return Barrier {
                before,
                after: Stages::COMPUTE,
            };
        }
        let before = before.union(self.unseen_by.transfer);
        self.unseen_by.transfer = Stages::NONE;
        self.unknown_to.transfer = Stages::NONE;
        Barrier {
            before,
            after: Stages::ALL,
        }
    }

    fn forget(&mut self) {
        self.epoch += 1;
        self.touches.clear();
    }

    fn conflicts(&self, region: Region, write: bool) -> bool {
        self.chain(region.memory)
            .any(|it| (write || it.write) && region.offset < it.end && it.start < region.end())
    }

    fn touch(&mut self, region: Region, write: bool) {
        let index = region.memory.0 as usize;
        if self.rows.len() <= index {
            let empty = Row {
                epoch: 0,
                first: NIL,
                count: 0,
            };
            self.rows.resize(index + 1, empty);
        }
        let row = &mut self.rows[index];
        if row.epoch != self.epoch {
            *row = Row {
                epoch: self.epoch,
                first: NIL,
                count: 0,
            };
        }
        let full = row.count >= TOUCHES_MAX;
        let mut at = row.first;
        while at != NIL {
            let old = &mut self.touches[at as usize];
            let adjacent = region.offset <= old.end && old.start <= region.end();
            if full || (adjacent && old.write == write) {
                old.start = old.start.min(region.offset);
                old.end = old.end.max(region.end());
                old.write |= write;
                return;
            }
            at = old.next;
        }
        let touch = Touch {
            start: region.offset,
            end: region.end(),
            write,
            next: row.first,
        };
        // A batch's commands are bounded, and so are a command's arguments: the index fits.
        row.first = u32::try_from(self.touches.len()).unwrap_or(NIL);
        row.count += 1;
        self.touches.push(touch);
    }

    fn chain(&self, memory: MemoryId) -> impl Iterator<Item = &Touch> {
        let row = self.rows.get(memory.0 as usize);
        let mut at = row
            .filter(|it| it.epoch == self.epoch)
            .map_or(NIL, |it| it.first);
        std::iter::from_fn(move || {
            let touch = self.touches.get(at as usize)?;
            at = touch.next;
            Some(touch)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u64 = if cfg!(miri) { 100 } else { 1000 };

    /// Each step is (stage, allocation, bytes, write); the result has a letter a step: `.` none, `c` compute only, `w` wide.
    #[track_caller]
    fn check(steps: &[(char, u32, std::ops::Range<u64>, bool)], want: &str) {
        let mut hazards = Hazards::default();
        let got: String = steps
            .iter()
            .map(|(stage, memory, bytes, write)| {
                let stage = match stage {
                    'k' => Stages::COMPUTE,
                    _ => Stages::TRANSFER,
                };
                let region = Region {
                    memory: MemoryId(*memory),
                    offset: bytes.start,
                    bytes: bytes.end - bytes.start,
                };
                match hazards.note(stage, std::iter::once((region, *write))) {
                    None => '.',
                    Some(it) if it.after == Stages::COMPUTE => 'c',
                    Some(_) => 'w',
                }
            })
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn every_hazard_has_a_barrier() {
        check(&[('k', 0, 0..4, true), ('k', 0, 0..4, false)], ".c");
        check(&[('k', 0, 0..4, false), ('k', 0, 0..4, true)], ".c");
        check(&[('k', 0, 0..4, true), ('k', 0, 3..8, true)], ".c");
    }

    #[test]
    fn what_is_independent_has_none() {
        check(&[('k', 0, 0..4, false), ('k', 0, 0..4, false)], "..");
        check(&[('k', 0, 0..4, true), ('k', 0, 4..8, true)], "..");
        check(&[('k', 0, 0..4, true), ('k', 1, 0..4, true)], "..");
    }

    #[test]
    fn a_barrier_forgets_what_came_before() {
        let steps = [
            ('k', 0, 0..4, true),
            ('k', 1, 0..4, true),
            ('k', 0, 0..4, true),
            ('k', 1, 0..4, true),
        ];
        check(&steps, "..c.");
    }

    #[test]
    fn transfers_wait_for_kernels_that_a_narrow_barrier_hid() {
        let steps = [
            ('k', 0, 0..4, true),
            ('k', 0, 0..4, true),
            ('t', 1, 0..4, true),
            ('t', 2, 0..4, true),
            ('k', 1, 0..4, false),
        ];
        check(&steps, ".cw.w");
    }

    #[test]
    fn many_ranges_merge_without_losing_a_hazard() {
        let mut hazards = Hazards::default();
        let region = |i: u64| Region {
            memory: MemoryId(3),
            offset: i * 100,
            bytes: 10,
        };
        for i in 0..MANY {
            hazards.note(Stages::COMPUTE, std::iter::once((region(i), true)));
        }
        for i in 0..MANY {
            assert!(hazards.conflicts(region(i), false), "range {i}");
        }
        assert!(hazards.touches.len() <= TOUCHES_MAX as usize);
    }

    #[test]
    fn a_write_merged_into_reads_is_still_a_write() {
        let mut hazards = Hazards::default();
        let region = |i: u32| Region {
            memory: MemoryId(0),
            offset: u64::from(i) * 100,
            bytes: 10,
        };
        for i in 0..TOUCHES_MAX {
            hazards.note(Stages::COMPUTE, std::iter::once((region(i), false)));
        }
        let apart = region(2 * TOUCHES_MAX);
        assert_eq!(
            hazards.note(Stages::COMPUTE, std::iter::once((apart, true))),
            None
        );
        assert!(hazards.conflicts(apart, false));
    }
}
