//! Reads how many tests ran from the closing lines of cargo test and cargo nextest.

use crate::parts::Count;

/// Reads one line of a runner's output; gives the counts if it is a closing line.
///
/// nextest shows the output of a failed test, and that is a libtest's own: so a run is read by one reader, not by both.
pub(crate) type Reader = fn(&str) -> Option<Count>;

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`
pub(crate) fn libtest(line: &str) -> Option<Count> {
    let (_, counts) = line
        .trim()
        .strip_prefix("test result: ")?
        .split_once(". ")?;
    let mut count = Count::default();
    for (number, word) in counts.split(';').filter_map(numbered) {
        match word {
            "passed" => count.passed += number,
            "failed" => count.failed += number,
            "ignored" => count.skipped += number,
            _ => {}
        }
    }
    Some(count)
}

/// `Summary [   0.021s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 3 skipped`
pub(crate) fn nextest(line: &str) -> Option<Count> {
    let (_, rest) = line.trim().strip_prefix("Summary [")?.split_once(']')?;
    let (_, counts) = rest.split_once(" run: ")?;
    let mut count = Count::default();
    for (number, word) in without_brackets(counts).split(',').filter_map(numbered) {
        match word {
            "passed" => count.passed += number,
            "skipped" => count.skipped += number,
            // Failed, timed out, could not be executed: each is a failure.
            _ => count.failed += number,
        }
    }
    Some(count)
}

/// `2 failed, 12 passed, 1 skipped in 3.21s`, at times between rows of `=`.
pub(crate) fn pytest(line: &str) -> Option<Count> {
    let line = line.trim().trim_matches(['=', ' ']);
    let (counts, took) = line.rsplit_once(" in ")?;
    let is_time = took.starts_with(|c: char| c.is_ascii_digit()) && took.contains('s');
    let mut count = Count::default();
    for part in counts.split(',') {
        let (number, word) = numbered(part)?;
        match word {
            "passed" | "xfailed" => count.passed += number,
            "failed" | "error" | "errors" | "xpassed" => count.failed += number,
            "skipped" => count.skipped += number,
            "warning" | "warnings" | "deselected" => {}
            _ => return None,
        }
    }
    is_time.then_some(count)
}

fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, word) = text.trim().split_once(' ')?;
    Some((number.parse().ok()?, word.trim()))
}

fn without_brackets(text: &str) -> String {
    let mut depth = 0_u32;
    let mut kept = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: u64, failed: u64, skipped: u64) -> Option<Count> {
        Some(Count {
            passed,
            failed,
            skipped,
            remark: String::new(),
        })
    }

    #[test]
    fn reads_pytest() {
        assert_eq!(pytest("12 passed in 3.21s\n"), count(12, 0, 0));
        let line =
            "==== 2 failed, 12 passed, 1 skipped, 3 warnings, 1 error in 63.21s (0:01:03) ====";
        assert_eq!(pytest(line), count(12, 3, 1));
        assert_eq!(pytest("FAILED tests/test_a.py - 2 results in 3s"), None);
        assert_eq!(pytest("3 passed in the end"), None);
    }

    #[test]
    fn reads_cargo_test() {
        let line = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s\n";
        assert_eq!(libtest(line), count(5, 0, 1));
        assert_eq!(
            libtest("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured"),
            count(1, 2, 0)
        );
    }

    #[test]
    fn reads_nextest() {
        assert_eq!(
            nextest("     Summary [   0.021s] 1 test run: 1 passed, 0 skipped"),
            count(1, 0, 0)
        );
        let line = "     Summary [ 9.1s] 5/8 tests run: 2 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(nextest(line), count(2, 3, 3));
    }

    #[test]
    fn other_lines_add_nothing() {
        for line in [
            "",
            "running 5 tests",
            "test result",
            "Summary",
            "test a ... ok",
            "Summary [0.1s] nothing",
        ] {
            assert_eq!(libtest(line).or(nextest(line)), None, "{line}");
        }
    }
}
