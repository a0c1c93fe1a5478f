//! The library's counters as JSON.

use serde_json::{Map, Value, json};
use tidegate::{Cause, Counters};

/// Every counter by its name; submissions also by their cause.
pub(crate) fn document(counters: &Counters) -> Value {
    let causes: Map<String, Value> = Cause::ALL
        .iter()
        .zip(counters.submissions_by_cause)
        .map(|(cause, count)| (cause.name().to_owned(), count.into()))
        .collect();
    json!({
        "dispatches": counters.dispatches,
        "graph_launches": counters.graph_launches,
        "barriers": counters.barriers,
        "barriers_saved": counters.barriers_saved,
        "submissions": counters.submissions,
        "submissions_by_cause": causes,
        "flushes": counters.flushes,
        "syncs": counters.syncs,
        "blits": counters.blits,
        "cpu_to_gpu": counters.cpu_to_gpu,
        "gpu_to_cpu": counters.gpu_to_cpu,
        "gpu_to_gpu": counters.gpu_to_gpu,
        "free_syncs": counters.free_syncs,
        "bytes_staged": counters.bytes_staged,
        "bytes_inline": counters.bytes_inline,
        "bytes_direct": counters.bytes_direct,
        "bytes_readback": counters.bytes_readback,
        "stalls": counters.stalls,
        "in_flight_peak": counters.in_flight_peak,
        "commands_peak": counters.commands_peak,
        "batch_bytes_peak": counters.batch_bytes_peak,
        "inline_peak": counters.inline_peak,
        "staging_peak": counters.staging_peak,
        "memory_bytes": counters.memory_bytes,
        "cached_bytes": counters.cached_bytes,
        "cached_peak": counters.cached_peak,
        "memory_peak": counters.memory_peak,
        "allocations": counters.allocations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_counter_is_left_out() {
        let counters = Counters::default();
        let debug = format!("{counters:#?}");
        let mut expected: Vec<&str> = debug
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, _)| name)
            .collect();
        expected.sort_unstable();
        let document = document(&counters);
        let mut names: Vec<&str> = document
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(names, expected);
        let causes = document["submissions_by_cause"].as_object().unwrap();
        assert_eq!(causes.len(), Cause::ALL.len());
    }
}
