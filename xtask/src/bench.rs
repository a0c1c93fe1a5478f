//! `cargo xtask bench`: the `tidegate` program's own benchmarks, built for speed.

use std::env;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::shell;

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask bench                                     a chain of 262 dependent dispatches
  cargo xtask bench --dispatches 1000 --workgroups 64   the same, longer and wider
  cargo xtask bench chain --json > chain.json           one JSON document")]
pub(crate) struct Options {
    /// What to hand to `tidegate bench`; without the name of a benchmark it is `chain`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let tidegate = shell::build_tidegate("release")?;
    let mut command = Command::new(tidegate);
    command.arg("bench");
    if options
        .arguments
        .first()
        .is_none_or(|first| first.starts_with('-'))
    {
        command.arg("chain");
    }
    command.args(&options.arguments);
    shell::run(steady(&mut command))?;
    Ok(true)
}

/// Lavapipe is steadier on the calling thread; other drivers do not read this.
pub(crate) fn steady(command: &mut Command) -> &mut Command {
    if env::var_os("LP_NUM_THREADS").is_none() {
        command.env("LP_NUM_THREADS", "0");
    }
    command
}
