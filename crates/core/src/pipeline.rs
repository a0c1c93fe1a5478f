//! Kernels made ready for a device.

use std::fmt;
use std::sync::Arc;

use crate::command::{GraphId, PipelineId};
use crate::context::{Context, Shared};
use crate::device::{Device, DeviceError, MemoryKind};
use crate::error::Error;
use crate::kernel::{Code, Kernel};
use crate::state::State;

/// A kernel compiled for a device. Clones are the same kernel. Dropped while work uses it, it lives until that work is complete; dropping never waits.
pub struct Pipeline<D: Device>(Arc<Made<D>>);

struct Made<D: Device> {
    context: Context<D>,
    id: PipelineId,
    kernel: Arc<Kernel>,
}

impl<D: Device> Pipeline<D> {
    /// The kernel's interface.
    pub fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    pub(crate) fn context(&self) -> &Context<D> {
        &self.0.context
    }

    pub(crate) fn id(&self) -> PipelineId {
        self.0.id
    }
}

impl<D: Device> Clone for Pipeline<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Device> fmt::Debug for Pipeline<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("id", &self.0.id)
            .field("kernel", &self.0.kernel.name)
            .finish_non_exhaustive()
    }
}

impl<D: Device> Drop for Made<D> {
    fn drop(&mut self) {
        let shared = &self.context.0;
        shared.state().retire(Retired::Pipeline(self.id));
        shared.destroy_retired();
    }
}

/// Something that the device keeps until no work can use it any more.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retired {
    Pipeline(PipelineId),
    Graph(GraphId),
}

/// The pipelines by index, and what was dropped while work that may use it is not complete.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    names: Vec<Option<Arc<Kernel>>>,
    vacant: Vec<u32>,
    retired: Vec<(Vec<u64>, Retired)>,
}

impl State {
    /// Keeps what its holder has dropped until all work recorded so far is complete.
    pub(crate) fn retire(&mut self, what: Retired) {
        let after = self.lanes.iter().map(|it| it.last_value()).collect();
        self.pipelines.retired.push((after, what));
    }
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
        // A child of fork knows none of its parent's.
        if let Some(name) = self.names.get_mut(id.0 as usize) {
            *name = None;
            self.vacant.push(id.0);
        }
    }

    /// What a pipeline was made from.
    pub(crate) fn kernel(&self, id: PipelineId) -> Option<&Arc<Kernel>> {
        self.names.get(id.0 as usize)?.as_ref()
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
        self.0.destroy_retired();
        let id = {
            let mut state = self.0.state();
            state.check_lost()?;
            state.pipelines.reserve(Arc::clone(&kernel))
        };
        match self.0.device.create_pipeline(id, &kernel, code) {
            Ok(()) => Ok(Pipeline(Arc::new(Made {
                context: self.clone(),
                id,
                kernel,
            }))),
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
    /// Destroys the dropped pipelines and graphs that no work can use any more. Without the state: a device may have to wait until a batch is encoded.
    pub(crate) fn destroy_retired(&self) {
        let mut state = self.state();
        let State {
            lanes,
            pipelines,
            lost,
            ..
        } = &mut *state;
        let is_over = |it: &mut (Vec<u64>, Retired)| {
            let mut ends = lanes.iter().zip(&it.0);
            lost.is_some() || ends.all(|(lane, value)| lane.completed >= *value)
        };
        let gone = pipelines.retired.extract_if(.., is_over);
        let gone: Vec<Retired> = gone.map(|it| it.1).collect();
        drop(state);
        for what in gone {
            match what {
                Retired::Pipeline(id) => {
                    self.device.destroy_pipeline(id);
                    // Its number is another's only now.
                    self.state().pipelines.remove(id);
                }
                Retired::Graph(id) => self.device.forget_graph(id),
            }
        }
    }
}
