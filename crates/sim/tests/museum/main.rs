//! The peers' defects, each planted, and a seed of the soak that catches it. The real core passes the very same seeds. `docs/reliability.md` has the table for people,
//! and a test here compares the two.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod exhibits;
mod peer;
#[path = "../history_planted/planted.rs"]
#[allow(dead_code, reason = "the museum shows a part of these defects")]
mod planted;
#[path = "../history_planted/replay.rs"]
#[allow(dead_code, reason = "the museum shows a part of these defects")]
mod replay;

use std::panic::{AssertUnwindSafe, catch_unwind};

use exhibits::{EXHIBITS, Exhibit, Plant, Sign};
use peer::{Between, Peer};
use planted::{Defect, Planted};
use tidegate_sim::history::{Case, Failure};

const OPS: usize = 200;
/// How far a new seed is looked for, where an exhibit's own does not show it any more.
const SEEDS: u64 = 4000;

/// What the soak finds under a seed, if it finds the exhibit's sign.
fn shows(exhibit: &Exhibit, seed: u64) -> bool {
    let mut case = Case::soak(seed, OPS);
    if let Plant::Policy(change) = exhibit.plant {
        change(&mut case);
    }
    let sims = case.sims();
    let run = || match exhibit.plant {
        Plant::Device(defect) => {
            let devices = sims.iter().map(|it| Planted::new(it.clone(), defect));
            case.run_with(&sims, devices.collect())
        }
        Plant::Peer(peer) => {
            let devices = sims.iter().map(|it| Between::new(it.clone(), peer));
            case.run_with(&sims, devices.collect())
        }
        Plant::Policy(_) => case.run_with(&sims, sims.clone()),
    };
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(Failure {
            at: 0,
            detail: format!("a panic: {}", words.unwrap_or_default()),
        })
    });
    let Err(failure) = result else { return false };
    match exhibit.sign {
        Sign::Broken(rule) => {
            let mut violations = sims.iter().flat_map(|it| it.violations());
            violations.any(|it| it.rule == rule)
        }
        Sign::Said(words) => failure.detail.contains(words),
        Sign::Bytes => failure.detail.contains("wrong bytes"),
    }
}

/// Panics of planted defects are expected, and their words would fill the log.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = run();
    std::panic::set_hook(hook);
    result
}

#[test]
fn the_soak_catches_every_peers_defect() {
    let wrong: Vec<String> = quietly(|| {
        let missed = EXHIBITS.iter().filter(|it| !shows(it, it.seed));
        let words = missed.map(|it| {
            let other = (0..SEEDS).find(|seed| shows(it, *seed));
            format!(
                "{} {:?}: seed {} does not show it; {other:?} does",
                it.name, it.plant, it.seed
            )
        });
        words.collect()
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_real_core_passes_the_same_seeds() {
    for exhibit in EXHIBITS {
        let case = Case::soak(exhibit.seed, OPS);
        if let Err(failure) = case.run() {
            panic!("{}: {}", exhibit.name, case.report(&failure));
        }
    }
}

/// What stands between spoils nothing by itself.
#[test]
fn nothing_is_found_where_nothing_is_planted() {
    for exhibit in EXHIBITS {
        let case = Case::soak(exhibit.seed, OPS);
        let between = case.run_before(|it| Between::new(it, Peer::Nothing));
        let planted = case.run_before(|it| Planted::new(it, Defect::None));
        if let Some(failure) = between.err().or(planted.err()) {
            panic!("{} seed {}: {failure}", exhibit.name, exhibit.seed);
        }
    }
}

/// The row of an exhibit in the table names it, its peer and its seed.
#[test]
fn the_table_has_every_exhibit_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, text) = text.split_once("## The museum").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap_or((text, ""));
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let has_seed = cells.len() == 7 && cells[4].parse::<u64>().is_ok();
            has_seed.then(|| (cells[1], cells[4]))
        })
        .collect();
    let seeds: Vec<String> = EXHIBITS.iter().map(|it| it.seed.to_string()).collect();
    let wants: Vec<(&str, &str)> = EXHIBITS
        .iter()
        .zip(&seeds)
        .map(|(it, seed)| (it.name, seed.as_str()))
        .collect();
    assert_eq!(rows, wants);
}
