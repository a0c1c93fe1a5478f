//! The chain as hand-written Vulkan, as contenders.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use tidegate::QueueFamily;
use tidegate_core::{Access, Binding, Code, DeviceError, Kernel};
use tidegate_shader::{Module, SpirvOptions};
use tidegate_vulkan::{Options, QueueFamily as VulkanFamily, RawChain, Select};

use super::chain::{Expected, KERNEL, SOURCE};
use crate::failure::Failure;
use tidegate_measure::{Contender, Sample};

/// One way of submitting the chain by hand.
pub(crate) struct Raw {
    name: &'static str,
    /// Dispatches of one submission; none if the whole step is one that was recorded once.
    cut: Option<u32>,
    dispatches: u32,
    shared: Rc<RefCell<Shared>>,
}

/// The ways share a device and a buffer, as the streams do theirs.
struct Shared {
    chain: RawChain,
    expected: Expected,
}

/// `raw-each`, `raw-one`, `raw-cut-32` and `raw-replay` on a device of their own, which is the same one as `select` gives the streams.
pub(crate) fn contenders(
    select: &Select,
    family: QueueFamily,
    dispatches: u32,
    workgroups: u32,
) -> Result<Vec<Box<dyn Contender<Failure>>>, Failure> {
    let options = Options {
        queue_family: match family {
            QueueFamily::Graphics => VulkanFamily::Graphics,
            _ => VulkanFamily::Compute,
        },
        ..Options::default()
    };
    let (kernel, code) = kernel()?;
    let mut chain = RawChain::open(select, &options).map_err(Failure::failed)?;
    chain
        .prepare(&kernel, &code, dispatches, workgroups)
        .map_err(|it| failed("raw", &it))?;
    let shared = Rc::new(RefCell::new(Shared {
        chain,
        expected: Expected::new(workgroups),
    }));
    let ways = [
        ("raw-each", Some(1)),
        ("raw-one", Some(dispatches)),
        ("raw-cut-32", Some(32)),
        ("raw-replay", None),
    ];
    let contender = |(name, cut)| -> Box<dyn Contender<Failure>> {
        Box::new(Raw {
            name,
            cut,
            dispatches,
            shared: Rc::clone(&shared),
        })
    };
    Ok(ways.into_iter().map(contender).collect())
}

/// The same code as the streams run.
fn kernel() -> Result<(Kernel, Code), Failure> {
    let module = Module::from_wgsl(SOURCE).map_err(Failure::failed)?;
    let words = module
        .spirv(KERNEL, &SpirvOptions::default())
        .map_err(Failure::failed)?;
    let kernel = Kernel {
        name: KERNEL.to_owned(),
        workgroup_size: [64, 1, 1],
        bindings: vec![Binding {
            group: 0,
            binding: 0,
            name: "x".to_owned(),
            access: Access::ReadWrite,
            uniform: false,
            bytes_min: 4,
        }],
        scalars: None,
    };
    Ok((kernel, Code::Spirv(words)))
}

impl Contender<Failure> for Raw {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample, Failure> {
        let mut shared = self.shared.borrow_mut();
        let start = Instant::now();
        for _ in 0..steps {
            let done = match self.cut {
                Some(cut) => shared.chain.step_cut(cut),
                None => shared.chain.step_replay(),
            };
            done.map_err(|it| failed(self.name, &it))?;
        }
        let elapsed = start.elapsed();
        let launches = u64::from(self.dispatches) * u64::from(steps);
        shared.expected.launched(launches);
        let submissions =
            u64::from(self.dispatches.div_ceil(self.cut.unwrap_or(u32::MAX))) * u64::from(steps);
        Ok(Sample {
            elapsed,
            submissions,
            // There is one before each dispatch; the first of a submission is its opening one.
            barriers: launches - submissions,
            launches,
        })
    }

    fn check(&mut self) -> Result<(), Failure> {
        let shared = &mut *self.shared.borrow_mut();
        let words = shared.chain.result().map_err(|it| failed(self.name, &it))?;
        shared.expected.check(self.name, &words)
    }
}

fn failed(name: &str, error: &DeviceError) -> Failure {
    Failure::Failed(format!("{name}: {error}"))
}
