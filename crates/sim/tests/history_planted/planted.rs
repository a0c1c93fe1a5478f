//! A device that stands between core and the simulated one, and takes something away from what core asked for or adds to what
//! it is told. To the simulated device it looks as if core had the defect.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tidegate_core::{
    Barrier, Batch, Code, Command, Device, DeviceError, GraphId, Kernel, PipelineId, Region,
    ScalarPlace, Stages, Ticket,
};
use tidegate_sim::Sim;

use crate::replay::{Kept, OfGraphs};

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// None: the control.
    None,
    /// The barrier with this number is missing, counted from 0 over the whole run.
    NoBarrier(u64),
    /// Barriers that only keep a write behind earlier reads are missing.
    NoWriteAfterRead,
    /// Barriers wait for kernels only.
    BarrierBeforeComputeOnly,
    /// Barriers hold up kernels only.
    BarrierAfterComputeOnly,
    /// Batches do not see what earlier batches of their queue wrote.
    NoOpening,
    /// The opening barrier waits for transfers only.
    OpeningBeforeTransferOnly,
    /// Batches wait for no other queue.
    NoWaits,
    /// Batches wait for one ticket too few.
    WaitsOneShort,
    /// What was submitted is said to be complete.
    SubmittedIsComplete,
    /// What was submitted to any queue but the first is said to be complete.
    OtherQueuesAreComplete,
    /// Once anybody has waited for anything, all that was submitted is said to be complete.
    AnyWaitCompletesAll,
    /// A wait returns at once.
    NoHostWait,
    /// The ticket after the last complete one is said to be complete, too.
    OneTooMany,
    /// Batches do not make their writes visible to the host.
    NoHostReads,
    /// The scalars of all launches of a batch are in one place, and the last one's are left there.
    OneUniformBlock,
    /// A batch's launches of one kernel all run with the scalars of the last of them.
    LastScalars,
    /// Commands change places although the earlier one writes (or reads) what the later one reads (or writes): two flags, whether each writes.
    Reordered(bool, bool),
    /// One of what is kept of graphs.
    Graphs(OfGraphs),
}

/// The device in between.
pub(crate) struct Planted {
    sim: Sim,
    defect: Defect,
    barriers: AtomicU64,
    waited: AtomicBool,
    submitted: Vec<AtomicU64>,
    kernels: Mutex<Vec<Option<Kernel>>>,
    kept: Kept,
}

impl Planted {
    pub(crate) fn new(sim: Sim, defect: Defect) -> Self {
        let queues = sim.capabilities().queues;
        Self {
            sim,
            defect,
            barriers: AtomicU64::new(0),
            waited: AtomicBool::new(false),
            submitted: (0..queues).map(|_| AtomicU64::new(0)).collect(),
            kernels: Mutex::default(),
            kept: Kept::default(),
        }
    }

    fn spoil(&self, batch: &mut Batch) {
        match self.defect {
            Defect::NoBarrier(_) => batch.commands.retain(|it| !self.is_the_one(it)),
            Defect::NoWriteAfterRead => self.keep_only_reads_of_writes(batch),
            Defect::BarrierBeforeComputeOnly => {
                each_barrier(batch, |it| it.before = Stages::COMPUTE)
            }
            Defect::BarrierAfterComputeOnly => each_barrier(batch, |it| it.after = Stages::COMPUTE),
            Defect::NoOpening => batch.opening = Barrier::default(),
            Defect::OpeningBeforeTransferOnly => batch.opening.before = Stages::TRANSFER,
            Defect::NoWaits => batch.waits.clear(),
            Defect::WaitsOneShort => {
                batch.waits.iter_mut().for_each(|it| it.value -= 1);
                batch.waits.retain(|it| it.value > 0);
            }
            Defect::NoHostReads => batch.host_reads = false,
            Defect::OneUniformBlock => self.share_uniform_block(batch),
            Defect::LastScalars => share_push_constants(batch),
            Defect::Reordered(first, second) => self.reorder(batch, (first, second)),
            Defect::Graphs(defect) => self.kept.spoil(&self.sim, defect, batch),
            _ => {}
        }
    }

    fn is_the_one(&self, command: &Command) -> bool {
        matches!(command, Command::Barrier(_))
            && Defect::NoBarrier(self.barriers.fetch_add(1, Ordering::Relaxed)) == self.defect
    }

    /// What a command touches.
    fn touches(&self, batch: &Batch, command: &Command) -> Vec<(Region, bool)> {
        match command {
            Command::Launch(launch) => {
                let kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
                let kernel = kernels[launch.pipeline.0 as usize].clone().unwrap();
                let regions = batch.bindings(launch).iter();
                let bindings = regions.zip(&kernel.bindings);
                bindings.map(|(it, to)| (*it, to.access.writes())).collect()
            }
            Command::Upload { target, .. } | Command::Fill { target, .. } => vec![(*target, true)],
            Command::Copy { source, target } => vec![(*source, false), (*target, true)],
            _ => Vec::new(),
        }
    }

    /// Drops the barriers after which, up to the next, nothing is touched that was written before in the batch.
    fn keep_only_reads_of_writes(&self, batch: &mut Batch) {
        let mut written: Vec<Region> = Vec::new();
        let mut kept = Vec::new();
        for (at, command) in batch.commands.iter().enumerate() {
            let touches = self.touches(batch, command);
            written.extend(touches.iter().filter(|it| it.1).map(|it| it.0));
            let next = batch.commands[at + 1..].iter();
            let needed = next
                .take_while(|it| !matches!(it, Command::Barrier(_)))
                .flat_map(|it| self.touches(batch, it))
                .any(|(it, _)| written.iter().any(|old| old.overlaps(&it)));
            if needed || !matches!(command, Command::Barrier(_)) {
                kept.push(*command);
            }
        }
        batch.commands = kept;
    }

    /// Puts commands as early as they may be if hazards of the sort `ignored` were none. A barrier stands before each, so that only the order is wrong.
    fn reorder(&self, batch: &mut Batch, ignored: (bool, bool)) {
        let mut commands = batch.commands.clone();
        commands.retain(|it| !matches!(it, Command::Barrier(_)));
        let touches: Vec<_> = commands.iter().map(|it| self.touches(batch, it)).collect();
        let mut levels: Vec<u32> = Vec::new();
        for (at, later) in touches.iter().enumerate() {
            let follows = |first: &(Region, bool), second: &(Region, bool)| {
                let sort = (first.1, second.1);
                first.0.overlaps(&second.0) && sort != (false, false) && sort != ignored
            };
            let before = touches[..at].iter().zip(&levels).filter(|(it, _)| {
                it.iter()
                    .any(|first| later.iter().any(|second| follows(first, second)))
            });
            levels.push(before.map(|(_, level)| level + 1).max().unwrap_or(0));
        }
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|it| levels[*it]);
        let full = Command::Barrier(Barrier {
            before: Stages::ALL,
            after: Stages::ALL,
        });
        let commands = order.iter().flat_map(|it| [full, commands[*it]]);
        batch.commands = commands.collect();
    }

    fn share_uniform_block(&self, batch: &mut Batch) {
        let kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = Vec::new();
        for command in &batch.commands {
            if let Command::Launch(launch) = command
                && let Some(kernel) = &kernels[launch.pipeline.0 as usize]
                && let Some(scalars) = &kernel.scalars
                && scalars.place != ScalarPlace::PushConstants
            {
                places.push(launch.bindings.range().end - 1);
            }
        }
        if let Some(last) = places.last().map(|it| batch.regions[*it]) {
            places.iter().for_each(|it| batch.regions[*it] = last);
        }
    }

    fn last(&self, queue: u32) -> u64 {
        self.submitted[queue as usize].load(Ordering::Acquire)
    }
}

fn each_barrier(batch: &mut Batch, change: impl Fn(&mut Barrier)) {
    for command in &mut batch.commands {
        if let Command::Barrier(it) = command {
            change(it);
        }
    }
}

/// Gives each launch the push constants of the last launch of the same pipeline.
fn share_push_constants(batch: &mut Batch) {
    let launches = batch.commands.clone();
    for command in &mut batch.commands {
        if let Command::Launch(launch) = command {
            let same = launches.iter().rev().find_map(|it| match it {
                Command::Launch(it) if it.pipeline == launch.pipeline => Some(it.scalars),
                _ => None,
            });
            launch.scalars = same.unwrap();
        }
    }
}

impl Device for Planted {
    tidegate_sim::pass_on!(sim: capabilities process now_ns allocate free memory_available write read);
    tidegate_sim::pass_on!(sim: destroy_pipeline set_timing take_timings);

    fn create_pipeline(
        &self,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if kernels.len() <= id.0 as usize {
            kernels.resize(id.0 as usize + 1, None);
        }
        kernels[id.0 as usize] = Some(kernel.clone());
        self.sim.create_pipeline(id, kernel, code)
    }

    fn forget_graph(&self, id: GraphId) {
        if self.defect != Defect::Graphs(OfGraphs::NeverForgotten) {
            self.sim.forget_graph(self.kept.forget(id));
        }
    }

    fn submit(&self, batch: &Batch, ticket: Ticket) -> Result<(), DeviceError> {
        let mut batch = batch.clone();
        self.spoil(&mut batch);
        self.sim.submit(&batch, ticket)?;
        self.submitted[ticket.queue as usize].store(ticket.value, Ordering::Release);
        Ok(())
    }

    fn completed(&self, queue: u32) -> Result<u64, DeviceError> {
        let completed = self.sim.completed(queue)?;
        let lie = match self.defect {
            Defect::SubmittedIsComplete => true,
            Defect::OtherQueuesAreComplete => queue > 0,
            Defect::AnyWaitCompletesAll => self.waited.load(Ordering::Acquire),
            Defect::OneTooMany => return Ok((completed + 1).min(self.last(queue))),
            _ => false,
        };
        Ok(if lie { self.last(queue) } else { completed })
    }

    fn wait(&self, ticket: Ticket, timeout_ns: u64) -> Result<bool, DeviceError> {
        self.waited.store(true, Ordering::Release);
        if self.defect == Defect::NoHostWait {
            return Ok(true);
        }
        self.sim.wait(ticket, timeout_ns)
    }
}
