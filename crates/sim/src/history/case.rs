//! A seed's whole case on a simulated device: the device, the limits and the history; and making a failing one small.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_core::{Capabilities, Device, HostAccess, Limits, Policy, Ticket};

use super::generate::Shape;
use super::op::{History, Op};
use super::run::{Failure, HostKernels, Met, Tolerance, run_all};
use crate::device::Sim;
use crate::fault;
use crate::prng::Prng;
use crate::setup::{Live, Setup};

/// All that a seed decides.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed, which runs the devices too.
    pub seed: u64,
    /// The first device.
    pub setup: Setup,
    /// How many there are. The others are like the first, and nothing goes wrong on them.
    pub devices: usize,
    /// The limits of each context.
    pub limits: Limits,
    /// What is borne, as it was planned.
    pub tolerance: Tolerance,
    /// The calls.
    pub history: History,
}

impl Case {
    /// The case of a seed, with `ops` calls: a discrete device, one that shares its memory, or one with a window that the host can only write, of 1 to 3 queues; limits so
    /// small that all of them are reached. Half of the cases reorder their batches, and half of those have long ones. Nothing goes wrong.
    pub fn new(seed: u64, ops: usize) -> Self {
        let prng = &mut Prng::new(seed);
        let mut case = Self::without_history(seed, prng);
        let mut shape = Shape::of(&case.setup.capabilities, ops);
        case.limits.commands_max = scatter(prng, &mut shape).unwrap_or(case.limits.commands_max);
        case.history = shape.history(prng.next_u64());
        case.reordered()
    }

    /// The case of a seed in a soak: as [`Self::new`], and under some seeds two or three devices, calls from several threads, little memory, and one sort of fault.
    pub fn soak(seed: u64, ops: usize) -> Self {
        let prng = &mut Prng::new(seed);
        let mut case = Self::without_history(seed, prng);
        let mut shape = Shape::of(&case.setup.capabilities, ops);
        case.limits.commands_max = scatter(prng, &mut shape).unwrap_or(case.limits.commands_max);
        case.devices = [1, 1, 1, 1, 1, 1, 2, 3][prng.index(8)];
        shape.devices = case.devices;
        shape.threads = prng.chance(1, 8);
        if prng.chance(1, 8) {
            case.limits.memory_bytes_max = [6 << 10, 16 << 10][prng.index(2)];
            case.tolerance.scarce = true;
        }
        if prng.chance(1, 8) {
            case.setup.capabilities.allocations_max = 8 + prng.below(8);
            case.tolerance.scarce = true;
        }
        // Drawn from the seed alone: what else the seeds of old findings mean stays as it was.
        if seed % 32 == 7 {
            case.limits.host_bytes_max = 8 << 10;
            case.tolerance.scarce = true;
        }
        case.plan_faults(prng);
        case.history = shape.history(prng.next_u64());
        let mut case = case.reordered();
        // Of a graph of several submissions a part may have been launched after an error.
        let in_parts = case.setup.faults.is_short_of_memory() || case.tolerance.stalls;
        if in_parts && prng.chance(1, 2) {
            let is_graph = |it: &Op| matches!(it, Op::LaunchGraph(..));
            case.history.0.retain(|it| !is_graph(it));
        } else if in_parts {
            case.limits.commands_max = 4096;
            case.limits.bytes_max = 16 << 30;
            case.limits.inline_bytes_max = 1 << 20;
        }
        // What the limit is for: a longer submission would be killed.
        case.setup.commands_max = u64::from(case.limits.commands_max);
        case
    }

    /// The case of a seed in a soak on a real device with these capabilities: no fault is planned, as nothing could plan it.
    pub fn on(device: &Capabilities, seed: u64, ops: usize) -> Self {
        let mut case = Self::soak(seed, 1);
        let prng = &mut Prng::new(seed ^ 0xdea1);
        let mut shape = Shape::of(device, ops);
        shape.devices = case.devices;
        shape.threads = prng.chance(1, 4);
        case.setup = Setup {
            capabilities: device.clone(),
            ..Setup::default()
        };
        case.tolerance = Tolerance {
            scarce: case.tolerance.scarce,
            ..Tolerance::default()
        };
        case.history = shape.history(prng.next_u64());
        case.reordered()
    }

    /// Half of the seeds reorder, and half of those have long batches. The dice are its own, so that the calls are those of the seed without it.
    fn reordered(mut self) -> Self {
        let prng = &mut Prng::new(!self.seed);
        self.limits.reorder = prng.chance(1, 2);
        if self.limits.reorder && prng.chance(1, 2) {
            self.with_long_batches()
        } else {
            self
        }
    }

    fn without_history(seed: u64, prng: &mut Prng) -> Self {
        let mut setup = Setup::default();
        setup.capabilities.queues = 1 + prng.below(3) as u32;
        setup.capabilities.copy_align = [1, 4][prng.index(2)];
        let (write, read) = [(false, false), (true, false), (true, true)][prng.index(3)];
        setup.capabilities.unified = read;
        setup.device_memory = HostAccess { write, read };
        let limits = Limits {
            commands_max: [3, 8, 64][prng.index(3)],
            in_flight_max: 1 + prng.below(4) as u32,
            staging_bytes: 4096,
            inline_bytes_max: [256, 1 << 20][prng.index(2)],
            bytes_max: [4096, 16 << 30][prng.index(2)],
            cached_bytes_max: [0, 2048, 1 << 20][prng.index(3)],
            direct: prng.chance(3, 4),
            ..Limits::default()
        };
        Self {
            seed,
            setup,
            devices: 1,
            limits,
            tolerance: Tolerance::default(),
            history: History::default(),
        }
    }

    /// One sort of fault under half of the seeds.
    fn plan_faults(&mut self, prng: &mut Prng) {
        let queues = u64::from(self.setup.capabilities.queues);
        let faults = &mut self.setup.faults;
        let ticket = |prng: &mut Prng| Ticket {
            queue: prng.below(queues) as u32,
            value: 1 + prng.below(40),
        };
        let some = |prng: &mut Prng| (0..8).map(|_| 1 + prng.below(60)).collect::<Vec<u64>>();
        match prng.below(12) {
            0 => {
                faults.allocations = some(prng);
                faults.submits = some(prng);
                faults.pipelines_memory = some(prng);
            }
            1 => {
                faults.writes = some(prng);
                faults.reads = some(prng);
            }
            2 => {
                faults.polls = some(prng);
                faults.waits = some(prng);
            }
            3 => {
                faults.failures = (0..=prng.below(3))
                    .map(|_| fault::Failure {
                        ticket: ticket(prng),
                        named: prng.chance(1, 2),
                    })
                    .collect();
                self.tolerance.failures = true;
            }
            4 => {
                match prng.below(2) {
                    0 => faults.lost_at_call = Some(1 + prng.below(1500)),
                    _ => faults.lost_in = Some(ticket(prng)),
                }
                self.tolerance.loss = true;
            }
            5 => {
                let Ticket { queue, value } = ticket(prng);
                faults.stalls = vec![fault::Stall {
                    queue,
                    after: value - 1,
                    waits: prng.chance(3, 4).then_some(1 + prng.below(4) as u32),
                }];
                self.tolerance.stalls = true;
            }
            6 => {
                faults.pipelines = some(prng);
                self.tolerance.refusals = true;
            }
            _ => {}
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
    /// The first difference from the model, then the devices' violations, then what was not given back.
    pub fn run(&self) -> Result<(), Failure> {
        self.run_before(|it| it).map(|_| ())
    }

    /// Runs it; a panic is a failure.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_caught(&self) -> Result<(), Failure> {
        catch_unwind(AssertUnwindSafe(|| self.run())).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Failure {
                at: self.history.0.len(),
                detail: format!("a panic: {}", words.unwrap_or("without words")),
            })
        })
    }

    /// Runs it on devices that `stand` before the simulated ones.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_before<D: Device>(&self, stand: impl Fn(Sim) -> D) -> Result<Met, Failure> {
        let sims = self.sims();
        self.run_with(&sims, sims.iter().cloned().map(stand).collect())
    }

    /// Runs it on `device`, which stands before `sim`. There must be one only.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_on<D: Device>(&self, sim: &Sim, device: D) -> Result<(), Failure> {
        self.run_with(std::slice::from_ref(sim), vec![device])
            .map(|_| ())
    }

    /// Its devices.
    pub fn sims(&self) -> Vec<Sim> {
        let mut setup = self.setup.clone();
        (0..self.devices as u64)
            .map(|it| {
                let sim = Sim::with(self.seed.wrapping_add(it << 32), setup.clone());
                setup.faults = fault::Faults::default();
                sim
            })
            .collect()
    }

    /// Runs it on `devices`, which stand before `sims`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with<D: Device>(&self, sims: &[Sim], devices: Vec<D>) -> Result<Met, Failure> {
        let result = run_all(
            devices,
            &self.limits,
            &HostKernels,
            &self.history,
            self.tolerance,
        );
        let at = self.history.0.len();
        for sim in sims {
            let violations = sim.violations();
            if let Some(first) = violations.first() {
                let what = match result {
                    Ok(_) => String::new(),
                    Err(failure) => format!("\nand {failure}"),
                };
                let detail = format!("{} violations, first {first}{what}", violations.len());
                return Err(Failure { at, detail });
            }
        }
        let met = result?;
        for kernels in &met.blamed {
            if !sims.iter().any(|it| it.failed().contains(kernels)) {
                let detail = format!("{kernels:?} are blamed, which no failed submission launched");
                return Err(Failure { at, detail });
            }
        }
        for sim in sims {
            let (peaks, limits) = (sim.peaks(), &self.limits);
            if peaks.device_bytes > limits.memory_bytes_max
                || peaks.host_bytes > limits.host_bytes_max
            {
                let detail = format!("more memory than its limits allow: {peaks:?}");
                return Err(Failure { at, detail });
            }
            let mut live = sim.live();
            if self.tolerance.loss {
                // Nothing completes on a lost device.
                live.submissions = 0;
            }
            if self.tolerance.stalls {
                // What may still run after the longest wait keeps its memory.
                continue;
            }
            if live != Live::default() {
                let detail = format!("not given back: {live:?}");
                return Err(Failure { at, detail });
            }
        }
        Ok(met)
    }

    /// Runs it; after a failure makes it small and panics with all that is needed to repeat it.
    ///
    /// # Panics
    /// As said.
    #[track_caller]
    pub fn check(&self) {
        if let Err(failure) = self.run() {
            panic!("{}", self.report(&failure));
        }
    }

    /// All that is needed to understand a failure and to repeat it: the seed, the fewest calls that are enough, the limits, the device, and the last batches.
    pub fn report(&self, failure: &Failure) -> String {
        let small = self.shrunk(|it| it.run_caught().is_err());
        let told = match small.run_caught() {
            Err(it) => it.to_string(),
            Ok(()) => "it passes when run again".to_owned(),
        };
        format!(
            "seed {}: {failure}\n\nof {} calls these are enough:\n{}\n{told}\n\n{}\n\nlast batches:\n{}",
            self.seed,
            self.history.0.len(),
            small.history,
            self.words(),
            small.last_batches(),
        )
    }

    /// The devices, the limits and the plan of faults.
    pub fn words(&self) -> String {
        format!(
            "with {:?}\non {} x {:?} {:?} queues {} copy_align {}\n{:?}",
            self.limits,
            self.devices,
            self.setup.capabilities.name,
            self.setup.device_memory,
            self.setup.capabilities.queues,
            self.setup.capabilities.copy_align,
            self.setup.faults,
        )
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

    /// The end of what the first device was given and did.
    pub fn last_batches(&self) -> String {
        let mut case = self.clone();
        case.setup.trace = true;
        let sims = case.sims();
        let _ = catch_unwind(AssertUnwindSafe(|| case.run_with(&sims, sims.clone())));
        let trace = sims[0].trace();
        let lines: Vec<&str> = trace.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// Many small ranges of few buffers in one batch, and hardly a barrier between them: the batch's limit of commands, under one seed in eight.
fn scatter(prng: &mut Prng, shape: &mut Shape) -> Option<u32> {
    if !prng.chance(1, 8) {
        return None;
    }
    shape.scattered = true;
    shape.buffers = 2;
    shape.bytes_max = 4096;
    Some(4096)
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
