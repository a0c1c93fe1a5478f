//! What a command touches, and whether its shape is legal. Nothing here depends on order.

use std::sync::Arc;

use tidegate_core::{
    Access, Batch, Capabilities, Command, HostKernel, Kernel, Launch, Region, ScalarPlace, Span,
};

use crate::memory::Memory;
use crate::violation::{Rule, Violation};

/// A live pipeline.
pub(crate) struct Pipeline {
    pub(crate) kernel: Kernel,
    pub(crate) code: HostKernel,
}

/// What a command does to one region.
#[derive(Clone, Copy)]
pub(crate) struct Touch {
    pub(crate) region: Region,
    pub(crate) access: Access,
}

/// What a batch may use.
pub(crate) struct World<'a> {
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) memory: &'a [Option<Memory>],
    pub(crate) pipelines: &'a [Option<Arc<Pipeline>>],
}

/// Boxed, as a violation is rare and large.
type Checked<T> = Result<T, Box<Violation>>;

fn broken<T>(rule: Rule, detail: impl Into<String>) -> Checked<T> {
    Err(Box::new(Violation::new(rule, detail)))
}

fn broken_at<T>(region: &Region, rule: Rule, detail: impl Into<String>) -> Checked<T> {
    Err(Box::new(Violation::new(rule, detail).at(*region)))
}

/// Whether every span of the batch lies in its arena, which printing it takes for granted.
pub(crate) fn spans_are_sound(batch: &Batch) -> bool {
    let inside = |span: Span, len: usize| span.range().end <= len;
    let batch = batch.body();
    batch.commands.iter().all(|command| match command {
        Command::Launch(it) => {
            inside(it.bindings, batch.regions.len()) && inside(it.scalars, batch.data.len())
        }
        Command::Upload { data, .. } => inside(*data, batch.data.len()),
        _ => true,
    })
}

impl World<'_> {
    /// The regions that `command` touches, and its pipeline if it is a launch.
    pub(crate) fn touches(
        &self,
        batch: &Batch,
        command: &Command,
        into: &mut Vec<Touch>,
    ) -> Checked<Option<Arc<Pipeline>>> {
        let touch = |region, access| Touch { region, access };
        match *command {
            Command::Launch(launch) => return self.launch(batch, &launch, into).map(Some),
            Command::Upload { target, data } => {
                self.aligned(&target, 4)?;
                if u64::from(data.len) != target.bytes || target.bytes > 4096 {
                    let detail = format!("upload of {} bytes to {target}", data.len);
                    return broken(Rule::Range, detail);
                }
                into.push(touch(target, Access::Write));
            }
            Command::Copy { source, target } => {
                let align = self.capabilities.copy_align;
                self.aligned(&source, align)?;
                self.aligned(&target, align)?;
                if source.bytes != target.bytes || source.overlaps(&target) {
                    let detail = format!("copy {source} -> {target}: other sizes, or overlap");
                    return broken(Rule::Range, detail);
                }
                into.push(touch(source, Access::Read));
                into.push(touch(target, Access::Write));
            }
            Command::Fill { target, .. } => {
                self.aligned(&target, 4)?;
                into.push(touch(target, Access::Write));
            }
            _ => return broken(Rule::Call, "a command that this device does not know"),
        }
        Ok(None)
    }

    /// A region of at least one byte inside a live allocation.
    pub(crate) fn inside(&self, region: &Region) -> Checked<()> {
        let memory = self.memory.get(region.memory.0 as usize);
        let Some(memory) = memory.and_then(Option::as_ref).filter(|it| it.live) else {
            return broken_at(region, Rule::Dead, "no such allocation");
        };
        if region.bytes == 0 || region.end() > memory.bytes() {
            let detail = format!("not inside the allocation's {} bytes", memory.bytes());
            return broken_at(region, Rule::Range, detail);
        }
        Ok(())
    }

    fn aligned(&self, region: &Region, align: u64) -> Checked<()> {
        self.inside(region)?;
        if !region.offset.is_multiple_of(align) || !region.bytes.is_multiple_of(align) {
            let detail = format!("offset and size must be multiples of {align}");
            return broken_at(region, Rule::Align, detail);
        }
        Ok(())
    }

    fn launch(
        &self,
        batch: &Batch,
        launch: &Launch,
        into: &mut Vec<Touch>,
    ) -> Checked<Arc<Pipeline>> {
        let pipeline = self.pipelines.get(launch.pipeline.0 as usize);
        let Some(pipeline) = pipeline.and_then(Option::as_ref) else {
            return broken(Rule::Dead, format!("no pipeline p{}", launch.pipeline.0));
        };
        let kernel = &pipeline.kernel;
        for (size, max) in launch.grid.iter().zip(self.capabilities.grid_max) {
            if *size == 0 || *size > max {
                let detail = format!("{}: grid {:?}", kernel.name, launch.grid);
                return broken(Rule::Range, detail);
            }
        }
        let bound = batch.bindings(launch);
        let uniform = self.scalars(kernel, launch)?;
        if bound.len() != kernel.bindings.len() + usize::from(uniform.is_some()) {
            let detail = format!("{}: {} buffers bound", kernel.name, bound.len());
            return broken(Rule::Range, detail);
        }
        for (region, binding) in bound.iter().zip(&kernel.bindings) {
            self.binding(region, binding.bytes_min, binding.uniform)?;
            into.push(Touch {
                region: *region,
                access: binding.access,
            });
        }
        if let Some(bytes) = uniform
            && let Some(region) = bound.last()
        {
            self.binding(region, bytes, true)?;
            into.push(Touch {
                region: *region,
                access: Access::Read,
            });
        }
        Ok(Arc::clone(pipeline))
    }

    /// The size of the uniform block that the launch must bind for its scalars, if it must.
    fn scalars(&self, kernel: &Kernel, launch: &Launch) -> Checked<Option<u64>> {
        let (pushed, uniform) = match &kernel.scalars {
            None => (0, None),
            Some(it) if it.place == ScalarPlace::PushConstants => (it.bytes, None),
            Some(it) => (0, Some(u64::from(it.bytes))),
        };
        if launch.scalars.len != pushed {
            let detail = format!(
                "{}: {} bytes of push constants, not {pushed}",
                kernel.name, launch.scalars.len
            );
            return broken(Rule::Range, detail);
        }
        if !launch.scalars.start.is_multiple_of(4) {
            let detail = format!("{}: push constants off a multiple of 4", kernel.name);
            return broken(Rule::Align, detail);
        }
        Ok(uniform)
    }

    fn binding(&self, region: &Region, bytes_min: u64, uniform: bool) -> Checked<()> {
        self.inside(region)?;
        let it = self.capabilities;
        let (align, max) = if uniform {
            (it.uniform_align, it.uniform_bytes_max)
        } else {
            (it.binding_align, it.binding_bytes_max)
        };
        if !region.offset.is_multiple_of(align) {
            let detail = format!("a binding's offset must be a multiple of {align}");
            return broken_at(region, Rule::Align, detail);
        }
        if region.bytes < bytes_min || region.bytes > max {
            let detail = format!("a binding of {bytes_min} to {max} bytes is needed");
            return broken_at(region, Rule::Range, detail);
        }
        Ok(())
    }
}

/// Why the device cannot make this pipeline, if it cannot.
pub(crate) fn refusal(capabilities: &Capabilities, kernel: &Kernel) -> Option<String> {
    let name = &kernel.name;
    let invocations: u64 = kernel
        .workgroup_size
        .iter()
        .map(|&it| u64::from(it))
        .product();
    let sizes = kernel.workgroup_size.iter();
    if sizes
        .zip(capabilities.workgroup_size_max)
        .any(|(size, max)| *size == 0 || *size > max)
        || invocations > u64::from(capabilities.workgroup_invocations_max)
    {
        return Some(format!(
            "kernel {name}: a workgroup of {:?} is larger than the device's {:?} or {} in total",
            kernel.workgroup_size,
            capabilities.workgroup_size_max,
            capabilities.workgroup_invocations_max
        ));
    }
    if kernel.bindings.len() as u64 > u64::from(capabilities.bindings_max) {
        return Some(format!(
            "kernel {name}: {} bindings, and the device has {}",
            kernel.bindings.len(),
            capabilities.bindings_max
        ));
    }
    let pushed = kernel
        .scalars
        .as_ref()
        .filter(|it| it.place == ScalarPlace::PushConstants);
    let pushed = pushed.map_or(0, |it| it.bytes);
    (pushed > capabilities.scalar_bytes_max).then(|| {
        format!(
            "kernel {name}: {pushed} bytes of push constants, and the device takes {}",
            capabilities.scalar_bytes_max
        )
    })
}
