//! `cargo xtask sanitize`: tools that see what tests cannot: a model checker, an interpreter, and a compiler that watches memory. What cannot be had is skipped, and says so.

use std::process::{Command, Stdio};

use anyhow::Result;
use clap::Args;

use crate::parts::{self, Count, Part};
use crate::test::{self, Run};
use crate::{shell, terminal, totals};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask sanitize                  everything
  cargo xtask sanitize --part loom      one part, after what it needs

Miri takes a nightly toolchain with its components `miri` and `rust-src`, which it asks rustup for.")]
pub(crate) struct Options {
    /// Run only this part, after what it needs; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

const PARTS: &[Part<Run>] = &[
    Part {
        name: "vulkan",
        about: "a Vulkan device and the validation layer",
        prepares: true,
        run: test::vulkan_ready,
    },
    Part {
        name: "loom",
        about: "every order of events on what threads share",
        prepares: false,
        run: loom,
    },
    Part {
        name: "address",
        about: "the Vulkan backend under AddressSanitizer and LeakSanitizer",
        prepares: false,
        run: address,
    },
    Part {
        name: "miri",
        about: "core, shader and the simulated device under Miri",
        prepares: false,
        run: miri,
    },
];

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut run = Run {
        filter: None,
        model: None,
    };
    let summary = parts::run_all(PARTS, &options.part, &mut run);
    terminal::print(&summary.count.line());
    Ok(summary.good)
}

/// All of it, as one part of `cargo xtask test`, which has prepared a Vulkan device.
pub(crate) fn part(run: &mut Run) -> Result<Count> {
    if run.filter.is_some() {
        return Ok(Count::remark("not run: there is a filter"));
    }
    let mut all = Count::default();
    for part in PARTS.iter().filter(|it| !it.prepares) {
        terminal::step(&format!("{}: {}", part.name, part.about));
        let count = (part.run)(run)?;
        all.add(&count);
        if !count.remark.is_empty() {
            all.remark += &format!("{}: {}; ", part.name, count.remark);
        }
    }
    Ok(all)
}

fn loom(run: &mut Run) -> Result<Count> {
    let mut command = test::prepared(
        shell::cargo(["test", "--package", "tidegate-core", "--test", "loom"]),
        run,
    );
    // Optimised, as it runs a model thousands of times, and without what a debugger needs.
    command
        .arg("--release")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", shell::target_directory()?.join("loom"));
    test::counted(&mut command, totals::libtest)
}

/// The only target whose sanitizers are tried. With `--target`, build scripts are built without.
const SANITIZED: &str = "x86_64-unknown-linux-gnu";

/// What drivers and the loader keep for the life of the process, and is not ours.
const LEAKS: &str = "leak:libvulkan\nleak:libLLVM\nleak:libvulkan_lvp\nleak:libVkLayer\nleak:libstdc++\nleak:ld-linux\n";

fn address(run: &mut Run) -> Result<Count> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(skipped("AddressSanitizer is tried on Linux on x86_64 only"));
    }
    let target = shell::target_directory()?.join("address");
    std::fs::create_dir_all(&target)?;
    let leaks = target.join("leaks.txt");
    std::fs::write(&leaks, LEAKS)?;
    let mut command = test::prepared(
        shell::cargo([
            "test",
            "--package",
            "tidegate-vulkan",
            "--lib",
            "--tests",
            "--target",
            SANITIZED,
            // Compiled here for a few small shaders only.
            "--config",
            "profile.dev.package.naga.opt-level=0",
        ]),
        run,
    );
    // Sanitizers are an unstable option of every compiler, and the stable one has their libraries. A sanitizer's own message ends the process with another status than a failed test.
    // What is slow under it and adds nothing is left out: processes that end and fork, which its own thread would not survive.
    command
        .args([
            "--",
            "--skip",
            "case",
            "--skip",
            "a_child",
            "--skip",
            "a_process",
        ])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("CARGO_TARGET_DIR", &target)
        .env(
            "ASAN_OPTIONS",
            "detect_leaks=1:detect_stack_use_after_return=1",
        )
        .env(
            "LSAN_OPTIONS",
            format!("suppressions={}:print_suppressions=0", leaks.display()),
        );
    test::counted(&mut command, totals::libtest)
}

/// What Miri runs: the rest takes minutes there.
const MIRI: &[&[&str]] = &[
    &["--package", "tidegate-core", "--lib"],
    &[
        "--package",
        "tidegate-sim",
        "--test",
        "history_threads",
        "a_stream_moves",
    ],
    &[
        "--package",
        "tidegate-shader",
        "--test",
        "wgsl",
        "a_bare_scalar",
    ],
];

fn miri(run: &mut Run) -> Result<Count> {
    if let Some(reason) = missing_miri() {
        return Ok(skipped(&reason));
    }
    let target = shell::target_directory()?.join("miri");
    let mut count = Count::default();
    for selection in MIRI {
        // Through rustup: the cargo that runs this program is another toolchain's.
        let mut command = test::prepared(Command::new("rustup"), run);
        command
            .args(["run", "nightly", "cargo", "miri", "test"])
            .args(*selection)
            .current_dir(shell::root())
            .env_remove("CARGO")
            .env_remove("RUSTC")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("CARGO_TARGET_DIR", &target);
        count.add(&test::counted(&mut command, totals::libtest)?);
    }
    Ok(count)
}

/// Why Miri cannot be had, if so. Asks rustup for it.
fn missing_miri() -> Option<String> {
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|it| it.success())
    };
    if !rustup(&["run", "nightly", "rustc", "--version"]) {
        return Some("no nightly toolchain: `rustup toolchain install nightly`".to_owned());
    }
    let components = [
        "component",
        "add",
        "--toolchain",
        "nightly",
        "miri",
        "rust-src",
    ];
    if !rustup(&["run", "nightly", "cargo", "miri", "--version"]) && !rustup(&components) {
        return Some(format!("`rustup {}` failed", components.join(" ")));
    }
    // Its standard library is built from source.
    if !rustup(&["run", "nightly", "cargo", "miri", "setup"]) {
        return Some("`cargo miri setup` failed; it needs the component `rust-src`".to_owned());
    }
    None
}

fn skipped(reason: &str) -> Count {
    terminal::warning(&format!("skipped: {reason}"));
    Count {
        skipped: 1,
        ..Count::remark(format!("skipped: {reason}"))
    }
}
