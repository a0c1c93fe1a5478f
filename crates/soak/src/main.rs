//! Runs random histories until one fails, the seeds are used up, or the time is over. `cargo xtask soak` builds and starts it.
//!
//! Standard output has the result, and the failure if there is one: its seed, the fewest calls that are enough, and the last batches. Standard error
//! has the progress. Exit status: 0 nothing was found, 1 a failure was found, 2 wrong usage, 3 there is no such device.
#![forbid(unsafe_code)]

mod device;
mod progress;
mod report;
mod run;
mod values;

use std::io::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use crate::device::Target;

#[derive(Parser)]
#[command(
    name = "tidegate-soak",
    about = "Runs random histories of calls and compares every result with a byte array"
)]
struct Options {
    /// The seeds: `A..B`, of which A is the first and B the one after the last, or one
    #[arg(long, value_name = "A..B", value_parser = values::seeds, conflicts_with = "minutes", allow_hyphen_values = true)]
    seeds: Option<Range<u64>>,
    /// Runs for so long, above 0 and up to 525,600, from a seed that the clock gives
    #[arg(long, value_name = "N", value_parser = values::minutes, allow_negative_numbers = true)]
    minutes: Option<f64>,
    /// What the histories run on
    #[arg(long, value_enum, default_value_t = Device::Sim)]
    device: Device,
    /// Calls of each history, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(values::COMMANDS), allow_negative_numbers = true)]
    commands: u32,
    /// Threads that run histories, each its own, 1 to 256 [default: all processors on the simulated device, 1 on the others]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(values::THREADS), allow_negative_numbers = true)]
    threads: Option<u32>,
    /// Prints the result as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The simulated device
    Sim,
    /// The best device that Vulkan has, under the validation layer where there is one
    Vulkan,
    /// Metal, or software Metal in a build with it
    Metal,
}

impl Device {
    fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        }
    }
}

/// Seeds of a run that names none.
const SEEDS_DEFAULT: Range<u64> = 0..10_000;

/// What to run.
struct Plan {
    seeds: Range<u64>,
    time: Option<Duration>,
    commands: usize,
    threads: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let target = match Target::open(options.device) {
        Ok(target) => target,
        Err(words) => {
            let _ = writeln!(std::io::stderr(), "error: {words}");
            return ExitCode::from(3);
        }
    };
    let plan = plan(&options);
    let outcome = run::run(&target, &plan);
    let text = if options.json {
        report::json(&target, &plan, &outcome)
    } else {
        report::text(&target, &plan, &outcome)
    };
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::from(u8::from(outcome.failure.is_some()))
}

fn plan(options: &Options) -> Plan {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match (options.threads, options.device) {
        (Some(threads), _) => threads as usize,
        (None, Device::Sim) => processors,
        (None, _) => 1,
    };
    let seeds = match (&options.seeds, options.minutes) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(_)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            // Far from the seeds that are run by hand, and short enough to be typed.
            let first = now.map_or(0, |it| it.as_secs() % 1_000_000) * 1_000_000;
            first..u64::MAX
        }
        (None, None) => SEEDS_DEFAULT,
    };
    Plan {
        seeds,
        time: options.minutes.map(|it| Duration::from_secs_f64(it * 60.0)),
        commands: options.commands as usize,
        threads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sound() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
        assert!(Options::try_parse_from(["soak", "--seeds", "1..2", "--minutes", "1"]).is_err());
    }
}
