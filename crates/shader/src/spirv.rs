//! SPIR-V given as it is: read for the table of its kernels, and printed.
//!
//! naga's own reader is for graphics and refuses much of what compute compilers write, so the words are read with
//! rspirv. Section numbers are those of the SPIR-V specification, unified1:
//! <https://registry.khronos.org/SPIR-V/specs/unified1/SPIRV.html>.

pub(crate) mod addressed;
mod types;
pub(crate) mod undecorate;
mod uses;

use std::collections::{BTreeMap, HashMap, HashSet};

use rspirv::binary::Disassemble;
use rspirv::dr::{self, Operand};
use rspirv::spirv::{BuiltIn, Decoration, ExecutionMode, ExecutionModel, Op, StorageClass};

use crate::{
    Access, Binding, BindingKind, Kernel, Module, Required, Scalars, ScalarsLocation, ShaderError,
};
use types::{Kind, Types};
use uses::Use;

/// Every compute entry point, in the order of the module.
pub(crate) fn kernels(words: &[u32]) -> Result<Vec<Kernel>, ShaderError> {
    let module = load(words)?;
    refuse(&module)?;
    let reflector = Reflector::new(&module)?;
    let mut kernels: Vec<Kernel> = Vec::new();
    for entry in &module.entry_points {
        let [
            Operand::ExecutionModel(ExecutionModel::GLCompute),
            Operand::IdRef(function),
            Operand::LiteralString(name),
            ..,
        ] = entry.operands.as_slice()
        else {
            continue;
        };
        if kernels.iter().any(|kernel| kernel.name == *name) {
            return Err(ShaderError::spirv(format!(
                "two kernels are named `{name}`"
            )));
        }
        kernels.push(reflector.kernel(name, *function)?);
    }
    Ok(kernels)
}

/// Refuses what would make the table wrong: buffers that are not variables with a type, and decorations in groups,
/// which no compiler has written since they were deprecated.
fn refuse(module: &dr::Module) -> Result<(), ShaderError> {
    let declarations = module.types_global_values.iter().chain(&module.annotations);
    for instruction in declarations {
        match instruction.class.opcode {
            Op::UntypedVariableKHR => {
                return Err(ShaderError::spirv("untyped pointers are not supported"));
            }
            Op::GroupDecorate | Op::GroupMemberDecorate => {
                return Err(ShaderError::spirv("decoration groups are not supported"));
            }
            _ => {}
        }
    }
    let have = module.entry_points.len() as u64;
    let max = Module::KERNELS_MAX as u64;
    if have > max {
        return Err(ShaderError::TooLarge {
            what: "the number of entry points",
            have,
            max,
        });
    }
    Ok(())
}

/// The numbers of the capabilities a module declares.
pub(crate) fn capabilities(words: &[u32]) -> impl Iterator<Item = u32> {
    instructions(words).filter_map(|instruction| match instruction {
        [first, number] if opcode(*first) == Op::Capability as u32 => Some(*number),
        _ => None,
    })
}

pub(crate) fn disassemble(words: &[u32]) -> Result<String, ShaderError> {
    let module = load(words)?;
    // rspirv panics on a constant whose type it does not know.
    let mut numbers = HashSet::new();
    for instruction in &module.types_global_values {
        match instruction.class.opcode {
            Op::TypeInt | Op::TypeFloat => numbers.extend(instruction.result_id),
            Op::Constant
                if !instruction
                    .result_type
                    .is_some_and(|ty| numbers.contains(&ty)) =>
            {
                return Err(ShaderError::spirv(
                    "a constant has a type that is not a number",
                ));
            }
            _ => {}
        }
    }
    Ok(module.disassemble())
}

/// Refuses first what makes rspirv 0.13 panic. The tests that feed it random words found these; there is no other way
/// to ask it for a promise.
fn load(words: &[u32]) -> Result<dr::Module, ShaderError> {
    let whole: usize = instructions(words).map(<[u32]>::len).sum();
    if words.len() < HEADER_WORDS || words.len() - HEADER_WORDS != whole {
        return Err(ShaderError::spirv("an instruction is cut short"));
    }
    for instruction in instructions(words) {
        // rspirv panics on an operation within OpSpecConstantOp that is itself made of literals.
        if let [first, _, _, nested, ..] = instruction
            && opcode(*first) == Op::SpecConstantOp as u32
            && [
                Op::Constant,
                Op::SpecConstant,
                Op::SpecConstantOp,
                Op::Switch,
            ]
            .iter()
            .any(|op| *op as u32 == *nested)
        {
            return Err(ShaderError::spirv(
                "OpSpecConstantOp holds an operation that it may not",
            ));
        }
    }
    dr::load_words(words).map_err(|error| ShaderError::spirv(error.to_string()))
}

/// Each instruction with its own first word. Ends early where a length is wrong.
fn instructions(words: &[u32]) -> impl Iterator<Item = &[u32]> {
    let mut rest = words.get(HEADER_WORDS..).unwrap_or_default();
    std::iter::from_fn(move || {
        let count = (rest.first()? >> 16) as usize;
        let instruction = rest
            .get(..count)
            .filter(|instruction| !instruction.is_empty())?;
        rest = rest.get(count..)?;
        Some(instruction)
    })
}

const fn opcode(first: u32) -> u32 {
    first & 0xffff
}

/// Section 2.3: magic number, version, generator, bound, and a zero.
const HEADER_WORDS: usize = 5;

struct Reflector<'a> {
    module: &'a dr::Module,
    types: Types,
    names: HashMap<u32, &'a str>,
    required: Required,
}

/// A module's variable outside of any function.
struct Variable {
    id: u32,
    class: StorageClass,
    pointee: u32,
}

impl<'a> Reflector<'a> {
    fn new(module: &'a dr::Module) -> Result<Self, ShaderError> {
        let names = module
            .debug_names
            .iter()
            .filter_map(|name| match name.operands.as_slice() {
                [Operand::IdRef(id), Operand::LiteralString(text)] => Some((*id, text.as_str())),
                _ => None,
            });
        let capabilities = module.capabilities.iter().filter_map(|instruction| {
            match instruction.operands.first() {
                Some(Operand::Capability(capability)) => Some(*capability as u32),
                _ => None,
            }
        });
        Ok(Self {
            module,
            types: Types::new(module)?,
            names: names.collect(),
            required: Required::from_capabilities(capabilities),
        })
    }

    fn kernel(&self, name: &str, function: u32) -> Result<Kernel, ShaderError> {
        let uses = uses::of(self.module, function)?;
        let mut bindings: BTreeMap<(u32, u32), Binding> = BTreeMap::new();
        let mut immediates = None;
        let mut uniforms = Vec::new();
        let mut workgroup_bytes = 0_u64;
        for instruction in &self.module.types_global_values {
            let Some(variable) = self.variable(instruction) else {
                continue;
            };
            let Some(&used) = uses.get(&variable.id) else {
                continue;
            };
            match variable.class {
                StorageClass::Uniform
                | StorageClass::StorageBuffer
                | StorageClass::UniformConstant => {
                    let binding = self.binding(name, &variable, used)?;
                    if binding.kind == BindingKind::Uniform {
                        uniforms.push((variable.pointee, binding.group, binding.binding));
                    }
                    merge(&mut bindings, binding);
                }
                StorageClass::PushConstant => {
                    immediates = Some(self.scalars(variable.pointee, ScalarsLocation::Immediates)?);
                }
                StorageClass::Workgroup => {
                    workgroup_bytes =
                        workgroup_bytes.saturating_add(self.types.layout(variable.pointee)?.bytes);
                }
                _ => {}
            }
        }
        let scalars = match (immediates, uniforms.as_slice()) {
            (None, &[(ty, group, binding)]) => {
                Some(self.scalars(ty, ScalarsLocation::Uniform { group, binding })?)
            }
            (immediates, _) => immediates,
        };
        Ok(Kernel {
            name: name.to_owned(),
            workgroup_size: self.workgroup_size(function)?,
            bindings: bindings.into_values().collect(),
            scalars,
            workgroup_bytes: u32::try_from(workgroup_bytes).unwrap_or(u32::MAX),
            required: self.required.clone(),
        })
    }

    fn variable(&self, instruction: &dr::Instruction) -> Option<Variable> {
        let (Op::Variable, Some(id), Some(ty)) = (
            instruction.class.opcode,
            instruction.result_id,
            instruction.result_type,
        ) else {
            return None;
        };
        match self.types.kind(ty)? {
            Kind::Pointer { class, pointee } => Some(Variable {
                id,
                class: *class,
                pointee: *pointee,
            }),
            _ => None,
        }
    }

    fn binding(
        &self,
        kernel: &str,
        variable: &Variable,
        used: Use,
    ) -> Result<Binding, ShaderError> {
        // Compilers name the block and not the variable, or the other way about.
        let name_of = |id: &u32| self.names.get(id).copied().filter(|name| !name.is_empty());
        let name = name_of(&variable.id)
            .or_else(|| name_of(&variable.pointee))
            .unwrap_or_default()
            .to_owned();
        let unsupported = |what| ShaderError::UnsupportedBinding {
            kernel: kernel.to_owned(),
            name: name.clone(),
            what,
        };
        if variable.class == StorageClass::UniformConstant {
            return Err(unsupported("a texture or a sampler"));
        }
        let members = match self.types.kind(variable.pointee) {
            Some(Kind::Struct { members }) => members,
            Some(Kind::Array) => return Err(unsupported("an array of buffers")),
            _ => return Err(unsupported("not a block")),
        };
        // Before SPIR-V 1.3 a storage buffer was a uniform decorated BufferBlock (section 3.20).
        let storage = variable.class == StorageClass::StorageBuffer
            || self
                .types
                .decorated(variable.pointee, Decoration::BufferBlock);
        let (Some(group), Some(binding)) = (
            self.types.number(variable.id, Decoration::DescriptorSet),
            self.types.number(variable.id, Decoration::Binding),
        ) else {
            return Err(unsupported(
                "a buffer without a descriptor set and a binding",
            ));
        };
        let forbidden = |decoration| {
            let everywhere = |index| {
                self.types
                    .member_decorated(variable.pointee, index, decoration)
            };
            self.types.decorated(variable.id, decoration)
                || (!members.is_empty() && (0..members.len()).all(everywhere))
        };
        let reads = used.reads && !forbidden(Decoration::NonReadable);
        let writes = used.writes && storage && !forbidden(Decoration::NonWritable);
        let layout = self.types.layout(variable.pointee)?;
        Ok(Binding {
            group,
            binding,
            kind: if storage {
                BindingKind::Storage
            } else {
                BindingKind::Uniform
            },
            access: Access::new(reads, writes),
            bytes_min: layout.bytes,
            stride: layout.runtime_stride,
            align: layout.align,
            name,
        })
    }

    fn scalars(&self, ty: u32, location: ScalarsLocation) -> Result<Scalars, ShaderError> {
        let bytes = u32::try_from(self.types.layout(ty)?.bytes)
            .map_err(|_| ShaderError::spirv("a block of scalars is larger than 4 GiB"))?;
        Ok(Scalars {
            location,
            bytes,
            members: self.types.flatten(ty).unwrap_or_default(),
        })
    }

    /// A constant decorated WorkgroupSize wins over the execution mode (section 3.21, and VUID-WorkgroupSize).
    fn workgroup_size(&self, function: u32) -> Result<[u32; 3], ShaderError> {
        for instruction in &self.module.types_global_values {
            if let (Op::ConstantComposite | Op::SpecConstantComposite, Some(id)) =
                (instruction.class.opcode, instruction.result_id)
                && self.types.number(id, Decoration::BuiltIn) == Some(BuiltIn::WorkgroupSize as u32)
            {
                return self.three(&instruction.operands);
            }
        }
        for mode in &self.module.execution_modes {
            match mode.operands.as_slice() {
                [
                    Operand::IdRef(id),
                    Operand::ExecutionMode(ExecutionMode::LocalSize | ExecutionMode::LocalSizeId),
                    size @ ..,
                ] if *id == function => {
                    return self.three(size);
                }
                _ => {}
            }
        }
        Err(ShaderError::spirv("a kernel declares no workgroup size"))
    }

    fn three(&self, operands: &[Operand]) -> Result<[u32; 3], ShaderError> {
        let number = |operand: &Operand| match operand {
            Operand::LiteralBit32(number) => Some(*number),
            Operand::IdRef(id) => self
                .types
                .constant(*id)
                .and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let numbers: Option<Vec<u32>> = operands.iter().map(number).collect();
        match numbers.as_deref() {
            Some(&[x, y, z]) if x != 0 && y != 0 && z != 0 => Ok([x, y, z]),
            _ => Err(ShaderError::spirv(
                "a workgroup size is not three numbers that can be told before it runs",
            )),
        }
    }
}

/// Two variables may share a descriptor; whoever binds it has to satisfy both.
fn merge(bindings: &mut BTreeMap<(u32, u32), Binding>, new: Binding) {
    bindings
        .entry((new.group, new.binding))
        .and_modify(|old| {
            let reads = old.access.reads() || new.access.reads();
            let writes = old.access.writes() || new.access.writes();
            old.access = Access::new(reads, writes);
            old.bytes_min = old.bytes_min.max(new.bytes_min);
            old.align = old.align.max(new.align);
            if old.stride != new.stride {
                old.stride = None;
            }
        })
        .or_insert(new);
}
