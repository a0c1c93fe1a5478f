//! Another order of a batch's commands that needs fewer barriers and changes no result. Pure: barriers come from [`Hazards`], as for any order.

use crate::batch::Batch;
use crate::command::{Command, PipelineId, Region, Stages};
use crate::hazard::Hazards;
use crate::kernel::Kernel;

/// Ranges of one allocation that are told apart; further ones are merged, which can only order more than is needed.
const TOUCHES_MAX: usize = 32;

/// Puts commands that do not depend on each other next to each other.
///
/// A command's level is one above the highest of the earlier commands that it must come after: what it reads was written there, or what it writes was touched there.
/// So commands of one level are independent, those that depend on each other keep their order, and as many barriers are enough as the longest chain needs. The cost is in proportion to
/// the commands and their arguments (but for a sort), and nothing is allocated once warm.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    rows: Vec<Row>,
    epoch: u64,
    /// For each command its level, transfers before kernels, and its index.
    order: Vec<(u32, u32)>,
    hazards: Hazards,
    spare: Vec<Command>,
}

/// What touched one allocation.
#[derive(Debug, Default)]
struct Row {
    epoch: u64,
    touches: Vec<Touch>,
}

/// The lowest levels for what comes after the writes, and after the reads, of a range.
#[derive(Clone, Copy, Debug)]
struct Touch {
    start: u64,
    end: u64,
    after_write: u32,
    after_read: u32,
}

impl Reorder {
    /// Reorders the commands of a batch if that saves barriers, and says how many. `kernel` gives the interface of a pipeline; a batch with an unknown one is left alone.
    pub(crate) fn arrange<'a>(
        &mut self,
        batch: &mut Batch,
        kernel: impl Fn(PipelineId) -> Option<&'a Kernel> + Copy,
    ) -> u64 {
        let before = barriers(batch);
        let least = if before == 0 {
            None
        } else {
            self.rank(batch, kernel)
        };
        if least.is_none_or(|it| u64::from(it) >= before) {
            return 0;
        }
        // Transfers come first in each level: behind a barrier among kernels alone they would need another one.
        self.order.sort_unstable();
        let recorded = std::mem::replace(&mut batch.commands, std::mem::take(&mut self.spare));
        let ordered = self.order.iter().map(|it| recorded[it.1 as usize]);
        place(batch, ordered, &mut self.hazards, kernel);
        let after = barriers(batch);
        if after < before {
            self.spare = recorded;
            return before - after;
        }
        // Merged ranges, here or there: as recorded, it is no worse.
        self.spare = std::mem::replace(&mut batch.commands, recorded);
        0
    }

    /// Finds the level of each command, and gives the highest.
    fn rank<'a>(
        &mut self,
        batch: &Batch,
        kernel: impl Fn(PipelineId) -> Option<&'a Kernel>,
    ) -> Option<u32> {
        self.epoch += 1;
        self.order.clear();
        let mut highest = 0;
        for (command, index) in batch.commands.iter().zip(0..) {
            let kernel = match command {
                Command::Barrier(_) => continue,
                Command::Launch(it) => Some(kernel(it.pipeline)?),
                _ => None,
            };
            let accesses = batch.accesses(command, kernel);
            let levels = accesses.clone().map(|(it, write)| self.after(it, write));
            let level = levels.max().unwrap_or(0);
            for (region, write) in accesses {
                self.touch(region, write, level + 1);
            }
            let is_kernel = command.stage() == Stages::COMPUTE;
            self.order.push((2 * level + u32::from(is_kernel), index));
            highest = highest.max(level);
        }
        Some(highest)
    }

    /// The lowest level at which an access may be.
    fn after(&self, region: Region, write: bool) -> u32 {
        let row = self.rows.get(region.memory.0 as usize);
        let touches = row
            .filter(|it| it.epoch == self.epoch)
            .map_or(&[][..], |it| &it.touches);
        touches
            .iter()
            .filter(|it| region.offset < it.end && it.start < region.end())
            .map(|it| it.least(write))
            .max()
            .unwrap_or(0)
    }

    /// Notes an access; what conflicts with it is at level `next` or above.
    fn touch(&mut self, region: Region, write: bool, next: u32) {
        let index = region.memory.0 as usize;
        if self.rows.len() <= index {
            self.rows.resize_with(index + 1, Row::default);
        }
        let row = &mut self.rows[index];
        if row.epoch != self.epoch {
            row.epoch = self.epoch;
            row.touches.clear();
        }
        let new = Touch {
            start: region.offset,
            end: region.end(),
            after_write: if write { next } else { 0 },
            after_read: if write { 0 } else { next },
        };
        if row.touches.iter().any(|it| it.says_all_of(&new)) {
            return;
        }
        row.touches.retain(|it| !new.says_all_of(it));
        if row.touches.len() < TOUCHES_MAX {
            row.touches.push(new);
        } else if let Some(last) = row.touches.last_mut() {
            last.start = last.start.min(new.start);
            last.end = last.end.max(new.end);
            last.after_write = last.after_write.max(new.after_write);
            last.after_read = last.after_read.max(new.after_read);
        }
    }
}

impl Touch {
    fn least(&self, write: bool) -> u32 {
        if write {
            self.after_write.max(self.after_read)
        } else {
            self.after_write
        }
    }

    /// Whether nothing is lost if only this one is known.
    fn says_all_of(&self, other: &Self) -> bool {
        self.start <= other.start
            && other.end <= self.end
            && [false, true]
                .iter()
                .all(|it| self.least(*it) >= other.least(*it))
    }
}

/// Fills `batch`, whose arenas the commands are from, with them and with the barriers that they need in this order.
pub(crate) fn place<'a>(
    batch: &mut Batch,
    commands: impl Iterator<Item = Command>,
    hazards: &mut Hazards,
    kernel: impl Fn(PipelineId) -> Option<&'a Kernel>,
) {
    let mut placed = std::mem::take(&mut batch.commands);
    placed.clear();
    hazards.reset();
    for command in commands {
        let kernel = match command {
            Command::Launch(it) => kernel(it.pipeline),
            _ => None,
        };
        if let Some(barrier) = hazards.note(command.stage(), batch.accesses(&command, kernel)) {
            placed.push(Command::Barrier(barrier));
        }
        placed.push(command);
    }
    batch.commands = placed;
}

fn barriers(batch: &Batch) -> u64 {
    let commands = batch.commands.iter();
    commands
        .filter(|it| matches!(it, Command::Barrier(_)))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::MemoryId;

    fn part(memory: u32, range: std::ops::Range<u64>) -> Region {
        Region {
            memory: MemoryId(memory),
            offset: range.start,
            bytes: range.end - range.start,
        }
    }

    /// Reads and writes all of an allocation.
    fn step(memory: u32) -> Command {
        fill(memory, 0..64)
    }

    fn fill(memory: u32, range: std::ops::Range<u64>) -> Command {
        Command::Fill {
            target: part(memory, range),
            pattern: 0,
        }
    }

    fn copy(from: u32, to: u32) -> Command {
        Command::Copy {
            source: part(from, 0..64),
            target: part(to, 0..64),
        }
    }

    fn recorded(commands: &[Command]) -> Batch {
        let mut batch = Batch::default();
        let commands = commands.iter().copied();
        place(&mut batch, commands, &mut Hazards::default(), |_| None);
        batch
    }

    /// The order, by the commands' indices, with a bar where a barrier is.
    fn order(commands: &[Command]) -> String {
        let mut batch = recorded(commands);
        let before = barriers(&batch);
        let saved = Reorder::default().arrange(&mut batch, |_| None);
        assert_eq!(before - barriers(&batch), saved);
        let mut left: Vec<Option<Command>> = commands.iter().copied().map(Some).collect();
        let mut letter = |it: &Command| match it {
            Command::Barrier(_) => "|".to_owned(),
            _ => {
                let at = left.iter().position(|other| other.as_ref() == Some(it));
                left[at.unwrap()] = None;
                at.unwrap().to_string()
            }
        };
        batch.commands.iter().map(&mut letter).collect()
    }

    #[test]
    fn two_chains_run_side_by_side() {
        let one_after_the_other = [step(0), step(0), step(0), step(1), step(1), step(1)];
        assert_eq!(order(&one_after_the_other), "03|14|25");
        let uneven = [step(0), step(0), step(0), step(1), step(1)];
        assert_eq!(order(&uneven), "03|14|2");
    }

    #[test]
    fn what_gains_nothing_stays_as_it_was() {
        assert_eq!(order(&[step(2), step(1), step(0)]), "012");
        assert_eq!(order(&[step(0), step(1), step(0), step(0)]), "01|2|3");
        assert_eq!(order(&[]), "");
    }

    #[test]
    fn each_sort_of_hazard_keeps_its_order() {
        let after = |first, second| order(&[step(5), step(5), first, second]);
        let (write, read_after_write) = (step(0), copy(0, 1));
        assert_eq!(after(write, read_after_write), "02|13");
        let (read, write_after_read) = (copy(0, 1), step(0));
        assert_eq!(after(read, write_after_read), "02|13");
        let (write, write_after_write) = (copy(0, 1), copy(2, 1));
        assert_eq!(after(write, write_after_write), "02|13");
        let (read, read_after_read) = (copy(0, 1), copy(0, 2));
        assert_eq!(after(read, read_after_read), "0|123");
        let (part, other_part) = (fill(0, 0..4), fill(0, 4..8));
        assert_eq!(after(part, other_part), "0|123");
        let independent_comes_first = [step(5), step(5), step(4), step(4), copy(0, 1)];
        assert_eq!(order(&independent_comes_first), "024|13");
    }

    #[test]
    fn a_batch_with_an_unknown_kernel_is_left_alone() {
        let launch = Command::Launch(crate::Launch {
            pipeline: PipelineId(7),
            bindings: Default::default(),
            scalars: Default::default(),
            grid: [1; 3],
        });
        let mut batch = recorded(&[step(0), step(0), launch, step(1), step(1)]);
        let before = batch.clone();
        assert_eq!(Reorder::default().arrange(&mut batch, |_| None), 0);
        assert_eq!(batch, before);
    }

    /// Reads its first buffer and writes its second.
    fn kernel() -> Kernel {
        let binding = |access| crate::Binding {
            group: 0,
            binding: 0,
            name: String::new(),
            access,
            uniform: false,
            bytes_min: 4,
        };
        Kernel {
            name: String::new(),
            workgroup_size: [1; 3],
            bindings: [crate::Access::Read, crate::Access::Write]
                .map(binding)
                .into(),
            scalars: None,
        }
    }

    fn conflict(batch: &Batch, kernel: &Kernel, one: &Command, other: &Command) -> bool {
        let mut one = batch.accesses(one, Some(kernel));
        one.any(|(it, write)| {
            let mut other = batch.accesses(other, Some(kernel));
            other.any(|(other, writes)| (write || writes) && it.overlaps(&other))
        })
    }

    /// Random batches of launches and fills, on wide and narrow ranges, and on more of them than are told apart: what conflicts stays in order with a barrier between, and
    /// every command is there once.
    #[test]
    fn what_depends_on_each_other_keeps_its_order() {
        let mut seed = 1_u64;
        let mut below = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % most
        };
        let kernel = kernel();
        let mut reorder = Reorder::default();
        let mut total = 0;
        for round in 0..600_u32 {
            let memories = 1 + below(6);
            let range = |below: &mut dyn FnMut(u64) -> u64| {
                let start = 4 * below(100);
                let bytes = if round % 2 == 0 { 4 } else { 4 + 4 * below(40) };
                part(below(memories) as u32, start..start + bytes)
            };
            let mut batch = Batch::default();
            // The grid, or the pattern, says which command it is.
            for at in 0..2 + 2 * (round % 40) {
                let command = if below(3) == 0 {
                    Command::Fill {
                        target: range(&mut below),
                        pattern: at,
                    }
                } else {
                    let regions = [range(&mut below), range(&mut below)];
                    Command::Launch(crate::Launch {
                        pipeline: PipelineId(0),
                        bindings: batch.push_regions(regions),
                        scalars: Default::default(),
                        grid: [at, 1, 1],
                    })
                };
                batch.commands.push(command);
            }
            let commands = std::mem::take(&mut batch.commands);
            let kernels = |_| Some(&kernel);
            let hazards = &mut Hazards::default();
            place(&mut batch, commands.iter().copied(), hazards, kernels);
            total += reorder.arrange(&mut batch, kernels);
            let at = |it: &Command| batch.commands.iter().position(|other| other == it);
            for (later, command) in commands.iter().enumerate() {
                let to = at(command).unwrap();
                for (earlier, other) in commands[..later].iter().enumerate() {
                    if conflict(&batch, &kernel, other, command) {
                        let from = at(other).unwrap();
                        assert!(from < to, "round {round}: {earlier} after {later}");
                        let mut between = batch.commands[from..to].iter();
                        assert!(between.any(|it| matches!(it, Command::Barrier(_))));
                    }
                }
            }
            let kept = batch.commands.len() as u64 - barriers(&batch);
            assert_eq!(kept, commands.len() as u64);
        }
        assert!(total > 1000, "{total} barriers saved");
    }
}
