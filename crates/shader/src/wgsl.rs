//! WGSL: parsed once, validated, and cut down to one kernel at a time.

mod depth;
pub(crate) mod reach;
mod reflect;

use std::collections::BTreeMap;
use std::sync::Arc;

use naga::back::pipeline_constants::{PipelineConstantError, process_overrides};
use naga::compact::{KeepUnused, compact};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{ShaderStage, front::wgsl};

use crate::error::chain;
use crate::{Kernel, Module, ShaderError};

/// A parsed source, the values of its constants, and each of its kernels cut out of it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    parsed: Arc<Parsed>,
    constants: BTreeMap<String, f64>,
    kernels: Vec<(String, Cut)>,
}

#[derive(Debug)]
struct Parsed {
    text: String,
    module: naga::Module,
    info: ModuleInfo,
}

/// A kernel cut out, or the message that says which constant lacks a value.
#[derive(Clone, Debug)]
enum Cut {
    Whole(Arc<Specialized>),
    Missing(String),
}

/// A module with one entry point, no constant left open, and nothing in it that the entry point does not use.
#[derive(Debug)]
pub(crate) struct Specialized {
    pub(crate) module: naga::Module,
    pub(crate) info: ModuleInfo,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Result<Self, ShaderError> {
        depth::check(text)?;
        let module = wgsl::parse_str(text).map_err(|error| ShaderError::parse(&error, text))?;
        let (have, max) = (module.entry_points.len() as u64, Module::KERNELS_MAX as u64);
        if have > max {
            return Err(ShaderError::TooLarge {
                what: "the number of entry points",
                have,
                max,
            });
        }
        let info = Validator::new(ValidationFlags::all(), capabilities())
            .validate(&module)
            .map_err(|error| ShaderError::invalid(&error, text))?;
        let parsed = Parsed {
            text: text.to_owned(),
            module,
            info,
        };
        Self::cut(Arc::new(parsed), BTreeMap::new())
    }

    pub(crate) fn with_constants(&self, constants: &[(&str, f64)]) -> Result<Self, ShaderError> {
        let have: Vec<String> = self
            .parsed
            .module
            .overrides
            .iter()
            .filter_map(|(_, constant)| key(constant))
            .collect();
        let mut values = self.constants.clone();
        for &(name, value) in constants {
            if !have.iter().any(|known| known == name) {
                return Err(ShaderError::UnknownConstant {
                    name: name.to_owned(),
                    have,
                });
            }
            values.insert(name.to_owned(), value);
        }
        Self::cut(Arc::clone(&self.parsed), values)
    }

    /// The kernels that lack no constant.
    pub(crate) fn kernels(&self) -> Result<Vec<Kernel>, ShaderError> {
        let whole = self.kernels.iter().filter_map(|(name, cut)| match cut {
            Cut::Whole(specialized) => Some((name, specialized)),
            Cut::Missing(_) => None,
        });
        whole
            .map(|(name, specialized)| reflect::kernel(name, specialized))
            .collect()
    }

    pub(crate) fn specialized(&self, kernel: &str) -> Result<&Specialized, ShaderError> {
        match self.kernels.iter().find(|(name, _)| name == kernel) {
            Some((_, Cut::Whole(specialized))) => Ok(specialized),
            Some((_, Cut::Missing(message))) => Err(ShaderError::Constant {
                kernel: kernel.to_owned(),
                message: message.clone(),
            }),
            None => Err(ShaderError::UnknownKernel {
                name: kernel.to_owned(),
                have: self.kernels.iter().map(|(name, _)| name.clone()).collect(),
            }),
        }
    }

    fn cut(parsed: Arc<Parsed>, constants: BTreeMap<String, f64>) -> Result<Self, ShaderError> {
        let compute = parsed
            .module
            .entry_points
            .iter()
            .filter(|entry| entry.stage == ShaderStage::Compute);
        let kernels = compute
            .map(|entry| Ok((entry.name.clone(), parsed.cut(&entry.name, &constants)?)))
            .collect::<Result<_, ShaderError>>()?;
        Ok(Self {
            parsed,
            constants,
            kernels,
        })
    }
}

impl Parsed {
    /// naga writes every type and function of a module, whichever entry point is asked for, and declares what each of
    /// them requires. One kernel must not be refused for what another one uses, so each is cut out.
    fn cut(&self, kernel: &str, constants: &BTreeMap<String, f64>) -> Result<Cut, ShaderError> {
        let failed = |message| ShaderError::Constant {
            kernel: kernel.to_owned(),
            message,
        };
        let constants = constants
            .iter()
            .map(|(name, &value)| (name.clone(), value))
            .collect();
        let entry_point = Some((ShaderStage::Compute, kernel));
        let module = match process_overrides(&self.module, &self.info, entry_point, &constants) {
            Ok((module, _)) => module.into_owned(),
            Err(PipelineConstantError::MissingValue(name)) => {
                return Ok(Cut::Missing(format!("the constant `{name}` has no value")));
            }
            Err(PipelineConstantError::ValidationError(error)) => {
                return Err(ShaderError::invalid(&error, &self.text));
            }
            Err(error) => return Err(failed(chain(&error))),
        };
        let mut module = module;
        compact(&mut module, KeepUnused::No);
        let info = Validator::new(ValidationFlags::all(), capabilities())
            .validate(&module)
            .map_err(|error| ShaderError::invalid(&error, &self.text))?;
        Ok(Cut::Whole(Arc::new(Specialized { module, info })))
    }
}

/// What a compute kernel may use. Broad on purpose: the device refuses what it lacks, by name.
///
/// Left out is what has no meaning without textures, rays or a render pass.
fn capabilities() -> Capabilities {
    Capabilities::IMMEDIATES
        | Capabilities::FLOAT64
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SHADER_INT16
        | Capabilities::SHADER_INT64
        | Capabilities::SHADER_INT64_ATOMIC_MIN_MAX
        | Capabilities::SHADER_INT64_ATOMIC_ALL_OPS
        | Capabilities::SHADER_FLOAT32_ATOMIC
        | Capabilities::SUBGROUP
        | Capabilities::SUBGROUP_BARRIER
        | Capabilities::COOPERATIVE_MATRIX
        | Capabilities::MEMORY_DECORATION_COHERENT
        | Capabilities::MEMORY_DECORATION_VOLATILE
}

/// The name by which a constant is set: WGSL lets an `@id` replace the identifier.
fn key(constant: &naga::Override) -> Option<String> {
    match constant.id {
        Some(id) => Some(id.to_string()),
        None => constant.name.clone(),
    }
}
