//! The histories of the simulated device on Vulkan, under the validation layer.
#![cfg(feature = "vulkan")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

#[path = "conformance/kernels.rs"]
mod kernels;

use std::sync::Arc;

use tidegate::Limits;
use tidegate::sim::history::{Case, HostKernels, Kernels, Shape, Which, run, shrink};
use tidegate_core::{AddressBlock, Code, Device, Kernel};
use tidegate_vulkan::{Options, Select, VulkanDevice};

/// A handle, so that the device can be asked what validation said after its context has gone.
#[derive(Clone)]
struct Handle(Arc<VulkanDevice>);

impl Handle {
    fn open() -> Self {
        let options = Options {
            validation: true,
            ..Options::default()
        };
        let device = VulkanDevice::open(&Select::Best, &options);
        Self(Arc::new(device.unwrap_or_else(|it| panic!("{it}"))))
    }
}

impl Device for Handle {
    tidegate::sim::pass_on!(0: capabilities process now_ns allocate free memory_available write read);
    tidegate::sim::pass_on!(0: create_pipeline destroy_pipeline set_timing take_timings forget_graph);
    tidegate::sim::pass_on!(0: submit completed wait);
}

/// The twins' interfaces, and the code of their WGSL: with addresses, or with descriptors alone.
struct Wgsl {
    addressed: bool,
}

impl Kernels for Wgsl {
    fn make(&self, which: Which) -> (Kernel, Code) {
        let (kernel, _) = HostKernels.make(which);
        let module = tidegate_shader::Module::from_wgsl(&kernels::wgsl(which.name())).unwrap();
        let options = tidegate_shader::SpirvOptions::default();
        let plain = module.spirv(which.name(), &options).unwrap();
        let found = module.spirv_addressed(which.name(), &options).unwrap();
        let code = match found.filter(|_| self.addressed) {
            None => Code::Spirv(plain),
            Some(it) => Code::SpirvAddressed {
                plain,
                addressed: it.words,
                block: AddressBlock {
                    bytes: it.bytes,
                    first: it.first,
                    sizes_at: it.sizes_at,
                    sizes: it.sizes,
                    align: it.align,
                },
            },
        };
        (kernel, code)
    }
}

#[test]
fn streams_keep_their_promises_on_vulkan() {
    for seed in 0..8 {
        let limits: Limits = Case::new(seed, 0).limits;
        let handle = Handle::open();
        let shape = Shape::of(handle.0.capabilities(), 1500);
        let history = shape.history(seed);
        let wgsl = Wgsl {
            addressed: seed % 2 == 0,
        };
        if let Err(failure) = run(handle.clone(), &limits, &wgsl, &history) {
            let small = shrink(&history, |it| {
                run(Handle::open(), &limits, &wgsl, it).is_err()
            });
            panic!("seed {seed}: {failure}\n{limits:?}\nthese are enough:\n{small}");
        }
        assert_eq!(
            handle.0.validation_messages(),
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}
