//! Histories on Metal. Each opens its own devices, so that a history has no past. On software Metal, which breaks every order that Metal does not promise, the seed is theirs too.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_core::{
    Capabilities, Code, Device as _, Kernel, MetalArguments, MetalSizes, ScalarPlace,
};
use tidegate_metal::{MetalDevice, Options, Select};
use tidegate_shader::{Module, MslOptions};
use tidegate_sim::history::{Case, Failure, HostKernels, Kernels, Which, run_all};

use super::watched::{Log, Watched, wgsl};

pub(crate) struct Metal {
    words: String,
    capabilities: Capabilities,
    kernels: Translated,
    log: Log,
}

/// The twins' interfaces, and the code of their WGSL, by kernel.
struct Translated(HashMap<&'static str, (Kernel, Code)>);

impl Kernels for Translated {
    fn make(&self, which: Which) -> (Kernel, Code) {
        self.0[which.name()].clone()
    }
}

impl Metal {
    pub(crate) fn find() -> Result<Self, String> {
        let device = MetalDevice::open(&Select::Best, &Options::default());
        let device = device.map_err(|it| it.to_string())?;
        let capabilities = device.capabilities().clone();
        let made = Which::ALL.map(|which| Ok((which.name(), code(which)?)));
        let made: Result<_, String> = made.into_iter().collect();
        Ok(Self {
            words: format!("{} ({})", capabilities.name, capabilities.driver),
            capabilities,
            kernels: Translated(made?),
            log: Log::default(),
        })
    }

    pub(crate) fn words(&self) -> String {
        self.words.clone()
    }

    pub(crate) fn case(&self, seed: u64, commands: usize) -> Case {
        Case::on(&self.capabilities, seed, commands)
    }

    pub(crate) fn last_batches(&self) -> String {
        self.log.words()
    }

    /// Runs a case on fresh devices.
    pub(crate) fn run(&self, case: &Case) -> Result<(), Failure> {
        self.log.clear();
        let at = case.history.0.len();
        let wrong = |detail: String| Failure { at, detail };
        #[cfg(metal_soft)]
        let observer = observer(case.seed);
        let options = Options {
            queues_max: 1 + (case.seed % 4) as u32,
            ..Options::default()
        };
        let open = || MetalDevice::open(&Select::Best, &options).map(Arc::new);
        let opened: Result<Vec<_>, _> = (0..case.devices).map(|_| open()).collect();
        let opened = opened.map_err(|it| wrong(format!("it does not open: {it}")))?;
        let devices = opened.into_iter().map(|device| Watched {
            device,
            log: self.log.clone(),
        });
        let devices = devices.collect();
        let run = || {
            run_all(
                devices,
                &case.limits,
                &self.kernels,
                &case.history,
                case.tolerance,
            )
        };
        let ended = catch_unwind(AssertUnwindSafe(run));
        let ended = ended.unwrap_or_else(|_| Err(wrong("a panic".to_owned())));
        #[cfg(metal_soft)]
        if let Some(first) = observer.faults_at_end().first() {
            return Err(wrong(format!("a rule of Metal's was broken: {first:?}")));
        }
        ended.map(|_| ())
    }
}

#[cfg(metal_soft)]
fn observer(seed: u64) -> tidegate_softmetal::Observer {
    let mut setup = tidegate_softmetal::Setup::seeded(seed);
    setup.unified = !seed.is_multiple_of(3);
    setup.residency_sets = seed.is_multiple_of(2);
    setup.delay_us_max = [0, 200, 2000][seed as usize % 3];
    tidegate_softmetal::Observer::new(setup)
}

fn code(which: Which) -> Result<(Kernel, Code), String> {
    let (kernel, _) = HostKernels.make(which);
    let name = which.name();
    let module = Module::from_wgsl(&wgsl(name)).map_err(|it| it.to_string())?;
    let msl = module.msl(name, &MslOptions::default());
    let msl = msl.map_err(|it| it.to_string())?;
    let uniform = match kernel.scalars.as_ref().map(|it| it.place) {
        Some(ScalarPlace::Uniform { group, binding }) => Some((group, binding)),
        _ => None,
    };
    let bound = kernel.bindings.iter().map(|it| (it.group, it.binding));
    let order: Vec<(u32, u32)> = bound.chain(uniform).collect();
    let slot = |at: &(u32, u32)| {
        let found = msl.buffers.iter().find(|it| (it.group, it.binding) == *at);
        found.map(|it| it.slot)
    };
    let place = |at: &(u32, u32)| order.iter().position(|it| it == at);
    let buffers: Option<Vec<_>> = order.iter().map(slot).collect();
    let sizes = msl.sizes.as_ref().map(|it| {
        let regions: Vec<u32> = it
            .bindings
            .iter()
            .filter_map(place)
            .map(|it| it as u32)
            .collect();
        MetalSizes {
            slot: it.slot,
            regions,
        }
    });
    let code = Code::Msl {
        arguments: MetalArguments {
            entry_point: msl.entry_point.clone(),
            buffers: buffers.ok_or_else(|| format!("{name}: a binding has no slot"))?,
            scalars: msl.scalars_slot.filter(|_| uniform.is_none()),
            sizes,
            threadgroup_bytes: msl.threadgroup_bytes.clone(),
        },
        source: msl.source,
    };
    Ok((kernel, code))
}
