//! What is shown.

use tidegate_core::Policy;
use tidegate_sim::Rule;
use tidegate_sim::history::{Case, Op};

use crate::peer::Peer;
use crate::planted::Defect;

/// One defect that somebody shipped.
pub(crate) struct Exhibit {
    /// Its name in the table.
    pub(crate) name: &'static str,
    pub(crate) plant: Plant,
    /// The seed of the soak that shows it.
    pub(crate) seed: u64,
    pub(crate) sign: Sign,
}

/// How the defect gets into our core.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plant {
    Device(Defect),
    Peer(Peer),
    Policy(fn(&mut Case)),
}

/// How it shows, so that it is caught for the right reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Broken(Rule),
    Said(&'static str),
    Bytes,
}

/// Nothing is let through until somebody waits, however much that is.
fn no_threshold(case: &mut Case) {
    case.limits.commands_max = 1 << 20;
    case.limits.bytes_max = u64::MAX;
    case.limits.inline_bytes_max = 1 << 30;
    for op in &mut case.history.0 {
        if let Op::Stream(_, policy) | Op::Policy(_, policy) = op {
            *policy = Policy::UntilSync;
        }
    }
}

const fn exhibit(name: &'static str, plant: Plant, seed: u64, sign: Sign) -> Exhibit {
    Exhibit {
        name,
        plant,
        seed,
        sign,
    }
}

const HOST_RACE: Sign = Sign::Broken(Rule::HostRace);
const IN_USE: Sign = Sign::Broken(Rule::InUse);
const RACE: Sign = Sign::Broken(Rule::Race);

/// In the order of the table.
pub(crate) const EXHIBITS: &[Exhibit] = &[
    exhibit(
        "T1",
        Plant::Device(Defect::SubmittedIsComplete),
        1,
        HOST_RACE,
    ),
    exhibit(
        "T2",
        Plant::Device(Defect::AnyWaitCompletesAll),
        1,
        HOST_RACE,
    ),
    exhibit(
        "T3",
        Plant::Device(Defect::OtherQueuesAreComplete),
        1,
        IN_USE,
    ),
    exhibit("T4", Plant::Device(Defect::SubmittedIsComplete), 3, IN_USE),
    exhibit("T5", Plant::Device(Defect::NoHostWait), 0, Sign::Bytes),
    exhibit(
        "T6",
        Plant::Device(Defect::SubmittedIsComplete),
        2,
        Sign::Said("the host writes"),
    ),
    exhibit("T7", Plant::Peer(Peer::StatusUnread), 59, Sign::Bytes),
    exhibit("T8", Plant::Peer(Peer::StatusLate), 119, Sign::Bytes),
    exhibit(
        "T9",
        Plant::Peer(Peer::HandlerThrows),
        18,
        Sign::Said("thrown by a handler"),
    ),
    exhibit("T10", Plant::Device(Defect::NoHostWait), 1, IN_USE),
    exhibit(
        "T11",
        Plant::Peer(Peer::LastKernelBlamed),
        18,
        Sign::Said("are blamed"),
    ),
    exhibit("T12", Plant::Peer(Peer::LaunchesSkipped), 59, Sign::Bytes),
    exhibit(
        "T13",
        Plant::Peer(Peer::Overtaking),
        0,
        Sign::Broken(Rule::Ticket),
    ),
    exhibit(
        "T14",
        Plant::Peer(Peer::LaunchesToDefaultQueue),
        0,
        Sign::Bytes,
    ),
    exhibit("T15", Plant::Device(Defect::NoWaits), 0, RACE),
    exhibit("T16", Plant::Policy(no_threshold), 1, Sign::Said("killed")),
    exhibit(
        "T17",
        Plant::Peer(Peer::NeverTrims),
        0,
        Sign::Said("not given back"),
    ),
    exhibit(
        "T19",
        Plant::Peer(Peer::EmptyBatchPerWait),
        0,
        Sign::Broken(Rule::Call),
    ),
    exhibit("T20", Plant::Peer(Peer::NoDevice), 0, Sign::Bytes),
    exhibit(
        "V1",
        Plant::Device(Defect::OneUniformBlock),
        19,
        Sign::Bytes,
    ),
    exhibit("V2", Plant::Peer(Peer::ScalarsRemade), 3, IN_USE),
    exhibit(
        "V3",
        Plant::Device(Defect::OtherQueuesAreComplete),
        0,
        Sign::Said("violations"),
    ),
    exhibit(
        "V4",
        Plant::Device(Defect::NoHostReads),
        0,
        Sign::Broken(Rule::HostUnseen),
    ),
    exhibit(
        "V5",
        Plant::Peer(Peer::WaitsForEver),
        1,
        Sign::Said("waits for ever"),
    ),
    exhibit(
        "V7",
        Plant::Device(Defect::SubmittedIsComplete),
        495,
        Sign::Said("p0 is destroyed"),
    ),
    exhibit("mlx#3630", Plant::Device(Defect::NoWriteAfterRead), 0, RACE),
    exhibit("mlx#3461", Plant::Device(Defect::OneTooMany), 2, IN_USE),
    exhibit(
        "mlx-lm#1332",
        Plant::Peer(Peer::NoCountLimit),
        10,
        Sign::Said("allocations_max"),
    ),
    exhibit("candle, fences", Plant::Device(Defect::NoOpening), 1, RACE),
    exhibit("candle, flush", Plant::Peer(Peer::WaitsForgotten), 0, RACE),
    exhibit(
        "pytorch#139550",
        Plant::Peer(Peer::WritesLate),
        0,
        HOST_RACE,
    ),
    exhibit(
        "kompute",
        Plant::Peer(Peer::TimeoutIsCompletion),
        1,
        Sign::Bytes,
    ),
    exhibit(
        "cubecl#1120",
        Plant::Device(Defect::SubmittedIsComplete),
        1,
        Sign::Bytes,
    ),
    exhibit(
        "slang-rhi#640",
        Plant::Device(Defect::NoHostReads),
        0,
        Sign::Bytes,
    ),
];
