//! Mistakes that an author of the Metal backend could make, each planted in a copy of the sources, to see that its test fails and for the right reason. A test that
//! cannot fail, and a rule that the software classes do not know, show here.

mod mistakes;

use std::env;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;

use self::mistakes::MISTAKES;
use crate::parts::Count;
use crate::system::{self, Need};
use crate::{shell, terminal, totals};

/// How long the tests of one mistake may run: a hang is one way to fail.
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
    /// The software classes name a broken rule, in these words.
    Rule(&'static str),
    /// What was computed is wrong.
    Bytes,
    /// The test sees something else that is wrong, and says so in these words.
    Says(&'static str),
    /// The test does not end.
    Hang,
}

impl Symptom {
    /// What the failing test's output has to contain.
    fn fragment(self) -> &'static str {
        match self {
            Self::Rule(words) | Self::Says(words) => words,
            Self::Bytes => "assertion `left == right` failed",
            Self::Hang => "",
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
    let chosen: Vec<&Mistake> = MISTAKES
        .iter()
        .filter(|it| filter.is_none_or(|text| it.name.contains(text)))
        .collect();
    ensure!(!chosen.is_empty(), "no planted mistake has such a name");
    ensure_clang()?;
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
    let Some(status) = ended.status else {
        if symptom == Symptom::Hang {
            return Ok(());
        }
        bail!("its test hangs, where it should fail: {symptom:?}");
    };
    ensure!(!status.success(), "its test passes");
    ensure!(
        symptom != Symptom::Hang,
        "its test fails, where it should hang:\n{}",
        ended.output
    );
    ensure!(
        ended.output.contains(symptom.fragment()),
        "its test fails for another reason than {:?}:\n{}",
        symptom.fragment(),
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
        it["executable"].as_str().filter(|_| fits).map(PathBuf::from)
    });
    programs.next()
}

/// Kernels are compiled by clang.
fn ensure_clang() -> Result<()> {
    let clang = env::var("TIDEGATE_SOFTMETAL_CLANG").unwrap_or_else(|_| "clang-19".to_owned());
    if shell::answers(&clang, &["--version"]) {
        return Ok(());
    }
    system::install(&[Need::Clang])?;
    ensure!(
        shell::answers(&clang, &["--version"]),
        "the package is installed, and there is still no {clang}"
    );
    Ok(())
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
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root);
        let output = listed.output().context("git did not start")?;
        shell::finished(&listed, output.status)?;
        for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
            copy(&root.join(path), &at.join(path)).with_context(|| path.to_owned())?;
        }
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
            .env("RUSTC_WRAPPER", self.root.join("crates/softmetal/rustc-soft"))
            .env("RUSTFLAGS", "--cfg metal_soft")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", self.root.join("target/soft"))
            .output()
            .context("cargo did not start")?;
        if !output.status.success() {
            bail!("it does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
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
