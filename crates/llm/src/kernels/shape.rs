//! How work is shared out among invocations, for a kind of device and a size of matrix.

use tidegate::Capabilities;

use super::Role;

/// What kernels have to know of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub, reason = "only the feature `testing` exports it")]
pub struct Target {
    /// Whether it runs on the CPU.
    pub software: bool,
    /// Invocations of a subgroup, if the device has what the kernels use of subgroups.
    pub subgroup: Option<u32>,
    /// Most invocations of a workgroup.
    pub invocations_max: u32,
}

#[allow(unreachable_pub, reason = "only the feature `testing` exports it")]
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
            None if self.software => 32,
            None => 64,
        }
    }
}

fn subgroup(device: &Capabilities) -> Option<u32> {
    let has = |name: &'static str| device.features.contains(&name);
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

/// Outputs from which on a GPU is so full that each team had better take more rows, and that teams had better share a workgroup: an H100 has 132 multiprocessors, each of which runs some tens of
/// subgroups at once.
const OUTPUTS_FULL: u32 = 4096;

impl Matvec {
    /// A software device spends a microsecond on each workgroup, and dearly on barriers and loads, and has no parallelism to fill: each invocation takes whole rows, and eight of
    /// them, so that what it loads of the input is used eight times (on two cores of a shared machine 8 and 16 rows decoded at 9 to 10 tokens/s, 4 rows at 6 to 8).
    ///
    /// A GPU wants every load under way at once: a subgroup for a row, several where a row is long, and more rows only when it is full. On an H100 in Qwen2.5-0.5B's shape, two rows of 4864 columns
    /// instead of one took 25 us instead of 12.6; in SmolLM2-135M's, one subgroup a workgroup instead of four took 3.7 us instead of 4.1 and 4.8 instead of 5.7 (down, gate and up).
    pub(super) fn of(target: Target, role: Role, outputs: u32, blocks: u32) -> Self {
        let each = role.rows_each();
        if target.software {
            return Self {
                workgroup: 32,
                lanes: 1,
                rows: 8,
            };
        }
        let Some(subgroup) = target.subgroup else {
            return Self {
                workgroup: 64,
                lanes: 8,
                rows: each,
            };
        };
        let rows = match outputs {
            _ if outputs >= 2 * OUTPUTS_FULL => 4,
            _ if outputs >= OUTPUTS_FULL => 2.max(each),
            _ => each,
        };
        let teams_full = outputs / (rows / each) >= OUTPUTS_FULL;
        let steps = (4 * blocks).div_ceil(subgroup);
        let invocations_max = target.invocations_max;
        match steps {
            // So many that each lane would go round its loop more than twice.
            _ if steps >= 8 && !teams_full => {
                let lanes = (subgroup * (steps / 4).min(4)).min(invocations_max);
                let lanes = 1 << lanes.ilog2();
                Self {
                    workgroup: lanes,
                    lanes,
                    rows,
                }
            }
            _ => {
                let teams = if teams_full { 4 } else { 1 };
                Self {
                    workgroup: (teams * subgroup).min(invocations_max),
                    lanes: subgroup,
                    rows,
                }
            }
        }
    }

    pub(super) fn teams(self) -> u32 {
        self.workgroup / self.lanes
    }

    /// Quarters of blocks that a lane loads before it uses the first: of one block where it is alone, up to four otherwise, and about as many each time.
    pub(super) fn unroll(self, blocks: u32) -> u32 {
        if self.lanes == 1 {
            return 4;
        }
        let steps = (4 * blocks).div_ceil(self.lanes);
        steps.div_ceil(steps.div_ceil(4))
    }

    /// Outputs that a team computes.
    pub(super) fn outputs(self, role: Role) -> u32 {
        self.rows / role.rows_each()
    }
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
