//! A device, on the software classes where there is no other, for the tests that every backend runs and for this one's own.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../core/tests/device/rig.rs"]
mod rig;

use tidegate_core::{Code, Kernel, MetalArguments, MetalSizes, ScalarPlace};
use tidegate_metal::{MetalDevice, Options, Select};
use tidegate_shader::{Module, MslOptions};

pub(crate) use rig::*;

pub(crate) type Rig = rig::Rig<Metal>;

/// A device, and what watches it: no rule of Apple's may be broken and nothing leaked, as far as the software classes can tell.
pub(crate) struct Metal {
    device: MetalDevice,
    #[cfg(metal_soft)]
    observer: tidegate_softmetal::Observer,
}

impl Backend for Metal {
    type Device = MetalDevice;
    type Way = Options;

    fn ways() -> Vec<Options> {
        vec![Options::default()]
    }

    #[cfg(not(metal_soft))]
    fn open(options: &Options) -> Self {
        Self {
            device: MetalDevice::open(&Select::Best, options).unwrap(),
        }
    }

    #[cfg(metal_soft)]
    fn open(options: &Options) -> Self {
        Self::on(tidegate_softmetal::Setup::default(), options)
    }

    fn device(&self) -> &MetalDevice {
        &self.device
    }

    fn code(source: &Source) -> Code {
        msl(source.wgsl, &source.kernel())
    }

    fn end(self) -> Vec<String> {
        drop(self.device);
        #[cfg(metal_soft)]
        let wrong = self.observer.faults_at_end();
        #[cfg(not(metal_soft))]
        let wrong: [String; 0] = [];
        wrong.iter().map(ToString::to_string).collect()
    }
}

#[cfg(metal_soft)]
impl Metal {
    fn on(mut setup: tidegate_softmetal::Setup, options: &Options) -> Self {
        // `TIDEGATE_SOFTMETAL_SEED` sets the order in which things run, to repeat a failure.
        let seed = std::env::var("TIDEGATE_SOFTMETAL_SEED").ok();
        setup.seed += seed.and_then(|it| it.parse().ok()).unwrap_or(0);
        let observer = tidegate_softmetal::Observer::new(setup);
        let device = MetalDevice::open(&Select::Best, options).unwrap();
        Self { device, observer }
    }
}

#[cfg(metal_soft)]
impl Rig {
    pub(crate) fn on(setup: tidegate_softmetal::Setup, options: &Options) -> Self {
        Self::of(Metal::on(setup, options))
    }

    pub(crate) fn observer(&self) -> &tidegate_softmetal::Observer {
        &self.backend().observer
    }

    /// Drops the device, which then leaks what it must.
    pub(crate) fn abandon(self) {
        let Metal { device, observer } = self.into_backend();
        drop(device);
        std::mem::forget(observer);
    }
}

/// The kernel as MSL, with a slot for each region of a launch.
pub(crate) fn msl(wgsl: &str, kernel: &Kernel) -> Code {
    let module = Module::from_wgsl(wgsl).unwrap();
    let made = module.msl(&kernel.name, &MslOptions::default()).unwrap();
    let uniform = match kernel.scalars.as_ref().map(|it| it.place) {
        Some(ScalarPlace::Uniform { group, binding }) => Some((group, binding)),
        _ => None,
    };
    let bound = kernel.bindings.iter().map(|it| (it.group, it.binding));
    let order: Vec<(u32, u32)> = bound.chain(uniform).collect();
    let slot = |at: &(u32, u32)| {
        let found = made.buffers.iter().find(|it| (it.group, it.binding) == *at);
        found.unwrap().slot
    };
    let place = |at: &(u32, u32)| order.iter().position(|it| it == at).unwrap() as u32;
    Code::Msl {
        arguments: MetalArguments {
            entry_point: made.entry_point.clone(),
            buffers: order.iter().map(slot).collect(),
            scalars: made.scalars_slot.filter(|_| uniform.is_none()),
            sizes: made.sizes.as_ref().map(|it| MetalSizes {
                slot: it.slot,
                regions: it.bindings.iter().map(place).collect(),
            }),
            threadgroup_bytes: made.threadgroup_bytes.clone(),
        },
        source: made.source,
    }
}
