//! The result, for people and for programs.

use serde_json::json;
use tidegate_measure::counted;

use crate::Plan;
use crate::device::Target;
use crate::run::Outcome;

pub(crate) fn text(target: &Target, plan: &Plan, outcome: &Outcome) -> String {
    let first = plan.seeds.start;
    let Some(found) = &outcome.failure else {
        return format!(
            "{} of {} on {} from seed {first} on, none wrong, in {:.1} s",
            counted(outcome.cases, "history"),
            counted(plan.commands as u64, "call"),
            target.words(),
            outcome.took.as_secs_f64()
        );
    };
    let seed = found.seed;
    format!(
        "seed {seed}: {}\n\nof {} these {} are enough:\n{}\n{}\n\nlast batches:\n{}\n\nOn {}, after {} without a failure. To repeat it:\n    cargo xtask soak --device {} --seeds {seed} --commands {}",
        found.detail,
        counted(found.calls as u64, "call"),
        found.calls_enough,
        found.history,
        found.setting,
        found.batches,
        target.words(),
        counted(outcome.cases, "history"),
        target.name(),
        plan.commands,
    )
}

pub(crate) fn json(target: &Target, plan: &Plan, outcome: &Outcome) -> String {
    let failure = outcome.failure.as_ref().map(|it| {
        json!({
            "seed": it.seed,
            "detail": it.detail,
            "calls": it.calls,
            "calls_enough": it.calls_enough,
            "history": it.history.lines().collect::<Vec<_>>(),
            "setting": it.setting.lines().collect::<Vec<_>>(),
            "batches": it.batches.lines().collect::<Vec<_>>(),
        })
    });
    let document = json!({
        "device": target.name(),
        "device_name": target.words(),
        "seed_first": plan.seeds.start,
        "commands": plan.commands,
        "histories": outcome.cases,
        "seconds": outcome.took.as_secs_f64(),
        "failure": failure,
    });
    format!("{document:#}")
}
