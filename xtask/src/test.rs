//! `cargo xtask test`: installs what the tests need, then runs every suite. What CI runs, on two cores without a GPU.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::parts::{self, Count, Part};
use crate::{
    apple, bench, fuzz, metal, model, sanitize, shell, soak, terminal, totals, tvm, vulkan,
};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask test                          everything, as CI does
  cargo xtask test --filter staging         the tests whose names contain `staging`
  cargo xtask test --part doctests          one part, after what it needs")]
pub(crate) struct Options {
    /// Run only the tests whose names contain this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only this part, after what it needs; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

/// What `cargo xtask test` runs, in order.
const PARTS: &[Part<Run>] = &[
    Part {
        name: "vulkan",
        about: "a Vulkan device and the validation layer",
        prepares: true,
        run: vulkan_ready,
    },
    Part {
        name: "model",
        about: "the demo's model, in the cache",
        prepares: true,
        run: model_ready,
    },
    Part {
        name: "suites",
        about: "every test of every crate",
        prepares: false,
        run: suites,
    },
    Part {
        name: "doctests",
        about: "every example in the documentation",
        prepares: false,
        run: doctests,
    },
    Part {
        name: "examples",
        about: "every example program runs",
        prepares: false,
        run: examples,
    },
    Part {
        name: "bench",
        about: "every row of the comparison with hand-written Vulkan and wgpu gives the right result",
        prepares: false,
        run: |_| bench::rows(),
    },
    Part {
        name: "soak",
        about: "10,000 random histories on the simulated device, and some on Vulkan, as `cargo xtask soak` runs them",
        prepares: false,
        run: soak::part,
    },
    Part {
        name: "metal",
        about: "the Metal backend on Metal's classes in software, as `cargo xtask metal` does it",
        prepares: false,
        run: metal,
    },
    Part {
        name: "apple",
        about: "every crate compiles for Apple's systems, as `cargo xtask apple` does it",
        prepares: false,
        run: apple,
    },
    Part {
        name: "fuzz",
        about: "seconds of each of the fuzzer's targets, as `cargo xtask fuzz` runs them",
        prepares: false,
        run: fuzz,
    },
    Part {
        name: "sanitize",
        about: "a model checker, Miri and the sanitizers, as `cargo xtask sanitize` does it",
        prepares: false,
        run: sanitize::part,
    },
    Part {
        name: "tvm",
        about: "the runtime for Apache TVM with the real TVM, as `cargo xtask tvm` does it",
        prepares: false,
        run: tvm::part,
    },
];

/// What the parts share.
pub(crate) struct Run {
    pub(crate) filter: Option<String>,
    pub(crate) model: Option<PathBuf>,
}

/// Runs the parts of a suite that has a command of its own.
pub(crate) fn run_parts(parts: &[Part<Run>], chosen: &[String], filter: Option<String>) -> bool {
    let is_filtered = filter.is_some();
    let mut run = Run {
        filter,
        model: None,
    };
    parts::run_and_count(parts, chosen, &mut run, is_filtered)
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut run = Run {
        filter: options.filter.clone(),
        model: None,
    };
    let summary = parts::run_all(PARTS, &options.part, &mut run);
    let should_run_some = options.part.is_empty() || options.filter.is_some();
    let ran_none = summary.ran_none(should_run_some);
    terminal::print(&summary.count.line());
    Ok(summary.good && !ran_none)
}

pub(crate) fn vulkan_ready(_: &mut Run) -> Result<Count> {
    let tidegate = shell::build_tidegate("dev")?;
    let devices = match vulkan::devices(&tidegate) {
        Ok(found) => {
            let devices = vulkan::ensure_device(found, &tidegate, true)?;
            devices
                .into_iter()
                .map(|device| device.name)
                .collect::<Vec<_>>()
                .join(", ")
        }
        // A broken program is what the tests below are for.
        Err(error) => {
            terminal::warning(&format!("{error:#}; going on, to see what the tests say"));
            "devices not known".to_owned()
        }
    };
    let layer = if cfg!(target_os = "linux") {
        vulkan::ensure_validation_layer()?
    } else {
        "validation layer not looked for"
    };
    Ok(Count::remark(format!("{devices}; {layer}")))
}

pub(crate) fn model_ready(run: &mut Run) -> Result<Count> {
    let path = model::ensure()?;
    let remark = path.display().to_string();
    run.model = Some(path);
    Ok(Count::remark(remark))
}

/// The environment that every test may count on.
pub(crate) fn prepared(mut command: Command, run: &Run) -> Command {
    // Lavapipe then works on the calling thread: steadier, and faster for small kernels.
    command.env("LP_NUM_THREADS", "0");
    if let Some(model) = &run.model {
        command.env("TIDEGATE_MODEL", model);
    }
    command
}

fn suites(run: &mut Run) -> Result<Count> {
    let (arguments, reader): (&[&str], totals::Reader) = if shell::cargo_has("nextest") {
        (
            &[
                "nextest",
                "run",
                "--workspace",
                "--no-fail-fast",
                "--no-tests",
                "pass",
            ],
            totals::nextest,
        )
    } else {
        (
            &[
                "test",
                "--workspace",
                "--lib",
                "--bins",
                "--tests",
                "--no-fail-fast",
            ],
            totals::libtest,
        )
    };
    let mut command = prepared(shell::cargo(arguments), run);
    command.args(&run.filter);
    counted(&mut command, reader)
}

fn doctests(run: &mut Run) -> Result<Count> {
    let mut command = prepared(
        shell::cargo(["test", "--workspace", "--doc", "--no-fail-fast"]),
        run,
    );
    command.args(&run.filter);
    counted(&mut command, totals::libtest)
}

/// Runs a test runner and reads its totals. A run that fails without a failed test did not build, or died.
pub(crate) fn counted(command: &mut Command, reader: totals::Reader) -> Result<Count> {
    counted_unless(command, reader, None)
}

/// As [`counted`], but an exit with the code `none` says that a filter has chosen no test.
pub(crate) fn counted_unless(
    command: &mut Command,
    reader: totals::Reader,
    none: Option<i32>,
) -> Result<Count> {
    let count = Mutex::new(Count::default());
    let status = shell::run_watched(command, &|line| {
        if let (Some(found), Ok(mut count)) = (reader(line), count.lock()) {
            count.add(&found);
        }
    })?;
    let count = count
        .into_inner()
        .map_err(|_| anyhow::anyhow!("the count of tests was lost"))?;
    if none.is_some() && status.code() == none {
        return Ok(Count::remark("no test chosen"));
    }
    if !status.success() && count.failed == 0 {
        bail!("`{}` failed ({status})", shell::shown(command));
    }
    Ok(count)
}

/// Runs each example program without arguments. A failed one does not hide the next.
fn examples(run: &mut Run) -> Result<Count> {
    shell::run(&mut shell::cargo(["build", "--workspace", "--examples"]))?;
    let metadata = shell::metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    let folder = PathBuf::from(target).join("debug").join("examples");
    let mut count = Count::default();
    for package in metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?
    {
        for target in package["targets"].as_array().into_iter().flatten() {
            let is_example = target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "example"));
            let Some(name) = target["name"].as_str() else {
                continue;
            };
            if !is_example
                || run
                    .filter
                    .as_ref()
                    .is_some_and(|filter| !name.contains(filter.as_str()))
            {
                continue;
            }
            // As built above: `cargo run --package` would choose features anew and build half of everything again.
            let command = Command::new(folder.join(name));
            match shell::run(&mut prepared(command, run)) {
                Ok(()) => count.passed += 1,
                Err(error) => {
                    terminal::error(&error);
                    count.failed += 1;
                }
            }
        }
    }
    Ok(count)
}

/// Elsewhere than on Linux there is no Metal in software: on a Mac the ordinary suites run on Metal itself.
fn metal(run: &mut Run) -> Result<Count> {
    if metal::is_here() {
        metal::part(run)
    } else {
        Ok(Count::remark("not run: it takes Linux on x86_64"))
    }
}

/// A filter asks for tests, and these are none. So below.
fn apple(run: &mut Run) -> Result<Count> {
    if run.filter.is_some() {
        return Ok(Count::remark("not run: there is a filter"));
    }
    apple::run_as_part()
}

fn fuzz(run: &mut Run) -> Result<Count> {
    if run.filter.is_some() {
        return Ok(Count::remark("not run: there is a filter"));
    }
    fuzz::smoke()
}
