//! MTLDevice, and the functions that find devices.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol, Sel};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send, sel};
use objc2_foundation::{NSArray, NSError, NSString};
use objc2_metal::{
    MTLBuffer, MTLCommandQueue, MTLCompileOptions, MTLComputePipelineState, MTLDevice, MTLEvent,
    MTLFence, MTLFunction, MTLGPUFamily, MTLLibrary, MTLResidencySet, MTLResourceOptions,
    MTLSharedEvent, MTLSize,
};

use crate::gpu::{Gpu, Handle};
use crate::metal::buffer::SoftBuffer;
use crate::metal::library::{SoftFunction, SoftLibrary, SoftPipeline};
use crate::metal::queue::SoftQueue;
use crate::metal::residency::SoftResidencySet;
use crate::metal::sync::{SoftEvent, SoftFence};
use crate::metal::{Protocol, error, or_error, soft};
use crate::rules::Rule;
use crate::runtime::{self, Domain};
use crate::world::{Fault, Live, World};

pub(crate) struct Ivars {
    gpu: Handle,
    live: Live,
}

/// Threads of one threadgroup, and bytes of its memory.
pub(crate) const THREADS_MAX: usize = 1024;
pub(crate) const THREADGROUP_BYTES_MAX: usize = 32768;

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLDevice"]
    #[ivars = Ivars]
    pub(crate) struct SoftDevice;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftDevice {
        #[unsafe(method(respondsToSelector:))]
        fn responds_(&self, selector: Sel) -> bool {
            let hidden = !self.world().setup.residency_sets
                && selector == sel!(newResidencySetWithDescriptor:error:);
            // SAFETY: NSObject's method.
            !hidden && unsafe { msg_send![super(self), respondsToSelector: selector] }
        }
    }

    unsafe impl MTLDevice for SoftDevice {
        #[unsafe(method_id(name))]
        fn name_(&self) -> Retained<NSString> {
            NSString::from_str("Software Metal")
        }

        #[unsafe(method(registryID))]
        fn registry_id_(&self) -> u64 {
            0x50f7
        }

        #[unsafe(method(hasUnifiedMemory))]
        fn unified_(&self) -> bool {
            self.world().setup.unified
        }

        #[unsafe(method(isLowPower))]
        fn low_power_(&self) -> bool {
            false
        }

        #[unsafe(method(isHeadless))]
        fn headless_(&self) -> bool {
            true
        }

        #[unsafe(method(isRemovable))]
        fn removable_(&self) -> bool {
            false
        }

        #[unsafe(method(maxBufferLength))]
        fn buffer_max_(&self) -> usize {
            usize::try_from(self.world().setup.buffer_bytes_max).unwrap_or(usize::MAX)
        }

        #[unsafe(method(recommendedMaxWorkingSetSize))]
        fn working_set_(&self) -> u64 {
            self.world().setup.working_set_bytes
        }

        #[unsafe(method(currentAllocatedSize))]
        fn allocated_(&self) -> usize {
            usize::try_from(self.world().allocated()).unwrap_or(usize::MAX)
        }

        #[unsafe(method(maxThreadsPerThreadgroup))]
        fn threads_max_(&self) -> MTLSize {
            MTLSize {
                width: THREADS_MAX,
                height: THREADS_MAX,
                depth: THREADS_MAX,
            }
        }

        #[unsafe(method(maxThreadgroupMemoryLength))]
        fn threadgroup_max_(&self) -> usize {
            THREADGROUP_BYTES_MAX
        }

        // As an M2: Apple 1 to 8, Mac 2, Common 1 to 3, Metal 3.
        #[unsafe(method(supportsFamily:))]
        fn supports_family_(&self, family: MTLGPUFamily) -> bool {
            matches!(family.0, 1001..=1008 | 2002 | 3001..=3003 | 5001)
        }

        #[unsafe(method_id(newCommandQueue))]
        fn new_queue_(&self) -> Option<Retained<Protocol<dyn MTLCommandQueue>>> {
            self.queue(64)
        }

        #[unsafe(method_id(newCommandQueueWithMaxCommandBufferCount:))]
        fn new_queue_max_(&self, count: usize) -> Option<Retained<Protocol<dyn MTLCommandQueue>>> {
            self.queue(count)
        }

        #[unsafe(method_id(newBufferWithLength:options:))]
        fn new_buffer_(
            &self,
            len: usize,
            options: MTLResourceOptions,
        ) -> Option<Retained<Protocol<dyn MTLBuffer>>> {
            self.buffer(len, options).map(Protocol::from_retained)
        }

        #[unsafe(method_id(newBufferWithBytes:length:options:))]
        fn new_buffer_bytes_(
            &self,
            bytes: NonNull<c_void>,
            len: usize,
            options: MTLResourceOptions,
        ) -> Option<Retained<Protocol<dyn MTLBuffer>>> {
            self.buffer(len, options).map(|buffer| {
                let to = buffer.contents().as_ptr().cast::<u8>();
                // SAFETY: the caller's promise, and the buffer is as long.
                unsafe { to.copy_from_nonoverlapping(bytes.as_ptr().cast(), len) };
                Protocol::from_retained(buffer)
            })
        }

        #[unsafe(method_id(newLibraryWithSource:options:error:))]
        fn new_library_(
            &self,
            source: &NSString,
            _options: Option<&MTLCompileOptions>,
            error: *mut *mut NSError,
        ) -> Option<Retained<Protocol<dyn MTLLibrary>>> {
            let library = SoftLibrary::new(&self.retain(), &source.to_string());
            or_error(library.map(Protocol::from_retained), error)
        }

        #[unsafe(method_id(newComputePipelineStateWithFunction:error:))]
        fn new_pipeline_(
            &self,
            function: &Protocol<dyn MTLFunction>,
            error: *mut *mut NSError,
        ) -> Option<Retained<Protocol<dyn MTLComputePipelineState>>> {
            let function: &SoftFunction = soft(self.world(), function.as_ref());
            or_error(self.pipeline(function, 0, None), error)
        }

        #[unsafe(method_id(newSharedEvent))]
        fn new_shared_event_(&self) -> Option<Retained<Protocol<dyn MTLSharedEvent>>> {
            let nil = self.world().counted(|it| match it {
                Fault::NoEvent(left) => Some(left),
                _ => None,
            });
            (!nil).then(|| Protocol::from_retained(SoftEvent::new(&self.retain())))
        }

        #[unsafe(method_id(newEvent))]
        fn new_event_(&self) -> Option<Retained<Protocol<dyn MTLEvent>>> {
            Some(Protocol::from_retained(SoftEvent::new(&self.retain())))
        }

        #[unsafe(method_id(newFence))]
        fn new_fence_(&self) -> Option<Retained<Protocol<dyn MTLFence>>> {
            Some(Protocol::from_retained(SoftFence::new(&self.retain())))
        }

        #[unsafe(method_id(newResidencySetWithDescriptor:error:))]
        fn new_residency_set_(
            &self,
            _descriptor: &AnyObject,
            _error: *mut *mut NSError,
        ) -> Option<Retained<Protocol<dyn MTLResidencySet>>> {
            Some(Protocol::from_retained(SoftResidencySet::new(
                &self.retain(),
            )))
        }
    }

    /// What has no type of its own among the features that this crate takes.
    impl SoftDevice {
        #[unsafe(method_id(newLibraryWithData:error:))]
        fn new_library_data_(
            &self,
            data: &AnyObject,
            error: *mut *mut NSError,
        ) -> Option<Retained<AnyObject>> {
            or_error(Err(refuse_library(Some(data))), error)
        }

        #[unsafe(method_id(newLibraryWithURL:error:))]
        fn new_library_url_(
            &self,
            _url: &AnyObject,
            error: *mut *mut NSError,
        ) -> Option<Retained<AnyObject>> {
            or_error(Err(refuse_library(None)), error)
        }

        #[unsafe(method_id(newComputePipelineStateWithDescriptor:options:reflection:error:))]
        fn new_pipeline_descriptor_(
            &self,
            descriptor: &AnyObject,
            _options: usize,
            _reflection: *mut c_void,
            error: *mut *mut NSError,
        ) -> Option<Retained<AnyObject>> {
            let pipeline = self.described(descriptor);
            or_error(
                pipeline.map(|it| Retained::into_super(Retained::into_super(it))),
                error,
            )
        }
    }
);

/// Nothing but Apple's driver can run compiled Metal.
fn refuse_library(data: Option<&AnyObject>) -> Retained<NSError> {
    let bytes = data.map(|it| runtime::data_bytes(std::ptr::from_ref(it).cast()));
    let text = match bytes {
        Some(bytes) if !bytes.starts_with(b"MTLB") => "Invalid library file",
        _ => "the software Metal cannot run a compiled library",
    };
    // MTLLibraryErrorUnsupported
    error(Domain::Library, 1, text, &[])
}

impl SoftDevice {
    fn new(world: Arc<World>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Ivars {
            live: Live::new(&world, "MTLDevice"),
            gpu: Gpu::start(world),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.ivars().live.world
    }

    pub(crate) fn gpu(&self) -> &Arc<Gpu> {
        &self.ivars().gpu.0
    }

    fn queue(&self, count: usize) -> Option<Retained<Protocol<dyn MTLCommandQueue>>> {
        let nil = self.world().fault(|it| matches!(it, Fault::NoQueue));
        nil.is_none()
            .then(|| Protocol::from_retained(SoftQueue::new(&self.retain(), count)))
    }

    fn buffer(&self, len: usize, options: MTLResourceOptions) -> Option<Retained<SoftBuffer>> {
        let nil = self.world().counted(|it| match it {
            Fault::NoBuffer(left) => Some(left),
            _ => None,
        });
        match nil {
            true => None,
            false => SoftBuffer::new(&self.retain(), len, options),
        }
    }

    fn pipeline(
        &self,
        function: &SoftFunction,
        threads: usize,
        label: Option<String>,
    ) -> Result<Retained<Protocol<dyn MTLComputePipelineState>>, Retained<NSError>> {
        self.soft_pipeline(function, threads, label)
            .map(Protocol::from_retained)
    }

    fn soft_pipeline(
        &self,
        function: &SoftFunction,
        threads: usize,
        label: Option<String>,
    ) -> Result<Retained<SoftPipeline>, Retained<NSError>> {
        let refused = self.world().counted(|it| match it {
            Fault::NoPipeline(left) => Some(left),
            _ => None,
        });
        match refused {
            // MTLLibraryErrorInternal
            true => Err(error(Domain::Library, 2, "an injected refusal", &[])),
            false => Ok(SoftPipeline::new(&self.retain(), function, threads, label)),
        }
    }

    fn described(
        &self,
        descriptor: &AnyObject,
    ) -> Result<Retained<SoftPipeline>, Retained<NSError>> {
        // SAFETY: the descriptor's own properties.
        let (function, threads, label): (
            Option<Retained<AnyObject>>,
            usize,
            Option<Retained<NSString>>,
        ) = unsafe {
            (
                msg_send![descriptor, computeFunction],
                msg_send![descriptor, maxTotalThreadsPerThreadgroup],
                msg_send![descriptor, label],
            )
        };
        let Some(function) = function else {
            self.world()
                .broke(Rule::NoPipeline, "a pipeline descriptor without a function");
            return Err(error(Domain::Library, 2, "no function", &[]));
        };
        let function: &SoftFunction = soft(self.world(), &function);
        self.soft_pipeline(function, threads, label.map(|it| it.to_string()))
    }
}

fn device() -> Option<Retained<Protocol<dyn MTLDevice>>> {
    let world = World::current();
    let none = world.fault(|it| matches!(it, Fault::NoDevice));
    none.is_none()
        .then(|| Protocol::from_retained(SoftDevice::new(world)))
}

/// Metal's function. Each call makes a device of its own, where a Mac gives the one that it has, so that tests do not share one.
#[unsafe(no_mangle)]
extern "C-unwind" fn MTLCreateSystemDefaultDevice() -> *mut Protocol<dyn MTLDevice> {
    device().map_or(std::ptr::null_mut(), Retained::into_raw)
}

/// Metal's function: an array that the caller owns.
#[unsafe(no_mangle)]
extern "C-unwind" fn MTLCopyAllDevices() -> *mut NSArray<Protocol<dyn MTLDevice>> {
    let devices: Vec<_> = device().into_iter().collect();
    Retained::into_raw(NSArray::from_retained_slice(&devices))
}
