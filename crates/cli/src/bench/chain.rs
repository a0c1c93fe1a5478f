//! `tidegate bench chain`: launches of which each needs the result of the one before, in one chain or several.

use std::fmt::Write as _;
use std::time::Instant;

use console::style;
use serde::Serialize;
use tidegate::{Buffer, Device, Graph, Kernel, Limits, Stream};

use super::raw;
use crate::cli::{ChainOptions, Common, PolicyName};
use crate::device;
use crate::failure::Failure;
use crate::files;
use crate::output;
use crate::profile::Profile;
use tidegate_measure::{self as rounds, Contender, Plan, Row, Sample, counted};

/// What every launch runs. The factor is odd, so that no error is ever multiplied away.
pub(crate) const SOURCE: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn chain(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}";
/// Its name.
pub(crate) const KERNEL: &str = "chain";
const STEP: Affine = Affine {
    factor: 1_664_525,
    offset: 1_013_904_223,
};
const WORKGROUP: u32 = 64;

#[derive(Serialize)]
struct Document<'a> {
    device: &'a str,
    queue_family: &'static str,
    dispatches: u32,
    chains: u32,
    workgroups: u32,
    rounds: u32,
    steps_per_round: u32,
    /// Whether a trace was taken meanwhile, which costs time.
    traced: bool,
    rows: &'a [Row],
}

/// Runs the benchmark.
pub(crate) fn run(options: &ChainOptions, common: &Common) -> Result<(), Failure> {
    let choice = device::choose(common)?;
    let family = options.queue_family.family();
    files::check_distinct(&[], &Profile::files(&options.watch))?;
    let profile = Profile::new(&options.watch, common.json)?;
    let device = choice.open(family)?;
    check_size(&device, options.workgroups)?;

    let mut contenders = streams(&device, options, &ROWS)?;
    if options.reorder {
        let limits = Limits {
            reorder: true,
            ..Limits::default()
        };
        let reordering = choice.open_with(family, limits)?;
        contenders.extend(streams(&reordering, options, &REORDERED)?);
    }
    // With more chains their rows would be of other work.
    if let Some(select) = choice.vulkan().filter(|_| options.chains == 1) {
        let (dispatches, workgroups) = (options.dispatches, options.workgroups);
        contenders.extend(raw::contenders(select, family, dispatches, workgroups)?);
    }
    profile.start(&device)?;
    let bar = output::count_bar("Measuring", options.rounds.into());
    // Raw rows have a device of their own.
    let plan = Plan {
        lead_in: true,
        ..Plan::new(options.rounds)
    };
    let measured = rounds::run(&mut contenders, &plan, &mut || {
        bar.inc(1);
    })?;
    bar.finish_and_clear();

    // The first contender is `every-dispatch`.
    let rows = measured.rows(0);
    let document = Document {
        device: &device.capabilities().name,
        queue_family: options.queue_family.name(),
        dispatches: options.dispatches,
        chains: options.chains,
        workgroups: options.workgroups,
        rounds: options.rounds,
        steps_per_round: measured.steps,
        traced: profile.is_on(),
        rows: &rows,
    };
    if common.json {
        output::document(&document)?;
    } else {
        output::print(&table(&document, device.capabilities().software))?;
    }
    profile.finish(&device)
}

/// One word an invocation must fit in one buffer, and the launch in the device's grid.
fn check_size(device: &Device, workgroups: u32) -> Result<(), Failure> {
    let it = device.capabilities();
    let buffer_max = it.binding_bytes_max.min(it.allocation_bytes_max);
    let fit = buffer_max / u64::from(WORKGROUP * 4);
    let max = fit.min(it.grid_max[0].into());
    if u64::from(workgroups) > max {
        return Err(Failure::Usage(format!(
            "--workgroups is {workgroups}, and {} allows at most {max} here",
            it.name
        )));
    }
    Ok(())
}

/// A row: its name, its policy, and whether it launches a graph.
type Form = (&'static str, PolicyName, bool);

const ROWS: [Form; 4] = [
    ("every-dispatch", PolicyName::EveryDispatch, false),
    ("until-sync", PolicyName::UntilSync, false),
    ("adaptive", PolicyName::Adaptive, false),
    ("graph", PolicyName::Adaptive, true),
];

/// The same where it reorders what was recorded: with one command a batch there is nothing to reorder.
const REORDERED: [Form; 3] = [
    ("until-sync-reordered", PolicyName::UntilSync, false),
    ("adaptive-reordered", PolicyName::Adaptive, false),
    ("graph-reordered", PolicyName::Adaptive, true),
];

/// Each row on a stream with buffers of its own.
fn streams(
    device: &Device,
    options: &ChainOptions,
    rows: &[Form],
) -> Result<Vec<Box<dyn Contender<Failure>>>, Failure> {
    let kernel = device.module_from_wgsl(SOURCE)?.kernel(KERNEL)?;
    let contender =
        |(name, policy, is_graph): &Form| -> Result<Box<dyn Contender<Failure>>, Failure> {
            let mut stream = device.stream_with(policy.policy())?;
            let words: Vec<u32> = (0..options.workgroups * WORKGROUP).collect();
            let buffers = (0..options.chains).map(|_| stream.upload_new(&words));
            let mut chains = Chains {
                buffers: buffers.collect::<Result<_, _>>()?,
                kernel: kernel.clone(),
                dispatches: options.dispatches,
                workgroups: options.workgroups,
                graph: None,
            };
            if *is_graph {
                chains.graph = Some(stream.capture(|it| chains.record(it))?);
            }
            stream.synchronize()?;
            Ok(Box::new(Streamed {
                name,
                device: device.clone(),
                stream,
                chains,
                expected: Expected::new(options.workgroups),
            }))
        };
    rows.iter().map(contender).collect()
}

/// What a step runs.
struct Chains {
    /// One a chain.
    buffers: Vec<Buffer<u32>>,
    kernel: Kernel,
    dispatches: u32,
    workgroups: u32,
    /// All of it, if it is captured.
    graph: Option<Graph>,
}

impl Chains {
    /// One chain after the other.
    fn record(&self, stream: &mut Stream) -> Result<(), tidegate::Error> {
        for buffer in &self.buffers {
            (0..self.dispatches)
                .try_for_each(|_| stream.launch(&self.kernel, self.workgroups, (buffer,)))?;
        }
        Ok(())
    }

    fn step(&self, stream: &mut Stream) -> Result<(), tidegate::Error> {
        match &self.graph {
            Some(graph) => stream.launch_graph(graph)?,
            None => self.record(stream)?,
        }
        stream.synchronize()
    }
}

/// The chains on a stream.
struct Streamed {
    name: &'static str,
    device: Device,
    stream: Stream,
    chains: Chains,
    expected: Expected,
}

impl Contender<Failure> for Streamed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample, Failure> {
        let before = self.device.counters();
        let start = Instant::now();
        for _ in 0..steps {
            let step = self.chains.step(&mut self.stream);
            step.map_err(|it| Failure::Failed(format!("{}: {it}", self.name())))?;
        }
        let elapsed = start.elapsed();
        let after = self.device.counters();
        self.expected
            .launched(u64::from(self.chains.dispatches) * u64::from(steps));
        Ok(Sample {
            elapsed,
            submissions: after.submissions - before.submissions,
            barriers: after.barriers - before.barriers,
            launches: after.dispatches - before.dispatches,
        })
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.chains.buffers.iter().try_for_each(|buffer| {
            let words = self.stream.download(buffer)?.wait()?;
            self.expected.check(self.name, &words)
        })
    }
}

/// `x * factor + offset`, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Affine {
    factor: u32,
    offset: u32,
}

impl Affine {
    const IDENTITY: Self = Self {
        factor: 1,
        offset: 0,
    };

    fn of(self, x: u32) -> u32 {
        x.wrapping_mul(self.factor).wrapping_add(self.offset)
    }

    /// `self`, and after it `next`.
    fn then(self, next: Self) -> Self {
        Self {
            factor: self.factor.wrapping_mul(next.factor),
            offset: next.of(self.offset),
        }
    }

    /// `self` so many times, by squaring.
    fn times(self, mut count: u64) -> Self {
        let (mut result, mut square) = (Self::IDENTITY, self);
        while count > 0 {
            if count & 1 == 1 {
                result = result.then(square);
            }
            square = square.then(square);
            count >>= 1;
        }
        result
    }
}

/// What the buffer must hold: it began as 0, 1, 2 and so on.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    words: u32,
    launches: u64,
}

impl Expected {
    /// Before the first launch.
    pub(crate) fn new(workgroups: u32) -> Self {
        Self {
            words: workgroups * WORKGROUP,
            launches: 0,
        }
    }

    /// So many launches more.
    pub(crate) fn launched(&mut self, launches: u64) {
        self.launches += launches;
    }

    /// Compares every word.
    pub(crate) fn check(&self, name: &str, words: &[u32]) -> Result<(), Failure> {
        if words.len() != self.words as usize {
            return Err(Failure::Failed(format!(
                "{name}: the result has {} and must have {}; this is a defect in Tidegate",
                counted(words.len() as u64, "word"),
                self.words
            )));
        }
        let all = STEP.times(self.launches);
        let wrong = (0..).zip(words).find(|(x, word)| all.of(*x) != **word);
        match wrong {
            None => Ok(()),
            Some((x, word)) => Err(Failure::Failed(format!(
                "{name}: after {} word {x} is {word} and must be {}: the result is wrong, a defect in Tidegate or in the driver",
                counted(self.launches, "launch"),
                all.of(x)
            ))),
        }
    }
}

fn chains(count: u32) -> String {
    match count {
        1 => "a chain".to_owned(),
        _ => counted(count.into(), "chain"),
    }
}

fn table(document: &Document<'_>, software: bool) -> String {
    let mut text = format!(
        "{}: {} of {} of {}, {} of {}\n\n",
        document.device,
        chains(document.chains),
        counted(document.dispatches.into(), "dependent launch"),
        counted(document.workgroups.into(), "workgroup"),
        counted(document.rounds.into(), "round"),
        counted(document.steps_per_round.into(), "step")
    );
    let mut line = |value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{value}");
    };
    let header = format!(
        "{:<22}{:>12}{:>22}{:>12}{:>10}{:>8}",
        "", "us a step", "10 % to 90 %", "submissions", "barriers", "ratio"
    );
    line(&style(header).bold().to_string());
    let longest = document
        .rows
        .iter()
        .map(|it| it.ratio_to_every_dispatch)
        .fold(1.0, f64::max);
    for row in document.rows {
        let spread = format!("{:.0} to {:.0}", row.us_per_step_low, row.us_per_step_high);
        let bar = "#".repeat((row.ratio_to_every_dispatch / longest * 20.0).round() as usize);
        line(&format!(
            "{:<22}{:>12.1}{spread:>22}{:>12}{:>10}{:>8.2}  {}",
            row.name,
            row.us_per_step,
            row.submissions,
            row.barriers,
            row.ratio_to_every_dispatch,
            style(bar).green()
        ));
    }
    line(
        "\nThe ratio says how many times as fast as every-dispatch a row is: the median of the rounds' own\nratios, which on a busy machine need not be that of the times. All results were checked.",
    );
    if software {
        line(
            "This is a software device: the CPU plays the GPU. On a GPU submitting costs more of the whole.",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_is_that_of_so_many_launches() {
        for count in [0, 1, 2, 3, 262, 1000] {
            let mut x = 7;
            for _ in 0..count {
                x = STEP.of(x);
            }
            assert_eq!(STEP.times(count).of(7), x);
        }
    }

    #[test]
    fn one_launch_too_few_is_noticed() {
        let mut expected = Expected::new(1);
        expected.launched(3);
        let words = |count| -> Vec<u32> { (0..64).map(|x| STEP.times(count).of(x)).collect() };
        assert!(expected.check("x", &words(3)).is_ok());
        assert!(expected.check("x", &words(2)).is_err());
        assert!(expected.check("x", &words(3)[1..]).is_err());
    }

    /// `UPDATE_GOLDEN=1 cargo test -p tidegate-cli golden` writes the files anew.
    #[test]
    fn the_kernel_is_written_as_the_golden_files_say() {
        use tidegate_shader::{Module, MslOptions, SpirvOptions};
        let module = Module::from_wgsl(SOURCE).unwrap();
        let spirv = module.spirv_text(KERNEL, &SpirvOptions::default());
        let msl = module.msl(KERNEL, &MslOptions::default());
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for (name, text) in [
            ("chain.spvasm", spirv.unwrap()),
            ("chain.metal", msl.unwrap().source),
        ] {
            let path = folder.join(name);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{name} differs; look at it, then refresh with UPDATE_GOLDEN=1"
            );
        }
    }

    #[test]
    fn the_constants_are_those_of_the_source() {
        assert!(SOURCE.contains(&format!("{}u", STEP.factor)));
        assert!(SOURCE.contains(&format!("{}u", STEP.offset)));
    }
}
