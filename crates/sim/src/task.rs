//! One command on its way: which pieces of it are left, and in which order they will run.

use std::ops::Range;
use std::sync::Arc;

use tidegate_core::{Access, Batch, Command, Region, Ticket};

use crate::check::{Pipeline, Touch};
use crate::clock::{Clock, Stamp};
use crate::prng::Prng;

/// A submission, shared by its commands.
pub(crate) struct Work {
    pub(crate) ticket: Ticket,
    pub(crate) batch: Batch,
    /// Its writes are partly made.
    pub(crate) fails: bool,
}

/// A command that has not run to its end.
pub(crate) struct Task {
    pub(crate) who: Stamp,
    /// What must have run before, and what it sees.
    pub(crate) sees: Clock,
    pub(crate) work: Arc<Work>,
    pub(crate) index: usize,
    /// Empty if the command broke a rule and does nothing.
    pub(crate) touches: Vec<Touch>,
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    /// Set once its first piece runs.
    pub(crate) pieces: Option<Pieces>,
    /// What a workgroup has written and others do not find there yet.
    pub(crate) stores: Vec<Store>,
}

/// Some bytes of a region, as a workgroup found them and as it left them.
pub(crate) struct Store {
    pub(crate) region: Region,
    pub(crate) access: Access,
    /// Of the first byte, in the region.
    pub(crate) start: usize,
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

impl Store {
    /// Takes a part off its end, cut at a random byte.
    pub(crate) fn split(&mut self, prng: &mut Prng) -> Self {
        let at = prng.index(self.before.len());
        Self {
            start: self.start + at,
            before: self.before.split_off(at),
            after: self.after.split_off(at),
            ..*self
        }
    }
}

impl Task {
    pub(crate) fn command(&self) -> &Command {
        &self.work.batch.body().commands[self.index]
    }

    /// Bytes of a transfer, workgroups of a launch.
    pub(crate) fn units(&self) -> u64 {
        match self.command() {
            _ if self.touches.is_empty() && self.pipeline.is_none() => 0,
            Command::Launch(it) => it.grid.iter().map(|&it| u64::from(it)).product(),
            _ => self.touches.last().map_or(0, |it| it.region.bytes),
        }
    }
}

/// The parts in which a command runs. Other commands may run between any two.
pub(crate) struct Pieces {
    left: Vec<Range<u64>>,
    started: bool,
    units: u64,
    factor: u64,
    shift: u64,
}

impl Pieces {
    /// Cuts `units` at up to four random places.
    pub(crate) fn new(units: u64, prng: &mut Prng) -> Self {
        let mut cuts = vec![0, units];
        if prng.chance(2, 3) {
            for _ in 0..=prng.below(4) {
                cuts.push(prng.below(units + 1));
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut left: Vec<_> = cuts.windows(2).map(|it| it[0]..it[1]).collect();
        prng.shuffle(&mut left);
        let mut factor = 1 + prng.below(units);
        while gcd(factor, units) > 1 {
            factor -= 1;
        }
        Self {
            left,
            started: false,
            units,
            factor,
            shift: prng.below(units),
        }
    }

    /// Whether no piece has run.
    pub(crate) fn is_whole(&self) -> bool {
        !self.started
    }

    pub(crate) fn next(&mut self) -> Option<Range<u64>> {
        self.started = true;
        self.left.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The workgroup that runs as number `at`: a permutation, since `factor` and `units` have no common divisor.
    pub(crate) fn workgroup(&self, at: u64, grid: [u32; 3]) -> [u32; 3] {
        let units = u128::from(self.units);
        let linear = u128::from(at) * u128::from(self.factor) + u128::from(self.shift);
        let linear = (linear % units) as u64;
        let [x, y, _] = grid.map(u64::from);
        [
            (linear % x) as u32,
            (linear / x % y) as u32,
            (linear / (x * y)) as u32,
        ]
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workgroup_runs_once() {
        for seed in 0..100 {
            let mut prng = Prng::new(seed);
            let grid = [
                1 + prng.next_u32() % 5,
                1 + prng.next_u32() % 3,
                1 + prng.next_u32() % 4,
            ];
            let units = grid.iter().map(|&it| u64::from(it)).product();
            let mut pieces = Pieces::new(units, &mut prng);
            let mut found = Vec::new();
            while let Some(piece) = pieces.next() {
                found.extend(piece.map(|at| pieces.workgroup(at, grid)));
            }
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len() as u64, units, "seed {seed}");
        }
    }
}
