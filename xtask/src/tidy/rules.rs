//! The rules. Words that a rule forbids are put together here, so that this file passes its own rules.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// Lines of one Rust file, its unit tests and test folders aside.
const LINES_MAX: usize = 500;

/// Files that may be longer: path, lines, reason. The number only ever goes down.
const LONGER: &[(&str, usize, &str)] = &[];

/// Crates that promise to have no unsafe code of their own.
const SAFE_CRATES: [&str; 3] = ["crates/core/", "crates/shader/", "crates/sim/"];

/// Every finding of every rule in one file.
pub(super) fn all(source: &Source, tracked: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.ends_with(".rs") {
        findings.extend(line_budget(source, LONGER));
        findings.extend(debug_macro(source));
        findings.extend(names(source));
        findings.extend(forbids_unsafe(source));
    }
    if source.path.ends_with(".md") {
        findings.extend(links(source, tracked));
    }
    if source.path == "crates/core/Cargo.toml" {
        findings.extend(no_dependency(source));
    }
    findings.extend(file_name(source));
    findings.extend(open_ends(source));
    findings.extend(machine_paths(source));
    findings
}

/// An exception for a file that is gone.
pub(super) fn stale_exceptions(tracked: &BTreeSet<String>) -> Vec<Finding> {
    let gone = LONGER.iter().filter(|(path, ..)| !tracked.contains(*path));
    let finding = |path: &str| Finding {
        path: path.to_owned(),
        line: 0,
        text: "is gone; take it out of the list of longer files".to_owned(),
    };
    gone.map(|(path, ..)| finding(path)).collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// A file stays short enough to be read; unit tests at its end do not count.
fn line_budget(source: &Source, longer: &[(&str, usize, &str)]) -> Vec<Finding> {
    if source
        .path
        .split('/')
        .any(|part| part == "tests" || part == "tests.rs")
    {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    let count = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    let exception = longer.iter().find(|(path, ..)| *path == source.path);
    let text = match exception {
        None if count > LINES_MAX => {
            format!("{count} lines, and {LINES_MAX} are the most: split it by what it does")
        }
        Some((_, most, _)) if count > *most => {
            format!("{count} lines, and its exception ends at {most}")
        }
        Some((_, most, _)) if count + 20 <= *most => {
            format!("is down to {count} lines: lower its exception from {most}")
        }
        _ => return Vec::new(),
    };
    vec![Finding::new(source, 0, text)]
}

/// What is left to do names the issue in which it is done.
fn open_ends(source: &Source) -> Vec<Finding> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut findings = Vec::new();
    for (number, line) in numbered(&source.text) {
        let found = marks.iter().find_map(|mark| {
            whole_words(line, mark)
                .next()
                .map(|at| (mark, &line[at + mark.len()..]))
        });
        let Some((mark, rest)) = found else { continue };
        let issue = rest
            .strip_prefix("(#")
            .and_then(|rest| rest.split_once(')'))
            .map(|(issue, _)| issue);
        let has_issue = issue.is_some_and(|issue| {
            !issue.is_empty() && issue.bytes().all(|byte| byte.is_ascii_digit())
        });
        if *mark != marks[0] || !has_issue {
            findings.push(Finding::new(
                source,
                number,
                format!("{mark}: write {}(#issue) or do it now", marks[0]),
            ));
        }
    }
    findings
}

/// Where `word` stands in the line with no letter, digit or underscore on either side.
fn whole_words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !line[..at].ends_with(is_inside) && !line[at + word.len()..].starts_with(is_inside)
        })
}

/// clippy sees this only in code that is compiled on this machine.
fn debug_macro(source: &Source) -> Vec<Finding> {
    let name = concat!("db", "g!");
    let hit = |line: &str| {
        line.match_indices(name)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let lines = numbered(&source.text).filter(|(_, line)| hit(line));
    lines
        .map(|(number, _)| Finding::new(source, number, format!("{name} is left over")))
        .collect()
}

/// A name says what the thing is, not that it helps.
fn names(source: &Source) -> Vec<Finding> {
    const KEYWORDS: [&str; 10] = [
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "mod",
        "fn",
        "const",
        "static",
        "macro_rules!",
    ];
    let mut findings = Vec::new();
    for (number, line) in numbered(&source.text) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            // `pub(crate)` and the like stand before the keyword; a keyword inside a string is too rare to matter.
            if !KEYWORDS.contains(&word) {
                continue;
            }
            let name: String = words
                .clone()
                .next()
                .unwrap_or_default()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if let Some(why) = bad_name(&name, word == "fn") {
                findings.push(Finding::new(source, number, format!("`{name}`: {why}")));
            }
        }
    }
    findings
}

fn file_name(source: &Source) -> Vec<Finding> {
    let bad = source
        .path
        .split('/')
        .find_map(|part| bad_name(part.split('.').next().unwrap_or_default(), false));
    bad.map(|why| Finding::new(source, 0, format!("the path: {why}")))
        .into_iter()
        .collect()
}

fn bad_name(name: &str, is_function: bool) -> Option<String> {
    const EMPTY_WORDS: [&str; 6] = ["manager", "managers", "helper", "helpers", "util", "utils"];
    if is_function && name.starts_with("get_") {
        return Some("no `get_`; name it after what it gives".to_owned());
    }
    let bad = words_of(name)
        .into_iter()
        .find(|word| EMPTY_WORDS.contains(&word.as_str()))?;
    Some(format!("\"{bad}\" says nothing; name what it is or does"))
}

/// `StagingRing2`, `staging_ring` and `staging-ring` are the words staging and ring.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    let mut characters = name.chars().peekable();
    while let Some(c) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        if !c.is_alphabetic() || (c.is_uppercase() && (before_is_lower || next_is_lower)) {
            words.push(String::new());
        }
        before_is_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A path of somebody's machine means nothing on another.
fn machine_paths(source: &Source) -> Vec<Finding> {
    let folders = [
        concat!("/ro", "ot"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk"),
        concat!("/Us", "ers/"),
        concat!("C:\\Us", "ers"),
    ];
    let is_inside = |c: char| c.is_alphanumeric() || "_-./\\})$*>".contains(c);
    let mut findings = Vec::new();
    for (number, line) in numbered(&source.text) {
        for folder in folders {
            let hit = line.match_indices(folder).any(|(at, _)| {
                let continues = line[at + folder.len()..]
                    .starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
                !line[..at].ends_with(is_inside) && (folder.ends_with('/') || !continues)
            });
            if hit {
                findings.push(Finding::new(
                    source,
                    number,
                    format!("{folder} is a path of one machine"),
                ));
            }
        }
    }
    findings
}

/// A link to a file of this repository leads to one. Anchors and other hosts are not followed.
fn links(source: &Source, tracked: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in numbered(&source.text) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let path = target.split(['#', ' ']).next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let resolved = resolve(&source.path, path);
            let folder = format!("{}/", resolved.as_deref().unwrap_or_default());
            let exists = |resolved: &String| {
                resolved.is_empty()
                    || tracked.contains(resolved)
                    || tracked.iter().any(|file| file.starts_with(&folder))
            };
            if !resolved.as_ref().is_some_and(exists) {
                findings.push(Finding::new(
                    source,
                    number,
                    format!("the link to {target} leads nowhere in this repository"),
                ));
            }
        }
    }
    findings
}

/// What stands in `](...)`, `src="..."`, `href="..."` and `[name]: ...`, outside of code spans.
fn targets(line: &str) -> Vec<&str> {
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    // A link's text may be a code span: then its target starts the next piece of prose.
    let mut targets: Vec<&str> = Vec::new();
    for piece in prose {
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            let rest = piece
                .match_indices(open)
                .filter_map(|(at, _)| piece[at + open.len()..].split_once(close));
            targets.extend(rest.map(|(target, _)| target));
        }
    }
    if let Some((name, target)) = line
        .strip_prefix('[')
        .and_then(|line| line.split_once("]: "))
        && !name.starts_with('^')
    {
        targets.push(target.trim());
    }
    targets
}

/// The path from the root of the repository, or nothing if it leaves it.
fn resolve(from: &str, to: &str) -> Option<String> {
    let mut parts: Vec<&str> = if to.starts_with('/') {
        Vec::new()
    } else {
        from.split('/').collect()
    };
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The core's promise, which its Cargo.toml proves.
fn no_dependency(source: &Source) -> Vec<Finding> {
    let mut in_dependencies = false;
    let mut findings = Vec::new();
    for (number, line) in numbered(&source.text) {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line == "[dependencies]" || line.starts_with("[dependencies.");
        }
        let is_entry = in_dependencies
            && line != "[dependencies]"
            && !line.is_empty()
            && !line.starts_with('#');
        if is_entry {
            findings.push(Finding::new(source, number, "the core has no dependency"));
        }
    }
    findings
}

fn forbids_unsafe(source: &Source) -> Vec<Finding> {
    let is_root = SAFE_CRATES
        .iter()
        .any(|folder| source.path.strip_prefix(folder) == Some("src/lib.rs"));
    if !is_root || source.text.contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![Finding::new(
        source,
        1,
        "this crate says #![forbid(unsafe_code)]",
    )]
}

#[cfg(test)]
mod tests;
