//! `cargo xtask soak`: random histories of calls on a device, each result compared with a byte array's, for as long as one likes.

use std::ops::Range;
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::parts::Count;
use crate::test::Run;
use crate::{bench, metal, shell};

#[path = "../../crates/soak/src/values.rs"]
pub(crate) mod values;

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask soak                                     10,000 seeds on the simulated device
  cargo xtask soak --minutes 60                        an hour, from a seed that the clock gives
  cargo xtask soak --seeds 4711                        one seed, to repeat a failure
  cargo xtask soak --device vulkan --minutes 5         on the best Vulkan device, under the validation layer
  cargo xtask soak --device metal --seeds 0..20        on Metal, which is software on Linux
  cargo xtask soak --minutes 10 --json > soak.json     one JSON document

Stops at the first failure, makes it small, and prints its seed, its calls and the last batches.
Exit status: 0 nothing was found, 1 a failure was found or it could not run, 2 wrong usage.")]
pub(crate) struct Options {
    /// The seeds: `A..B`, of which A is the first and B the one after the last, or one [default: 0..10000]
    #[arg(long, value_name = "A..B", value_parser = values::seeds, conflicts_with = "minutes", allow_hyphen_values = true)]
    seeds: Option<Range<u64>>,
    /// Run for so long, above 0 and up to 525,600, from a seed that the clock gives
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
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The simulated device, which is as hostile as the rules allow
    Sim,
    /// The best device that Vulkan has
    Vulkan,
    /// Metal
    Metal,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut command = program(options.device)?;
    let seeds = options.seeds.clone();
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.args([name, &value]);
        }
    };
    say(
        "--seeds",
        seeds.map(|it| format!("{}..{}", it.start, it.end)),
    );
    say("--minutes", options.minutes.map(|it| it.to_string()));
    say("--commands", Some(options.commands.to_string()));
    say("--threads", options.threads.map(|it| it.to_string()));
    if options.json {
        command.arg("--json");
    }
    shell::run_as_ours(&mut command)
}

/// The program, built with what the device needs. The workspace optimises core and the simulated device in every build.
fn program(device: Device) -> Result<Command> {
    let mut build = shell::cargo(["build", "--quiet", "--package", "tidegate-soak"]);
    let mut folder = shell::target_directory()?;
    let name = match device {
        Device::Sim => "sim",
        Device::Vulkan => {
            build.args(["--features", "vulkan"]);
            "vulkan"
        }
        Device::Metal => {
            build.args(["--features", "metal"]);
            if !cfg!(target_vendor = "apple") {
                metal::look_for_clang()?;
                build = metal::soft(build)?;
                folder = folder.join("soft");
            }
            "metal"
        }
    };
    shell::run(&mut build)?;
    let path = folder
        .join("debug")
        .join(format!("tidegate-soak{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(path);
    bench::steady(&mut command).args(["--device", name]);
    Ok(command)
}

/// What runs as a part of `cargo xtask test`: the same seeds each time. A filter asks for tests, and these are none.
const SOAKS: [(Device, &str); 2] = [(Device::Sim, "0..10000"), (Device::Vulkan, "0..40")];

pub(crate) fn part(run: &mut Run) -> Result<Count> {
    if run.filter.is_some() {
        return Ok(Count::remark("not run: there is a filter"));
    }
    let mut count = Count::default();
    for (device, seeds) in SOAKS {
        let mut command = program(device)?;
        command.args(["--seeds", seeds]);
        match shell::run(&mut command) {
            Ok(()) => count.passed += 1,
            Err(error) => {
                crate::terminal::error(&error);
                count.failed += 1;
            }
        }
    }
    count.remark = SOAKS
        .map(|(device, seeds)| format!("seeds {seeds} on {device:?}"))
        .join(", ");
    Ok(count)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn what_is_out_of_range_is_wrong_usage_before_the_build() {
        for (option, wrong, words) in [
            ("--minutes", "-1", "above 0"),
            ("--minutes", "0", "above 0"),
            ("--minutes", "nan", "above 0"),
            ("--seeds", "5..2", "below the second"),
            ("--seeds", "-1..2", "no seed"),
            ("--threads", "0", "1..=256"),
            ("--threads", "-1", "1..=256"),
            ("--commands", "0", "1..=1000000"),
        ] {
            let Err(error) = Alone::try_parse_from(["soak", option, wrong]) else {
                panic!("{option} {wrong} was taken");
            };
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(words), "{error}");
        }
        let right = Alone::try_parse_from(["soak", "--seeds", "3..1_000", "--threads", "256"]);
        assert_eq!(right.unwrap().options.seeds, Some(3..1000));
    }
}
