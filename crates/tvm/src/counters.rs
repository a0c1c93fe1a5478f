//! The counters that TVM's Metal runtime was given when it learnt to batch, under the same names.

use crate::cards::runtime;
use tidegate::Counters;

/// Names and values, all devices together.
pub(crate) fn counters() -> [(&'static str, u64); 8] {
    let cards = runtime().open_cards();
    let all: Vec<_> = cards.iter().map(|it| it.device.counters()).collect();
    let sum = |pick: fn(&Counters) -> u64| all.iter().map(pick).sum();
    [
        ("dispatches", sum(|it| it.dispatches)),
        // What that runtime counts: command buffers that were handed over, whatever the reason.
        ("flushes", sum(|it| it.submissions)),
        ("syncs", sum(|it| it.syncs)),
        ("blits", sum(|it| it.blits)),
        ("gpu_to_cpu", sum(|it| it.gpu_to_cpu)),
        ("cpu_to_gpu", sum(|it| it.cpu_to_gpu)),
        ("gpu_to_gpu", sum(|it| it.gpu_to_gpu)),
        ("free_syncs", sum(|it| it.free_syncs)),
    ]
}

pub(crate) fn reset() {
    for card in runtime().open_cards() {
        card.device.reset_counters();
    }
}
