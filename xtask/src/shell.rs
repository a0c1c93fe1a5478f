//! Runs other programs: cargo above all.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::terminal;

/// The root of the repository. Cargo states it at run time, so a moved clone with an old build still works.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), Into::into);
    xtask
        .parent()
        .map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// A cargo command in the root of the repository, with the same cargo that runs this program.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// What `cargo metadata` says about the workspace.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let mut command = cargo(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo metadata did not start")?;
    if !output.status.success() {
        bail!("cargo metadata failed");
    }
    serde_json::from_slice(&output.stdout)
        .context("cargo metadata printed something that is not JSON")
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata()?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(directory))
}

/// Builds the `tidegate` program and says where it is.
pub(crate) fn build_tidegate(profile: &str) -> Result<PathBuf> {
    run(&mut cargo([
        "build",
        "--package",
        "tidegate-cli",
        "--profile",
        profile,
    ]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_directory()?
        .join(folder)
        .join(format!("tidegate{}", env::consts::EXE_SUFFIX)))
}

/// Shows the command and runs it with this program's own input and output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    terminal::note(&shown(command));
    let status = command
        .status()
        .with_context(|| format!("`{}` did not start", shown(command)))?;
    finished(command, status)
}

/// Status for wrong usage, of the project's programs and of this one.
const WRONG_USAGE: i32 = 2;

/// As [`run`], for a program of the project's that says itself what is wrong: whether it found all well. Its wrong usage is ours.
pub(crate) fn run_as_ours(command: &mut Command) -> Result<bool> {
    terminal::note(&shown(command));
    let status = command.status();
    let status = status.with_context(|| format!("`{}` did not start", shown(command)))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        Some(WRONG_USAGE) => std::process::exit(WRONG_USAGE),
        _ => bail!("`{}` failed ({status})", shown(command)),
    }
}

/// An error that names the command, unless it succeeded.
pub(crate) fn finished(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs the command, passes its output on as it comes, and hands each line of it, without colours, to `on_line`.
pub(crate) fn run_watched(
    command: &mut Command,
    on_line: &(dyn Fn(&str) + Sync),
) -> Result<ExitStatus> {
    terminal::note(&shown(command));
    if console::colors_enabled_stderr() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("`{}` did not start", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| stderr.map(|pipe| pass_on(pipe, &mut io::stderr(), on_line)));
        if let Some(pipe) = stdout {
            pass_on(pipe, &mut io::stdout(), on_line);
        }
    });
    Ok(child.wait()?)
}

/// To the end of the pipe, even if nobody reads what is passed on: the command must not stall.
fn pass_on(pipe: impl Read, to: &mut dyn Write, on_line: &(dyn Fn(&str) + Sync)) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|bytes| bytes > 0)
    {
        let _ = to.write_all(&line);
        on_line(&console::strip_ansi_codes(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    let _ = to.flush();
}

/// Whether the program answers `arguments` with success. Its output is thrown away.
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether this cargo has the subcommand, built in or installed.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    let mut command = cargo([subcommand, "--version"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program)
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty()
                || word.contains(|c: char| c.is_whitespace() || "\"'$<>|&;*".contains(c))
            {
                format!("{word:?}")
            } else {
                word.into_owned()
            }
        });
    words.collect::<Vec<_>>().join(" ")
}
