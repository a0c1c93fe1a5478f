//! How a device is made, looked at, and interfered with.

use std::fmt;

use tidegate_core::{Capabilities, HostAccess};

use crate::device::Sim;
use crate::fault::{Armed, Faults};
use crate::state::State;
use crate::violation::Violation;

/// What a simulated device is like, apart from its seed.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it says it can do, which it holds callers to. Lower a limit to reach it in a test. At most 8 queues.
    pub capabilities: Capabilities,
    /// How the host reaches memory of kind `Device`: not at all on a discrete device, write only through a PCI window, both
    /// where memory is shared.
    pub device_memory: HostAccess,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether everything comes at the last legal moment: a submission runs once somebody waits for it or for what needs it, or after 64 polls, and of what
    /// else is in flight nothing moves meanwhile. The seed decides if this is `None`.
    pub late: Option<bool>,
    /// Commands, barriers not counted, of the longest submission that is not killed: one with more fails, as where a system ends what runs for seconds.
    pub commands_max: u64,
    /// Whether to keep a trace of all that runs, for [`Sim::trace`].
    pub trace: bool,
}

impl Default for Setup {
    /// A discrete device with two queues and no fault.
    fn default() -> Self {
        Self {
            capabilities: Capabilities {
                name: "Simulated device".to_owned(),
                backend: "sim",
                driver: concat!("tidegate-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
                software: true,
                unified: false,
                queues: 2,
                memory_bytes: 1 << 30,
                allocations_max: 4096,
                allocation_bytes_max: 1 << 28,
                binding_bytes_max: 1 << 27,
                binding_align: 16,
                uniform_bytes_max: 1 << 14,
                uniform_align: 64,
                copy_align: 4,
                bindings_max: 16,
                scalar_bytes_max: 128,
                grid_max: [65_535; 3],
                workgroup_size_max: [1024, 1024, 64],
                workgroup_invocations_max: 1024,
                workgroup_bytes_max: 1 << 15,
                subgroup_size: 1,
                subgroup_sizes: [1; 2],
                features: Vec::new(),
            },
            device_memory: HostAccess::default(),
            faults: Faults::default(),
            late: None,
            commands_max: u64::MAX,
            trace: false,
        }
    }
}

impl Setup {
    /// A device that shares its memory with the host.
    #[must_use]
    pub fn unified() -> Self {
        let mut setup = Self::default();
        setup.capabilities.unified = true;
        setup.device_memory = HostAccess {
            write: true,
            read: true,
        };
        setup
    }
}

/// What exists on a device: all zero once everything has been given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Allocations.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pipelines.
    pub pipelines: u64,
    /// Graphs that were submitted and not given back with `forget_graph`.
    pub graphs: u64,
    /// Submissions that are not complete. They count even if the device is lost.
    pub submissions: u64,
}

/// The most memory that was allocated at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Bytes of [`MemoryKind::Device`](tidegate_core::MemoryKind::Device).
    pub device_bytes: u64,
    /// Bytes of the other kinds together.
    pub host_bytes: u64,
}

impl Sim {
    /// What the caller did wrong so far, oldest first; at most 64 are kept.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.clone()
    }

    /// Panics with every violation in words, if there are any.
    ///
    /// # Panics
    /// As said.
    #[track_caller]
    pub fn assert_clean(&self) {
        let state = self.state();
        let (total, words) = (state.violations_total, state.words());
        drop(state);
        assert!(
            total == 0,
            "{total} violations of the Device contract:\n{words}"
        );
    }

    /// What exists.
    pub fn live(&self) -> Live {
        let state = self.state();
        Live {
            allocations: state.memory.iter().flatten().filter(|it| it.live).count() as u64,
            bytes: state.memory_used(),
            pipelines: state.pipelines.iter().flatten().count() as u64,
            graphs: state.graphs.live(),
            submissions: state.queues.iter().map(|it| it.flights.len() as u64).sum(),
        }
    }

    /// The most memory that was allocated so far.
    pub fn peaks(&self) -> Peaks {
        self.state().peaks
    }

    /// For each submission that failed, the kernels that it launched, each once.
    pub fn failed(&self) -> Vec<Vec<String>> {
        self.state().failed.clone()
    }

    /// All that was submitted and ran, a line each; empty unless [`Setup::trace`] is set.
    pub fn trace(&self) -> String {
        self.state().trace.clone().unwrap_or_default()
    }

    /// Replaces the plan of faults, and counts calls from here on. Stalls of the old plan end.
    pub fn arm(&self, faults: Faults) {
        self.state().arm(faults);
    }

    /// Loses the device now.
    pub fn lose(&self, detail: &str) {
        self.state().lost.get_or_insert(detail.to_owned());
    }

    /// Ends the stall of `queue`.
    pub fn release(&self, queue: u32) {
        if let Some(queue) = self.state().queues.get_mut(queue as usize) {
            queue.stall = None;
        }
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn arm(&mut self, plan: Faults) {
        for (index, queue) in self.queues.iter_mut().enumerate() {
            queue.stall = plan
                .stalls
                .iter()
                .find(|it| it.queue as usize == index)
                .copied();
        }
        self.faults = Armed {
            plan,
            ..Armed::default()
        };
    }

    fn words(&self) -> String {
        let lines: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}
