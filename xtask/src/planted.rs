//! Mistakes that an author of the Metal backend could make, each planted in a copy of the sources, to see that its test fails and for the right reason. A test that
//! cannot fail, and a rule that the software classes do not know, show here.
//!
//! Each breaks a rule of Metal's or of Objective-C's. They were chosen by somebody who did not write the software classes and had not read them.

mod encoding;
mod keeping;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::parts::Count;
use crate::{shell, terminal, totals};

/// How long the test of one mistake may run. A hang tells nobody what is wrong, and does not count as caught.
const TESTS_MAX: Duration = Duration::from_secs(60);
/// How long the same tests may run in the sources as they are, all together.
const UNCHANGED_MAX: Duration = Duration::from_secs(300);
/// The package with the mistakes and the tests.
const PACKAGE: &str = "tidegate-metal";

/// A mistake.
struct Mistake {
    name: &'static str,
    /// What it is, for the table in docs/metal.md.
    what: &'static str,
    /// Below `crates/metal/src`.
    file: &'static str,
    /// Occurs once in the file, and becomes `replacement`.
    find: &'static str,
    replacement: &'static str,
    /// The test binary, or `lib` for the unit tests.
    target: &'static str,
    /// The test that fails.
    test: &'static str,
    symptom: Symptom,
}

/// How the test fails: anything else does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symptom {
    /// The software classes name this broken rule.
    Rule(&'static str),
    /// What was computed is wrong.
    Bytes,
    /// The test sees something else that is wrong, and says so in these words.
    Says(&'static str),
}

impl Symptom {
    /// Whether a failing test's output shows it.
    fn is_in(self, output: &str) -> bool {
        match self {
            // As it is said when it is broken, and as a list of broken rules has it.
            Self::Rule(name) => [format!("rule {name} broken"), format!("rule: {name},")]
                .iter()
                .any(|it| output.contains(it)),
            Self::Bytes => output.contains("assertion `left == right` failed"),
            Self::Says(words) => output.contains(words),
        }
    }
}

/// How a run of tests ended.
struct Ended {
    /// None if it was killed at its bound.
    status: Option<ExitStatus>,
    output: String,
}

/// Plants the mistakes whose names contain `filter`, or all of them. A mistake that is not caught is a failed case.
pub(crate) fn run(filter: Option<&str>) -> Result<Count> {
    let chosen: Vec<&Mistake> = mistakes()
        .filter(|it| filter.is_none_or(|text| it.name.contains(text)))
        .collect();
    if chosen.is_empty() {
        return Ok(Count::remark("none has such a name"));
    }
    let tree = Tree::new()?;
    for mistake in &chosen {
        let source = fs::read_to_string(tree.source(mistake))?;
        plant(&source, mistake).with_context(|| mistake.name)?;
    }
    unchanged(&tree, &chosen)?;
    let mut count = Count::default();
    for mistake in chosen {
        let began = Instant::now();
        let caught = tree.with(mistake);
        let seconds = began.elapsed().as_secs_f64();
        let (name, by) = (mistake.name, mistake.test);
        match caught {
            Ok(()) => {
                count.passed += 1;
                terminal::note(&format!("caught {seconds:5.1} s  {name}, by {by}"));
            }
            Err(error) => {
                count.failed += 1;
                terminal::error(&error.context(format!("{name} ({}) is not caught", mistake.what)));
            }
        }
    }
    Ok(count)
}

fn mistakes() -> impl Iterator<Item = &'static Mistake> {
    encoding::MISTAKES.iter().chain(keeping::MISTAKES)
}

/// Without the mistakes every test that is to catch one passes.
fn unchanged(tree: &Tree, chosen: &[&Mistake]) -> Result<()> {
    let mut targets: Vec<_> = chosen.iter().map(|it| it.target).collect();
    targets.sort_unstable();
    targets.dedup();
    for target in targets {
        let of = chosen.iter().filter(|it| it.target == target);
        let mut tests: Vec<_> = of.map(|it| it.test).collect();
        tests.sort_unstable();
        tests.dedup();
        let began = Instant::now();
        let program = tree.build(target)?;
        let ended = tree.tests(&program, &tests, UNCHANGED_MAX)?;
        let passed = ended.output.lines().find_map(totals::libtest);
        let passed = passed.map_or(0, |it| it.passed);
        let good = ended.status.is_some_and(|it| it.success()) && passed == tests.len() as u64;
        ensure!(
            good,
            "without any mistake, {passed} of the tests {tests:?} of {target} pass:\n{}",
            ended.output
        );
        let seconds = began.elapsed().as_secs_f64();
        terminal::note(&format!(
            "{target}: {passed} tests pass unchanged ({seconds:.1} s)"
        ));
    }
    Ok(())
}

/// The source with the mistake in it.
fn plant(source: &str, mistake: &Mistake) -> Result<String> {
    let found = source.matches(mistake.find).count();
    ensure!(
        found == 1,
        "the text to change occurs {found} times in {}: {:?}",
        mistake.file,
        mistake.find
    );
    Ok(source.replacen(mistake.find, mistake.replacement, 1))
}

/// Whether the tests failed as they should.
fn judge(ended: &Ended, symptom: Symptom) -> Result<()> {
    let status = ended.status.context("its test hangs")?;
    ensure!(!status.success(), "its test passes");
    ensure!(
        symptom.is_in(&ended.output),
        "its test fails for another reason than {symptom:?}:\n{}",
        ended.output
    );
    Ok(())
}

/// The program of a test target, from what cargo prints as JSON.
fn program(messages: &str, target: &str) -> Option<PathBuf> {
    let name = if target == "lib" {
        PACKAGE.replace('-', "_")
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

/// A copy of the sources, so that an interrupted run leaves no mistake behind.
struct Tree {
    root: PathBuf,
    at: PathBuf,
}

impl Tree {
    fn new() -> Result<Self> {
        let root = shell::root();
        let at = root.join("target/planted/tree");
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
        for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
            copy(&root.join(path), &at.join(path)).with_context(|| path.to_owned())?;
        }
        let manifest = at.join("Cargo.toml");
        let text = marked(&fs::read_to_string(&manifest)?)?;
        fs::write(&manifest, text)?;
        Ok(Self { root, at })
    }

    fn source(&self, mistake: &Mistake) -> PathBuf {
        self.at.join("crates/metal/src").join(mistake.file)
    }

    /// Plants the mistake, runs its test, and takes it out again.
    fn with(&self, mistake: &Mistake) -> Result<()> {
        let path = self.source(mistake);
        let source = fs::read_to_string(&path)?;
        fs::write(&path, plant(&source, mistake)?)?;
        let ended = self
            .build(mistake.target)
            .and_then(|program| self.tests(&program, &[mistake.test], TESTS_MAX));
        fs::write(&path, source)?;
        judge(&ended?, mistake.symptom)
    }

    /// Builds one test target, with the software classes.
    fn build(&self, target: &str) -> Result<PathBuf> {
        let mut command = shell::cargo(["test", "--no-run", "--quiet", "--package", PACKAGE]);
        command.current_dir(&self.at);
        match target {
            "lib" => command.arg("--lib"),
            name => command.args(["--test", name]),
        };
        let output = command
            .arg("--message-format=json-render-diagnostics")
            .env(
                "RUSTC_WRAPPER",
                self.root.join("crates/softmetal/rustc-soft"),
            )
            .env("RUSTFLAGS", "--cfg metal_soft")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", self.root.join("target/soft"))
            .output()
            .context("cargo did not start")?;
        if !output.status.success() {
            bail!(
                "it does not compile:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        program(&String::from_utf8_lossy(&output.stdout), target)
            .ok_or_else(|| anyhow!("cargo names no program for {target}"))
    }

    /// Runs some tests of a test program, for so long at most.
    fn tests(&self, program: &Path, tests: &[&str], most: Duration) -> Result<Ended> {
        let mut command = Command::new(program);
        command
            .arg("--exact")
            .args(tests)
            .current_dir(self.at.join("crates/metal"))
            // A run is to be the same each time.
            .env_remove("TIDEGATE_SOFTMETAL_SEED")
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

/// Copies a file if the copy differs: what is not written anew is not built anew. A file that is gone is no file of the tree.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = match fs::read(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    if fs::read(to).is_ok_and(|it| it == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(to, bytes)?)
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
    use std::collections::HashSet;

    use super::*;

    fn mistake(find: &'static str, replacement: &'static str) -> Mistake {
        Mistake {
            name: "a",
            what: "",
            file: "a.rs",
            find,
            replacement,
            target: "device",
            test: "t",
            symptom: Symptom::Bytes,
        }
    }

    #[test]
    fn a_mistake_is_planted_where_its_text_occurs_once() {
        let source = "one();\ntwo();\ntwo();\n";
        let planted = plant(source, &mistake("one();\n", "")).unwrap();
        assert_eq!(planted, "two();\ntwo();\n");
        for (find, times) in [("two();", "2 times"), ("three();", "0 times")] {
            let error = plant(source, &mistake(find, "")).unwrap_err();
            assert!(error.to_string().contains(times), "{error}");
        }
    }

    #[test]
    fn every_mistake_has_its_place_and_its_test() {
        let mut names = HashSet::new();
        for mistake in mistakes() {
            let crate_ = shell::root().join("crates/metal");
            assert!(names.insert(mistake.name), "{} twice", mistake.name);
            let source = fs::read_to_string(crate_.join("src").join(mistake.file)).unwrap();
            assert_ne!(plant(&source, mistake).unwrap(), source);
            let tests = crate_.join("tests").join(format!("{}.rs", mistake.target));
            let test = format!("fn {}()", mistake.test);
            assert!(fs::read_to_string(tests).unwrap().contains(&test), "{test}");
        }
        assert!(names.len() >= 15);
    }

    /// The table in docs/metal.md is this one.
    #[test]
    fn the_docs_list_every_mistake() {
        let rows = mistakes().map(|it| {
            let reason = match it.symptom {
                Symptom::Rule(name) => format!("rule `{name}`"),
                Symptom::Bytes => "what is computed is wrong".to_owned(),
                Symptom::Says(words) => format!("the test says `{words}`"),
            };
            let Mistake {
                name, what, test, ..
            } = it;
            format!("| {name} | {what} | `{test}` | {reason} |\n")
        });
        let table: String = rows.collect();
        let docs = fs::read_to_string(shell::root().join("docs/metal.md")).unwrap();
        assert!(docs.contains(&table), "docs/metal.md should have:\n{table}");
    }

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
        assert_eq!(program(&messages, "faults"), Some("/t/faults-2".into()));
        assert_eq!(program(&messages, "lib"), Some("/t/lib-3".into()));
        assert_eq!(program(&messages, "device"), None);
    }

    #[test]
    fn only_the_right_reason_counts() {
        let ended = |code: &str, output: &str| Ended {
            status: Some(Command::new("sh").args(["-c", code]).status().unwrap()),
            output: output.to_owned(),
        };
        let rule = Symptom::Rule("NoPool");
        assert!(judge(&ended("exit 101", "Metal rule NoPool broken: x"), rule).is_ok());
        assert!(judge(&ended("exit 101", "        rule: NoPool,"), rule).is_ok());
        assert!(judge(&ended("exit 0", "Metal rule NoPool broken: x"), rule).is_err());
        assert!(judge(&ended("exit 101", "Metal rule Zombie broken: NoPool"), rule).is_err());
        let hangs = Ended {
            status: None,
            output: "Metal rule NoPool broken: x".to_owned(),
        };
        assert!(judge(&hangs, rule).is_err());
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
