//! Modules and kernels.

use tidegate_core::{Access, Binding, Code, Pipeline, Scalar, ScalarKind, ScalarPlace, Scalars};
use tidegate_shader as shader;

use crate::backend::{AnyContext, AnyDevice};
use crate::{Error, Grid};

/// Kernels from one source, for one device. Compiling happens when a kernel is asked for.
#[derive(Clone, Debug)]
pub struct Module {
    context: AnyContext,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Shader {
        module: shader::Module,
        checks: shader::BoundsChecks,
    },
    #[cfg(feature = "sim")]
    Host(Vec<(tidegate_core::Kernel, tidegate_core::HostKernel)>),
}

/// A kernel compiled for a device. Clones are the same kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(crate) raw: Pipeline<AnyDevice>,
}

impl Module {
    pub(crate) fn from_shader(
        context: AnyContext,
        module: shader::Module,
        checks: shader::BoundsChecks,
    ) -> Self {
        Self {
            context,
            source: Source::Shader { module, checks },
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn from_host(
        context: AnyContext,
        kernels: Vec<(tidegate_core::Kernel, tidegate_core::HostKernel)>,
    ) -> Self {
        Self {
            context,
            source: Source::Host(kernels),
        }
    }

    /// The same source with other values for its `override` constants, by name. Kernels written in Rust have no constants, and stay as they are.
    ///
    /// # Errors
    /// A constant that the source does not declare or that cannot have the value.
    pub fn with_constants(&self, constants: &[(&str, f64)]) -> Result<Self, Error> {
        let source = match &self.source {
            Source::Shader { module, checks } => Source::Shader {
                module: module.with_constants(constants)?,
                checks: *checks,
            },
            #[cfg(feature = "sim")]
            Source::Host(kernels) => Source::Host(kernels.clone()),
        };
        Ok(Self {
            context: self.context.clone(),
            source,
        })
    }

    /// Names of the kernels, in the order of the source.
    pub fn kernels(&self) -> Vec<&str> {
        match &self.source {
            Source::Shader { module, .. } => {
                module.kernels().iter().map(|it| it.name.as_str()).collect()
            }
            #[cfg(feature = "sim")]
            Source::Host(kernels) => kernels.iter().map(|(it, _)| it.name.as_str()).collect(),
        }
    }

    /// What the kernel `name` takes, if there is one. Kernels written in Rust have no such table.
    pub fn interface(&self, name: &str) -> Option<&shader::Kernel> {
        match &self.source {
            Source::Shader { module, .. } => module.kernel(name),
            #[cfg(feature = "sim")]
            Source::Host(_) => None,
        }
    }

    /// Compiles the kernel `name` for the device.
    ///
    /// # Errors
    /// No such kernel; a feature or a limit that the device lacks, by name; the driver's own refusal.
    pub fn kernel(&self, name: &str) -> Result<Kernel, Error> {
        let (kernel, code) = match &self.source {
            Source::Shader { module, checks } => self.translate(module, *checks, name)?,
            #[cfg(feature = "sim")]
            Source::Host(kernels) => {
                let found = kernels.iter().find(|(it, _)| it.name == name);
                let (kernel, code) = found.ok_or_else(|| self.no_such_kernel(name))?;
                (kernel.clone(), Code::Host(code.clone()))
            }
        };
        Ok(Kernel {
            raw: self.context.pipeline(kernel, &code)?,
        })
    }

    fn translate(
        &self,
        module: &shader::Module,
        checks: shader::BoundsChecks,
        name: &str,
    ) -> Result<(tidegate_core::Kernel, Code), Error> {
        let found = module
            .kernel(name)
            .ok_or_else(|| self.no_such_kernel(name))?;
        let device = self.context.capabilities();
        let kernel = interface(found);
        check_limits(found, &kernel, device)?;
        let code = self.context.device().backend().code(module, name, checks)?;
        Ok((kernel, code))
    }

    fn no_such_kernel(&self, name: &str) -> Error {
        Error::NoSuchKernel {
            name: name.to_owned(),
            available: self.kernels().join(", "),
        }
    }
}

impl Kernel {
    /// The entry point's name.
    pub fn name(&self) -> &str {
        &self.raw.kernel().name
    }

    /// Invocations of one workgroup along x, y and z.
    pub fn workgroup_size(&self) -> [u32; 3] {
        self.raw.kernel().workgroup_size
    }

    /// The grid, along x, whose workgroups together have at least `invocations` invocations.
    pub fn grid_for(&self, invocations: usize) -> Grid {
        let size = (self.workgroup_size()[0] as usize).max(1);
        // A grid that is too large is refused when it is launched.
        Grid::from(u32::try_from(invocations.div_ceil(size)).unwrap_or(u32::MAX))
    }
}

/// What core has to know of a kernel.
fn interface(kernel: &shader::Kernel) -> tidegate_core::Kernel {
    let uniform = match kernel.scalars.as_ref().map(|it| it.location) {
        Some(shader::ScalarsLocation::Uniform { group, binding }) => Some((group, binding)),
        _ => None,
    };
    let bindings = kernel
        .bindings
        .iter()
        .filter(|it| uniform != Some((it.group, it.binding)))
        .map(|it| Binding {
            group: it.group,
            binding: it.binding,
            name: it.name.clone(),
            access: match it.access {
                shader::Access::Read => Access::Read,
                shader::Access::Write => Access::Write,
                shader::Access::ReadWrite => Access::ReadWrite,
            },
            uniform: it.kind == shader::BindingKind::Uniform,
            bytes_min: it.bytes_min,
        })
        .collect();
    let scalars = kernel.scalars.as_ref().map(|it| Scalars {
        place: match it.location {
            shader::ScalarsLocation::Immediates => ScalarPlace::PushConstants,
            shader::ScalarsLocation::Uniform { group, binding } => {
                ScalarPlace::Uniform { group, binding }
            }
        },
        bytes: it.bytes,
        members: it
            .members
            .iter()
            .map(|it| Scalar {
                name: it.name.clone(),
                kind: match it.kind {
                    shader::ScalarKind::F32 => ScalarKind::F32,
                    shader::ScalarKind::I32 => ScalarKind::I32,
                    shader::ScalarKind::U32 => ScalarKind::U32,
                    _ => ScalarKind::Bytes,
                },
                offset: it.offset,
                bytes: it.bytes,
            })
            .collect(),
    });
    tidegate_core::Kernel {
        name: kernel.name.clone(),
        workgroup_size: kernel.workgroup_size,
        bindings,
        scalars,
    }
}

fn check_limits(
    source: &shader::Kernel,
    kernel: &tidegate_core::Kernel,
    device: &tidegate_core::Capabilities,
) -> Result<(), Error> {
    let [x, y, z] = kernel.workgroup_size;
    let [x_max, y_max, z_max] = device.workgroup_size_max;
    let invocations = u64::from(x) * u64::from(y) * u64::from(z);
    let pushed = match &kernel.scalars {
        Some(it) if it.place == ScalarPlace::PushConstants => it.bytes,
        _ => 0,
    };
    let limits = [
        ("the workgroup's size along x", x.into(), x_max.into()),
        ("the workgroup's size along y", y.into(), y_max.into()),
        ("the workgroup's size along z", z.into(), z_max.into()),
        (
            "the number of invocations of a workgroup",
            invocations,
            device.workgroup_invocations_max.into(),
        ),
        (
            "the workgroup memory in bytes",
            source.workgroup_bytes.into(),
            device.workgroup_bytes_max.into(),
        ),
        (
            "the number of buffers",
            source.bindings.len() as u64,
            device.bindings_max.into(),
        ),
        (
            "the scalars in bytes",
            pushed.into(),
            device.scalar_bytes_max.into(),
        ),
    ];
    match limits
        .into_iter()
        .find(|(_, given, allowed)| given > allowed)
    {
        None => Ok(()),
        Some((what, given, allowed)) => Err(Error::KernelLimit {
            kernel: kernel.name.clone(),
            what,
            given,
            allowed,
        }),
    }
}
