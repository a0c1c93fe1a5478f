//! Kernels made ready for a device.

use std::fmt;
use std::sync::Arc;

use crate::command::PipelineId;
use crate::context::{Context, Shared};
use crate::device::{Device, DeviceError, MemoryKind};
use crate::error::Error;
use crate::kernel::{Code, Kernel};
use crate::state::State;

/// A kernel compiled for a device. Dropped while work uses it, it lives until that work is complete; dropping never waits.
pub struct Pipeline<D: Device> {
    pub(crate) context: Context<D>,
    pub(crate) id: PipelineId,
    kernel: Arc<Kernel>,
}

impl<D: Device> Pipeline<D> {
    /// The kernel's interface.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The interface, shared.
    pub(crate) fn shared_kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }
}

impl<D: Device> fmt::Debug for Pipeline<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("id", &self.id)
            .field("kernel", &self.kernel.name)
            .finish_non_exhaustive()
    }
}

impl<D: Device> Drop for Pipeline<D> {
    fn drop(&mut self) {
        let mut state = self.context.0.state();
        let after = state.lanes.iter().map(|it| it.last_value()).collect();
        state.pipelines.retired.push((after, self.id));
        self.context.0.destroy_retired(&mut state);
    }
}

/// The pipelines by index, and those dropped while work that may use them is not complete.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    names: Vec<Option<Arc<Kernel>>>,
    vacant: Vec<u32>,
    retired: Vec<(Vec<u64>, PipelineId)>,
}

impl Pipelines {
    fn reserve(&mut self, kernel: Arc<Kernel>) -> PipelineId {
        if let Some(index) = self.vacant.pop() {
            self.names[index as usize] = Some(kernel);
            return PipelineId(index);
        }
        self.names.push(Some(kernel));
        PipelineId(u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX))
    }

    fn remove(&mut self, id: PipelineId) {
        self.names[id.0 as usize] = None;
        self.vacant.push(id.0);
    }

    /// Names of kernels, each once, in order.
    pub(crate) fn names(&self, ids: &[PipelineId]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for id in ids {
            if let Some(Some(kernel)) = self.names.get(id.0 as usize)
                && !names.contains(&kernel.name)
            {
                names.push(kernel.name.clone());
            }
        }
        names
    }
}

impl<D: Device> Context<D> {
    /// Makes a kernel ready to launch.
    ///
    /// # Errors
    /// [`Error::Refused`] if the device lacks what the kernel needs or its compiler fails; [`Error::OutOfMemory`]; [`Error::Lost`].
    pub fn pipeline(&self, kernel: Kernel, code: &Code) -> Result<Pipeline<D>, Error> {
        let kernel = Arc::new(kernel);
        let id = {
            let mut state = self.0.state();
            state.check_lost()?;
            self.0.destroy_retired(&mut state);
            state.pipelines.reserve(Arc::clone(&kernel))
        };
        match self.0.device.create_pipeline(id, &kernel, code) {
            Ok(()) => Ok(Pipeline {
                context: self.clone(),
                id,
                kernel,
            }),
            Err(DeviceError::OutOfMemory) => {
                self.0.state().pipelines.remove(id);
                Err(self.0.out_of_memory(0, MemoryKind::Device))
            }
            Err(DeviceError::Refused { detail }) => {
                self.0.state().pipelines.remove(id);
                let name = &kernel.name;
                Err(Error::Refused(format!("kernel `{name}`: {detail}")))
            }
            Err(error) => {
                let mut state = self.0.state();
                state.pipelines.remove(id);
                Err(state.note(error))
            }
        }
    }
}

impl<D: Device> Shared<D> {
    /// Destroys the dropped pipelines that no work can use any more.
    pub(crate) fn destroy_retired(&self, state: &mut State) {
        let State {
            lanes,
            pipelines,
            lost,
            ..
        } = state;
        let mut retired = std::mem::take(&mut pipelines.retired);
        retired.retain(|(after, id)| {
            let busy = lanes
                .iter()
                .zip(after)
                .any(|(it, value)| it.completed < *value);
            if busy && lost.is_none() {
                return true;
            }
            self.device.destroy_pipeline(*id);
            pipelines.remove(*id);
            false
        });
        pipelines.retired = retired;
    }
}
