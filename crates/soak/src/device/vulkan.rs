//! Histories on Vulkan. Each opens its own devices, so that a history has no past.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_core::{AddressBlock, Code, Device as _, Kernel};
use tidegate_sim::history::{Case, Failure, HostKernels, Kernels, Which, run_all};
use tidegate_vulkan::{OpenError, Options, Select, VulkanDevice};

use super::watched::{Log, Watched, wgsl};

pub(crate) struct Vulkan {
    /// Without the layer there is nothing to ask.
    validation: bool,
    words: String,
    capabilities: tidegate_core::Capabilities,
    /// With addresses, and with descriptors alone.
    kernels: [Translated; 2],
    log: Log,
}

/// The twins' interfaces, and the code of their WGSL, by kernel.
struct Translated(HashMap<&'static str, (Kernel, Code)>);

impl Kernels for Translated {
    fn make(&self, which: Which) -> (Kernel, Code) {
        self.0[which.name()].clone()
    }
}

impl Vulkan {
    pub(crate) fn find() -> Result<Self, String> {
        let open = |validation| {
            let options = Options {
                validation,
                ..Options::default()
            };
            VulkanDevice::open(&Select::Best, &options)
        };
        let (device, validation) = match open(true) {
            Ok(device) => (device, true),
            Err(OpenError::NoValidationLayer) => (open(false).map_err(|it| it.to_string())?, false),
            Err(error) => return Err(error.to_string()),
        };
        let capabilities = device.capabilities().clone();
        let layer = if validation {
            "with the validation layer"
        } else {
            "without a validation layer"
        };
        let words = format!("{} ({}) {layer}", capabilities.name, capabilities.driver);
        Ok(Self {
            validation,
            words,
            capabilities,
            kernels: [translated(true)?, translated(false)?],
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

    /// Runs a case on fresh devices; what the validation layer says is a failure.
    pub(crate) fn run(&self, case: &Case) -> Result<(), Failure> {
        self.log.clear();
        let at = case.history.0.len();
        let wrong = |detail: String| Failure { at, detail };
        let options = Options {
            validation: self.validation,
            addresses: case.seed.is_multiple_of(2),
            ..Options::default()
        };
        let open = || VulkanDevice::open(&Select::Best, &options).map(Arc::new);
        let opened: Result<Vec<_>, _> = (0..case.devices).map(|_| open()).collect();
        let opened = opened.map_err(|it| wrong(format!("it does not open: {it}")))?;
        let devices = opened.iter().map(|device| Watched {
            device: Arc::clone(device),
            log: self.log.clone(),
        });
        let devices = devices.collect();
        let kernels = &self.kernels[usize::from(!options.addresses)];
        let run = || {
            run_all(
                devices,
                &case.limits,
                kernels,
                &case.history,
                case.tolerance,
            )
        };
        let ended = catch_unwind(AssertUnwindSafe(run));
        let ended = ended.unwrap_or_else(|_| Err(wrong("a panic".to_owned())));
        for device in &opened {
            if let Some(first) = device.validation_messages().first() {
                return Err(wrong(format!("the validation layer says: {first}")));
            }
        }
        ended.map(|_| ())
    }
}

fn translated(addressed: bool) -> Result<Translated, String> {
    let made = Which::ALL.map(|which| Ok((which.name(), code(which, addressed)?)));
    let made: Result<_, String> = made.into_iter().collect();
    made.map(Translated)
}

fn code(which: Which, addressed: bool) -> Result<(Kernel, Code), String> {
    let (kernel, _) = HostKernels.make(which);
    let name = which.name();
    let words = |it: tidegate_shader::ShaderError| format!("{name}: {it}");
    let module = tidegate_shader::Module::from_wgsl(&wgsl(name)).map_err(words)?;
    let options = tidegate_shader::SpirvOptions::default();
    let plain = module.spirv(name, &options).map_err(words)?;
    let found = module.spirv_addressed(name, &options).map_err(words)?;
    let code = match found.filter(|_| addressed) {
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
    Ok((kernel, code))
}
