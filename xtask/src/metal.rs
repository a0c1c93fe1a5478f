//! `cargo xtask metal`: the Metal backend on Metal's classes in software, which run on Linux. Nothing here needs a Mac, and nothing here is one.

use std::env;
use std::process::Command;

use anyhow::{Result, ensure};
use clap::Args;

use crate::parts::{self, Count, Part};
use crate::system::{self, Need};
use crate::test::{self, Run};
use crate::{planted, shell, totals};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask metal                         everything
  cargo xtask metal --part suites           the backend's tests, the conformance suite and the real model
  cargo xtask metal --part planted          mistakes planted in the backend are caught
  cargo xtask metal --filter events         the tests whose names contain `events`

It needs Linux on x86_64, and clang, which it installs from Debian.")]
pub(crate) struct Options {
    /// Run only the tests, or plant only the mistakes, whose names contain this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only this part, after what it needs; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

const PARTS: &[Part<Run>] = &[
    Part {
        name: "clang",
        about: "the compiler of the kernels",
        prepares: true,
        run: clang_ready,
    },
    Part {
        name: "vulkan",
        about: "a Vulkan device, to compare with",
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
        name: "suites",
        about: "the software classes, the backend, the conformance suite, the real model's text",
        prepares: false,
        run: suites,
    },
    Part {
        name: "planted",
        about: "every mistake planted in the backend is caught, for the right reason",
        prepares: false,
        run: planted_mistakes,
    },
];

/// Each package, and which of its tests run on Metal, as nextest and as cargo test select them. An empty selection is all of them.
const SUITES: &[(&str, &str, &[&str])] = &[
    ("tidegate-softmetal", "all()", &[]),
    ("tidegate-metal", "all()", &[]),
    (
        "tidegate",
        "binary(conformance) & test(/^metal/)",
        &["--test", "conformance", "metal"],
    ),
    ("tidegate-cli", "binary(metal)", &["--test", "metal"]),
    (
        "tidegate-tvm",
        "test(metal_tests)",
        &["--lib", "metal_tests"],
    ),
];

/// What makes Metal's classes software, for rustc and for rustdoc.
pub(crate) const FLAGS: &str = "--cfg metal_soft";

pub(crate) fn run(options: &Options) -> Result<bool> {
    let filter = options.filter.clone();
    Ok(test::run_parts(PARTS, &options.part, filter))
}

/// All of it, as one part of `cargo xtask test`, which has prepared the model and a Vulkan device.
pub(crate) fn part(run: &mut Run) -> Result<Count> {
    clang_ready(run)?;
    let mut count = suites(run)?;
    if run.filter.is_none() {
        count.add(&planted_mistakes(run)?);
    }
    Ok(count)
}

fn planted_mistakes(run: &mut Run) -> Result<Count> {
    planted::run(run.filter.as_deref())
}

/// Whether the software classes run on this system.
pub(crate) fn is_here() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

fn clang_ready(_: &mut Run) -> Result<Count> {
    ensure!(is_here(), NOT_HERE);
    let clang = clang();
    if !shell::answers(&clang, &["--version"]) {
        system::install(&[Need::Clang])?;
        ensure!(
            shell::answers(&clang, &["--version"]),
            "the package is installed, and there is still no {clang}"
        );
    }
    Ok(Count::remark(clang))
}

/// For chores that install nothing.
pub(crate) fn look_for_clang() -> Result<()> {
    ensure!(is_here(), NOT_HERE);
    let clang = clang();
    ensure!(
        shell::answers(&clang, &["--version"]),
        "there is no {clang}, which compiles Metal's kernels for the CPU; `cargo xtask metal --part clang` installs it, and TIDEGATE_SOFTMETAL_CLANG names another"
    );
    Ok(())
}

const NOT_HERE: &str = "Metal in software runs on Linux on x86_64 only";

/// As the software classes look for it.
fn clang() -> String {
    env::var("TIDEGATE_SOFTMETAL_CLANG").unwrap_or_else(|_| "clang-19".to_owned())
}

/// A command of a build in which Metal's classes are software.
pub(crate) fn soft(mut command: Command) -> Result<Command> {
    let root = shell::root();
    command
        .env("RUSTC_WRAPPER", root.join("crates/softmetal/rustc-soft"))
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", shell::target_directory()?.join("soft"))
        // Stronger than RUSTFLAGS: a person's own would take the place of ours, and there would be nothing to run.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // For cargo test: what the runtime counts, it counts for the process.
        .env("RUST_TEST_THREADS", "1");
    Ok(command)
}

/// A filter may choose among the mistakes alone. Without one, each of these packages has tests: where the classes are missing they are empty.
fn suites(run: &mut Run) -> Result<Count> {
    let count = run_suites(run)?;
    ensure!(
        run.filter.is_some() || count.passed + count.failed > 0,
        "no test ran: the build had no Metal in software"
    );
    Ok(count)
}

fn run_suites(run: &mut Run) -> Result<Count> {
    if shell::cargo_has("nextest") {
        let packages = SUITES.iter().flat_map(|it| ["--package", it.0]);
        let chosen: Vec<String> = SUITES
            .iter()
            .map(|(package, tests, _)| format!("(package({package}) & {tests})"))
            .collect();
        let mut command = shell::cargo(["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]);
        command
            .args(packages)
            .args(["--filterset", &chosen.join(" | ")])
            .args(&run.filter);
        return test::counted(&mut soft(test::prepared(command, run))?, totals::nextest);
    }
    let mut count = Count::default();
    for (package, _, chosen) in SUITES {
        let mut command = shell::cargo(["test", "--no-fail-fast", "--package", package]);
        match chosen {
            [] => command.args(["--lib", "--bins", "--tests"]),
            chosen => command.args(*chosen),
        };
        command.arg("--").args(&run.filter);
        let found = test::counted(&mut soft(test::prepared(command, run))?, totals::libtest)?;
        count.add(&found);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_build_with_software_classes_keeps_no_flags_of_the_person() {
        let command = soft(shell::cargo(["check"])).unwrap();
        let value = |name: &str| command.get_envs().find(|it| it.0 == name).map(|it| it.1);
        assert_eq!(value("RUSTFLAGS"), Some(Some(OsStr::new(FLAGS))));
        assert_eq!(value("CARGO_ENCODED_RUSTFLAGS"), Some(None));
        assert!(FLAGS.contains("--cfg metal_soft"));
    }
}
