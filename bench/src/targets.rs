//! What is wanted, each as a ratio of rows of one run.

use std::fmt;

use serde::Serialize;
use tidegate_measure::Estimate;

use crate::report::Outcome;
use crate::script::LAUNCHES;

/// One thing that is wanted.
struct Target {
    text: &'static str,
    workload: &'static str,
    /// Our rows; the fastest counts.
    own: &'static [&'static str],
    /// The rows that they are compared with; the fastest counts.
    others: &'static [&'static str],
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Our time in times of the others'.
    AtMost(f64),
    /// How many times as fast as the others ours is.
    AtLeast(f64),
    /// Our time less the others', in nanoseconds a launch.
    MoreAtMost(f64),
}

/// How it came out.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What was wanted.
    pub target: &'static str,
    /// In which workload.
    pub workload: String,
    /// Our row.
    pub own: &'static str,
    /// The row that it was compared with.
    pub other: &'static str,
    /// What was to be at least or at most so much.
    pub bound: f64,
    /// Whether it was to be at least that.
    pub at_least: bool,
    /// What was measured, with its interval.
    pub measured: Estimate,
    /// False only if the whole interval lies outside.
    pub met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { median, low, high } = self.measured;
        let (word, sign) = (
            if self.met { "met   " } else { "MISSED" },
            if self.at_least { ">=" } else { "<=" },
        );
        write!(
            f,
            "{word}  {median:.3} [{low:.3}, {high:.3}] {sign} {}  {}: {}, {} against {}",
            self.bound, self.workload, self.target, self.own, self.other
        )
    }
}

const RECORDED: &[&str] = &[
    "raw-each",
    "raw-one",
    "raw-cut-8",
    "raw-cut-16",
    "raw-cut-32",
    "raw-cut-64",
];
const CUTS: &[&str] = &["raw-cut-8", "raw-cut-16", "raw-cut-32", "raw-cut-64"];

const TARGETS: &[Target] = &[
    Target {
        text: "the default policy is as fast as the best re-recorded raw strategy",
        workload: "chain-16",
        own: &["adaptive"],
        others: RECORDED,
        bound: Bound::AtMost(1.05),
    },
    Target {
        text: "the default policy is as fast as the best fixed cut",
        workload: "chain-",
        own: &["adaptive"],
        others: CUTS,
        bound: Bound::AtMost(1.05),
    },
    Target {
        text: "a graph is as fast as raw replay",
        workload: "chain-16",
        own: &["graph"],
        others: &["raw-replay"],
        bound: Bound::AtMost(1.03),
    },
    Target {
        text: "the default policy is faster than wgpu's one pass",
        workload: "chain-16",
        own: &["adaptive"],
        others: &["wgpu-one-pass"],
        bound: Bound::AtLeast(1.3),
    },
    Target {
        text: "a graph is faster than wgpu's one pass",
        workload: "chain-16",
        own: &["graph"],
        others: &["wgpu-one-pass"],
        bound: Bound::AtLeast(1.6),
    },
    Target {
        text: "the default policy is faster than wgpu on its own bind groups",
        workload: "distinct",
        own: &["adaptive"],
        others: &["wgpu-bind-groups"],
        bound: Bound::AtLeast(1.4),
    },
    Target {
        text: "a graph is faster than wgpu on its own bind groups",
        workload: "distinct",
        own: &["graph"],
        others: &["wgpu-bind-groups"],
        bound: Bound::AtLeast(2.0),
    },
    Target {
        text: "with uploads, the default policy is faster than the best form of wgpu",
        workload: "upload",
        own: &["adaptive"],
        others: &["wgpu-write", "wgpu-copy", "wgpu-slots"],
        bound: Bound::AtLeast(1.3),
    },
    Target {
        text: "a graph with changed arguments is as fast as raw replay with host-written parameters",
        workload: "upload",
        own: &["graph", "graph-arguments"],
        others: &["raw-replay-ring"],
        bound: Bound::AtMost(1.05),
    },
    Target {
        text: "a buffer allocated and freed around every launch costs nothing",
        workload: "allocate",
        own: &["new"],
        others: &["kept"],
        bound: Bound::AtMost(1.05),
    },
    Target {
        text: "allocating and freeing alone, the launches' arguments being others each time in both, costs nothing",
        workload: "allocate",
        own: &["new"],
        others: &["kept-262"],
        bound: Bound::AtMost(1.05),
    },
    Target {
        text: "4 bytes are read as fast as by raw spinning",
        workload: "readback",
        own: &["tidegate-copy"],
        others: &["raw-timeline", "raw-fence", "raw-fence-kept"],
        bound: Bound::AtMost(1.1),
    },
    Target {
        text: "4 bytes are read faster than by wgpu's map_async",
        workload: "readback",
        own: &["tidegate-copy"],
        others: &["wgpu-map"],
        bound: Bound::AtLeast(3.0),
    },
    Target {
        text: "two chains on two streams take little longer than one",
        workload: "streams",
        own: &["two"],
        others: &["one"],
        bound: Bound::AtMost(1.3),
    },
    Target {
        text: "two chains on two streams that share a queue take little longer than one",
        workload: "streams",
        own: &["two-sharing"],
        others: &["one"],
        bound: Bound::AtMost(1.3),
    },
    Target {
        text: "a launch costs the CPU little more than the raw calls, in ns",
        workload: "record",
        own: &["tidegate-record-submit"],
        others: &["raw-record-submit"],
        bound: Bound::MoreAtMost(60.0),
    },
];

/// Every target of which the rows were run.
pub fn verdicts(outcomes: &[Outcome]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for target in TARGETS {
        let fits = |it: &&Outcome| match target.workload.strip_suffix('-') {
            Some(prefix) => it.name.starts_with(prefix),
            None => it.name == target.workload,
        };
        verdicts.extend(
            outcomes
                .iter()
                .filter(fits)
                .filter_map(|it| target.verdict(it)),
        );
    }
    verdicts
}

impl Target {
    fn verdict(&self, outcome: &Outcome) -> Option<Verdict> {
        let fastest = |names: &[&str]| {
            let rows = outcome.rows.iter().enumerate();
            let named = rows.filter(|it| names.contains(&it.1.name));
            let best = named.min_by(|a, b| a.1.us_per_step.total_cmp(&b.1.us_per_step));
            best.map(|it| it.0)
        };
        let (own, other) = (fastest(self.own)?, fastest(self.others)?);
        let measured = &outcome.measured;
        let (bound, at_least, measured) = match self.bound {
            Bound::AtMost(bound) => (bound, false, measured.ratio(own, other)),
            Bound::AtLeast(bound) => (bound, true, measured.ratio(other, own)),
            Bound::MoreAtMost(bound) => {
                let difference = measured.difference(own, other);
                let each = |us: f64| us * 1000.0 / f64::from(LAUNCHES);
                let estimate = Estimate {
                    median: each(difference.median),
                    low: each(difference.low),
                    high: each(difference.high),
                };
                (bound, false, estimate)
            }
        };
        Some(Verdict {
            target: self.text,
            workload: outcome.name.clone(),
            own: outcome.rows[own].name,
            other: outcome.rows[other].name,
            bound,
            at_least,
            measured,
            met: if at_least {
                measured.high >= bound
            } else {
                measured.low <= bound
            },
        })
    }
}
