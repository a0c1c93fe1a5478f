//! A seed's whole case on a simulated device: the device, the limits and the history; and making a failing one small.

use tidegate_core::{HostAccess, Limits, Policy};

use super::generate::Shape;
use super::op::{History, Op};
use super::run::{Failure, HostKernels, run};
use crate::device::Sim;
use crate::prng::Prng;
use crate::setup::{Live, Setup};

/// All that a seed decides.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed, which runs the device too.
    pub seed: u64,
    /// The device.
    pub setup: Setup,
    /// The limits of the context.
    pub limits: Limits,
    /// The calls.
    pub history: History,
}

impl Case {
    /// The case of a seed, with `ops` calls: a discrete device, one that shares its memory, or one with a window that the host can only write, of 1 to 3 queues; limits so
    /// small that all of them are reached. Half of the cases reorder their batches, and half of those have long ones.
    pub fn new(seed: u64, ops: usize) -> Self {
        let prng = &mut Prng::new(seed);
        let mut setup = Setup::default();
        setup.capabilities.queues = 1 + prng.below(3) as u32;
        setup.capabilities.copy_align = [1, 4][prng.index(2)];
        let (write, read) = [(false, false), (true, false), (true, true)][prng.index(3)];
        setup.capabilities.unified = read;
        setup.device_memory = HostAccess { write, read };
        let mut limits = Limits {
            commands_max: [3, 8, 64][prng.index(3)],
            in_flight_max: 1 + prng.below(4) as u32,
            staging_bytes: 4096,
            inline_bytes_max: [256, 1 << 20][prng.index(2)],
            bytes_max: [4096, 16 << 30][prng.index(2)],
            cached_bytes_max: [0, 2048, 1 << 20][prng.index(3)],
            direct: prng.chance(3, 4),
            ..Limits::default()
        };
        let mut shape = Shape::of(&setup.capabilities, ops);
        if prng.chance(1, 8) {
            // Many small ranges of few buffers in one batch, and hardly a barrier between them.
            shape.scattered = true;
            shape.buffers = 2;
            shape.bytes_max = 4096;
            limits.commands_max = 4096;
        }
        let history = shape.history(prng.next_u64());
        // Dice of its own, so that seeds of before still give the same calls.
        let prng = &mut Prng::new(!seed);
        limits.reorder = prng.chance(1, 2);
        let case = Self {
            seed,
            setup,
            limits,
            history,
        };
        if case.limits.reorder && prng.chance(1, 2) {
            case.with_long_batches()
        } else {
            case
        }
    }

    /// The same case without the calls that let work through, so that batches are as long as they can be, and there is much to reorder.
    #[must_use]
    pub fn with_long_batches(mut self) -> Self {
        self.limits.commands_max = 512;
        self.limits.bytes_max = 16 << 30;
        self.limits.inline_bytes_max = 1 << 20;
        self.history.0.retain_mut(|op| match op {
            Op::Stream(_, policy) | Op::Policy(_, policy) => {
                *policy = Policy::UntilSync;
                true
            }
            Op::DropStream(_) | Op::Flush(_) | Op::Synchronize(_) | Op::EventSync(_) => false,
            Op::Take(_) | Op::LaunchGraph(..) => false,
            _ => true,
        });
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// The first difference from the model, then the device's violations, then what was not given back.
    pub fn run(&self) -> Result<(), Failure> {
        let sim = Sim::with(self.seed, self.setup.clone());
        self.run_on(&sim, sim.clone())
    }

    /// Runs it on `device`, which stands before `sim`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_on<D: tidegate_core::Device>(&self, sim: &Sim, device: D) -> Result<(), Failure> {
        let result = run(device, &self.limits, &HostKernels, &self.history);
        let violations = sim.violations();
        let at = self.history.0.len();
        if let Some(first) = violations.first() {
            let what = match result {
                Ok(()) => String::new(),
                Err(failure) => format!("\nand {failure}"),
            };
            return Err(Failure {
                at,
                detail: format!("{} violations, first {first}{what}", violations.len()),
            });
        }
        result?;
        let live = sim.live();
        if live != Live::default() {
            let detail = format!("not given back: {live:?}");
            return Err(Failure { at, detail });
        }
        Ok(())
    }

    /// Runs it; after a failure makes it small and panics with all that is needed to repeat it.
    ///
    /// # Panics
    /// As said.
    #[track_caller]
    pub fn check(&self) {
        let Err(failure) = self.run() else { return };
        let small = self.shrunk(|it| it.run().is_err());
        let told = match small.run() {
            Err(it) => it.to_string(),
            Ok(()) => "it passes when run again".to_owned(),
        };
        panic!(
            "seed {}: {failure}\n\nof {} calls these are enough:\n{}\n{told}\n\nwith {:?}\non {:?} {:?} queues {} copy_align {}\n\nlast batches:\n{}",
            self.seed,
            self.history.0.len(),
            small.history,
            self.limits,
            self.setup.capabilities.name,
            self.setup.device_memory,
            self.setup.capabilities.queues,
            self.setup.capabilities.copy_align,
            small.last_batches(),
        );
    }

    /// The same case with as few calls as can be found for which `fails` holds.
    #[must_use]
    pub fn shrunk(&self, fails: impl Fn(&Self) -> bool) -> Self {
        let with = |history: &History| Self {
            history: history.clone(),
            ..self.clone()
        };
        with(&shrink(&self.history, |it| fails(&with(it))))
    }

    /// The end of what the device was given and did.
    fn last_batches(&self) -> String {
        let mut setup = self.setup.clone();
        setup.trace = true;
        let sim = Sim::with(self.seed, setup);
        let _ = self.run_on(&sim, sim.clone());
        let trace = sim.trace();
        let lines: Vec<&str> = trace.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// A part of `history`, as short as can be found, for which `fails` still holds: drops runs of calls, shorter and shorter ones.
#[must_use]
pub fn shrink(history: &History, fails: impl Fn(&History) -> bool) -> History {
    let mut best = history.clone();
    let mut run = best.0.len().div_ceil(2);
    while run > 0 {
        let mut start = 0;
        while start < best.0.len() {
            let mut shorter = best.clone();
            let end = (start + run).min(best.0.len());
            shorter.0.drain(start..end);
            if fails(&shorter) {
                best = shorter;
            } else {
                start = end;
            }
        }
        run = if run == 1 { 0 } else { run.div_ceil(2) };
    }
    best
}
