//! MTLLibrary, MTLFunction and MTLComputePipelineState.

use std::sync::Arc;

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSArray, NSError, NSString};
use objc2_metal::{
    MTLAllocation, MTLComputePipelineState, MTLDevice, MTLFunction, MTLFunctionType, MTLLibrary,
};

use crate::kernel::{Kernel, Kernels, Problem, compile};
use crate::metal::device::SoftDevice;
use crate::metal::lifetime::Lifetime;
use crate::metal::{Label, Protocol, error};
use crate::runtime::Domain;
use crate::world::Live;

pub(crate) struct LibraryIvars {
    kernels: Kernels,
    device: Retained<SoftDevice>,
    label: Label,
    _live: Live,
}

pub(crate) struct FunctionIvars {
    kernel: Arc<Kernel>,
    device: Retained<SoftDevice>,
    label: Label,
    _live: Live,
}

pub(crate) struct PipelineIvars {
    pub(crate) kernel: Arc<Kernel>,
    device: Retained<SoftDevice>,
    pub(crate) threads_max: usize,
    pub(crate) lifetime: Arc<Lifetime>,
    label: Option<String>,
    _live: Live,
}

impl Drop for PipelineIvars {
    fn drop(&mut self) {
        self.lifetime.release();
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLLibrary"]
    #[ivars = LibraryIvars]
    pub(crate) struct SoftLibrary;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftLibrary {}

    unsafe impl MTLLibrary for SoftLibrary {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method_id(newFunctionWithName:))]
        fn new_function_(&self, name: &NSString) -> Option<Retained<Protocol<dyn MTLFunction>>> {
            self.function(&name.to_string())
        }

        #[unsafe(method_id(functionNames))]
        fn function_names_(&self) -> Retained<NSArray<NSString>> {
            let names: Vec<_> = self
                .ivars()
                .kernels
                .iter()
                .map(|it| NSString::from_str(&it.name))
                .collect();
            NSArray::from_retained_slice(&names)
        }
    }
);

impl SoftLibrary {
    /// Compiles a source.
    pub(crate) fn new(
        device: &Retained<SoftDevice>,
        source: &str,
    ) -> Result<Retained<Self>, Retained<NSError>> {
        // MTLLibraryErrorCompileFailure
        let kernels =
            compile(source).map_err(|Problem(text)| error(Domain::Library, 3, &text, &[]))?;
        let this = Self::alloc().set_ivars(LibraryIvars {
            kernels,
            device: device.clone(),
            label: Label::default(),
            _live: Live::new(device.world(), "MTLLibrary"),
        });
        // SAFETY: NSObject's initialiser.
        Ok(unsafe { msg_send![super(this), init] })
    }

    fn function(&self, name: &str) -> Option<Retained<Protocol<dyn MTLFunction>>> {
        let it = self.ivars();
        let kernel = it.kernels.iter().find(|it| it.name == name)?;
        let this = SoftFunction::alloc().set_ivars(FunctionIvars {
            kernel: Arc::clone(kernel),
            device: it.device.clone(),
            label: Label::default(),
            _live: Live::new(it.device.world(), "MTLFunction"),
        });
        // SAFETY: NSObject's initialiser.
        let function: Retained<SoftFunction> = unsafe { msg_send![super(this), init] };
        Some(Protocol::from_retained(function))
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLFunction"]
    #[ivars = FunctionIvars]
    pub(crate) struct SoftFunction;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftFunction {}

    unsafe impl MTLFunction for SoftFunction {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method_id(name))]
        fn name_(&self) -> Retained<NSString> {
            NSString::from_str(&self.ivars().kernel.name)
        }

        #[unsafe(method(functionType))]
        fn function_type_(&self) -> MTLFunctionType {
            MTLFunctionType::Kernel
        }
    }
);

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLComputePipelineState"]
    #[ivars = PipelineIvars]
    pub(crate) struct SoftPipeline;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftPipeline {}

    unsafe impl MTLAllocation for SoftPipeline {
        #[unsafe(method(allocatedSize))]
        fn allocated_size_(&self) -> usize {
            0
        }
    }

    unsafe impl MTLComputePipelineState for SoftPipeline {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.as_deref().map(NSString::from_str)
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method(maxTotalThreadsPerThreadgroup))]
        fn threads_max_(&self) -> usize {
            self.ivars().threads_max
        }

        #[unsafe(method(threadExecutionWidth))]
        fn width_(&self) -> usize {
            32
        }

        #[unsafe(method(staticThreadgroupMemoryLength))]
        fn static_threadgroup_memory_(&self) -> usize {
            0
        }
    }
);

impl SoftPipeline {
    /// A pipeline of a function, with at most `threads` threads if that is not 0.
    pub(crate) fn new(
        device: &Retained<SoftDevice>,
        function: &SoftFunction,
        threads: usize,
        label: Option<String>,
    ) -> Retained<Self> {
        let kernel = Arc::clone(&function.ivars().kernel);
        let threads_max = match threads {
            0 => kernel.threads_max,
            _ => threads.min(kernel.threads_max),
        };
        let this = Self::alloc().set_ivars(PipelineIvars {
            lifetime: Lifetime::new(device.world(), format!("a pipeline of {}", kernel.name)),
            kernel,
            device: device.clone(),
            threads_max,
            label,
            _live: Live::new(device.world(), "MTLComputePipelineState"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }
}
