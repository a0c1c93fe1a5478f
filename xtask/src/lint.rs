//! `cargo xtask lint`: everything that can be said of the code without running it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::parts::{self, Count, Part};
use crate::{bench, metal, shell, terminal, tidy};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask lint                          everything, as CI does
  cargo xtask lint --part tidy              the project's own rules only")]
pub(crate) struct Options {
    /// Run only this part; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

/// What `cargo xtask lint` runs: the quick ones first.
const PARTS: &[Part<()>] = &[
    Part {
        name: "tidy",
        about: "the project's own rules",
        prepares: false,
        run: |()| tidy::run(),
    },
    Part {
        name: "format",
        about: "rustfmt",
        prepares: false,
        run: format,
    },
    Part {
        name: "clippy",
        about: "the chosen lints as errors, the MSRV among them",
        prepares: false,
        run: clippy,
    },
    Part {
        name: "docs",
        about: "rustdoc's warnings as errors, private items included",
        prepares: false,
        run: docs,
    },
    Part {
        name: "metal",
        about: "clippy and rustdoc on the code that is empty without Metal, with its classes in software",
        prepares: false,
        run: metal,
    },
    Part {
        name: "bench",
        about: "rustfmt and clippy on bench/, which is a workspace of its own",
        prepares: false,
        run: comparison,
    },
    Part {
        name: "fuzz",
        about: "rustfmt and clippy on fuzz/, which is one too",
        prepares: false,
        run: fuzz,
    },
    Part {
        name: "deny",
        about: "dependencies: bans, licences, sources, advisories",
        prepares: false,
        run: deny,
    },
];

pub(crate) fn run(options: &Options) -> Result<bool> {
    let summary = parts::run_all(PARTS, &options.part, &mut ());
    terminal::print(if summary.good {
        "lint: clean"
    } else {
        "lint: FAILED"
    });
    Ok(summary.good)
}

fn format(_: &mut ()) -> Result<Count> {
    component("fmt", "rustfmt")?;
    shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))?;
    Ok(Count::default())
}

fn clippy(_: &mut ()) -> Result<Count> {
    component("clippy", "clippy")?;
    shell::run(&mut shell::cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Count::default())
}

fn component(subcommand: &str, name: &str) -> Result<()> {
    if !shell::cargo_has(subcommand) {
        bail!("{name} is missing; run: rustup component add {name}");
    }
    Ok(())
}

/// The program and the library are both named `tidegate`, and their pages would overwrite each other in one run. The
/// library comes last: its pages are the ones to keep.
fn docs(_: &mut ()) -> Result<Count> {
    for packages in [
        ["--package", "tidegate-cli"].as_slice(),
        &["--workspace", "--exclude", "tidegate-cli"],
    ] {
        let mut command = shell::cargo(["doc", "--no-deps", "--document-private-items"]);
        shell::run(command.args(packages).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(Count::default())
}

/// The packages that have code for Metal.
const METAL: [&str; 4] = [
    "tidegate-metal",
    "tidegate-softmetal",
    "tidegate",
    "tidegate-cli",
];

/// Off Apple's systems the other parts see nothing of the Metal backend.
fn metal(_: &mut ()) -> Result<Count> {
    if !metal::is_here() {
        return Ok(Count::remark("not run: it takes Linux on x86_64"));
    }
    component("clippy", "clippy")?;
    let mut clippy = shell::cargo(["clippy", "--all-targets"]);
    clippy.args(METAL.iter().flat_map(|it| ["--package", it]));
    clippy.args(["--", "-D", "warnings"]);
    shell::run(&mut metal::soft(clippy)?)?;
    let flags = format!("-D warnings {}", metal::FLAGS);
    // One by one: two have the same name.
    for package in METAL {
        let mut doc = shell::cargo(["doc", "--no-deps", "--document-private-items"]);
        doc.args(["--package", package])
            .env("RUSTDOCFLAGS", &flags)
            .env_remove("CARGO_ENCODED_RUSTDOCFLAGS");
        shell::run(&mut metal::soft(doc)?)?;
    }
    Ok(Count::default())
}

fn comparison(_: &mut ()) -> Result<Count> {
    let manifest = shell::root().join("bench/Cargo.toml");
    let mut format = shell::cargo(["fmt", "--check", "--manifest-path"]);
    shell::run(format.arg(manifest))?;
    let mut clippy = bench::comparison("clippy")?;
    shell::run(clippy.args(["--all-targets", "--", "-D", "warnings"]))?;
    Ok(Count::default())
}

fn fuzz(_: &mut ()) -> Result<Count> {
    for (subcommand, more) in [
        ("fmt", &["--check"][..]),
        ("clippy", &["--all-targets", "--", "-D", "warnings"]),
    ] {
        let mut command = shell::cargo([subcommand, "--manifest-path", "fuzz/Cargo.toml"]);
        shell::run(command.args(more))?;
    }
    Ok(Count::default())
}

/// The version that CI was last seen to pass with.
const CARGO_DENY: &str = "0.20.2";
/// The advisories are a git repository; a network that swallows packets must not hold the run.
const ADVISORIES_WAIT: Duration = Duration::from_secs(60);

fn deny(_: &mut ()) -> Result<Count> {
    let program = cargo_deny()?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--workspace", "--all-features"])
            .args(arguments)
            .current_dir(shell::root());
        command
    };
    shell::run(&mut command(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
    .context("`cargo tree --invert CRATE` shows where a crate comes from")?;
    if let Err(error) = fetch_advisories(command(&["fetch", "db"])) {
        terminal::warning(&format!(
            "the advisories were NOT run: their database cannot be reached ({error:#})"
        ));
        return Ok(Count::remark("advisories NOT run: database out of reach"));
    }
    shell::run(&mut command(&["check", "--disable-fetch", "advisories"]))?;
    Ok(Count::default())
}

fn fetch_advisories(mut command: Command) -> Result<()> {
    terminal::note(&shell::shown(&command));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return shell::finished(&command, status);
        }
        if started.elapsed() > ADVISORIES_WAIT {
            child.kill()?;
            child.wait()?;
            bail!("no answer in {} seconds", ADVISORIES_WAIT.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// cargo-deny from the PATH, or our own below the target folder, built on the first call.
fn cargo_deny() -> Result<PathBuf> {
    if shell::answers("cargo-deny", &["--version"]) {
        return Ok("cargo-deny".into());
    }
    let tools = shell::target_directory()?.join("tools");
    let program = tools
        .join("bin")
        .join(format!("cargo-deny{}", env::consts::EXE_SUFFIX));
    if shell::answers(&program, &["--version"]) {
        return Ok(program);
    }
    terminal::step(&format!(
        "Building cargo-deny {CARGO_DENY}: once, three minutes on two cores"
    ));
    // Its build folder is a fixed one, so that an interrupted build goes on where it was.
    let build = tools.join("build");
    let mut install = shell::cargo([
        "install",
        "--quiet",
        "--locked",
        "cargo-deny",
        "--version",
        CARGO_DENY,
        "--root",
    ]);
    install.arg(&tools).arg("--target-dir").arg(&build);
    shell::run(&mut install)?;
    std::fs::remove_dir_all(&build).with_context(|| format!("clearing {}", build.display()))?;
    Ok(program)
}
