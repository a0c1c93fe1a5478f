//! What may not be among a crate's dependencies.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The crates that our own, but for this one, are made of on `target`. `edges` says which kinds of dependency count.
pub(super) fn crates(target: &str, edges: &str) -> Result<BTreeSet<String>> {
    let mut command = shell::cargo(["tree", "--target", target, "--edges", edges]);
    command
        .args(["--prefix", "none", "--format", "{p}"])
        .args(super::CRATES)
        .stderr(std::process::Stdio::inherit());
    let output = command.output().context("cargo tree did not start")?;
    shell::finished(&command, output.status)?;
    let names = names(&String::from_utf8_lossy(&output.stdout));
    if names.is_empty() {
        bail!("`{}` listed nothing", shell::shown(&command));
    }
    Ok(names)
}

/// The first word of each line: `objc2 v0.6.5 (*)` is objc2.
fn names(tree: &str) -> BTreeSet<String> {
    let words = tree.lines().filter_map(|line| line.split(' ').next());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the crate compiles C or C++, looks for a library that was, or is bindings to one.
pub(super) fn builds_c(name: &str) -> bool {
    let is_builder = [
        "autotools",
        "bindgen",
        "cc",
        "cmake",
        "cxx",
        "cxx-build",
        "pkg-config",
        "system-deps",
        "vcpkg",
    ]
    .contains(&name);
    is_builder || name.ends_with("-sys") || name.ends_with("_sys")
}

/// Whether the crate speaks to Apple's Objective-C.
pub(super) fn is_objective_c(name: &str) -> bool {
    name == "block2" || name == "objc" || name == "dispatch2" || name.starts_with("objc2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_first_words_once() {
        let tree = "tidegate-metal v0.1.0 (/a b/crates/metal)\nobjc2 v0.6.5\n\nobjc2 v0.6.5 (*)\nthiserror-impl v2.0.1 (proc-macro)\n";
        let found: Vec<_> = names(tree).into_iter().collect();
        assert_eq!(found, ["objc2", "thiserror-impl", "tidegate-metal"]);
    }

    #[test]
    fn c_and_objective_c_are_told() {
        for name in ["cc", "cmake", "onig_sys", "zstd-sys", "pkg-config"] {
            assert!(builds_c(name), "{name}");
        }
        for name in ["ccx", "system", "sysinfo", "libc", "objc2"] {
            assert!(!builds_c(name), "{name}");
        }
        for name in ["objc2", "objc2-metal", "objc2-encode", "block2"] {
            assert!(is_objective_c(name), "{name}");
        }
        assert!(!is_objective_c("tidegate-metal"));
    }
}
