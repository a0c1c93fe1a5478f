//! Faults to inject: a plan that is plain data.

use tidegate_core::{MemoryKind, Ticket};

/// What shall go wrong. Calls are counted from 1, from the moment the plan is armed.
///
/// ```
/// use tidegate_sim::{Faults, Setup, Sim};
///
/// let setup = Setup { faults: Faults { submits: vec![2], ..Faults::default() }, ..Setup::default() };
/// let sim = Sim::with(7, setup); // the second `submit` returns OutOfMemory
/// # let _ = sim;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// These calls of `allocate` return `OutOfMemory`.
    pub allocations: Vec<u64>,
    /// Every allocation of these kinds returns `OutOfMemory`.
    pub kinds: Vec<MemoryKind>,
    /// Allocations that would bring the live total above this return `OutOfMemory`.
    pub budget_bytes: Option<u64>,
    /// These calls of `submit` return `OutOfMemory`; the batch is not submitted.
    pub submits: Vec<u64>,
    /// These calls of `create_pipeline` return `Refused`.
    pub pipelines: Vec<u64>,
    /// These calls of `create_pipeline` return `OutOfMemory`.
    pub pipelines_memory: Vec<u64>,
    /// These calls of `write` return `OutOfMemory` and write nothing, as a flush may.
    pub writes: Vec<u64>,
    /// These calls of `read` return `OutOfMemory` and read nothing, as an invalidation may.
    pub reads: Vec<u64>,
    /// These calls of `completed` return `OutOfMemory`, as the host may have none.
    pub polls: Vec<u64>,
    /// These calls of `wait` return `OutOfMemory`, as the host may have none.
    pub waits: Vec<u64>,
    /// These submissions fail.
    pub failures: Vec<Failure>,
    /// The device is lost in this call, of whichever method.
    pub lost_at_call: Option<u64>,
    /// The device is lost while it runs this submission.
    pub lost_in: Option<Ticket>,
    /// These queues do not move.
    pub stalls: Vec<Stall>,
}

impl Faults {
    /// Whether a call may find no memory.
    pub fn is_short_of_memory(&self) -> bool {
        let calls = [
            &self.allocations,
            &self.submits,
            &self.pipelines_memory,
            &self.writes,
            &self.reads,
            &self.polls,
            &self.waits,
        ];
        calls.iter().any(|it| !it.is_empty())
            || self.budget_bytes.is_some()
            || !self.kinds.is_empty()
    }
}

/// A submission that fails: some of its writes are made, some are not, and some are garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub ticket: Ticket,
    /// Whether the error names the kernels of the batch.
    pub named: bool,
}

/// A queue that runs nothing until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Which.
    pub queue: u32,
    /// The last submission that still runs; 0 if none does.
    pub after: u64,
    /// It goes on by itself after so many waits have timed out because of it; never if `None`, until
    /// [`Sim::release`](crate::Sim::release).
    pub waits: Option<u32>,
}

/// A plan with the calls counted so far.
#[derive(Default)]
pub(crate) struct Armed {
    pub(crate) plan: Faults,
    pub(crate) calls: u64,
    pub(crate) allocations: u64,
    pub(crate) submits: u64,
    pub(crate) pipelines: u64,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) polls: u64,
    pub(crate) waits: u64,
}

/// Counts a call and says whether the plan has a fault for it.
pub(crate) fn due(count: &mut u64, plan: &[u64]) -> bool {
    *count += 1;
    plan.contains(count)
}
