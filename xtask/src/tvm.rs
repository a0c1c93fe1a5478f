//! `cargo xtask tvm`: the runtime for Apache TVM, in a virtual environment of its own, with the real TVM.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::parts::{self, Count, Part};
use crate::system::{self, Need};
use crate::test::{self, Run};
use crate::{shell, terminal, totals};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask tvm                       everything
  cargo xtask tvm --part tests          the tests, after what they need
  cargo xtask tvm --filter streams      the tests whose names contain `streams`

It installs TVM and what the tests need with pip, into target/tvm.")]
pub(crate) struct Options {
    /// Run only the tests whose names contain this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only this part, after what it needs; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

/// How pytest exits when a filter chooses nothing.
const NO_TEST_CHOSEN: i32 = 5;

const PARTS: &[Part<Run>] = &[
    Part {
        name: "vulkan",
        about: "a Vulkan device",
        prepares: true,
        run: test::vulkan_ready,
    },
    Part {
        name: "model",
        about: "the demo's model, in the cache",
        prepares: true,
        run: test::model_ready,
    },
    Part {
        name: "environment",
        about: "TVM and what the tests need, in a virtual environment",
        prepares: true,
        run: environment,
    },
    Part {
        name: "package",
        about: "the Python package, built and installed there",
        prepares: true,
        run: package,
    },
    Part {
        name: "tests",
        about: "the package's tests",
        prepares: false,
        run: tests,
    },
    Part {
        name: "examples",
        about: "every example for TVM runs",
        prepares: false,
        run: examples,
    },
];

pub(crate) fn run(options: &Options) -> Result<bool> {
    let filter = options.filter.clone();
    Ok(test::run_parts(PARTS, &options.part, filter))
}

/// All of it, as one part of `cargo xtask test`, which has prepared the model and a Vulkan device.
pub(crate) fn part(run: &mut Run) -> Result<Count> {
    environment(run)?;
    package(run)?;
    let mut count = tests(run)?;
    count.add(&examples(run)?);
    Ok(count)
}

/// The package's folder.
fn folder() -> PathBuf {
    shell::root().join("crates").join("tvm").join("python")
}

/// The environment's Python.
fn python() -> Result<PathBuf> {
    let scripts = if cfg!(windows) { "Scripts" } else { "bin" };
    let environment = shell::target_directory()?.join("tvm");
    Ok(environment
        .join(scripts)
        .join(format!("python{}", env::consts::EXE_SUFFIX)))
}

/// Made anew when what it should have has changed.
fn environment(_: &mut Run) -> Result<Count> {
    let wanted = folder().join("requirements.txt");
    let text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    let python = python()?;
    let has = shell::target_directory()?.join("tvm").join("installed.txt");
    if fs::read_to_string(&has).is_ok_and(|it| it == text) && shell::answers(&python, &["-V"]) {
        return Ok(Count::remark("as it was"));
    }
    let environment = shell::target_directory()?.join("tvm");
    let system = system_python()?;
    shell::run(
        Command::new(system)
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )?;
    shell::run(pip(&python, "install").arg("--requirement").arg(&wanted))?;
    fs::write(&has, text).with_context(|| has.display().to_string())?;
    Ok(Count::remark(environment.display().to_string()))
}

/// A Python that takes what the tests need. Debian's has `venv` without the `ensurepip` that it uses.
fn system_python() -> Result<&'static str> {
    let names = [
        "python3",
        "python",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
    ];
    let probe = |it: &str, code: &str| shell::answers(it, &["-c", code]);
    let new = "import sys; assert sys.version_info >= (3, 11)";
    let whole = "import ensurepip, venv";
    let mut found = names.into_iter().filter(|it| probe(it, new)).peekable();
    if found.peek().is_none() {
        bail!(
            "Python 3.11 or later is missing, which the tests' numpy takes; {}",
            system::advice(Need::Venv)
        );
    }
    match found.find(|it| probe(it, whole)) {
        Some(python) => Ok(python),
        None => bail!(
            "Python's modules venv and ensurepip are missing; {}",
            system::advice(Need::Venv)
        ),
    }
}

/// The compiler that `cc` will take. On Windows it finds Microsoft's by itself.
fn compiler() -> Result<()> {
    let name = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if !cfg!(windows) && !shell::answers(&name, &["--version"]) {
        bail!(
            "a C++ compiler is missing (`{}`), which TVM's side is compiled with; {}",
            name.display(),
            system::advice(Need::Compiler)
        );
    }
    Ok(())
}

fn pip(python: &Path, command: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        command,
        "--quiet",
    ]);
    pip
}

/// As a user installs it, but without a second copy of TVM to build with.
fn package(_: &mut Run) -> Result<Count> {
    compiler()?;
    let mut pip = pip(&python()?, "install");
    pip.args(["--no-build-isolation", "--no-deps", "--force-reinstall"])
        .arg(folder())
        .env("TIDEGATE_TVM_PROFILE", "dev")
        .env("CARGO_TARGET_DIR", shell::target_directory()?);
    shell::run(&mut pip)?;
    Ok(Count::default())
}

fn tests(run: &mut Run) -> Result<Count> {
    let mut command = Command::new(python()?);
    command
        .args([
            "-m",
            "pytest",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
        ])
        .arg(folder().join("tests"))
        // Not in the package's folder: Python would import what was not built.
        .current_dir(shell::root());
    if let Some(filter) = &run.filter {
        command.args(["-k", filter]);
    }
    let mut command = test::prepared(command, run);
    let none = run.filter.is_some().then_some(NO_TEST_CHOSEN);
    test::counted_unless(&mut command, totals::pytest, none)
}

/// Runs each example without arguments. A failed one does not hide the next.
fn examples(run: &mut Run) -> Result<Count> {
    let folder = shell::root().join("examples").join("tvm");
    let mut count = Count::default();
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(count);
    };
    let mut paths: Vec<_> = entries.flatten().map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let chosen = run
            .filter
            .as_ref()
            .is_none_or(|it| name.contains(it.as_str()));
        if path.extension().is_none_or(|it| it != "py") || !chosen {
            continue;
        }
        let mut command = Command::new(python()?);
        command.arg(&path).current_dir(&folder);
        match shell::run(&mut test::prepared(command, run)) {
            Ok(()) => count.passed += 1,
            Err(error) => {
                terminal::error(&error);
                count.failed += 1;
            }
        }
    }
    Ok(count)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_the_exit_that_means_no_test_is_none_chosen() {
        let exits = |code: i32, none| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exit {code}")]);
            test::counted_unless(&mut command, totals::pytest, none)
        };
        assert!(exits(NO_TEST_CHOSEN, Some(NO_TEST_CHOSEN)).is_ok());
        assert!(exits(NO_TEST_CHOSEN, None).is_err());
        for code in [1, 2, 3, 4] {
            assert!(exits(code, Some(NO_TEST_CHOSEN)).is_err(), "{code}");
        }
    }
}
