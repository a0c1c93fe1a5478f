//! Defects of what a device keeps of graphs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::{Barrier, Batch, Command, Device, GraphId, Replay};
use tidegate_sim::Sim;

/// What a device that keeps graphs does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfGraphs {
    /// What was made of the first version is replayed for ever.
    FirstVersion,
    /// Later versions run with the push constants of the first.
    FirstScalars,
    /// Later versions run on the buffers of the first.
    FirstBuffers,
    /// A new version is encoded over the old one while that still runs.
    EncodedOver,
    /// Kept commands have no opening barrier: when they were encoded nothing had run yet.
    NoOpening,
    /// Barriers inside are left out, as if the graph ran alone.
    NoBarriers,
    /// A replay waits for no other queue: waits are taken for part of the commands.
    NoWaits,
    /// Replays do not make their writes visible to the host.
    NoHostReads,
    /// Of a graph's launches one uniform block is kept.
    OneUniformBlock,
    /// What was kept is never given back.
    NeverForgotten,
}

/// What was kept of each graph.
#[derive(Default)]
pub(crate) struct Kept(Mutex<State>);

#[derive(Default)]
struct State {
    first: HashMap<GraphId, Arc<Batch>>,
    /// The version encoded last and the number that the simulated device knows it by.
    encoded: HashMap<GraphId, (u64, GraphId)>,
    aliases: u64,
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a graph on the simulated device, which is forgotten.
    pub(crate) fn forget(&self, id: GraphId) -> GraphId {
        let encoded = self.state().encoded.remove(&id);
        encoded.map_or(id, |it| it.1)
    }

    pub(crate) fn spoil(&self, sim: &Sim, defect: OfGraphs, batch: &mut Batch) {
        let Some(mut replay) = batch.replay.take() else {
            return;
        };
        let first = {
            let mut state = self.state();
            let first = state.first.entry(replay.graph);
            Arc::clone(first.or_insert_with(|| Arc::clone(&replay.body)))
        };
        match defect {
            OfGraphs::FirstVersion => replay.body = first,
            OfGraphs::FirstScalars => Arc::make_mut(&mut replay.body).data = first.data.clone(),
            OfGraphs::FirstBuffers => {
                Arc::make_mut(&mut replay.body).regions = first.regions.clone();
            }
            OfGraphs::EncodedOver => self.encode_over(sim, &mut replay),
            OfGraphs::NoOpening => batch.opening = Barrier::default(),
            OfGraphs::NoBarriers => Arc::make_mut(&mut replay.body)
                .commands
                .retain(|it| !matches!(it, Command::Barrier(_))),
            OfGraphs::NoWaits => batch.waits.clear(),
            OfGraphs::NoHostReads => batch.host_reads = false,
            OfGraphs::NeverForgotten => {}
            OfGraphs::OneUniformBlock => share_last_block(Arc::make_mut(&mut replay.body)),
        }
        batch.replay = Some(replay);
    }

    fn encode_over(&self, sim: &Sim, replay: &mut Replay) {
        let mut state = self.state();
        state.aliases += 1;
        let fresh = GraphId(1 << 40 | state.aliases);
        let encoded = state.encoded.entry(replay.graph);
        let (version, alias) = encoded.or_insert((replay.version, replay.graph));
        if *version != replay.version {
            sim.forget_graph(*alias);
            (*version, *alias) = (replay.version, fresh);
        }
        replay.graph = *alias;
    }
}

/// Blocks come last among a launch's buffers, and only kernels with one bind two buffers of which the last is not written: here, those with 16 bytes.
fn share_last_block(batch: &mut Batch) {
    let launches = batch.commands.iter().filter_map(|it| match it {
        Command::Launch(it) => Some(it.bindings.range()),
        _ => None,
    });
    let regions = &batch.regions;
    let blocks: Vec<usize> = launches
        .filter(|it| it.len() == 2 && regions[it.end - 1].bytes == 16)
        .map(|it| it.end - 1)
        .collect();
    if let Some(last) = blocks.last().map(|it| batch.regions[*it]) {
        blocks.iter().for_each(|it| batch.regions[*it] = last);
    }
}
