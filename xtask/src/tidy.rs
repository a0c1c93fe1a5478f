//! The project's own rules, for every file that git tracks. Each rule is a pure function from text to findings.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tidegate_measure::counted;

use crate::parts::Count;
use crate::{shell, terminal};

mod rules;

/// A file that git tracks.
struct Source {
    path: String,
    text: String,
}

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 where the file as a whole is meant.
    line: usize,
    text: String,
}

impl Finding {
    fn new(source: &Source, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: source.path.clone(),
            line,
            text: text.into(),
        }
    }
}

pub(crate) fn run() -> Result<Count> {
    let tracked = tracked_files()?;
    let mut findings = Vec::new();
    let mut checked = 0_u64;
    for path in &tracked {
        let Some(text) = read_text(&shell::root().join(path))? else {
            continue;
        };
        checked += 1;
        findings.extend(rules::all(
            &Source {
                path: path.clone(),
                text,
            },
            &tracked,
        ));
    }
    findings.extend(rules::stale_exceptions(&tracked));
    for Finding { path, line, text } in &findings {
        terminal::note(&format!("{path}:{line}: {text}"));
    }
    if !findings.is_empty() {
        bail!(
            "{} in {}",
            counted(findings.len() as u64, "finding"),
            counted(checked, "file")
        );
    }
    Ok(Count::remark(counted(checked, "file")))
}

fn tracked_files() -> Result<BTreeSet<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(shell::root())
        .output();
    let output = output.context("git did not start; tidy looks at the files that git tracks")?;
    if !output.status.success() {
        bail!(
            "`git ls-files` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let names = output
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}

/// Nothing for a binary file, and for one that is tracked but deleted in the working tree.
fn read_text(path: &Path) -> Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8(bytes).ok())
}
