//! `cargo xtask fuzz`: libFuzzer's bytes into every part that takes what strangers made. `fuzz/` has the targets, in cargo-fuzz's layout, and neither cargo-fuzz nor a nightly compiler is needed.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tidegate_measure::counted;

use crate::parts::Count;
use crate::soak::values;
use crate::{shell, terminal};

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                              every target, a minute each
  cargo xtask fuzz --target spirv --minutes 30  one target for longer
  cargo xtask fuzz --target wgsl --input fuzz/artifacts/wgsl/crash-0123   what was found, once more
  cargo xtask fuzz --target gguf --tidy         the committed corpus anew, from all that was found so far

New inputs that reach new code go to fuzz/target/corpus, and are where the next run starts. An input that fails is kept in \
fuzz/artifacts; once it is fixed, it belongs in fuzz/corpus, under a name that begins with `found-`. It needs Linux or macOS, and a C++ compiler.")]
pub(crate) struct Options {
    /// Which target; may be repeated. All of them if not given
    #[arg(long, value_name = "NAME", value_parser = names())]
    target: Vec<String>,
    /// Minutes for each target, such as 0.5
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = values::minutes, allow_negative_numbers = true)]
    minutes: f64,
    /// Run one target on this file, once, instead
    #[arg(
        long,
        value_name = "FILE",
        requires = "target",
        conflicts_with = "minutes"
    )]
    input: Option<PathBuf>,
    /// Instead, write the committed corpus anew, from inputs that together reach all that is reached so far
    #[arg(long, conflicts_with_all = ["minutes", "input"])]
    tidy: bool,
}

/// A target in `fuzz/fuzz_targets`.
struct Target {
    name: &'static str,
    /// Longest input, in bytes.
    bytes_max: u32,
    /// Inputs that lie elsewhere in the repository.
    seeds: Option<&'static str>,
}

const TARGETS: [Target; 5] = [
    Target {
        name: "wgsl",
        bytes_max: 4096,
        seeds: Some("crates/shader/tests/in"),
    },
    Target {
        name: "spirv",
        bytes_max: 8192,
        seeds: None,
    },
    Target {
        name: "gguf",
        bytes_max: 16_384,
        seeds: None,
    },
    Target {
        name: "arguments",
        bytes_max: 512,
        seeds: None,
    },
    Target {
        name: "history",
        bytes_max: 1024,
        seeds: None,
    },
];

/// Seconds of a target's turn in `cargo xtask test`.
const SMOKE_SECONDS: u64 = 20;
/// An input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 20;
/// Memory that a process may take.
const MEMORY_MIB_MAX: u32 = 2048;
/// Files of a corpus that is written anew, at most: of every size some.
const CORPUS_FILES_MAX: usize = 60;

/// cargo-fuzz's own flags for coverage. All are stable. No sanitizer: what runs here has no unsafe code.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing";

/// The names that `--target` takes: another is wrong usage.
fn names() -> clap::builder::PossibleValuesParser {
    TARGETS.map(|it| it.name).into()
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let chosen = TARGETS.iter().filter(|it| {
        options.target.is_empty() || options.target.iter().any(|name| name == it.name)
    });
    let chosen: Vec<&Target> = chosen.collect();
    // Before the build, which takes minutes.
    options.input.as_deref().map(readable).transpose()?;
    let built = build(&chosen)?;
    if let Some(input) = &options.input {
        for target in chosen {
            shell::run(Command::new(built.join(target.name)).arg(input))?;
        }
        return Ok(true);
    }
    let mut good = true;
    for target in chosen {
        terminal::step(&format!("Fuzzing {}", target.name));
        if options.tidy {
            tidy(target, &built)?;
            continue;
        }
        match fuzz(target, &built, (60.0 * options.minutes).ceil() as u64) {
            Ok(found) => terminal::print(&found.line(target.name)),
            Err(error) => {
                terminal::error(&error);
                good = false;
            }
        }
    }
    Ok(good)
}

/// A file that can be read. libFuzzer would take a folder for a corpus.
fn readable(input: &Path) -> Result<()> {
    let shown = input.display();
    fs::File::open(input).with_context(|| format!("{shown} cannot be read"))?;
    ensure!(
        !input.is_dir(),
        "{shown} is a folder; --input takes one file"
    );
    Ok(())
}

/// Seconds of each target, as a part of `cargo xtask test`.
pub(crate) fn smoke() -> Result<Count> {
    if !cfg!(any(target_os = "linux", target_os = "macos")) {
        return Ok(Count::remark("not run: it takes Linux or macOS"));
    }
    let built = build(&TARGETS.iter().collect::<Vec<_>>())?;
    let mut count = Count::default();
    let mut inputs = 0;
    for target in &TARGETS {
        match fuzz(target, &built, SMOKE_SECONDS) {
            Ok(found) => {
                terminal::note(&found.line(target.name));
                count.passed += 1;
                inputs += found.inputs;
            }
            Err(error) => {
                terminal::error(&error);
                count.failed += 1;
            }
        }
    }
    count.remark = format!("{}, {SMOKE_SECONDS} s a target", counted(inputs, "input"));
    Ok(count)
}

/// Where the programs of the targets are, built with what libFuzzer has to see.
fn build(targets: &[&Target]) -> Result<PathBuf> {
    let (folder, host) = (folder(), host()?);
    // With --target, cargo spares build scripts and macros the flags.
    let mut command = shell::cargo(["build", "--release", "--target", &host]);
    command
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("target"))
        .args(targets.iter().flat_map(|it| ["--bin", it.name]))
        .env("RUSTFLAGS", FLAGS)
        // Stronger than RUSTFLAGS, as are a person's own.
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    shell::run(&mut command)
        .context("the targets did not build; libFuzzer needs a C++ compiler")?;
    Ok(folder.join("target").join(host).join("release"))
}

fn folder() -> PathBuf {
    shell::root().join("fuzz")
}

/// The compiler's name for this system.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc did not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|it| it.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// What a run without a finding did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ran {
    seconds: u64,
    inputs: u64,
    /// Edges of the code that were reached, and inputs kept because they reach them.
    edges: u64,
    kept: u64,
}

impl Ran {
    fn line(&self, name: &str) -> String {
        let Self {
            seconds,
            inputs,
            edges,
            kept,
        } = self;
        format!(
            "{name}: {} in {seconds} s, {} reached by {kept} of them, nothing found",
            counted(*inputs, "input"),
            counted(*edges, "edge")
        )
    }

    /// Reads one line of libFuzzer's: `#2054 DONE cov: 61 ft: 98 corp: 8/17b ...`
    fn read(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let Some(inputs) = words.next().and_then(|it| it.strip_prefix('#')) else {
            return;
        };
        let Ok(inputs) = inputs.parse() else {
            return;
        };
        self.inputs = inputs;
        while let Some(word) = words.next() {
            let number = match word {
                "cov:" => &mut self.edges,
                "corp:" => &mut self.kept,
                _ => continue,
            };
            let value = words
                .next()
                .and_then(|it| it.split('/').next()?.parse().ok());
            *number = value.unwrap_or(*number);
        }
    }
}

fn fuzz(target: &Target, built: &Path, seconds: u64) -> Result<Ran> {
    let artifacts = folder().join("artifacts").join(target.name);
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(built.join(target.name));
    command
        .args(corpora(target)?)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.bytes_max))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .current_dir(shell::root());
    let dictionary = folder()
        .join("dictionaries")
        .join(format!("{}.dict", target.name));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    watch(&mut command, seconds).with_context(|| {
        format!(
            "{}: the input is in {}; `cargo xtask fuzz --target {0} --input FILE` runs it again",
            target.name,
            artifacts.display()
        )
    })
}

/// Where new inputs go, then where others are.
fn corpora(target: &Target) -> Result<Vec<PathBuf>> {
    let found = folder().join("target/corpus").join(target.name);
    fs::create_dir_all(&found)?;
    let mut folders = vec![found, folder().join("corpus").join(target.name)];
    folders.extend(target.seeds.map(|it| shell::root().join(it)));
    Ok(folders)
}

/// Runs libFuzzer, tells of its pulse, and shows the end of what it said if it fails.
fn watch(command: &mut Command, seconds: u64) -> Result<Ran> {
    const TAIL_LINES: usize = 60;
    terminal::note(&shell::shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` did not start", shell::shown(command)))?;
    let mut ran = Ran::default();
    let mut tail = VecDeque::new();
    if let Some(pipe) = child.stderr.take() {
        // What a panic prints need not be UTF-8.
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            ran.read(&line);
            if is_pulse(&line) {
                terminal::note(&line);
            }
            tail.push_back(line);
            if tail.len() > TAIL_LINES {
                tail.pop_front();
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        tail.iter().for_each(|it| terminal::note(it));
        bail!("`{}` found something ({status})", shell::shown(command));
    }
    ensure!(ran.inputs > 0, "libFuzzer told of no input");
    ran.seconds = seconds;
    Ok(ran)
}

/// Whether the line says how far libFuzzer is, which it does each time that the inputs have doubled.
fn is_pulse(line: &str) -> bool {
    let word = line.split_whitespace().nth(1);
    matches!(word, Some("INITED" | "pulse"))
}

/// Puts some of the inputs that together reach all that is reached in the place of the committed ones.
fn tidy(target: &Target, built: &Path) -> Result<()> {
    let fresh = folder().join("target/tidied").join(target.name);
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh)?;
    let mut command = Command::new(built.join(target.name));
    command
        .arg("-set_cover_merge=1")
        .arg(format!("-max_len={}", target.bytes_max))
        .arg(&fresh)
        .args(corpora(target)?);
    shell::run(command.stderr(Stdio::null()))?;
    let mut files = fs::read_dir(&fresh)?
        .map(|it| {
            let it = it?;
            Ok((it.metadata()?.len(), it.path()))
        })
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let corpus = folder().join("corpus").join(target.name);
    fs::create_dir_all(&corpus)?;
    for file in fs::read_dir(&corpus)? {
        let file = file?;
        let name = file.file_name();
        // What failed once stays, and what people wrote.
        let stays = |it: &str| name.to_string_lossy().starts_with(it);
        if !["found-", "start-"].into_iter().any(stays) {
            fs::remove_file(file.path())?;
        }
    }
    let step = files.len().div_ceil(CORPUS_FILES_MAX).max(1);
    let kept: Vec<_> = files.iter().step_by(step).collect();
    for (_, file) in &kept {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(file, corpus.join(name))?;
    }
    terminal::print(&format!(
        "{}: {} of {}",
        target.name,
        kept.len(),
        counted(files.len() as u64, "input")
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libfuzzer_says() {
        let mut ran = Ran::default();
        ran.read("INFO: seed corpus: files: 3 min: 1b");
        ran.read("#4\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0 rss: 38Mb");
        ran.read("#2054\tDONE   cov: 61 ft: 98 corp: 8/17b lim: 21 exec/s: 0 rss: 38Mb");
        ran.read("#x");
        let expected = Ran {
            seconds: 0,
            inputs: 2054,
            edges: 61,
            kept: 8,
        };
        assert_eq!(ran, expected);
    }

    #[test]
    fn tells_how_far_libfuzzer_is() {
        assert!(is_pulse("#2\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0"));
        assert!(is_pulse("#256\tpulse  cov: 61 ft: 98 corp: 8/17b"));
        assert!(!is_pulse("#9\tNEW    cov: 61 ft: 98 corp: 8/17b"));
    }

    #[test]
    fn an_input_that_cannot_be_read_is_told_before_the_build() {
        for (wrong, words) in [("missing", "cannot be read"), ("corpus", "is a folder")] {
            let error = run(&Options {
                target: vec!["wgsl".to_owned()],
                minutes: 1.0,
                input: Some(folder().join(wrong)),
                tidy: false,
            });
            let error = format!("{:#}", error.unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn every_target_is_built_and_has_a_corpus() {
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for Target { name, .. } in &TARGETS {
            assert!(
                manifest.contains(&format!("fuzz_targets/{name}.rs")),
                "{name}"
            );
            let corpus = folder().join("corpus").join(name);
            assert!(
                fs::read_dir(&corpus).unwrap().count() > 0,
                "{}",
                corpus.display()
            );
        }
    }
}
