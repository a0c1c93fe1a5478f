//! A committed command buffer as nodes, each with what it comes after.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::gpu::event::Event;
use crate::gpu::work::Work;
use crate::gpu::{Encoder, FenceUse, Segment};
use crate::metal::lifetime::Claim;
use crate::rules::{Rule, lock};
use crate::world::World;

/// A node of a run.
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// Nodes of this run or of earlier ones that must be done.
    pub(crate) after: Vec<u64>,
    pub(crate) done: bool,
}

/// What a node does.
pub(crate) enum Kind {
    /// Nothing: a meeting point of dependencies.
    Join,
    Wait(Arc<Event>, u64),
    /// Comes after what stands before it in its own command buffer alone.
    Signal(Arc<Event>, u64),
    Work {
        work: Arc<Work>,
        encoder: usize,
    },
}

/// A command buffer's nodes. Node `i` has the number `base + i`.
pub(crate) struct Plan {
    pub(crate) base: u64,
    pub(crate) steps: Vec<Step>,
    /// Labels of its encoders, and the nodes that they end with.
    pub(crate) encoders: Vec<String>,
    pub(crate) exits: Vec<u64>,
    /// On fences, until it has completed.
    claims: Vec<Claim>,
    /// How many waits stand before anything else: it starts after them.
    pub(crate) leading: usize,
}

/// What a plan rests on.
pub(crate) struct Before<'a> {
    /// The last node that used each tracked buffer.
    pub(crate) tracked: &'a mut HashMap<u64, u64>,
    /// Nodes that were never reached, as the program was told.
    pub(crate) told: &'a HashSet<u64>,
    pub(crate) world: &'a World,
}

/// Makes a plan.
pub(crate) fn plan(queue: u64, base: u64, segments: Vec<Segment>, before: &mut Before<'_>) -> Plan {
    let mut plan = Plan {
        base,
        steps: Vec::new(),
        encoders: Vec::new(),
        exits: Vec::new(),
        claims: Vec::new(),
        leading: 0,
    };
    // The last wait: whatever stands after it waits too.
    let mut gate = Vec::new();
    let mut leading = true;
    for segment in segments {
        match segment {
            Segment::Wait(event, value) => {
                let at = plan.push(Kind::Wait(event, value), gate.clone());
                gate = vec![at];
                plan.leading += usize::from(leading);
                continue;
            }
            Segment::Signal(event, value) => {
                let before = (base..base + plan.steps.len() as u64).collect();
                plan.push(Kind::Signal(event, value), before);
            }
            Segment::Encoder(encoder) => plan.encoder(queue, encoder, &gate, before),
        }
        leading = false;
    }
    plan
}

impl Plan {
    fn push(&mut self, kind: Kind, after: Vec<u64>) -> u64 {
        self.steps.push(Step {
            kind,
            after,
            done: false,
        });
        self.base + self.steps.len() as u64 - 1
    }

    /// An entry that waits for what the whole encoder waits for, its commands, and an exit that comes after them.
    fn encoder(&mut self, queue: u64, encoder: Encoder, gate: &[u64], before: &mut Before<'_>) {
        let world = before.world;
        let mut after = gate.to_vec();
        for (fence, it, _) in &encoder.fences {
            match (*lock(&fence.last), it) {
                (Some((other, _)), _) if other != queue => {
                    let text = format!("a fence of `{}` is used on two queues", encoder.label);
                    world.noted(Rule::FenceUse, text);
                }
                (Some((_, exit)), FenceUse::Wait) => {
                    if before.told.contains(&exit) {
                        let text = format!(
                            "`{}` waits for a fence, and the program was told that the encoder which should have updated it last failed",
                            encoder.label
                        );
                        world.noted(Rule::FenceUse, text);
                    }
                    after.push(exit);
                }
                (None, FenceUse::Wait) => {
                    let text = format!(
                        "`{}` waits for a fence that nothing has updated",
                        encoder.label
                    );
                    world.noted(Rule::FenceUse, text);
                }
                (_, FenceUse::Update) => {}
            }
        }
        after.extend(
            encoder
                .tracked
                .iter()
                .filter_map(|id| before.tracked.get(id)),
        );
        let entry = self.push(Kind::Join, after);
        let index = self.encoders.len();
        self.encoders.push(encoder.label);
        let first = entry + 1;
        let count = encoder.nodes.len() as u64;
        for node in encoder.nodes {
            let mut after: Vec<u64> = node.after.iter().map(|it| first + *it as u64).collect();
            if after.is_empty() {
                after.push(entry);
            }
            let kind = match node.work {
                Some(work) => Kind::Work {
                    work: Arc::new(work),
                    encoder: index,
                },
                None => Kind::Join,
            };
            self.push(kind, after);
        }
        let exit = self.push(Kind::Join, (entry..first + count).collect());
        self.exits.push(exit);
        for (fence, it, claim) in encoder.fences {
            if it == FenceUse::Update {
                *lock(&fence.last) = Some((queue, exit));
            }
            self.claims.push(claim);
        }
        for id in encoder.tracked {
            before.tracked.insert(id, exit);
        }
    }
}
