//! Mistakes that an author of the Metal backend could make, each planted in a copy of the sources, to see that its test fails and for the right reason. A test that
//! cannot fail, and a rule that the software classes do not know, show here.
//!
//! Each breaks a rule of Metal's or of Objective-C's. They were chosen by somebody who did not write the software classes and had not read them.

mod encoding;
mod keeping;
mod slots;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tidegate_measure::counted;

use crate::parts::Count;
use crate::{terminal, totals};

use tree::{Ended, Tree};

/// How often the test of one mistake may run until it fails.
const ATTEMPTS_MAX: u64 = 6;
/// How long it may run each time. A hang tells nobody what is wrong, and does not count as caught.
const TESTS_MAX: Duration = Duration::from_secs(60);
/// How long the same tests may run in the sources as they are, all together.
const UNCHANGED_MAX: Duration = Duration::from_secs(300);
/// A package with mistakes and the tests that catch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: &'static str,
    folder: &'static str,
}

/// The backend.
const METAL: Package = Package {
    name: "tidegate-metal",
    folder: "crates/metal",
};
/// The public library, which gives the backend its kernels' slots.
const LIBRARY: Package = Package {
    name: "tidegate",
    folder: "crates/tidegate",
};

/// A mistake.
struct Mistake {
    package: Package,
    name: &'static str,
    /// What it is, for the table in docs/metal.md.
    what: &'static str,
    /// Below the package's `src`.
    file: &'static str,
    /// Occurs once in the file, and becomes `replacement`.
    find: &'static str,
    replacement: &'static str,
    /// The test binary, or `lib` for the unit tests.
    target: &'static str,
    /// The test that fails, with its module.
    test: &'static str,
    symptom: Symptom,
}

/// How the test fails: anything else does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symptom {
    /// The software classes name this broken rule.
    Rule(&'static str),
    /// A history meets this broken rule or wrong bytes: which comes first is a matter of time.
    RuleOrBytes(&'static str),
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
            Self::RuleOrBytes(name) => {
                Self::Rule(name).is_in(output) || output.contains(": wrong bytes: ")
            }
            Self::Bytes => output.contains("assertion `left == right` failed"),
            Self::Says(words) => output.contains(words),
        }
    }
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
    encoding::MISTAKES
        .iter()
        .chain(keeping::MISTAKES)
        .chain(slots::MISTAKES)
}

/// Without the mistakes every test that is to catch one passes.
fn unchanged(tree: &Tree, chosen: &[&Mistake]) -> Result<()> {
    let targets: BTreeSet<_> = chosen.iter().map(|it| (it.package, it.target)).collect();
    for (package, target) in targets {
        let of = chosen
            .iter()
            .filter(|it| (it.package, it.target) == (package, target));
        let tests: BTreeSet<_> = of.map(|it| it.test).collect();
        let tests: Vec<_> = tests.into_iter().collect();
        let began = Instant::now();
        let program = tree.build(package, target)?;
        let ended = tree.tests(package, &program, (&tests, 0), UNCHANGED_MAX)?;
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
            "{target}: {} passed unchanged ({seconds:.1} s)",
            counted(passed, "test")
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::shell;

    fn mistake(find: &'static str, replacement: &'static str) -> Mistake {
        Mistake {
            package: METAL,
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
            let crate_ = shell::root().join(mistake.package.folder);
            assert!(names.insert(mistake.name), "{} twice", mistake.name);
            let source = fs::read_to_string(crate_.join("src").join(mistake.file)).unwrap();
            assert_ne!(plant(&source, mistake).unwrap(), source);
            // A suite's tests are functions in the files of a folder, which for the contract's is core's.
            let target = if mistake.test.starts_with("contract::") {
                shell::root().join("crates/core/tests/device")
            } else {
                crate_.join("tests").join(mistake.target)
            };
            let files = match fs::read_dir(&target) {
                Ok(entries) => entries.map(|it| it.unwrap().path()).collect(),
                Err(_) => vec![target.with_extension("rs")],
            };
            let name = mistake.test.rsplit("::").next().unwrap();
            let test = format!("fn {name}(");
            let has = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(&test);
            assert!(files.iter().any(has), "{test}");
        }
        assert!(names.len() >= 15);
    }

    /// The table in docs/metal.md is this one.
    #[test]
    fn the_docs_list_every_mistake() {
        let rows = mistakes().map(|it| {
            let reason = match it.symptom {
                Symptom::Rule(name) | Symptom::RuleOrBytes(name) => format!("rule `{name}`"),
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
}
