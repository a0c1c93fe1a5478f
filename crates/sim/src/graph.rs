//! What the caller may do with graphs: a device may keep what it made of one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tidegate_core::{Barrier, Batch, GraphId, Replay, Ticket};

/// The graphs that were submitted and not given back.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    kept: HashMap<GraphId, Kept>,
    forgotten: HashSet<GraphId>,
}

/// A graph as a device may have kept it.
#[derive(Debug)]
struct Kept {
    version: u64,
    body: Arc<Batch>,
    opening: Barrier,
    host_reads: bool,
    /// The last submission of each queue that replays it.
    tickets: Vec<Ticket>,
}

impl Graphs {
    /// Notes a submission; an error says what the contract does not allow.
    pub(crate) fn note(
        &mut self,
        batch: &Batch,
        replay: &Replay,
        ticket: Ticket,
    ) -> Result<(), &'static str> {
        if !(batch.commands.is_empty() && replay.body.replay.is_none()) {
            return Err("a replay has commands beside the kept ones");
        }
        if !replay.body.waits.is_empty() || replay.body.opening != Barrier::default() {
            return Err("kept commands have waits or an opening barrier of their own");
        }
        if self.forgotten.contains(&replay.graph) {
            return Err("a graph is replayed after it was given back");
        }
        let fresh = || Kept {
            version: replay.version,
            body: Arc::clone(&replay.body),
            opening: batch.opening,
            host_reads: batch.host_reads,
            tickets: Vec::new(),
        };
        let kept = self.kept.entry(replay.graph).or_insert_with(fresh);
        if replay.version > kept.version {
            let tickets = std::mem::take(&mut kept.tickets);
            *kept = Kept { tickets, ..fresh() };
        }
        match kept.tickets.iter_mut().find(|it| it.queue == ticket.queue) {
            Some(last) => *last = ticket,
            None => kept.tickets.push(ticket),
        }
        if replay.version < kept.version {
            return Err("an older version of a graph is replayed");
        }
        if *kept.body != *replay.body
            || (kept.opening, kept.host_reads) != (batch.opening, batch.host_reads)
        {
            return Err("a graph's commands differ from those of the same version");
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn live(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Forgets a graph; gives the tickets that replayed it.
    pub(crate) fn forget(&mut self, id: GraphId) -> Vec<Ticket> {
        self.forgotten.insert(id);
        self.kept.remove(&id).map_or_else(Vec::new, |it| it.tickets)
    }
}
