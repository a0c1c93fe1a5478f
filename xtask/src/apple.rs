//! `cargo xtask apple`: compiles every crate for Apple's systems and links the program, on a machine that is not Apple's.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tidegate_measure::counted;

use crate::parts::{self, Count, Part};
use crate::{shell, terminal};

mod macho;
mod toolchain;
mod tree;

use toolchain::Toolchain;

const DARWIN: &str = "aarch64-apple-darwin";
const IOS: &str = "aarch64-apple-ios";
const LINUX: &str = "x86_64-unknown-linux-gnu";
/// The build profile, and so the name of its folder.
const PROFILE: &str = "apple";
/// The workspace without this crate, whatever crates it has.
const CRATES: [&str; 3] = ["--workspace", "--exclude", "xtask"];

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask apple                         everything, as CI does
  cargo xtask apple --part dependencies     no C, and no Objective-C in a Linux build: a second
  cargo xtask apple --part darwin           one target, after what it needs

A toolchain that has the targets is used as it is:
  rustup target add aarch64-apple-darwin aarch64-apple-ios")]
pub(crate) struct Options {
    /// Run only this part, after what it needs; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parts::names(PARTS))]
    part: Vec<String>,
}

/// What `cargo xtask apple` runs: the quick ones first.
const PARTS: &[Part<Run>] = &[
    Part {
        name: "dependencies",
        about: "no C or C++ for Apple's systems, no Objective-C for Linux",
        prepares: false,
        run: dependencies,
    },
    Part {
        name: "toolchain",
        about: "a compiler for Apple's systems",
        prepares: true,
        run: toolchain_ready,
    },
    Part {
        name: "ios",
        about: "every crate, its tests and examples are type-checked for aarch64-apple-ios",
        prepares: false,
        run: ios,
    },
    Part {
        name: "darwin",
        about: "every crate is compiled for aarch64-apple-darwin, and the program linked",
        prepares: false,
        run: darwin,
    },
];

/// What the parts share.
#[derive(Default)]
struct Run {
    toolchain: Option<Toolchain>,
}

impl Run {
    fn toolchain(&self) -> Result<&Toolchain> {
        self.toolchain.as_ref().context("no toolchain was found")
    }
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let summary = parts::run_all(PARTS, &options.part, &mut Run::default());
    terminal::print(if summary.good {
        "apple: clean"
    } else {
        "apple: FAILED"
    });
    Ok(summary.good)
}

/// All of it, as one part of another chore.
pub(crate) fn run_as_part() -> Result<Count> {
    if !parts::run_all(PARTS, &[], &mut Run::default()).good {
        bail!("`cargo xtask apple` runs this alone");
    }
    Ok(Count::remark("types for macOS and iOS, linked for macOS"))
}

fn dependencies(_: &mut Run) -> Result<Count> {
    let mut found = Vec::new();
    let mut count = 0;
    for target in [DARWIN, IOS] {
        let crates = tree::crates(target, "normal,build")?;
        count = count.max(crates.len());
        let wrong = crates.iter().filter(|name| tree::builds_c(name));
        found.extend(wrong.map(|name| format!("{name} brings C or C++ ({target})")));
    }
    let crates = tree::crates(LINUX, "normal")?;
    let wrong = crates.iter().filter(|name| tree::is_objective_c(name));
    found.extend(wrong.map(|name| format!("{name} is for Apple's systems ({LINUX})")));
    if !found.is_empty() {
        bail!(
            "{}; `cargo tree --target TARGET --invert CRATE` shows where a crate comes from",
            found.join(", ")
        );
    }
    Ok(Count::remark(counted(count as u64, "crate")))
}

fn toolchain_ready(run: &mut Run) -> Result<Count> {
    let toolchain = Toolchain::ensure()?;
    let remark = Count::remark(&toolchain.described);
    run.toolchain = Some(toolchain);
    Ok(remark)
}

/// The tests are checked for this target only: they differ by vendor, not by system.
fn ios(run: &mut Run) -> Result<Count> {
    let mut command = run.toolchain()?.cargo("check", IOS)?;
    shell::run(command.args(CRATES).arg("--all-targets"))?;
    Ok(Count::default())
}

fn darwin(run: &mut Run) -> Result<Count> {
    let toolchain = run.toolchain()?;
    shell::run(toolchain.cargo("build", DARWIN)?.args(CRATES))?;
    let path = folder()?.join(DARWIN).join(PROFILE).join("tidegate");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let program = macho::parse(&bytes).with_context(|| path.display().to_string())?;
    if !program.is_signed {
        bail!("{} has no signature", path.display());
    }
    if !program.libraries.iter().any(|name| leaf(name) == "Metal") {
        bail!("{} does not load Metal", path.display());
    }
    if toolchain.has_own_lists() {
        let unknown = unknown(&program.unbound);
        if !unknown.is_empty() {
            bail!(
                "no list in xtask/apple has {}; if Apple's pages do, write it there",
                unknown.join(", ")
            );
        }
    }
    let libraries: Vec<_> = program.libraries.iter().map(|name| leaf(name)).collect();
    Ok(Count::remark(format!(
        "Mach-O executable for arm64, {}, loads {}",
        terminal::megabytes(bytes.len() as u64),
        libraries.join(", ")
    )))
}

/// Where both targets are built.
fn folder() -> Result<PathBuf> {
    Ok(shell::target_directory()?.join("apple"))
}

/// A library's short name.
fn leaf(library: &str) -> &str {
    library.rsplit('/').next().unwrap_or(library)
}

/// The names that only a framework or the Objective-C runtime can have. Our lists of those are complete; of the C library's there is none, so any other name passes.
fn unknown(unbound: &[String]) -> Vec<&str> {
    let prefixes = [
        "_MTL", "_NS", "_CG", "_CF", "_OBJC_", "_objc_", "_class_", "_object_", "_sel_",
    ];
    let is_apple = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    unbound
        .iter()
        .map(String::as_str)
        .filter(|name| is_apple(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_of_a_framework_is_told_from_one_of_the_c_library() {
        let names =
            ["_malloc", "_MTLCreateSystemDefaultDeviceX", "_objc_retian"].map(str::to_owned);
        assert_eq!(
            unknown(&names),
            ["_MTLCreateSystemDefaultDeviceX", "_objc_retian"]
        );
    }

    #[test]
    fn libraries_have_short_names() {
        let metal = "/System/Library/Frameworks/Metal.framework/Versions/A/Metal";
        assert_eq!(leaf(metal), "Metal");
        assert_eq!(leaf("libSystem"), "libSystem");
    }
}
