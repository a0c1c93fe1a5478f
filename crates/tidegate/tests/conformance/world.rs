//! Where a test runs: on which device, under which policy. A new backend adds a [`Backend`] and a line to `suite!`.

use std::cell::RefCell;

use tidegate::sim::{Live, Setup, Sim, kernels as host};
use tidegate::{Buffer, Device, Kernel, Limits, Options, Policy, Stream};
use tidegate_core::{Code, HostAccess};

use crate::kernels;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// The simulated device, whose memory of kind `Device` the host reaches in this way.
    Sim { seed: u64, write: bool, read: bool },
    /// The best device that Vulkan has, with the validation layer.
    Vulkan,
    /// Metal: the system's own, or software classes that run late, in an order that the seed chooses.
    #[cfg(any(target_vendor = "apple", metal_soft))]
    Metal { seed: u64 },
}

pub(crate) struct World {
    backend: Backend,
    policy: Policy,
    opened: RefCell<Vec<Device>>,
    /// What watches each device that was opened.
    #[cfg(metal_soft)]
    observers: RefCell<Vec<tidegate_softmetal::Observer>>,
    shown: RefCell<Vec<u8>>,
}

const POLICIES: [Policy; 3] = [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive];

/// Runs a test under every policy. What it [shows](World::show) must be the same under each.
pub(crate) fn under_every_policy(backend: Backend, test: fn(&World)) {
    let mut first: Option<Vec<u8>> = None;
    for policy in POLICIES {
        let world = World {
            backend,
            policy,
            opened: RefCell::default(),
            #[cfg(metal_soft)]
            observers: RefCell::default(),
            shown: RefCell::default(),
        };
        test(&world);
        let shown = world.finish();
        let first = first.get_or_insert(shown.clone());
        assert!(*first == shown, "{policy:?} gives other bytes");
    }
}

/// Runs a test on simulated devices of every kind.
pub(crate) fn simulated(test: fn(&World)) {
    for seed in 0..4 {
        for (write, read) in [(false, false), (true, false), (true, true)] {
            under_every_policy(Backend::Sim { seed, write, read }, test);
        }
    }
}

/// Runs a test on Vulkan.
pub(crate) fn vulkan(test: fn(&World)) {
    under_every_policy(Backend::Vulkan, test);
}

/// Runs a test on Metal.
#[cfg(any(target_vendor = "apple", metal_soft))]
pub(crate) fn metal(test: fn(&World)) {
    for seed in 0..2 {
        under_every_policy(Backend::Metal { seed }, test);
    }
}

impl World {
    pub(crate) fn device(&self) -> Device {
        self.device_with(|_| {})
    }

    pub(crate) fn device_with(&self, change: impl FnOnce(&mut Limits)) -> Device {
        let mut limits = Limits::default();
        change(&mut limits);
        let device = match self.backend {
            Backend::Sim { seed, write, read } => {
                let mut setup = Setup::default();
                setup.capabilities.unified = read;
                setup.device_memory = HostAccess { write, read };
                Device::simulated(Sim::with(seed, setup), limits)
            }
            Backend::Vulkan => {
                let options = Options::default()
                    .with_backend(tidegate::Backend::Vulkan)
                    .with_limits(limits)
                    .with_validation(true);
                Device::open(&options).unwrap_or_else(|it| panic!("the suite needs Vulkan: {it}"))
            }
            #[cfg(any(target_vendor = "apple", metal_soft))]
            Backend::Metal { seed } => {
                self.observe(seed);
                // The default: on this system it is Metal.
                let device = Device::open(&Options::default().with_limits(limits)).unwrap();
                assert_eq!(device.capabilities().backend, "metal");
                device
            }
        };
        self.opened.borrow_mut().push(device.clone());
        device
    }

    /// Sets up the software classes for the next device. On a Mac there is nothing to set up.
    #[cfg(any(target_vendor = "apple", metal_soft))]
    fn observe(&self, seed: u64) {
        #[cfg(metal_soft)]
        {
            let mut setup = tidegate_softmetal::Setup::default();
            setup.seed = seed;
            let observer = tidegate_softmetal::Observer::new(setup);
            self.observers.borrow_mut().push(observer);
        }
        #[cfg(not(metal_soft))]
        let _ = seed;
    }

    /// A new device and a stream on it.
    pub(crate) fn open(&self) -> (Device, Stream) {
        let device = self.device();
        let stream = self.stream(&device);
        (device, stream)
    }

    pub(crate) fn stream(&self, device: &Device) -> Stream {
        device.stream_with(self.policy).unwrap()
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    pub(crate) fn kernel(&self, device: &Device, name: &str) -> Kernel {
        let module = match self.backend {
            Backend::Sim { .. } => device.module_from_host(twins()),
            _ => device.module_from_wgsl(&kernels::wgsl(name)).unwrap(),
        };
        module.kernel(name).unwrap()
    }

    /// Whether kernels come from WGSL here.
    pub(crate) fn compiles(&self) -> bool {
        !matches!(self.backend, Backend::Sim { .. })
    }

    /// Keeps a result to be compared with the other policies'.
    pub(crate) fn show<T: bytemuck::Pod>(&self, values: &[T]) {
        let bytes = bytemuck::cast_slice(values);
        self.shown.borrow_mut().extend_from_slice(bytes);
    }

    /// Reads a buffer, and keeps what it holds for the comparison.
    pub(crate) fn read<T: bytemuck::Pod>(&self, stream: &mut Stream, buffer: &Buffer<T>) -> Vec<T> {
        let values = stream.download(buffer).unwrap().wait().unwrap();
        self.show(&values);
        values
    }

    /// Holds every device that was opened against its rules, and closes it.
    fn finish(self) -> Vec<u8> {
        for device in self.opened.into_inner() {
            assert_eq!(device.counters().free_syncs, 0);
            assert_eq!(device.validation_messages(), Vec::<String>::new());
            let sim = device.simulator().cloned();
            drop(device);
            if let Some(sim) = sim {
                sim.assert_clean();
                assert_eq!(sim.live(), Live::default(), "not given back");
            }
        }
        #[cfg(metal_soft)]
        for observer in self.observers.into_inner() {
            let wrong = observer.faults_at_end();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
        self.shown.into_inner()
    }
}

/// All twins, for one module.
pub(crate) fn twins() -> Vec<(tidegate_core::Kernel, tidegate_core::HostKernel)> {
    let all = host::all().into_iter();
    all.map(|(kernel, code)| match code {
        Code::Host(run) => (kernel, run),
        _ => panic!("a twin is a function"),
    })
    .collect()
}

/// What a kernel of the suite takes, as a caller states it who has another source for it.
pub(crate) fn interface(name: &str) -> tidegate::interface::Kernel {
    let module = tidegate_shader::Module::from_wgsl(&kernels::wgsl(name)).unwrap();
    module.kernel(name).unwrap().clone()
}
