//! Defects planted on purpose, most of them shipped by somebody. Each must be caught, and the real core must pass the very same cases.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod planted;
mod replay;

use planted::{Defect, Planted};
use replay::OfGraphs;
use tidegate_core::HostAccess;
use tidegate_sim::history::{Case, History, Init, Op, Which};
use tidegate_sim::{Rule, Sim};

const OPS: usize = 200;
/// Every defect shows within so many seeds.
const SEEDS: u64 = 64;

/// Kinds of cases, each of which provokes one use of what the defect spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provoke {
    /// Everything.
    All,
    /// One queue, so that no wait on another one helps.
    OneQueue,
    /// Several queues.
    Queues,
    /// Uploads through the staging ring. Nothing is dropped and nothing is reused.
    Staging,
    /// Buffers are dropped with work pending, and given back to the device at once.
    Free,
    /// Buffers are dropped with work pending, and their memory is used again.
    Reuse,
    /// The host writes and reads buffers in place.
    Direct,
    /// Pipelines are dropped with work pending.
    Pipelines,
    /// One queue, and batches as long as they can be.
    LongBatches,
    /// Graphs are changed between launches, and replaced after one, and the host waits for nothing.
    Graphs,
}

fn case(seed: u64, provoke: Provoke) -> Case {
    let mut case = Case::new(seed, OPS);
    let setup = &mut case.setup;
    let discrete = HostAccess::default();
    let keep = |history: &mut History, drop: fn(&Op) -> bool| history.0.retain(|it| !drop(it));
    match provoke {
        Provoke::All => {}
        Provoke::OneQueue => setup.capabilities.queues = 1,
        Provoke::Queues => setup.capabilities.queues = 3,
        Provoke::Staging => {
            setup.device_memory = discrete;
            case.limits.cached_bytes_max = 1 << 30;
            keep(&mut case.history, |it| {
                matches!(
                    it,
                    Op::DropBuffer(_) | Op::Download(..) | Op::DropPipeline(_)
                )
            });
            // Sizes that do not fit into a batch, and no old buffer dropped by a new one.
            let mut next = 0;
            for op in &mut case.history.0 {
                if let Op::Buffer {
                    buffer,
                    bytes,
                    init: Init::Upload(_),
                    ..
                } = op
                {
                    *buffer = next;
                    *bytes = 4608;
                    next += 1;
                }
            }
        }
        Provoke::Free => {
            setup.device_memory = discrete;
            case.limits.cached_bytes_max = 0;
        }
        Provoke::Reuse => {
            setup.device_memory = discrete;
            case.limits.cached_bytes_max = 1 << 30;
        }
        Provoke::Direct => {
            setup.device_memory = HostAccess {
                write: true,
                read: true,
            };
            case.limits.direct = true;
            case.limits.cached_bytes_max = 1 << 30;
        }
        Provoke::Pipelines => keep(&mut case.history, |it| {
            matches!(it, Op::DropBuffer(_) | Op::Download(..) | Op::Upload(..))
        }),
        Provoke::LongBatches => {
            setup.capabilities.queues = 1;
            setup.device_memory = discrete;
            return case.with_long_batches();
        }
        Provoke::Graphs => case.history = busy_with_graphs(&case.history),
    }
    case
}

fn busy_with_graphs(history: &History) -> History {
    let mut ops = Vec::new();
    for op in &history.0 {
        let (graph, changes) = match op {
            Op::Flush(_) | Op::Query(_) | Op::Synchronize(_) | Op::EventSync(_) => continue,
            Op::Take(_) | Op::Download(..) => continue,
            Op::Launch(stream, Which::Affine | Which::FillIndex, parts, scalars) => {
                let (which, parts) = (Which::AffineUniform, parts.clone());
                ops.push(Op::Launch(*stream, which, parts, *scalars));
                continue;
            }
            Op::Graph(_, graph) => (Some(*graph), false),
            Op::Arguments { graph, .. } => (Some(*graph), true),
            _ => (None, false),
        };
        // Streams that do not exist, or capture, leave it out.
        let launches = (0..4).map(|stream| graph.map(|it| Op::LaunchGraph(stream, it)));
        ops.extend(launches.clone().flatten());
        ops.push(op.clone());
        ops.extend(launches.flatten().filter(|_| changes));
    }
    History(ops)
}

/// How a defect shows: by a broken rule, by what is said of it, or by wrong bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Broken(Rule),
    Said(&'static str),
    /// Something is not given back.
    Left,
    Bytes,
}

struct Row {
    defect: Defect,
    provoke: Provoke,
    sign: Sign,
    /// Who shipped it.
    shipped: &'static str,
}

/// The defect's sign among what this seed shows.
fn shows(row: &Row, seed: u64) -> bool {
    let case = case(seed, row.provoke);
    let sim = Sim::with(seed, case.setup.clone());
    let result = case.run_on(&sim, Planted::new(sim.clone(), row.defect));
    match row.sign {
        Sign::Broken(rule) => sim.violations().iter().any(|it| it.rule == rule),
        Sign::Said(words) => sim.violations().iter().any(|it| it.detail.contains(words)),
        Sign::Left => result.is_err_and(|it| it.detail.contains("not given back")),
        Sign::Bytes => result.is_err_and(|it| it.detail.contains("wrong bytes")),
    }
}

const fn row(defect: Defect, provoke: Provoke, sign: Sign, shipped: &'static str) -> Row {
    Row {
        defect,
        provoke,
        sign,
        shipped,
    }
}

const RACE: Sign = Sign::Broken(Rule::Race);
const HOST: Sign = Sign::Broken(Rule::HostRace);
const HOST_UNSEEN: Sign = Sign::Broken(Rule::HostUnseen);
const IN_USE: Sign = Sign::Broken(Rule::InUse);
const GRAPH_IN_USE: Sign = Sign::Said("may still replay it");

const fn of_graphs(defect: OfGraphs, provoke: Provoke, sign: Sign) -> Row {
    row(Defect::Graphs(defect), provoke, sign, "")
}

/// A device that has the wrong order itself: one barrier more or less does not show these.
const OF_ORDER: [Row; 3] = [
    row(
        Defect::Reordered(true, false),
        Provoke::LongBatches,
        Sign::Bytes,
        "",
    ),
    row(
        Defect::Reordered(false, true),
        Provoke::LongBatches,
        Sign::Bytes,
        "",
    ),
    row(
        Defect::Reordered(true, true),
        Provoke::LongBatches,
        Sign::Bytes,
        "",
    ),
];

const OF_GRAPHS: [Row; 13] = [
    of_graphs(OfGraphs::NeverForgotten, Provoke::All, Sign::Left),
    of_graphs(OfGraphs::FirstVersion, Provoke::All, Sign::Bytes),
    of_graphs(OfGraphs::FirstScalars, Provoke::All, Sign::Bytes),
    of_graphs(OfGraphs::FirstBuffers, Provoke::All, Sign::Bytes),
    of_graphs(OfGraphs::EncodedOver, Provoke::Graphs, GRAPH_IN_USE),
    of_graphs(OfGraphs::NoOpening, Provoke::OneQueue, RACE),
    of_graphs(OfGraphs::NoOpening, Provoke::OneQueue, Sign::Bytes),
    of_graphs(OfGraphs::NoBarriers, Provoke::All, RACE),
    of_graphs(OfGraphs::NoWaits, Provoke::Queues, RACE),
    of_graphs(OfGraphs::NoHostReads, Provoke::Direct, HOST_UNSEEN),
    of_graphs(OfGraphs::OneUniformBlock, Provoke::Graphs, Sign::Bytes),
    row(
        Defect::SubmittedIsComplete,
        Provoke::All,
        GRAPH_IN_USE,
        "a graph given back while it is replayed",
    ),
    row(
        Defect::OtherQueuesAreComplete,
        Provoke::Graphs,
        GRAPH_IN_USE,
        "a graph given back while another queue replays it",
    ),
];

const ROWS: [Row; 30] = [
    row(Defect::NoBarrier(0), Provoke::OneQueue, RACE, ""),
    row(Defect::NoBarrier(7), Provoke::OneQueue, RACE, ""),
    row(Defect::NoBarrier(20), Provoke::OneQueue, RACE, ""),
    row(Defect::NoBarrier(0), Provoke::OneQueue, Sign::Bytes, ""),
    row(
        Defect::NoWriteAfterRead,
        Provoke::OneQueue,
        RACE,
        "MLX: write after read across encoders",
    ),
    row(
        Defect::BarrierBeforeComputeOnly,
        Provoke::OneQueue,
        RACE,
        "",
    ),
    row(Defect::BarrierAfterComputeOnly, Provoke::OneQueue, RACE, ""),
    row(
        Defect::NoOpening,
        Provoke::OneQueue,
        RACE,
        "candle: an encoder's fence lost",
    ),
    row(
        Defect::NoOpening,
        Provoke::OneQueue,
        Sign::Bytes,
        "candle: an encoder's fence lost",
    ),
    row(
        Defect::OpeningBeforeTransferOnly,
        Provoke::OneQueue,
        RACE,
        "",
    ),
    row(
        Defect::NoWaits,
        Provoke::Queues,
        RACE,
        "TVM T15: SyncStreamFromTo does nothing",
    ),
    row(
        Defect::NoWaits,
        Provoke::Queues,
        Sign::Bytes,
        "TVM T15: SyncStreamFromTo does nothing",
    ),
    row(Defect::WaitsOneShort, Provoke::Queues, RACE, ""),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Staging,
        HOST,
        "TVM T1: the pool is reset after commit, without a wait",
    ),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Staging,
        Sign::Bytes,
        "TVM T1: the pool is reset after commit, without a wait",
    ),
    row(
        Defect::AnyWaitCompletesAll,
        Provoke::Staging,
        HOST,
        "TVM T2: synchronising any stream resets the pool",
    ),
    row(Defect::OneTooMany, Provoke::Staging, HOST, "cubecl #901"),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Free,
        IN_USE,
        "TVM T4: committed work does not count as pending",
    ),
    row(
        Defect::OtherQueuesAreComplete,
        Provoke::Free,
        IN_USE,
        "TVM T3, V3: freeing looks at one stream only",
    ),
    row(
        Defect::OneTooMany,
        Provoke::Free,
        IN_USE,
        "MLX #3461, #3347: use after free",
    ),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Reuse,
        RACE,
        "MLX #3868: freed memory reused while it is read",
    ),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Reuse,
        Sign::Bytes,
        "MLX #3868: freed memory reused while it is read",
    ),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Direct,
        HOST,
        "TVM T6: a direct write does not wait for readers",
    ),
    row(
        Defect::NoHostWait,
        Provoke::Direct,
        HOST,
        "TVM T5: readback of shared memory without a wait",
    ),
    row(
        Defect::NoHostWait,
        Provoke::All,
        Sign::Bytes,
        "TVM T5, candle #3595: readback without a wait",
    ),
    row(
        Defect::NoHostReads,
        Provoke::All,
        HOST_UNSEEN,
        "TVM V4: no barrier from transfer to host",
    ),
    row(
        Defect::NoHostReads,
        Provoke::All,
        Sign::Bytes,
        "TVM V4: no barrier from transfer to host",
    ),
    row(
        Defect::OneUniformBlock,
        Provoke::All,
        Sign::Bytes,
        "TVM V1: one uniform buffer for all launches",
    ),
    row(
        Defect::LastScalars,
        Provoke::All,
        Sign::Bytes,
        "TVM V1: one uniform buffer for all launches",
    ),
    row(
        Defect::SubmittedIsComplete,
        Provoke::Pipelines,
        IN_USE,
        "TVM V7: pipelines destroyed while they run",
    ),
];

#[test]
fn every_planted_defect_is_caught() {
    let mut missed = Vec::new();
    for row in ROWS.iter().chain(&OF_GRAPHS).chain(&OF_ORDER) {
        let words = format!(
            "{:?} {:?} {:?} {}",
            row.defect, row.provoke, row.sign, row.shipped
        );
        match (0..SEEDS).find(|seed| shows(row, *seed)) {
            Some(seed) => eprintln!("seed {seed:2}: {words}"),
            None => missed.push(words),
        }
    }
    assert!(
        missed.is_empty(),
        "not caught in {SEEDS} seeds: {missed:#?}"
    );
}

#[test]
fn the_real_core_passes_the_same_cases() {
    use Provoke::{
        All, Direct, Free, Graphs, LongBatches, OneQueue, Pipelines, Queues, Reuse, Staging,
    };
    for provoke in [
        All,
        OneQueue,
        Queues,
        Staging,
        Free,
        Reuse,
        Direct,
        Pipelines,
        Graphs,
        LongBatches,
    ] {
        for seed in 0..SEEDS {
            let case = case(seed, provoke);
            let sim = Sim::with(seed, case.setup.clone());
            let result = case.run_on(&sim, Planted::new(sim.clone(), Defect::None));
            result.unwrap_or_else(|it| panic!("{provoke:?} seed {seed}: {it}"));
        }
    }
}
