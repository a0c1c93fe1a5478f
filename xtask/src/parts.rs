//! A chore in parts: each has a name, runs by itself, is timed, and has a row in the closing table.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use console::style;

use crate::terminal;

/// One row of a chore's table.
pub(crate) struct Part<C> {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The parts after a failed one that prepares are not run; the others are, so that one run shows everything.
    pub(crate) prepares: bool,
    pub(crate) run: fn(&mut C) -> Result<Count>,
}

/// What a part did, in cases. A part that counts nothing leaves this empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// What the closing table should say besides.
    pub(crate) remark: String,
}

impl Count {
    pub(crate) fn remark(text: impl Into<String>) -> Self {
        Self {
            remark: text.into(),
            ..Self::default()
        }
    }

    /// The plain line that a CI service can read, whatever the test runner was.
    pub(crate) fn line(&self) -> String {
        let skipped = if self.skipped > 0 {
            format!(", {} skipped", self.skipped)
        } else {
            String::new()
        };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// One part that was run.
struct Row {
    name: &'static str,
    took: Duration,
    outcome: Result<Count>,
}

impl Row {
    fn is_good(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|count| count.failed == 0)
    }
}

/// What all parts did together.
pub(crate) struct Summary {
    pub(crate) good: bool,
    /// A part that failed without counting is one failed case here.
    pub(crate) count: Count,
}

impl Summary {
    /// Whether tests should have run, nothing failed, and none ran. That is a failure, and is said.
    pub(crate) fn ran_none(&self, should_run_some: bool) -> bool {
        let ran_none = self.good && should_run_some && self.count.passed == 0;
        if ran_none {
            terminal::warning("no test ran, and that is a failure");
        }
        ran_none
    }
}

/// The names that `--part` takes: another is wrong usage.
pub(crate) fn names<C>(parts: &[Part<C>]) -> PossibleValuesParser {
    parts
        .iter()
        .map(|part| part.name)
        .collect::<Vec<_>>()
        .into()
}

/// As [`run_all`], with the number of tests at the end; whether all is well. That no test ran is a failure, unless only parts were named that prepare.
pub(crate) fn run_and_count<C>(
    parts: &[Part<C>],
    only: &[String],
    context: &mut C,
    is_filtered: bool,
) -> bool {
    let summary = run_all(parts, only, context);
    let only_prepares = parts
        .iter()
        .filter(|it| only.iter().any(|name| name == it.name))
        .all(|it| it.prepares);
    let should_run_some = only.is_empty() || is_filtered || !only_prepares;
    let ran_none = summary.ran_none(should_run_some);
    terminal::print(&summary.count.line());
    summary.good && !ran_none
}

/// Runs the parts named in `only`, or all of them, and prints the closing table.
pub(crate) fn run_all<C>(parts: &[Part<C>], only: &[String], context: &mut C) -> Summary {
    let started = Instant::now();
    let mut rows = Vec::new();
    for part in parts {
        if !only.is_empty() && !part.prepares && !only.iter().any(|name| name == part.name) {
            continue;
        }
        terminal::step(&format!("{}: {}", part.name, part.about));
        let began = Instant::now();
        let outcome = (part.run)(context);
        if let Err(error) = &outcome {
            terminal::error(error);
        }
        let row = Row {
            name: part.name,
            took: began.elapsed(),
            outcome,
        };
        let stop = part.prepares && !row.is_good();
        rows.push(row);
        if stop {
            break;
        }
    }
    print_table(&rows, started.elapsed());
    summarise(&rows)
}

fn summarise(rows: &[Row]) -> Summary {
    let mut count = Count::default();
    for row in rows {
        match &row.outcome {
            Ok(one) => count.add(one),
            Err(_) => count.failed += 1,
        }
    }
    Summary {
        good: rows.iter().all(Row::is_good),
        count,
    }
}

fn print_table(rows: &[Row], took: Duration) {
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(5);
    terminal::print("");
    terminal::print(&format!("{:width$}  seconds  result", "part"));
    for row in rows {
        let result = if row.is_good() {
            style("ok").green()
        } else {
            style("FAILED").red().bold()
        };
        let details = row.outcome.as_ref().map(described).unwrap_or_default();
        terminal::print(&format!(
            "{:width$}  {:>7.1}  {result}{details}",
            row.name,
            row.took.as_secs_f64()
        ));
    }
    terminal::print(&format!("{:width$}  {:>7.1}", "total", took.as_secs_f64()));
}

fn described(count: &Count) -> String {
    let mut text = String::new();
    if count.passed + count.failed + count.skipped > 0 {
        text = format!("  {}", count.line());
    }
    if !count.remark.is_empty() {
        text += &format!("  ({})", count.remark);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn part(
        name: &'static str,
        prepares: bool,
        run: fn(&mut Vec<&'static str>) -> Result<Count>,
    ) -> Part<Vec<&'static str>> {
        Part {
            name,
            about: "",
            prepares,
            run,
        }
    }

    fn parts() -> [Part<Vec<&'static str>>; 3] {
        [
            part("prepare", true, |seen| {
                seen.push("prepare");
                Ok(Count::default())
            }),
            part("bad", false, |_| bail!("no")),
            part("good", false, |seen| {
                seen.push("good");
                Ok(Count {
                    passed: 3,
                    skipped: 1,
                    ..Count::default()
                })
            }),
        ]
    }

    #[test]
    fn goes_on_after_a_failed_part_and_counts_it() {
        let mut seen = Vec::new();
        let summary = run_all(&parts(), &[], &mut seen);
        assert_eq!(seen, ["prepare", "good"]);
        assert!(!summary.good);
        assert_eq!(
            summary.count,
            Count {
                passed: 3,
                failed: 1,
                skipped: 1,
                remark: String::new()
            }
        );
    }

    #[test]
    fn stops_after_a_failed_preparation() {
        let mut parts = parts();
        parts[0].run = |_| bail!("nothing works");
        let mut seen = Vec::new();
        assert!(!run_all(&parts, &[], &mut seen).good);
        assert_eq!(seen, Vec::<&str>::new());
    }

    #[test]
    fn a_run_without_a_test_is_told() {
        let summary = |good, passed| Summary {
            good,
            count: Count {
                passed,
                ..Count::default()
            },
        };
        assert!(summary(true, 0).ran_none(true));
        assert!(!summary(true, 0).ran_none(false));
        assert!(!summary(true, 1).ran_none(true));
        // Something failed already, and has been said.
        assert!(!summary(false, 0).ran_none(true));
    }

    #[test]
    fn one_part_runs_with_what_prepares_it() {
        let mut seen = Vec::new();
        assert!(run_all(&parts(), &["good".to_owned()], &mut seen).good);
        assert_eq!(seen, ["prepare", "good"]);
    }
}
