//! `cargo xtask bench`: Tidegate next to hand-written Vulkan and wgpu, and the `tidegate` program's own benchmarks, built for speed.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::parts::Count;
use crate::shell;

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask bench                                           everything next to hand-written Vulkan and wgpu: ten minutes and more
  cargo xtask bench --rows chain-16/ --targets                one piece of work, and whether it is as fast as it is meant to be
  cargo xtask bench --plot bench.svg --json > bench.json      for a report
  cargo xtask bench chain --dispatches 1000 --workgroups 64   `tidegate bench chain`, which needs neither
  cargo xtask bench decode --shape smollm2-135m               `tidegate bench decode`

The arguments after the first form's options are those of bench/; `cargo xtask bench -- --help` shows them.
Exit status: 0, 1 for a failure, 2 for wrong usage, such as a device that is not there.")]
pub(crate) struct Options {
    /// `chain` or `decode` with what `tidegate bench` takes; or options of the comparison
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let tidegate = shell::build_tidegate("release")?;
    let names_one = options
        .arguments
        .first()
        .is_some_and(|first| !first.starts_with('-'));
    let mut command = if names_one {
        let mut command = Command::new(tidegate);
        command.arg("bench");
        command
    } else {
        shell::run(comparison("build")?.args(["--release", "--bins"]))?;
        let program = format!("tidegate-bench{}", env::consts::EXE_SUFFIX);
        let mut command = Command::new(target()?.join("release").join(program));
        command.arg("--tidegate").arg(tidegate);
        command
    };
    command.args(&options.arguments);
    shell::run_as_ours(steady(&mut command))
}

/// A cargo command on `bench/`, which is a workspace of its own.
pub(crate) fn comparison(subcommand: &str) -> Result<Command> {
    let mut command = shell::cargo([subcommand, "--manifest-path"]);
    command.arg(shell::root().join("bench/Cargo.toml"));
    command.arg("--locked").arg("--target-dir").arg(target()?);
    Ok(command)
}

fn target() -> Result<PathBuf> {
    Ok(shell::target_directory()?.join("bench"))
}

/// Every row of the comparison once, its result checked: the benchmarks work, whatever they measure.
pub(crate) fn rows() -> Result<Count> {
    shell::run(steady(&mut comparison("test")?))?;
    Ok(Count::default())
}

/// Lavapipe is steadier on the calling thread; other drivers do not read this.
pub(crate) fn steady(command: &mut Command) -> &mut Command {
    if env::var_os("LP_NUM_THREADS").is_none() {
        command.env("LP_NUM_THREADS", "0");
    }
    command
}
