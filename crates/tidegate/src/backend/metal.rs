//! Devices that Metal has: on Apple's systems, and in tests on software classes.

use tidegate_core::{Code, MetalArguments, MetalSizes};
use tidegate_metal::{MetalDevice, Select};
use tidegate_shader::{BoundsChecks, Module, Msl, MslOptions, ScalarsLocation, ShaderError};
#[cfg(metal_soft)]
use tidegate_softmetal as _;

use super::{AnyBackend, AnyDevice, Choice};
use crate::{DeviceInfo, Options};

impl AnyBackend for MetalDevice {
    fn code(&self, module: &Module, name: &str, checks: BoundsChecks) -> Result<Code, ShaderError> {
        if let Some((library, slots)) = module.metallib(name)? {
            return Ok(Code::Metallib {
                bytes: library.to_vec(),
                arguments: arguments(module, name, &slots),
            });
        }
        let msl = module.msl(name, &MslOptions::new(checks))?;
        Ok(Code::Msl {
            arguments: arguments(module, name, &msl),
            source: msl.source,
        })
    }
}

/// The slots in the order of a launch's regions: the kernel's buffers, and last a uniform block of scalars.
fn arguments(module: &Module, name: &str, msl: &Msl) -> MetalArguments {
    let scalars = module.kernel(name).and_then(|it| it.scalars.as_ref());
    let uniform = match scalars.map(|it| it.location) {
        Some(ScalarsLocation::Uniform { group, binding }) => Some((group, binding)),
        _ => None,
    };
    let mut order = msl.buffers.clone();
    // Stable: the others stay in order.
    order.sort_by_key(|it| uniform == Some((it.group, it.binding)));
    let place = |at: &(u32, u32)| order.iter().position(|it| (it.group, it.binding) == *at);
    MetalArguments {
        entry_point: msl.entry_point.clone(),
        buffers: order.iter().map(|it| it.slot).collect(),
        scalars: msl.scalars_slot.filter(|_| uniform.is_none()),
        sizes: msl.sizes.as_ref().map(|it| MetalSizes {
            slot: it.slot,
            // Every sized buffer has a slot; one that had none would be refused with the launch's other regions.
            regions: it
                .bindings
                .iter()
                .map(|at| place(at).map_or(u32::MAX, |it| it as u32))
                .collect(),
        }),
        threadgroup_bytes: msl.threadgroup_bytes.clone(),
    }
}

pub(super) fn devices() -> Result<Vec<DeviceInfo>, String> {
    let found = tidegate_metal::physical_devices(&tidegate_metal::Options::default());
    let described = found
        .map_err(|it| it.to_string())?
        .into_iter()
        .map(|it| DeviceInfo {
            capabilities: it.capabilities,
            refusal: it.refusal,
        });
    Ok(described.collect())
}

pub(super) fn open(choice: &Choice, options: &Options) -> Result<AnyDevice, String> {
    let select = match choice {
        Choice::Best => Select::Best,
        Choice::Index(index) => Select::Index(*index),
        Choice::Name(name) => Select::Name(name.clone()),
    };
    let defaults = tidegate_metal::Options::default();
    let options = tidegate_metal::Options {
        queues_max: options.queues_max.unwrap_or(defaults.queues_max),
        ..defaults
    };
    let device = MetalDevice::open(&select, &options).map_err(|it| it.to_string())?;
    Ok(AnyDevice::new(device))
}
