//! What must hold at any time, and what must hold at the end.

use tidegate_core::{Context, Counters, Device, Policy};

use super::{Checked, Kernels, Met, Runner, Wrong, compare, found, told};
use crate::history::model::Counts;
use crate::history::op::Op;

impl<D: Device, K: Kernels> Runner<'_, D, K> {
    /// Holds the counters against the model's and against the limits.
    pub(super) fn counters(&self) -> Checked<()> {
        let all: Vec<Counters> = self.contexts.iter().map(Context::counters).collect();
        let sum = |of: fn(&Counters) -> u64| all.iter().map(of).sum::<u64>();
        let found = Counts {
            dispatches: sum(|it| it.dispatches),
            graph_launches: sum(|it| it.graph_launches),
            cpu_to_gpu: sum(|it| it.cpu_to_gpu),
            gpu_to_cpu: sum(|it| it.gpu_to_cpu),
            gpu_to_gpu: sum(|it| it.gpu_to_gpu),
        };
        let mut wants = self.model.counts;
        if self.met.refusals > 0 {
            // An upload or download that was refused counts, too.
            (wants.cpu_to_gpu, wants.gpu_to_cpu) = (found.cpu_to_gpu, found.gpu_to_cpu);
        }
        let same = found == wants || self.met.recoveries > 0;
        if same && self.contexts.iter().all(within_limits) {
            return Ok(());
        }
        let words = format!("{all:?}\nbut {wants:?} and {:?}", self.contexts[0].limits());
        Err(Wrong::Differs(words))
    }

    /// Reads every buffer, drops everything and looks at what is left.
    pub(super) fn finish(mut self) -> Checked<Met> {
        if !self.is_over() {
            self.counters()?;
            while !self.is_over() && !self.persist(Self::read_all)? {
                self.let_go();
            }
        }
        if self.met.is_stuck {
            return Ok(self.met);
        }
        if self.met.is_lost {
            let met = self.met.clone();
            self.end_of_a_lost_device()?;
            return Ok(met);
        }
        self.streams.clear();
        self.buffers.clear();
        self.pipelines.clear();
        self.graphs.clear();
        for context in &self.contexts {
            let counters = context.counters();
            let queues = u64::from(context.capabilities().queues);
            // An eighth is what rounding may add.
            let rings = queues * context.limits().staging_bytes / 8 * 9;
            if counters.memory_bytes > rings {
                let words = format!("memory is still held: {counters:?}");
                return Err(Wrong::Differs(words));
            }
        }
        Ok(self.met)
    }

    /// Where memory is scarce there may be none to read a buffer with, unless there are fewer.
    fn let_go(&mut self) {
        self.streams.clear();
        self.graphs.clear();
        let last = self.model.buffers().last().map(|it| it.0);
        if let Some(slot) = last.filter(|_| self.tolerance.scarce) {
            self.buffers[slot] = None;
            self.model.apply(&Op::DropBuffer(slot));
        }
    }

    fn is_over(&self) -> bool {
        self.met.is_lost || self.met.is_stuck
    }

    fn read_all(&mut self) -> Checked<()> {
        for slot in 0..self.downloads.len() {
            if self.downloads[slot].is_some() {
                self.take(slot)?;
            }
        }
        for device in 0..self.contexts.len() {
            let made = self.contexts[device].stream(Policy::default());
            let mut reader = made.map_err(told)?;
            for (slot, want) in self.model.buffers() {
                if self.model.device(slot) != device {
                    continue;
                }
                let memory = found(&mut self.buffers, slot)?;
                let download = reader.download(memory, 0, memory.bytes());
                compare(&download.map_err(told)?, want).map_err(|it| match it {
                    Wrong::Differs(words) => Wrong::Differs(format!("b{slot} at the end: {words}")),
                    refused => refused,
                })?;
            }
            reader.synchronize().map_err(told)?;
        }
        self.streams.clear();
        Ok(())
    }
}

fn within_limits<D: Device>(context: &Context<D>) -> bool {
    let (counters, limits) = (context.counters(), context.limits());
    let by_cause: u64 = counters.submissions_by_cause.iter().sum();
    let memory = limits
        .memory_bytes_max
        .saturating_add(limits.host_bytes_max);
    counters.in_flight_peak <= u64::from(limits.in_flight_max)
        && counters.commands_peak <= u64::from(limits.commands_max)
        && counters.staging_peak <= limits.staging_bytes
        && counters.memory_peak <= memory
        && counters.free_syncs == 0
        && by_cause == counters.submissions
}
