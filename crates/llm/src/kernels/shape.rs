//! How work is shared out among invocations, for a kind of device and a size of matrix.

use tidegate::Capabilities;

use super::Role;

/// What kernels have to know of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it runs on the CPU.
    pub software: bool,
    /// Invocations of a subgroup, if the device has what the kernels use of subgroups.
    pub subgroup: Option<u32>,
    /// Most invocations of a workgroup.
    pub invocations_max: u32,
}

impl Target {
    /// That of a device.
    pub fn of(device: &Capabilities) -> Self {
        Self {
            software: device.software,
            subgroup: subgroup(device).filter(|_| !device.software),
            invocations_max: device.workgroup_invocations_max,
        }
    }

    /// What a device would be if it were a GPU: a software device can run a GPU's kernels, if slowly.
    #[cfg(any(test, feature = "testing"))]
    pub fn gpu(device: &Capabilities, subgroups: bool) -> Self {
        Self {
            software: false,
            subgroup: subgroup(device).filter(|_| subgroups),
            ..Self::of(device)
        }
    }

    /// Tokens that go through the model together: as many as the tiles of a GPU can share what they decode among.
    pub(crate) fn chunk_tokens(self) -> u32 {
        if self.software { 32 } else { 128 }
    }

    /// Invocations of a workgroup that has nobody to share its work with.
    pub(crate) fn wide_workgroup(self) -> u32 {
        match self.subgroup {
            Some(lanes) => (8 * lanes).min(self.invocations_max),
            None => 64,
        }
    }
}

fn subgroup(device: &Capabilities) -> Option<u32> {
    let has = |name: &str| device.features.iter().any(|it| *it == name);
    let used = ["subgroup_basic", "subgroup_arithmetic", "subgroup_shuffle"];
    let size = device.subgroup_size;
    let usable = size.is_power_of_two() && (8..=64).contains(&size);
    (usable && used.into_iter().all(has)).then_some(size)
}

/// How the matrix-vector product is shared out: see `matvec.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matvec {
    pub(super) workgroup: u32,
    /// Invocations that share a team's rows.
    pub(super) lanes: u32,
    /// Rows of the matrix that a team computes.
    pub(super) rows: u32,
}

/// Teams from which on a GPU is full, so that each had better take more rows: an H100 has 132 multiprocessors, each of which runs some tens of teams at once.
const TEAMS_FULL: u32 = 2048;

impl Matvec {
    /// A software device spends a microsecond on each workgroup, and dearly on barriers and loads, and has no parallelism to fill: each invocation takes whole rows, and eight of
    /// them, so that what it loads of the input is used eight times (on two cores of a shared machine 8 and 16 rows decoded at 9 to 10 tokens/s, 4 rows at 6 to 8). A GPU shares
    /// rows among lanes, and fills its multiprocessors before it gives a team more rows.
    pub(super) fn of(target: Target, role: Role, outputs: u32) -> Self {
        let each = role.rows_each();
        if target.software {
            return Self {
                workgroup: 32,
                lanes: 1,
                rows: 8,
            };
        }
        let tune = tune();
        let index = match role {
            Role::Qkv(_) => 0,
            Role::AttentionOutput => 1,
            Role::GateUp => 2,
            Role::Down => 3,
            Role::Head => 4,
        };
        if let (Some(rows), Some(teams), Some(lanes)) =
            (tune.get(index), tune.get(5), target.subgroup)
        {
            return Self {
                workgroup: teams * lanes,
                lanes,
                rows: *rows,
            };
        }
        let rows = match outputs {
            _ if outputs >= 4 * TEAMS_FULL => 4,
            _ if outputs >= 2 * TEAMS_FULL => 2.max(each),
            _ => each,
        };
        match target.subgroup {
            Some(lanes) => Self {
                workgroup: (4 * lanes).min(target.invocations_max),
                lanes,
                rows,
            },
            None => Self {
                workgroup: 64,
                lanes: 8,
                rows: each,
            },
        }
    }

    pub(super) fn teams(self) -> u32 {
        self.workgroup / self.lanes
    }

    /// Outputs that a team computes.
    pub(super) fn outputs(self, role: Role) -> u32 {
        self.rows / role.rows_each()
    }
}

pub(super) fn tune() -> Vec<u32> {
    std::env::var("TUNE")
        .map(|it| it.split(',').filter_map(|it| it.parse().ok()).collect())
        .unwrap_or_default()
}

/// How attention is shared out: see `attention.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attention {
    pub(super) workgroup: u32,
    pub(super) chunks: u32,
    pub(super) parts: u32,
    pub(super) folds: u32,
}

impl Attention {
    pub(super) fn of(target: Target, head_elements: u32) -> Self {
        let chunks = head_elements / 8;
        let workgroup = target.wide_workgroup().max(chunks);
        let folds = match target.subgroup {
            Some(lanes) if lanes.is_multiple_of(chunks) => (lanes / chunks).ilog2(),
            _ => 0,
        };
        Self {
            workgroup,
            chunks,
            parts: workgroup / chunks,
            folds,
        }
    }
}
