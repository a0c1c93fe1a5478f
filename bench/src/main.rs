//! `cargo xtask bench`: Tidegate, hand-written Vulkan and wgpu do the same work in turns.
//!
//! The tables go to standard output, or with `--json` one document; progress goes to standard error. Exit status: 0, 1 for a failure, 2 for wrong usage. A missed target is no failure, nor is a reader that went away.

use std::cell::OnceCell;
use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum, value_parser};
use tidegate::{Device, Options as DeviceOptions, QueueFamily};
use tidegate_bench::raw::{Family, Gpu, Signal};
use tidegate_bench::report::{self, Document, Machine, Outcome};
use tidegate_bench::workloads::{Bench, Workload};
use tidegate_bench::{plot, targets};
use tidegate_measure::{Plan, PlannedFile, Turn};

/// Tidegate, hand-written Vulkan and wgpu do the same work in turns, in one process
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
#[command(after_help = "Examples:
  cargo xtask bench --targets --plot bench.svg
  cargo xtask bench --rows chain-16/ --rows readback
  cargo xtask bench --queue-family graphics --json > bench.json

A step is a workload once and one wait. Rows take turns. us_per_step is the median of the rounds, low and high its 10th and 90th percentile. A relative time is the median of the rounds' own
ratios with its 95 % confidence interval. Every result is checked; a wrong one is a failure. A target is missed only if the whole interval lies outside it.
Where the host can read a device's memory in place, tidegate-direct copies nothing; tidegate-copy always copies, as the others do.
wgpu always uses the first family of queues, and waits without spinning; hand-written Vulkan spins.
On a software device (lavapipe) set LP_NUM_THREADS=0, as `cargo xtask bench` does: it is steadier.
Exit status: 0, 1 for a failure, 2 for wrong usage, such as a device that is not there. A missed target is no failure.")]
struct Options {
    /// Write one JSON document to standard output
    #[arg(long)]
    json: bool,
    /// Only rows whose `workload/row` contains this; may be repeated
    #[arg(long, value_name = "NAME")]
    rows: Vec<String>,
    /// How often each row has its turn, 30 to 100,000: an interval takes so many
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u32).range(30..=100_000), allow_negative_numbers = true)]
    rounds: u32,
    /// The device: its number or part of its name [default: the best]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Which of the device's queues Tidegate and hand-written Vulkan use
    #[arg(long, value_enum, default_value_t = FamilyName::Compute)]
    queue_family: FamilyName,
    /// Workgroups of a launch in the chain, 1 to 16,384; may be repeated
    #[arg(long, value_name = "N", default_values_t = [1, 16, 4192], value_parser = value_parser!(u32).range(1..=16384), allow_negative_numbers = true)]
    workgroups: Vec<u32>,
    /// Say of each target whether it is met
    #[arg(long)]
    targets: bool,
    /// Draw the rows into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// The `tidegate` program, whose `bench decode` is part of the document if it has one
    #[arg(long, value_name = "PROGRAM")]
    tidegate: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FamilyName {
    Compute,
    Graphics,
}

impl FamilyName {
    fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Graphics => "graphics",
        }
    }
}

/// A turn of the fastest row.
const TURN: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if has_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}

/// What the options ask for is not there.
#[derive(Debug)]
struct WrongUsage(String);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Whether whoever read standard output went away, having seen enough.
fn has_left(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

fn run(options: &Options) -> Result<()> {
    let mut notes = Vec::new();
    let bench = open(options, &mut notes)?;
    let plot = options.plot.as_deref().map(PlannedFile::open);
    let plot = plot.transpose()?;
    let machine = machine(&bench, options)?;
    progress(&machine.line());
    let software = bench.device.capabilities().software;
    let mut outcomes = Vec::new();
    // The rows of each make have a device of their own.
    let plan = Plan {
        turn: Turn::Lasting(TURN),
        lead_in: true,
        ..Plan::new(options.rounds)
    };
    for workload in Workload::all(&options.workgroups, software) {
        let mut rows = workload
            .rows(&bench)
            .with_context(|| workload.name.clone())?;
        if rows.is_empty() {
            continue;
        }
        let count = tidegate_measure::counted(rows.len() as u64, "row");
        progress(&format!("{}: {count}", workload.name));
        let measured = tidegate_measure::run(&mut rows, &plan, &mut || {});
        let outcome = Outcome::new(&workload, measured.with_context(|| workload.name.clone())?);
        if !options.json {
            match print(&outcome.table()) {
                // The plot is still wanted.
                Err(error) if plot.is_some() && has_left(&error) => {}
                printed => printed?,
            }
        }
        outcomes.push(outcome);
    }
    if outcomes.is_empty() {
        let words =
            "no row is named so; `--rows` takes part of `workload/row`, such as chain-16/raw-one";
        bail!(WrongUsage(words.to_owned()));
    }
    if matches!(bench.peer.get(), Some(None)) {
        notes.push("wgpu finds no such device, so that its rows were not run".to_owned());
    }
    let verdicts = if options.targets {
        targets::verdicts(&outcomes)
    } else {
        Vec::new()
    };
    let document = Document {
        machine,
        rounds: options.rounds,
        workloads: outcomes,
        targets: verdicts,
        decode: decode(options, &mut notes),
        notes,
    };
    if let Some(mut plot) = plot {
        plot.write(plot::svg(&document).as_bytes())?;
    }
    if options.json {
        return print(&(serde_json::to_string_pretty(&document)? + "\n"));
    }
    let verdicts = document.targets.iter().map(|it| format!("{it}\n"));
    let notes = document.notes.iter().map(|it| format!("note: {it}\n"));
    let mut text = format!("\n{}\n", document.machine.line());
    text.extend(verdicts.chain(notes));
    print(&text)
}

fn open(options: &Options, notes: &mut Vec<String>) -> Result<Bench> {
    let mut wanted = DeviceOptions::default();
    wanted.device.clone_from(&options.device);
    let family = match options.queue_family {
        FamilyName::Compute => Family::Compute,
        FamilyName::Graphics => Family::Graphics,
    };
    wanted.queue_family = match family {
        Family::Compute => QueueFamily::Compute,
        Family::Graphics => QueueFamily::Graphics,
    };
    let device = Device::open(&wanted).map_err(|error| match &options.device {
        Some(name) if !is_there(name) => WrongUsage(error.to_string()).into(),
        _ => anyhow::Error::from(error),
    })?;
    if device.capabilities().software {
        notes.push("a software device: the CPU plays the GPU, the targets are not meant for it, and chains of many workgroups were left out".to_owned());
    }
    Ok(Bench {
        device,
        options: wanted,
        family,
        peer: OnceCell::new(),
        rows: options.rows.clone(),
    })
}

/// Whether this is one of the devices, as `tidegate` has it; if there are none, no option is to blame.
fn is_there(wanted: &str) -> bool {
    let devices = tidegate::devices().unwrap_or_default();
    let wanted = wanted.trim().to_lowercase();
    let is_found = match wanted.parse::<usize>() {
        Ok(index) => index < devices.len(),
        Err(_) => devices
            .iter()
            .any(|it| it.capabilities.name.to_lowercase().contains(&wanted)),
    };
    devices.is_empty() || (is_found && !wanted.is_empty())
}

fn machine(bench: &Bench, options: &Options) -> Result<Machine> {
    let gpu = Gpu::open(
        &bench.device.capabilities().name,
        bench.family,
        Signal::Fence,
    )?;
    let driver = gpu.driver();
    Ok(Machine {
        device: driver.device.clone(),
        driver: driver.driver.clone(),
        queue_family: options.queue_family.name(),
        host: report::host(),
        date: report::today(),
        // As Cargo.toml has it.
        wgpu: "30.0.1",
    })
}

/// What `tidegate bench decode` measures: it is a process of its own, so that nothing here is in its way.
fn decode(options: &Options, notes: &mut Vec<String>) -> Option<serde_json::Value> {
    // Whoever names rows wants those.
    let program = options
        .tidegate
        .as_ref()
        .filter(|_| options.rows.is_empty())?;
    let mut command = Command::new(program);
    command.args(["bench", "decode", "--shape", "smollm2-135m", "--json"]);
    if let Some(device) = &options.device {
        command.args(["--device", device]);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let document = output.ok().filter(|it| it.status.success());
    let document = document.and_then(|it| serde_json::from_slice(&it.stdout).ok());
    if document.is_none() {
        notes.push(format!(
            "{} has no `bench decode`, or it failed",
            program.display()
        ));
    }
    document
}

fn progress(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}
