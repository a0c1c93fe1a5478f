//! Graphs in the sequential model: commands whose buffers are what the slots held when they were captured, or changed.

use super::op::{Op, Part, Which};
use crate::kernels;

/// A command with its buffers. In its parts `buffer` is no slot but the number of a buffer that the model keeps, whatever becomes of the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The bytes that a seed gives.
    Upload(Part, u64),
    /// A pattern.
    Fill(Part, Vec<u8>),
    /// From the first to the second.
    Copy(Part, Part),
    /// A launch of so many workgroups.
    Launch(Which, Vec<Part>, [u32; 2], usize),
}

/// What was captured so far, or a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    pub(crate) steps: Vec<Step>,
    /// Slots of the events that it records.
    pub(crate) records: Vec<usize>,
}

impl Step {
    /// The command of a call, if it is one that a graph can have; `number` gives the buffer in a slot.
    pub(crate) fn of(op: &Op, number: impl Fn(&Part) -> Part) -> Option<Self> {
        Some(match op {
            Op::Upload(_, part, seed) => Self::Upload(number(part), *seed),
            Op::Fill(_, part, pattern) => Self::Fill(number(part), pattern.clone()),
            Op::Copy(_, from, to) => Self::Copy(number(from), number(to)),
            Op::Launch(_, which, parts, scalars) => {
                let most = parts.iter().map(|it| it.bytes).max().unwrap_or(0);
                let groups = kernels::grid_for(most)[0] as usize;
                let parts = parts.iter().map(number).collect();
                Self::Launch(*which, parts, *scalars, groups)
            }
            _ => return None,
        })
    }

    /// What it touches.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match self {
            Self::Upload(part, _) | Self::Fill(part, _) => vec![*part],
            Self::Copy(from, to) => vec![*from, *to],
            Self::Launch(_, parts, ..) => parts.clone(),
        }
    }
}

impl Sketch {
    /// Number of commands.
    pub fn commands(&self) -> usize {
        self.steps.len()
    }

    /// The kernels launched, in order.
    pub fn launches(&self) -> impl Iterator<Item = Which> {
        self.steps.iter().filter_map(|it| match it {
            Step::Launch(which, ..) => Some(*which),
            _ => None,
        })
    }

    /// The buffers of a launch.
    pub(crate) fn parts(&self, launch: usize) -> Option<&[Part]> {
        let mut launches = self.steps.iter().filter_map(|it| match it {
            Step::Launch(_, parts, ..) => Some(parts.as_slice()),
            _ => None,
        });
        launches.nth(launch)
    }

    /// Changes the arguments of a launch.
    pub(crate) fn change(&mut self, launch: usize, parts: Vec<Part>, scalars: [u32; 2]) {
        let mut launches = self.steps.iter_mut().filter_map(|it| match it {
            Step::Launch(_, parts, scalars, _) => Some((parts, scalars)),
            _ => None,
        });
        if let Some(it) = launches.nth(launch) {
            (*it.0, *it.1) = (parts, scalars);
        }
    }
}
