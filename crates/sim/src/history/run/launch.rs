//! Launches, by themselves and in graphs.

use tidegate_core::{Arguments, Context, Device, Kernel, Region};

use super::{Checked, Kernels, Runner, Wrong, ensure, found, put, told};
use crate::history::op::{Op, Part, Which};
use crate::kernels;

impl<D: Device, K: Kernels> Runner<'_, D, K> {
    pub(super) fn launch(
        &mut self,
        stream: usize,
        which: Which,
        parts: &[Part],
        scalars: [u32; 2],
    ) -> Checked<()> {
        let slot = which as usize + Which::ALL.len() * self.model.device(stream);
        if !matches!(self.pipelines.get(slot), Some(Some(_))) {
            let (kernel, code) = self.kernels.make(which);
            let made = self.context(stream).pipeline(kernel, &code);
            let pipeline = made.map_err(told)?;
            put(&mut self.pipelines, slot, Some(pipeline));
        }
        let pipeline = found(&mut self.pipelines, slot)?.clone();
        let (regions, bytes) = self.bind(pipeline.kernel(), which, parts, scalars)?;
        let most = parts.iter().map(|it| it.bytes).max().unwrap_or(0);
        let stream = found(&mut self.streams, stream)?;
        let launched = stream.launch(
            &pipeline,
            kernels::grid_for(most),
            as_arguments(&regions, &bytes),
        );
        launched.map_err(told)
    }

    /// The regions and the block of scalars of a launch.
    fn bind(
        &mut self,
        kernel: &Kernel,
        which: Which,
        parts: &[Part],
        scalars: [u32; 2],
    ) -> Checked<(Vec<Region>, Vec<u8>)> {
        let mut regions = Vec::new();
        for part in parts {
            let memory = found(&mut self.buffers, part.buffer)?;
            regions.push(memory.region(part.offset, part.bytes).map_err(told)?);
        }
        let words = &scalars[..which.scalars()];
        let mut bytes: Vec<u8> = words.iter().flat_map(|it| it.to_le_bytes()).collect();
        let block = kernel.scalars.as_ref();
        bytes.resize(block.map_or(0, |it| it.bytes as usize), 0);
        Ok((regions, bytes))
    }

    pub(super) fn graph(&mut self, op: &Op) -> Checked<()> {
        match op {
            Op::Capture(stream) => {
                let stream = found(&mut self.streams, *stream)?;
                stream.begin_capture().map_err(told)
            }
            Op::Abandon(stream) => {
                let stream = found(&mut self.streams, *stream)?;
                stream.abandon_capture();
                ensure(!stream.is_capturing(), "it captures on")
            }
            Op::Graph(stream, slot) => {
                let captured = self.model.capture(*stream);
                let launches = captured.map_or(0, |it| it.launches().count());
                let graph = found(&mut self.streams, *stream)?.end_capture();
                let graph = graph.map_err(told)?;
                let all = graph.launches() == launches;
                drop(put(&mut self.graphs, *slot, Some(graph)));
                ensure(all, "the graph has other launches than were captured")
            }
            Op::LaunchGraph(stream, slot) => {
                let graph = found(&mut self.graphs, *slot)?;
                let launched = found(&mut self.streams, *stream)?.launch_graph(graph);
                launched.map_err(told)?;
                let last = self.last_calls.get(*stream).copied().unwrap_or(0);
                for event in self.model.graph(*slot).map_or(&[][..], |it| &it.records) {
                    put(&mut self.marks, *event, Some((*stream, last)));
                }
                Ok(())
            }
            Op::Arguments {
                stream,
                graph,
                launch,
                parts,
                scalars,
            } => {
                let sketch = self.model.graph(*graph);
                let which = sketch.and_then(|it| it.launches().nth(*launch));
                let which = which.ok_or_else(|| Wrong::Differs("no such launch".to_owned()))?;
                let pipeline = found(&mut self.graphs, *graph)?.pipeline(*launch);
                let pipeline = pipeline.map_err(told)?.clone();
                let (regions, bytes) = self.bind(pipeline.kernel(), which, parts, *scalars)?;
                let stream = found(&mut self.streams, *stream)?;
                let graph = found(&mut self.graphs, *graph)?;
                let changed = graph.set_arguments(stream, *launch, as_arguments(&regions, &bytes));
                changed.map_err(told)
            }
            Op::DropGraph(slot) => self.quietly(|it| drop(put(&mut it.graphs, *slot, None))),
            _ => Ok(()),
        }
    }

    /// A drop neither waits nor submits.
    pub(super) fn quietly(&mut self, drop: impl FnOnce(&mut Self)) -> Checked<()> {
        let before: Vec<_> = self.contexts.iter().map(Context::counters).collect();
        drop(self);
        let quiet = before.iter().zip(&self.contexts).all(|(before, context)| {
            let after = context.counters();
            before.submissions == after.submissions
                && before.syncs == after.syncs
                && before.stalls == after.stalls
        });
        ensure(quiet, "a drop submitted or waited")
    }
}

fn as_arguments<'a>(regions: &'a [Region], scalars: &'a [u8]) -> Arguments<'a> {
    Arguments {
        regions,
        scalars,
        aliasing: false,
    }
}
