//! Kernels made ready to run, from source or from a library that is compiled already.

use std::ffi::c_void;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use objc2::msg_send;
use objc2::rc::Retained;
use objc2::runtime::{NSObject, ProtocolObject};
use objc2_foundation::{NSError, NSString};
use objc2_metal::{MTLCompileOptions, MTLComputePipelineState, MTLDevice, MTLLibrary, MTLSize};
use tidegate_core::{
    Code, DeviceError, Kernel, MetalArguments, MetalSizes, PipelineId, ScalarPlace,
};

use crate::builtin::Builtins;
use crate::device::Logical;
use crate::error::{OpenError, refused, words};
use crate::support::{INLINE_BYTES_MAX, SLOTS, Support};

/// A pipeline, and the slots of its arguments.
pub(crate) struct Pipeline {
    pub(crate) raw: Retained<ProtocolObject<dyn MTLComputePipelineState>>,
    pub(crate) threads: MTLSize,
    /// The slot of each region of a launch.
    pub(crate) buffers: Vec<usize>,
    /// Slot and size of the push constants.
    pub(crate) scalars: Option<(usize, usize)>,
    pub(crate) sizes: Option<MetalSizes>,
    /// Bytes of threadgroup memory at each index.
    pub(crate) threadgroup: Vec<usize>,
}

/// Pipelines by the index that core gave.
#[derive(Default)]
pub(crate) struct Table(Vec<Option<Pipeline>>);

impl Table {
    #[inline]
    pub(crate) fn pipeline(&self, id: PipelineId) -> Result<&Pipeline, DeviceError> {
        let pipeline = self.0.get(id.0 as usize).and_then(Option::as_ref);
        pipeline.ok_or_else(|| refused(format!("there is no pipeline {}", id.0)))
    }
}

/// A device's pipelines.
pub(crate) struct Pipelines {
    table: RwLock<Table>,
    pub(crate) builtins: Builtins,
    fast_math: bool,
}

impl Pipelines {
    pub(crate) fn new(device: &Logical, fast_math: bool) -> Result<Self, OpenError> {
        Ok(Self {
            table: RwLock::default(),
            builtins: Builtins::new(&device.raw)?,
            fast_math,
        })
    }

    /// Every pipeline, for the length of one batch's encoding.
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
        let made = self
            .make(device, support, kernel, code)
            .map_err(|detail| refused(format!("kernel {}: {detail}", kernel.name)))?;
        let mut table = self.table_mut();
        let slot = id.0 as usize;
        if table.0.len() <= slot {
            table.0.resize_with(slot + 1, || None);
        }
        if table.0[slot].is_some() {
            return Err(refused(format!("pipeline {} exists already", id.0)));
        }
        table.0[slot] = Some(made);
        Ok(())
    }

    /// Compiles without the table's lock. An error says what is missing, without the kernel's name.
    fn make(
        &self,
        device: &Logical,
        support: &Support,
        kernel: &Kernel,
        code: &Code,
    ) -> Result<Pipeline, String> {
        let (library, arguments) = match code {
            Code::Msl { source, arguments } => {
                check(kernel, arguments)?;
                let library = library_from_source(&device.raw, source, self.fast_math)?;
                (library, arguments)
            }
            Code::Metallib { bytes, arguments } => {
                check(kernel, arguments)?;
                (library_from_bytes(&device.raw, bytes)?, arguments)
            }
            _ => return Err("Metal takes MSL and compiled Metal libraries only".to_owned()),
        };
        let raw = pipeline(&device.raw, &library, &arguments.entry_point)?;
        check_limits(kernel, arguments, support, &raw)?;
        let [x, y, z] = kernel.workgroup_size.map(|it| it as usize);
        let bytes = kernel.scalars.as_ref().map_or(0, |it| it.bytes as usize);
        Ok(Pipeline {
            raw,
            threads: MTLSize {
                width: x,
                height: y,
                depth: z,
            },
            buffers: arguments.buffers.iter().map(|it| *it as usize).collect(),
            scalars: arguments.scalars.map(|slot| (slot as usize, bytes)),
            sizes: arguments.sizes.clone(),
            threadgroup: arguments
                .threadgroup_bytes
                .iter()
                .map(|it| *it as usize)
                .collect(),
        })
    }

    /// Gives a pipeline back, or if `keep`, only forgets it.
    pub(crate) fn remove(&self, id: PipelineId, keep: bool) {
        let pipeline = self
            .table_mut()
            .0
            .get_mut(id.0 as usize)
            .and_then(Option::take);
        // Released here otherwise. No submitted batch that launches it can still run, which is core's promise.
        if keep {
            std::mem::forget(pipeline);
        }
    }
}

/// Compiles MSL. An error has the compiler's words.
pub(crate) fn library_from_source(
    device: &ProtocolObject<dyn MTLDevice>,
    source: &str,
    fast_math: bool,
) -> Result<Retained<ProtocolObject<dyn MTLLibrary>>, String> {
    let options = MTLCompileOptions::new();
    // Metal's default is fast: no NaN, no infinity, sums in any order. Kernels are compared with other devices and with the CPU, so that it is off unless asked
    // for. `setMathMode:`, which replaces this, needs macOS 15; this one works everywhere.
    #[expect(deprecated, reason = "its replacement needs macOS 15")]
    options.setFastMathEnabled(fast_math);
    device
        .newLibraryWithSource_options_error(&NSString::from_str(source), Some(&options))
        .map_err(|error| words(&error))
}

unsafe extern "C" {
    /// libdispatch's, which is part of the system (Dispatch, "dispatch_data_create").
    fn dispatch_data_create(
        buffer: *const c_void,
        size: usize,
        queue: *mut c_void,
        destructor: *mut c_void,
    ) -> *mut NSObject;
}

/// Loads what Apple's compiler made. An error has the system's words.
fn library_from_bytes(
    device: &ProtocolObject<dyn MTLDevice>,
    bytes: &[u8],
) -> Result<Retained<ProtocolObject<dyn MTLLibrary>>, String> {
    // SAFETY: the bytes are valid for the call, and with no destructor (`DISPATCH_DATA_DESTRUCTOR_DEFAULT`) they are copied. The object is ours to release, and a
    // dispatch object is an Objective-C object.
    let data = unsafe {
        Retained::from_raw(dispatch_data_create(
            bytes.as_ptr().cast(),
            bytes.len(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        ))
    };
    let data = data.ok_or("the library's bytes find no memory")?;
    // SAFETY: the method takes dispatch data and an error pointer and returns a library that is ours to release (Metal, "makeLibrary(data:)").
    let made: Result<Retained<ProtocolObject<dyn MTLLibrary>>, Retained<NSError>> =
        unsafe { msg_send![device, newLibraryWithData: &*data, error: _] };
    made.map_err(|error| words(&error))
}

/// Makes a library's function ready to run.
pub(crate) fn pipeline(
    device: &ProtocolObject<dyn MTLDevice>,
    library: &ProtocolObject<dyn MTLLibrary>,
    name: &str,
) -> Result<Retained<ProtocolObject<dyn MTLComputePipelineState>>, String> {
    let function = library
        .newFunctionWithName(&NSString::from_str(name))
        .ok_or_else(|| {
            let names = library.functionNames();
            let names: Vec<_> = (0..names.count())
                .map(|index| names.objectAtIndex(index).to_string())
                .collect();
            format!(
                "the library has no function {name}, only: {}",
                names.join(", ")
            )
        })?;
    device
        .newComputePipelineStateWithFunction_error(&function)
        .map_err(|error| words(&error))
}

/// Whether the slots are those of the kernel's own interface.
fn check(kernel: &Kernel, arguments: &MetalArguments) -> Result<(), String> {
    let place = kernel.scalars.as_ref().map(|it| it.place);
    let uniform = matches!(place, Some(ScalarPlace::Uniform { .. }));
    let regions = kernel.bindings.len() + usize::from(uniform);
    if arguments.buffers.len() != regions {
        return Err(format!(
            "it binds {regions} buffers and {} slots are given",
            arguments.buffers.len()
        ));
    }
    if (place == Some(ScalarPlace::PushConstants)) != arguments.scalars.is_some() {
        return Err("a slot for push constants is given if and only if it has some".to_owned());
    }
    let sizes = arguments.sizes.as_ref();
    let slots = arguments.buffers.iter().copied();
    let mut slots: Vec<u32> = slots
        .chain(arguments.scalars)
        .chain(sizes.map(|it| it.slot))
        .collect();
    slots.sort_unstable();
    if slots.windows(2).any(|it| it[0] == it[1]) {
        return Err("two arguments have the same slot".to_owned());
    }
    if slots.last().is_some_and(|it| *it as usize >= SLOTS) {
        return Err(format!("Metal has {SLOTS} buffer slots"));
    }
    let mut listed = sizes.into_iter().flat_map(|it| &it.regions);
    if listed.any(|it| *it as usize >= regions) {
        return Err("the sizes list a buffer that it does not bind".to_owned());
    }
    match &kernel.scalars {
        Some(it) if arguments.scalars.is_some() && it.bytes as usize > INLINE_BYTES_MAX => {
            Err(format!(
                "{} bytes of scalars: Metal takes {INLINE_BYTES_MAX}",
                it.bytes
            ))
        }
        _ => Ok(()),
    }
}

/// Whether the device and the compiled pipeline have room for a threadgroup. Metal answers a launch that is too large with undefined behaviour.
fn check_limits(
    kernel: &Kernel,
    arguments: &MetalArguments,
    support: &Support,
    raw: &ProtocolObject<dyn MTLComputePipelineState>,
) -> Result<(), String> {
    let size = kernel.workgroup_size;
    let threads: u64 = size.into_iter().map(u64::from).product();
    let allowed = raw.maxTotalThreadsPerThreadgroup() as u64;
    let fits = size
        .iter()
        .zip(support.threads_max)
        .all(|(given, max)| *given >= 1 && *given <= max);
    if !fits || threads > allowed {
        return Err(format!(
            "a workgroup of {size:?}: this device allows {:?} and, as this kernel is compiled, {allowed} invocations in total",
            support.threads_max
        ));
    }
    let dynamic = arguments.threadgroup_bytes.iter().copied().map(u64::from);
    let bytes = dynamic.sum::<u64>() + raw.staticThreadgroupMemoryLength() as u64;
    if bytes > u64::from(support.threadgroup_bytes_max) {
        return Err(format!(
            "{bytes} bytes of workgroup memory: this device has {}",
            support.threadgroup_bytes_max
        ));
    }
    match arguments.threadgroup_bytes.iter().find(|it| **it % 16 != 0) {
        Some(odd) => Err(format!(
            "{odd} bytes of threadgroup memory: Metal takes multiples of 16"
        )),
        None => Ok(()),
    }
}
