//! A copy of the sources, in which mistakes are planted, built and tested.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::{ATTEMPTS_MAX, Mistake, Package, TESTS_MAX, judge, plant};
use crate::{metal, shell};

/// How a run of tests ended.
pub(super) struct Ended {
    /// None if it was killed at its bound.
    pub(super) status: Option<ExitStatus>,
    pub(super) output: String,
}

impl Ended {
    fn passed(&self) -> bool {
        self.status.is_some_and(|it| it.success())
    }
}

/// A copy of the sources, so that an interrupted run leaves no mistake behind.
pub(super) struct Tree {
    at: PathBuf,
}

impl Tree {
    pub(super) fn new() -> Result<Self> {
        let root = shell::root();
        let at = shell::target_directory()?.join("planted/tree");
        let mut listed = Command::new("git");
        listed
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&root);
        let output = listed.output().context("git did not start")?;
        shell::finished(&listed, output.status)?;
        let listed = String::from_utf8(output.stdout)?;
        let mut kept = BTreeSet::new();
        for path in listed.split_terminator('\0') {
            let to = at.join(path);
            if copy(&root.join(path), &to).with_context(|| path.to_owned())? {
                kept.insert(to);
            }
        }
        // The last run's copy had them, and cargo would find them: a test, an example, a manifest.
        remove_others(&at, &kept)?;
        let manifest = at.join("Cargo.toml");
        let text = marked(&fs::read_to_string(&manifest)?)?;
        fs::write(&manifest, text)?;
        Ok(Self { at })
    }

    pub(super) fn source(&self, mistake: &Mistake) -> PathBuf {
        let folder = self.at.join(mistake.package.folder);
        folder.join("src").join(mistake.file)
    }

    /// Plants the mistake, runs its test, and takes it out again.
    pub(super) fn with(&self, mistake: &Mistake) -> Result<()> {
        let path = self.source(mistake);
        let source = fs::read_to_string(&path)?;
        fs::write(&path, plant(&source, mistake)?)?;
        let package = mistake.package;
        let ended = self.build(package, mistake.target).and_then(|program| {
            // The order is the seed's, but the system's threads run it, and on a busy machine one may come late enough to hide what is missing.
            let run = |seed| self.tests(package, &program, (&[mistake.test], seed), TESTS_MAX);
            let mut ended = run(0)?;
            for attempt in 1..ATTEMPTS_MAX {
                if !ended.passed() {
                    break;
                }
                ended = run(attempt * 1000)?;
            }
            Ok(ended)
        });
        fs::write(&path, source)?;
        judge(&ended?, mistake.symptom)
    }

    /// Builds one test target, with the software classes.
    pub(super) fn build(&self, package: Package, target: &str) -> Result<PathBuf> {
        let name = package.name;
        let mut command = shell::cargo(["test", "--no-run", "--quiet", "--package", name]);
        command.current_dir(&self.at);
        match target {
            "lib" => command.arg("--lib"),
            name => command.args(["--test", name]),
        };
        command.arg("--message-format=json-render-diagnostics");
        let output = metal::soft(command)?
            .output()
            .context("cargo did not start")?;
        if !output.status.success() {
            bail!(
                "it does not compile:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        program(&String::from_utf8_lossy(&output.stdout), package, target)
            .ok_or_else(|| anyhow!("cargo names no program for {target}"))
    }

    /// Runs some tests of a test program, for so long at most. Their own seeds begin after `seed`.
    pub(super) fn tests(
        &self,
        package: Package,
        program: &Path,
        (tests, seed): (&[&str], u64),
        most: Duration,
    ) -> Result<Ended> {
        let mut command = Command::new(program);
        command
            .env("TIDEGATE_SOFTMETAL_SEED", seed.to_string())
            .arg("--exact")
            .args(tests)
            .current_dir(self.at.join(package.folder))
            .env_remove("RUST_BACKTRACE");
        bounded(&mut command, most)
    }
}

/// The workspace's manifest with another version. Cargo would otherwise take what it built of the copy for what it builds of the sources themselves, mistakes included,
/// since both share a target folder so that other crates are built once.
fn marked(manifest: &str) -> Result<String> {
    let (before, package) = manifest
        .split_once("[workspace.package]\nversion = \"")
        .context("the workspace's manifest states no version")?;
    let (version, after) = package
        .split_once('"')
        .context("the workspace's version does not end")?;
    Ok(format!(
        "{before}[workspace.package]\nversion = \"{version}+planted\"{after}"
    ))
}

/// The program of a test target, from what cargo prints as JSON.
fn program(messages: &str, package: Package, target: &str) -> Option<PathBuf> {
    let name = if target == "lib" {
        package.name.replace('-', "_")
    } else {
        target.to_owned()
    };
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|it| {
        let fits = it["reason"] == "compiler-artifact"
            && it["target"]["name"] == name.as_str()
            && it["profile"]["test"] == true;
        it["executable"]
            .as_str()
            .filter(|_| fits)
            .map(PathBuf::from)
    });
    programs.next()
}

/// Copies a file if the copy differs: what is not written anew is not built anew. False if there is no such file.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let bytes = match fs::read(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        read => read?,
    };
    if !fs::read(to).is_ok_and(|it| it == bytes) {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(to, bytes)?;
    }
    Ok(true)
}

/// Removes every file below `folder` that is not in `kept`.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Runs a command, for so long at most, and keeps what it prints.
fn bounded(command: &mut Command, most: Duration) -> Result<Ended> {
    let end = Instant::now() + most;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` did not start", shell::shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let stdout = scope.spawn(|| stdout.map(all).unwrap_or_default());
        let stderr = scope.spawn(|| stderr.map(all).unwrap_or_default());
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= end {
                child.kill()?;
                child.wait()?;
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = |read: thread::Result<String>| read.unwrap_or_default();
        let output = text(stdout.join()) + &text(stderr.join());
        Ok(Ended { status, output })
    })
}

/// All that a pipe gives.
fn all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{LIBRARY, METAL};
    use super::*;

    #[test]
    fn the_program_of_a_test_is_read_from_cargos_messages() {
        let artifact = |name: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let messages = [
            artifact("tidegate_metal", false, "null"),
            "no JSON".to_owned(),
            artifact("faults", true, r#""/t/faults-2""#),
            artifact("tidegate_metal", true, r#""/t/lib-3""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ]
        .join("\n");
        let found = |target| program(&messages, METAL, target);
        assert_eq!(found("faults"), Some("/t/faults-2".into()));
        assert_eq!(found("lib"), Some("/t/lib-3".into()));
        assert_eq!(found("device"), None);
        assert_eq!(program(&messages, LIBRARY, "lib"), None);
    }

    #[test]
    fn files_that_are_gone_leave_the_copy() {
        let folder = std::env::temp_dir().join(format!("tidegate-copy-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to/a/b"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&from, "x").unwrap();
        assert!(copy(&from, &to).unwrap());
        let other = folder.join("to/a/other");
        assert!(copy(&from, &other).unwrap());
        remove_others(&folder.join("to"), &[to.clone()].into()).unwrap();
        assert!(to.is_file() && !other.exists());
        fs::remove_file(&from).unwrap();
        assert!(!copy(&from, &to).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_and_what_it_said_is_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo here; exec sleep 100"]);
        let ended = bounded(&mut command, Duration::from_millis(300)).unwrap();
        assert_eq!((ended.status, ended.output.as_str()), (None, "here\n"));
    }

    #[test]
    fn the_copy_has_a_version_of_its_own() {
        let manifest =
            "[workspace]\n\n[workspace.package]\nversion = \"1.2.3\"\nedition = \"2024\"\n";
        let marked = marked(manifest).unwrap();
        assert!(
            marked.contains("version = \"1.2.3+planted\"\nedition"),
            "{marked}"
        );
    }
}
