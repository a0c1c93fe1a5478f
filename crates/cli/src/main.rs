//! The `tidegate` program: what devices there are, text from a language model, and benchmarks.
//!
//! Exit status: 0, 1 for a failure, 2 for wrong usage. With `--json` exactly one document goes to standard output, a failure's too, and
//! everything else to standard error.

#![deny(unsafe_code)]

mod bench;
mod cli;
mod counters;
mod device;
mod devices;
mod failure;
mod files;
mod generate;
mod model;
mod output;
mod profile;
mod score;
mod text;

use std::process::ExitCode;

use clap::Parser as _;
use serde::Serialize;

use crate::cli::{BenchCommand, Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    let outcome = match &cli.command {
        Command::Devices => devices::run(&cli.common),
        Command::Generate(options) => generate::run(options, &cli.common),
        Command::Score(options) => score::run(options, &cli.common),
        Command::Bench(bench) => match &bench.command {
            BenchCommand::Chain(options) => bench::chain::run(options, &cli.common),
            BenchCommand::Decode(options) => bench::decode::run(options, &cli.common),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, cli.common.json),
    }
}

/// What a failed run with `--json` says on standard output.
#[derive(Serialize)]
struct FailureDocument<'a> {
    /// Empty for `devices`, so that a reader of the list need not look for anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<[(); 0]>,
    error: &'a str,
}

fn failed(failure: &Failure, json: bool) -> ExitCode {
    let (text, status) = match failure {
        // Whoever read has seen enough.
        Failure::ReaderLeft => return ExitCode::SUCCESS,
        Failure::Failed(text) => (text, 1),
        Failure::Usage(text) => (text, 2),
        Failure::NoDevice(text) => (text, 1),
    };
    output::error(text);
    if status == 2 {
        output::note("\nFor more information, try '--help'.");
    }
    if json {
        let document = FailureDocument {
            devices: matches!(failure, Failure::NoDevice(_)).then_some([]),
            error: text,
        };
        // The exit status tells already that something is wrong.
        let _ = output::document(&document);
    }
    ExitCode::from(status)
}

/// Help and the version go to standard output, wrong usage to standard error.
fn not_parsed(error: &clap::Error) -> ExitCode {
    // A reader that left is no reason to complain.
    let _ = error.print();
    let json = std::env::args_os()
        .take_while(|it| it != "--")
        .any(|it| it == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        // What follows the first empty line is advice for people.
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let said = lines.split(|it| it.is_empty()).next().unwrap_or(&lines);
        let said = said.join(" ");
        let _ = output::document(&FailureDocument {
            devices: None,
            error: said.strip_prefix("error: ").unwrap_or(&said),
        });
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
