//! The table of one kernel, from naga's validated module.

use naga::proc::Layouter;
use naga::valid::{FunctionInfo, GlobalUse};
use naga::{AddressSpace, GlobalVariable, Handle, ScalarKind as NagaKind, Type, TypeInner};

use super::Specialized;
use crate::emit::{self, SpirvOptions};
use crate::error::chain;
use crate::{
    Access, Binding, BindingKind, BoundsChecks, Kernel, Required, Scalar, ScalarKind, Scalars,
    ScalarsLocation, ShaderError,
};

pub(super) fn kernel(name: &str, specialized: &Specialized) -> Result<Kernel, ShaderError> {
    let mut layouter = Layouter::default();
    layouter
        .update(specialized.module.to_ctx())
        .map_err(|error| emit_error(name, chain(&error)))?;
    let reflector = Reflector {
        kernel: name,
        module: &specialized.module,
        layouter,
    };

    let Some(entry) = specialized.module.entry_points.first() else {
        return Err(emit_error(
            name,
            "it was lost when it was cut out".to_owned(),
        ));
    };
    let uses = specialized.info.get_entry_point(0);
    let bindings = reflector.bindings(uses)?;
    Ok(Kernel {
        name: name.to_owned(),
        workgroup_size: entry.workgroup_size,
        scalars: reflector.scalars(uses, &bindings),
        bindings,
        workgroup_bytes: reflector.workgroup_bytes(uses),
        required: required(name, specialized)?,
    })
}

struct Reflector<'a> {
    kernel: &'a str,
    module: &'a naga::Module,
    layouter: Layouter,
}

impl Reflector<'_> {
    /// Sorted by group and binding.
    fn bindings(&self, uses: &FunctionInfo) -> Result<Vec<Binding>, ShaderError> {
        let mut bindings = Vec::new();
        for (variable, used) in self.used(uses) {
            let unsupported = |what| ShaderError::UnsupportedBinding {
                kernel: self.kernel.to_owned(),
                name: variable.name.clone().unwrap_or_default(),
                what,
            };
            let kind = match variable.space {
                AddressSpace::Storage { .. } => BindingKind::Storage,
                AddressSpace::Uniform => BindingKind::Uniform,
                AddressSpace::Handle => return Err(unsupported("a texture or a sampler")),
                AddressSpace::Function
                | AddressSpace::Private
                | AddressSpace::WorkGroup
                | AddressSpace::Immediate
                | AddressSpace::TaskPayload
                | AddressSpace::RayPayload
                | AddressSpace::IncomingRayPayload => continue,
            };
            if matches!(
                self.module.types[variable.ty].inner,
                TypeInner::BindingArray { .. }
            ) {
                return Err(unsupported("an array of buffers"));
            }
            let Some(at) = variable.binding else {
                return Err(unsupported("a buffer without @group and @binding"));
            };
            let layout = self.layouter[variable.ty];
            bindings.push(Binding {
                group: at.group,
                binding: at.binding,
                name: variable.name.clone().unwrap_or_default(),
                kind,
                access: Access::new(
                    used.contains(GlobalUse::READ),
                    used.contains(GlobalUse::WRITE),
                ),
                bytes_min: u64::from(layout.size),
                stride: self.runtime_stride(variable.ty),
                align: layout.alignment.round_up(1),
            });
        }
        bindings.sort_by_key(|binding| (binding.group, binding.binding));
        Ok(bindings)
    }

    fn scalars(&self, uses: &FunctionInfo, bindings: &[Binding]) -> Option<Scalars> {
        let in_space = |space| {
            self.used(uses)
                .map(|(variable, _)| variable)
                .find(|variable| variable.space == space)
        };
        let (variable, location) = if let Some(variable) = in_space(AddressSpace::Immediate) {
            (variable, ScalarsLocation::Immediates)
        } else {
            let mut uniforms = bindings
                .iter()
                .filter(|binding| binding.kind == BindingKind::Uniform);
            let (Some(only), None) = (uniforms.next(), uniforms.next()) else {
                return None;
            };
            let location = ScalarsLocation::Uniform {
                group: only.group,
                binding: only.binding,
            };
            (in_space(AddressSpace::Uniform)?, location)
        };
        let mut members = Vec::new();
        let mut name = String::new();
        if let TypeInner::Scalar(_) | TypeInner::Vector { .. } =
            self.module.types[variable.ty].inner
        {
            name = variable.name.clone().unwrap_or_default();
        }
        if self.flatten(variable.ty, &name, 0, &mut members).is_none() {
            members.clear();
        }
        Some(Scalars {
            location,
            bytes: self.layouter[variable.ty].size,
            members,
        })
    }

    /// Appends the numbers and vectors of a type. `None` if there is anything else in it.
    ///
    /// Recursion is bounded: WGSL allows 255 levels of nested types, and naga validates no deeper.
    fn flatten(
        &self,
        ty: Handle<Type>,
        name: &str,
        offset: u32,
        members: &mut Vec<Scalar>,
    ) -> Option<()> {
        let (scalar, lanes) = match &self.module.types[ty].inner {
            TypeInner::Scalar(scalar) => (*scalar, 1),
            TypeInner::Vector { size, scalar } => (*scalar, *size as u32),
            TypeInner::Struct { members: inner, .. } => {
                for member in inner {
                    let own = member.name.as_deref().unwrap_or_default();
                    let full = if name.is_empty() {
                        own.to_owned()
                    } else {
                        format!("{name}.{own}")
                    };
                    self.flatten(
                        member.ty,
                        &full,
                        offset.checked_add(member.offset)?,
                        members,
                    )?;
                }
                return Some(());
            }
            _ => return None,
        };
        let width = u32::from(scalar.width);
        let kind = match scalar.kind {
            NagaKind::Float => ScalarKind::float(width)?,
            NagaKind::Sint => ScalarKind::integer(width, true)?,
            NagaKind::Uint => ScalarKind::integer(width, false)?,
            NagaKind::Bool | NagaKind::AbstractInt | NagaKind::AbstractFloat => return None,
        };
        members.push(Scalar {
            name: name.to_owned(),
            offset,
            bytes: width * lanes,
            kind,
        });
        Some(())
    }

    fn workgroup_bytes(&self, uses: &FunctionInfo) -> u32 {
        let shared = self
            .used(uses)
            .filter(|(variable, _)| variable.space == AddressSpace::WorkGroup);
        shared.fold(0, |bytes, (variable, _)| {
            bytes.saturating_add(self.layouter[variable.ty].size)
        })
    }

    /// The stride of the runtime array that the type is, or ends in.
    fn runtime_stride(&self, ty: Handle<Type>) -> Option<u32> {
        match &self.module.types[ty].inner {
            TypeInner::Array {
                size: naga::ArraySize::Dynamic,
                stride,
                ..
            } => Some(*stride),
            TypeInner::Struct { members, .. } => match &self.module.types[members.last()?.ty].inner
            {
                TypeInner::Array {
                    size: naga::ArraySize::Dynamic,
                    stride,
                    ..
                } => Some(*stride),
                _ => None,
            },
            _ => None,
        }
    }

    /// Both of naga's writers leave out a variable whose use is empty; so does the table.
    fn used<'a>(
        &'a self,
        uses: &'a FunctionInfo,
    ) -> impl Iterator<Item = (&'a GlobalVariable, GlobalUse)> {
        let variables = self
            .module
            .global_variables
            .iter()
            .map(|(handle, variable)| (variable, uses[handle]));
        variables.filter(|(_, used)| !used.is_empty())
    }
}

/// naga's validator checks what is allowed, and does not tell what was used. Its SPIR-V does.
fn required(name: &str, specialized: &Specialized) -> Result<Required, ShaderError> {
    // Not checked: what cannot be is refused when it is written, since it may be trusted.
    let options = SpirvOptions::new(BoundsChecks::Unchecked);
    let words = emit::spirv(specialized, name, &options)?;
    Ok(Required::from_capabilities(crate::spirv::capabilities(
        &words,
    )))
}

fn emit_error(kernel: &str, message: String) -> ShaderError {
    ShaderError::Emit {
        kernel: kernel.to_owned(),
        target: "a table of bindings",
        message,
    }
}
