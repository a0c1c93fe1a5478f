//! Kernels made ready to run, and the layouts that they share.

use std::ffi::CString;
use std::sync::{Mutex, Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ash::vk;
use tidegate_core::{AddressBlock, Code, DeviceError, Kernel, PipelineId};

use crate::Options;
use crate::cache::Store;
use crate::debug;
use crate::device::Logical;
use crate::ending;
use crate::error::{OpenError, refused};
use crate::layout::{Layout, Shape};
use crate::memory::ADDRESS_ALIGN;
use crate::spirv;
use crate::support::Support;

/// A pipeline and its layout's index.
pub(crate) struct Pipeline {
    pub(crate) raw: vk::Pipeline,
    pub(crate) layout: u32,
    /// If it finds its buffers by address: how many, and where it reads what.
    pub(crate) addresses: Option<(u32, AddressBlock)>,
}

/// Pipelines by the index that core gave, and their layouts.
#[derive(Default)]
pub(crate) struct Table {
    pipelines: Vec<Option<Pipeline>>,
    layouts: Vec<Option<Layout>>,
}

impl Table {
    #[inline]
    pub(crate) fn pipeline(&self, id: PipelineId) -> Result<(&Pipeline, &Layout), DeviceError> {
        let pipeline = self.pipelines.get(id.0 as usize).and_then(Option::as_ref);
        pipeline
            .and_then(|it| {
                let layout = self.layouts.get(it.layout as usize)?.as_ref()?;
                Some((it, layout))
            })
            .ok_or_else(|| refused(format!("there is no pipeline {}", id.0)))
    }

    /// The index of a layout of this shape, with one more pipeline counted.
    fn share(&mut self, device: &Logical, shape: Shape, push_max: u32) -> Result<u32, DeviceError> {
        let mut all = self.layouts.iter_mut();
        if let Some(index) = all.position(|it| it.as_ref().is_some_and(|it| *it.shape() == shape)) {
            if let Some(layout) = &mut self.layouts[index] {
                layout.pipelines += 1;
            }
            return Ok(index as u32);
        }
        let layout = Some(Layout::new(device, shape, push_max)?);
        let index = match self.layouts.iter().position(Option::is_none) {
            Some(index) => {
                self.layouts[index] = layout;
                index
            }
            None => {
                self.layouts.push(layout);
                self.layouts.len() - 1
            }
        };
        Ok(index as u32)
    }

    /// Counts one pipeline less, and destroys the layout after the last.
    ///
    /// # Safety
    /// No command buffer that may still run uses the layout if this was its last pipeline.
    unsafe fn unshare(&mut self, device: &Logical, index: u32) {
        let entry = &mut self.layouts[index as usize];
        if let Some(layout) = entry {
            layout.pipelines -= 1;
            if layout.pipelines == 0 {
                // SAFETY: the caller's promise.
                unsafe { layout.destroy(device) };
                *entry = None;
            }
        }
    }
}

/// Whether a device runs a kernel's form with addresses. The offset of a region is a multiple of the device's alignment for storage buffers, which must do
/// for every access.
fn takes(support: &Support, block: &AddressBlock) -> bool {
    let offsets = support.limits.min_storage_buffer_offset_alignment;
    support.features.addresses()
        && block.bytes <= support.limits.max_push_constants_size
        && u64::from(block.align) <= ADDRESS_ALIGN
        && (u64::from(block.align) <= 4 || offsets.is_multiple_of(block.align.into()))
}

/// A device's pipelines.
pub(crate) struct Pipelines {
    cache: vk::PipelineCache,
    /// Where the cache is kept between runs.
    store: Option<Mutex<Store>>,
    table: RwLock<Table>,
    /// Descriptors that may be pushed; 0 if none.
    push_max: u32,
}

impl Pipelines {
    pub(crate) fn new(
        device: &Logical,
        support: &Support,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let folder = options.cache_folder.as_deref();
        let mut store = folder.map(|it| Store::new(it, support));
        let data = store.as_mut().and_then(Store::load).unwrap_or_default();
        let make = |data: &[u8]| {
            let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
            // SAFETY: no data, or what this driver has given for this device (`Store::load`).
            // VUID-VkPipelineCacheCreateInfo-initialDataSize-00768, -00769.
            unsafe { device.raw.create_pipeline_cache(&info, None) }
        };
        // A driver may still not like what it once gave.
        let cache = make(&data)
            .or_else(|_| make(&[]))
            .map_err(OpenError::of("vkCreatePipelineCache"))?;
        let pushes = device.push_descriptor.is_some();
        Ok(Self {
            cache,
            store: store.map(Mutex::new),
            table: RwLock::default(),
            push_max: if pushes {
                support.push_descriptors_max
            } else {
                0
            },
        })
    }

    /// Every pipeline, for the length of one batch's recording.
    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create(
        &self,
        device: &Logical,
        support: &Support,
        id: PipelineId,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<(), DeviceError> {
        let (words, block) = match code {
            Code::Spirv(words) => (words, None),
            Code::SpirvAddressed {
                addressed, block, ..
            } if takes(support, block) => (addressed, Some(block)),
            Code::SpirvAddressed { plain, .. } => (plain, None),
            _ => {
                return Err(refused(format!(
                    "kernel {}: Vulkan takes SPIR-V only",
                    kernel.name
                )));
            }
        };
        spirv::check(kernel, words, support)?;
        let shape = match block {
            None => Shape::of(kernel, support)?,
            Some(block) => Shape::addressed(kernel, support, block)?,
        };
        let (index, layout) = {
            let mut table = self.table_mut();
            let index = table.share(device, shape, self.push_max)?;
            (
                index,
                table.layouts[index as usize].as_ref().map(|it| it.raw),
            )
        };
        // The driver's compiler runs without the lock. The layout stays: it counts this pipeline.
        let made = self.compile(device, kernel, words, layout.unwrap_or_default());
        let mut table = self.table_mut();
        let slot = id.0 as usize;
        if table.pipelines.len() <= slot {
            table.pipelines.resize_with(slot + 1, || None);
        }
        let made = match made {
            Ok(raw) if table.pipelines[slot].is_some() => {
                // SAFETY: made above and used by nothing. VUID-vkDestroyPipeline-pipeline-00765.
                unsafe { device.raw.destroy_pipeline(raw, None) };
                Err(refused(format!("pipeline {} exists already", id.0)))
            }
            other => other,
        };
        match made {
            Ok(raw) => {
                table.pipelines[slot] = Some(Pipeline {
                    raw,
                    layout: index,
                    addresses: block.map(|it| (kernel.bindings.len() as u32, it.clone())),
                });
                Ok(())
            }
            Err(error) => {
                // SAFETY: if this was the layout's only pipeline, no command buffer has used it.
                unsafe { table.unshare(device, index) };
                Err(error)
            }
        }
    }

    fn compile(
        &self,
        device: &Logical,
        kernel: &Kernel,
        words: &[u32],
        layout: vk::PipelineLayout,
    ) -> Result<vk::Pipeline, DeviceError> {
        let name = CString::new(kernel.name.as_str())
            .map_err(|_| refused(format!("kernel {:?}: a zero in its name", kernel.name)))?;
        let info = vk::ShaderModuleCreateInfo::default().code(words);
        // SAFETY: `spirv::check` has seen a whole module that declares only what is enabled. That it is valid beyond that is the
        // promise of whoever wrote it: naga for WGSL, the caller for SPIR-V. VUID-VkShaderModuleCreateInfo-pCode-08736 to -08740.
        let module = unsafe { device.raw.create_shader_module(&info, None) }
            .map_err(|result| device.error("vkCreateShaderModule", result))?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&name);
        // NVIDIA's compiler registers for the end only here.
        static COMPILED: Once = Once::new();
        let info = [vk::ComputePipelineCreateInfo::default()
            .stage(stage)
            .layout(layout)];
        // SAFETY: the entry point exists and is a compute kernel (`spirv::check`), and the layout has what `kernel` says that it binds.
        // VUID-VkPipelineShaderStageCreateInfo-pName-00707, VUID-VkComputePipelineCreateInfo-layout-07988. The cache locks itself.
        let made = unsafe { device.raw.create_compute_pipelines(self.cache, &info, None) };
        ending::notice(&COMPILED);
        // SAFETY: a module is needed only while pipelines are made from it. VUID-vkDestroyShaderModule-shaderModule-parameter.
        unsafe { device.raw.destroy_shader_module(module, None) };
        let raw = match made {
            Ok(made) => made[0],
            Err((_, result)) => {
                let error = device.error("vkCreateComputePipelines", result);
                return Err(match error {
                    DeviceError::Refused { detail } => {
                        refused(format!("kernel {}: {detail}", kernel.name))
                    }
                    error => error,
                });
            }
        };
        debug::name(device.debug.as_ref(), raw, || kernel.name.clone());
        Ok(raw)
    }

    pub(crate) fn remove(&self, device: &Logical, id: PipelineId) {
        let mut table = self.table_mut();
        let pipeline = table.pipelines.get_mut(id.0 as usize);
        if let Some(pipeline) = pipeline.and_then(Option::take) {
            // SAFETY: no submitted batch that launches it can still run: core's promise. It has left the table, so that none will.
            // VUID-vkDestroyPipeline-pipeline-00765. The same holds for a layout that only it used.
            unsafe {
                device.raw.destroy_pipeline(pipeline.raw, None);
                table.unshare(device, pipeline.layout);
            }
        }
    }

    /// Gives everything back, and keeps what was compiled for the next run if the device works.
    ///
    /// # Safety
    /// Nothing on the device runs any more, and the device still lives.
    pub(crate) unsafe fn destroy(&self, device: &Logical) {
        if let Some(store) = &self.store
            && device.alive().is_ok()
        {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            store.save(device, self.cache);
        }
        let table = std::mem::take(&mut *self.table_mut());
        // SAFETY: the caller's promise; each object is taken from the table and so destroyed once.
        // VUID-vkDestroyPipeline-pipeline-00765, VUID-vkDestroyPipelineCache-pipelineCache-parameter.
        unsafe {
            for pipeline in table.pipelines.into_iter().flatten() {
                device.raw.destroy_pipeline(pipeline.raw, None);
            }
            for layout in table.layouts.into_iter().flatten() {
                layout.destroy(device);
            }
            device.raw.destroy_pipeline_cache(self.cache, None);
        }
    }
}

#[cfg(test)]
impl Pipelines {
    pub(crate) fn hold(&self, then: impl FnOnce()) {
        let _lock = self.table_mut();
        then();
    }
}
