//! What compiles for Apple's systems here: the active toolchain where it has the targets, else any compiler with the
//! source of its library.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::system::{self, Need};
use crate::{shell, terminal};

use super::{DARWIN, IOS};

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler, and what it has to be told.
pub(super) struct Toolchain {
    pub(super) described: String,
    /// The compiler, if its library has to be compiled from source with it.
    from_source: Option<PathBuf>,
    /// None where the system's own links.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// Finds one, or installs one where that can be done.
    pub(super) fn ensure() -> Result<Self> {
        let active = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let linker = linker(&active)?;
        if has_target(&active, DARWIN) && has_target(&active, IOS) {
            return Ok(Self {
                described: format!("{}, which has both targets", version(&active)?),
                from_source: None,
                linker,
            });
        }
        let from_source = match source(&active)? {
            Some(rustc) => rustc,
            None => {
                terminal::note(
                    "No toolchain here has a library for Apple's systems, nor its source.",
                );
                system::install(&[Need::LibrarySource]).context(
                    "the ordinary way is: rustup target add aarch64-apple-darwin aarch64-apple-ios",
                )?;
                source(&active)?.with_context(|| {
                    format!("{DEBIAN_RUSTC} is installed, and it is too old or has no source of its library")
                })?
            }
        };
        Ok(Self {
            described: format!(
                "{} at {}, its library from source",
                version(&from_source)?,
                from_source.display()
            ),
            from_source: Some(from_source),
            linker,
        })
    }

    /// A cargo command for `target`, with warnings as errors and a target folder that both targets share.
    pub(super) fn cargo(&self, subcommand: &str, target: &str) -> Result<Command> {
        let mut command = shell::cargo([subcommand, "--target", target, "--target-dir"]);
        command.arg(super::folder()?);
        // A profile of its own: dev's optimised crates would take a minute, and nothing runs here. Debian has no tool to strip with.
        command.args([
            "--profile",
            super::PROFILE,
            "--config",
            "profile.apple.inherits=\"release\"",
            "--config",
            "profile.apple.opt-level=0",
            "--config",
            "profile.apple.debug=false",
            "--config",
            "profile.apple.strip=false",
        ]);
        let mut flags = vec!["-Dwarnings"];
        if let Some(rustc) = &self.from_source {
            // Only a nightly compiler has -Zbuild-std; this makes a stable one take it.
            command
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=std");
        }
        if let Some(linker) = &self.linker {
            flags.extend([
                "-Clinker-flavor=ld64.lld",
                "-Clink-arg=-undefined",
                "-Clink-arg=dynamic_lookup",
            ]);
            command
                .env("CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER", linker)
                .env("SDKROOT", shell::root().join("xtask").join("apple"));
        }
        // Stronger than RUSTFLAGS and than the person's own configuration.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        Ok(command)
    }

    /// Whether what is linked with is a list of ours, not Apple's own.
    pub(super) fn has_own_lists(&self) -> bool {
        self.linker.is_some()
    }
}

/// A compiler that is new enough and has its library's source: the active one if it has.
fn source(active: &OsStr) -> Result<Option<PathBuf>> {
    let metadata = shell::metadata()?;
    let oldest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|package| package["rust_version"].as_str())
        .and_then(numbers)
        .context("cargo metadata names no rust_version")?;
    for rustc in [Path::new(active), Path::new(DEBIAN_RUSTC)] {
        let is_new_enough =
            version(rustc).is_ok_and(|text| numbers(&text).is_some_and(|found| found >= oldest));
        if is_new_enough
            && let Ok(sysroot) = asked(rustc, &["--print", "sysroot"])
            && Path::new(&sysroot)
                .join("lib/rustlib/src/rust/library/std/Cargo.toml")
                .is_file()
        {
            return Ok(Some(rustc.to_owned()));
        }
    }
    Ok(None)
}

/// The first two numbers of a version, wherever in the text it stands.
fn numbers(text: &str) -> Option<(u32, u32)> {
    text.split(' ').find_map(|word| {
        let mut parts = word.split(['.', '-']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

/// The compiler prints the folder of a target's library whether or not it is there.
fn has_target(rustc: &OsStr, target: &str) -> bool {
    asked(rustc, &["--print", "target-libdir", "--target", target])
        .ok()
        .and_then(|folder| fs::read_dir(folder).ok())
        .is_some_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
        })
}

/// On Apple's systems the system links. Elsewhere lld does, which every toolchain of rustup's has.
fn linker(active: &OsStr) -> Result<Option<PathBuf>> {
    if cfg!(target_vendor = "apple") {
        return Ok(None);
    }
    let host = asked(active, &["-vV"])?
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .context("`rustc -vV` names no host")?;
    let lld = Path::new(&asked(active, &["--print", "sysroot"])?)
        .join("lib/rustlib")
        .join(host)
        .join("bin")
        .join(format!("rust-lld{}", env::consts::EXE_SUFFIX));
    if lld.is_file() {
        return Ok(Some(lld));
    }
    if let Some(name) = system_lld() {
        return Ok(Some(name.into()));
    }
    terminal::note(&format!("{} is missing.", lld.display()));
    system::install(&[Need::Lld])?;
    let name = system_lld().context("lld is installed, and there is still no ld64.lld")?;
    Ok(Some(name.into()))
}

/// The system's own lld for Apple's systems. Debian's packages of one version have its number in the name.
fn system_lld() -> Option<&'static str> {
    ["ld64.lld", "ld64.lld-19"]
        .into_iter()
        .find(|it| shell::answers(it, &["--version"]))
}

fn version(rustc: impl AsRef<OsStr>) -> Result<String> {
    let text = asked(rustc, &["--version"])?;
    Ok(text.split(" (").next().unwrap_or(&text).to_owned())
}

fn asked(rustc: impl AsRef<OsStr>, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(rustc);
    command.args(arguments).current_dir(shell::root());
    let output = command
        .output()
        .with_context(|| format!("`{}` did not start", shell::shown(&command)))?;
    shell::finished(&command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(numbers("1.88"), Some((1, 88)));
        assert_eq!(
            numbers("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert_eq!(numbers("rustc 1.100.0-nightly"), Some((1, 100)));
        assert!(numbers("rustc 1.100.0") > numbers("1.88"));
        assert_eq!(numbers("rustc"), None);
    }
}
