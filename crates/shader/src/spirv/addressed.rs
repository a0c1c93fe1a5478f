//! SPIR-V that finds its buffers by address instead of through descriptors.
//!
//! Each storage buffer becomes a pointer that is loaded from the push constants, and its length, where a kernel asks for it, a number that is pushed beside it. Only
//! what naga writes for WGSL is rewritten, because of that it is known how everything in a buffer is aligned. Whatever does not have the expected
//! form is left alone.

mod check;
mod write;

use std::collections::{HashMap, HashSet};

use rspirv::binary::Assemble as _;
use rspirv::dr::{self, Instruction, Operand};
use rspirv::spirv::{Decoration, MemoryAccess, Op, StorageClass};

use super::types::{Kind, Types};
use crate::{Access, Addressed, BindingKind, Kernel, ShaderError};

/// Alignment that every allocation has.
const ALIGN_MAX: u32 = 16;
/// In a header: SPIR-V 1.4, from which on an entry point lists every variable.
const VERSION_1_4: u32 = 0x0001_0400;
/// Ids of a module, at most (section 2.17), so that there is room for more.
const BOUND_MAX: u32 = 1 << 22;

/// The kernel with addresses, or nothing if it has another form than is understood here.
pub(crate) fn rewrite(words: &[u32], kernel: &Kernel) -> Result<Option<Addressed>, ShaderError> {
    let module = super::load(words)?;
    let types = Types::new(&module)?;
    Ok(Rewriter::new(module, &types, kernel).and_then(Rewriter::run))
}

/// A storage buffer's variable.
struct Buffer {
    variable: u32,
    /// Its type, which becomes that of the address.
    pointer: u32,
    block: u32,
    access: Access,
    /// Its place among the kernel's bindings, and so among the addresses.
    index: u32,
}

struct Rewriter<'a> {
    module: dr::Module,
    types: &'a Types,
    kernel: &'a Kernel,
    buffers: Vec<Buffer>,
    next: u32,
    u32_type: u32,
    /// The push constants' variable, and the number of the member that is the first address.
    push: u32,
    first: u32,
    /// Constants of the type `u32`, by value.
    numbers: HashMap<u32, u32>,
    /// What goes at the end of the types and constants, and of the decorations.
    globals: Vec<Instruction>,
    decorations: Vec<Instruction>,
    /// Bindings whose size is asked for, in order of their place after the addresses.
    sizes: Vec<u32>,
    align: u32,
}

impl<'a> Rewriter<'a> {
    fn new(module: dr::Module, types: &'a Types, kernel: &'a Kernel) -> Option<Self> {
        let header = module.header.as_ref()?;
        let next = header.bound;
        let buffers = kernel.bindings.iter();
        // What is added takes its ids from the bound on.
        let beyond = |it: &Instruction| it.result_id.is_some_and(|id| id >= next);
        if header.version >= VERSION_1_4
            || next > BOUND_MAX
            || module.all_inst_iter().any(beyond)
            || kernel.bindings.is_empty()
            || !buffers.clone().all(|it| it.kind == BindingKind::Storage)
        {
            return None;
        }
        let u32_type = module.types_global_values.iter().find(|it| {
            it.class.opcode == Op::TypeInt
                && it.operands == [Operand::LiteralBit32(32), Operand::LiteralBit32(0)]
        });
        let u32_type = u32_type?.result_id?;
        let mut it = Self {
            module,
            types,
            kernel,
            buffers: Vec::new(),
            next,
            u32_type,
            push: 0,
            first: 0,
            numbers: HashMap::new(),
            globals: Vec::new(),
            decorations: Vec::new(),
            sizes: Vec::new(),
            align: 1,
        };
        it.find_buffers()?;
        Some(it)
    }

    fn run(mut self) -> Option<Addressed> {
        self.check_functions()?;
        self.align_accesses()?;
        self.find_sizes();
        let scalar_bytes = match &self.kernel.scalars {
            Some(it) => it.bytes,
            None => 0,
        };
        let first = scalar_bytes.checked_next_multiple_of(8)?;
        let count = self.kernel.bindings.len() as u32;
        let sizes_at = first.checked_add(8 * count)?;
        let bytes = sizes_at.checked_add(4 * self.sizes.len() as u32)?;
        let push = self.take_push(first)?;
        self.make_push(push, first, sizes_at);
        self.change_pointers();
        let mut functions = std::mem::take(&mut self.module.functions);
        for function in &mut functions {
            self.function(function)?;
        }
        self.module.functions = functions;
        self.finish();
        Some(Addressed {
            bytes,
            first,
            sizes_at,
            sizes: self.sizes,
            align: self.align,
            words: self.module.assemble(),
        })
    }

    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// The storage buffers' variables; nothing if there is a resource of another sort.
    fn find_buffers(&mut self) -> Option<()> {
        let mut seen = HashSet::new();
        for instruction in &self.module.types_global_values {
            if instruction.class.opcode != Op::Variable {
                continue;
            }
            let (variable, pointer) = (instruction.result_id?, instruction.result_type?);
            let Some(Kind::Pointer { class, pointee }) = self.types.kind(pointer) else {
                return None;
            };
            match class {
                StorageClass::StorageBuffer => {}
                StorageClass::Uniform | StorageClass::UniformConstant => return None,
                _ => continue,
            }
            let group = self.types.number(variable, Decoration::DescriptorSet)?;
            let binding = self.types.number(variable, Decoration::Binding)?;
            let mut all = self.kernel.bindings.iter();
            let index = all.position(|it| (it.group, it.binding) == (group, binding))?;
            if !seen.insert(index) {
                return None;
            }
            self.buffers.push(Buffer {
                variable,
                pointer,
                block: *pointee,
                access: self.kernel.bindings[index].access,
                index: index as u32,
            });
        }
        (self.buffers.len() == self.kernel.bindings.len()).then_some(())
    }

    /// Takes the push constants' structure, its pointer and its variable out, to be declared again after the addresses' types. Gives the structure, if
    /// there is one, and its members.
    fn take_push(&mut self, first: u32) -> Option<(Option<u32>, Vec<Operand>)> {
        let globals = &mut self.module.types_global_values;
        let class = Operand::StorageClass(StorageClass::PushConstant);
        let mut variables = globals.iter().filter(|it| it.class.opcode == Op::Variable);
        let Some(variable) = variables.find(|it| it.operands.first() == Some(&class)) else {
            return Some((None, Vec::new()));
        };
        let (push, pointer) = (variable.result_id?, variable.result_type?);
        let Some(&Kind::Pointer { pointee, .. }) = self.types.kind(pointer) else {
            return None;
        };
        // Addresses begin where the scalars of the table end, and nothing else may lie there.
        if self.types.layout(pointee).ok()?.bytes > first.into() {
            return None;
        }
        // Nothing else may hold the structure: it grows.
        let name = Operand::IdRef(pointee);
        if globals
            .iter()
            .filter(|it| it.operands.contains(&name))
            .count()
            != 1
        {
            return None;
        }
        let structure = globals.iter().find(|it| it.result_id == Some(pointee))?;
        let members = structure.operands.clone();
        let gone = [Some(push), Some(pointer), Some(pointee)];
        globals.retain(|it| !gone.contains(&it.result_id));
        self.push = push;
        Some((Some(pointee), members))
    }

    /// Declares the push constants: what was there, then the addresses, then the sizes.
    fn make_push(
        &mut self,
        (structure, mut members): (Option<u32>, Vec<Operand>),
        first: u32,
        sizes_at: u32,
    ) {
        self.first = members.len() as u32;
        let block = structure.unwrap_or_else(|| self.id());
        if structure.is_none() {
            self.push = self.id();
            self.decorate(block, Decoration::Block);
        }
        let mut offsets = Vec::new();
        for index in 0..self.kernel.bindings.len() as u32 {
            let buffer = self.buffers.iter().find(|it| it.index == index);
            members.extend(buffer.map(|it| Operand::IdRef(it.pointer)));
            offsets.push(first + 8 * index);
        }
        for place in 0..self.sizes.len() as u32 {
            members.push(Operand::IdRef(self.u32_type));
            offsets.push(sizes_at + 4 * place);
        }
        for (member, offset) in (self.first..).zip(offsets) {
            let offset = Operand::LiteralBit32(offset);
            self.decorate_member(block, member, Decoration::Offset, Some(offset));
        }
        let class = StorageClass::PushConstant;
        let declared = Instruction::new(Op::TypeStruct, None, Some(block), members);
        self.globals.push(declared);
        let pointer = self.pointer_to(class, block);
        self.globals.push(Instruction::new(
            Op::Variable,
            Some(pointer),
            Some(self.push),
            vec![Operand::StorageClass(class)],
        ));
    }

    /// Turns every pointer into a storage buffer into an address, and forgets the variables.
    fn change_pointers(&mut self) {
        for instruction in &mut self.module.types_global_values {
            if instruction.class.opcode == Op::TypePointer
                && instruction.operands.first()
                    == Some(&Operand::StorageClass(StorageClass::StorageBuffer))
            {
                instruction.operands[0] =
                    Operand::StorageClass(StorageClass::PhysicalStorageBuffer);
            }
        }
        let gone: HashSet<u32> = self.buffers.iter().map(|it| it.variable).collect();
        let names = |it: &Instruction| matches!(it.operands.first(), Some(Operand::IdRef(id)) if gone.contains(id));
        self.module.annotations.retain(|it| !names(it));
        self.module.debug_names.retain(|it| !names(it));
        self.module
            .types_global_values
            .retain(|it| it.result_id.is_none_or(|id| !gone.contains(&id)));
        // What was said of a variable that is only read is said of its members, unless a variable of the same type is written.
        let mut blocks: Vec<u32> = self.buffers.iter().map(|it| it.block).collect();
        blocks.dedup();
        for block in blocks {
            let mut users = self.buffers.iter().filter(|it| it.block == block);
            let members = match self.types.kind(block) {
                Some(Kind::Struct { members }) => members.len() as u32,
                _ => 0,
            };
            if users.all(|it| it.access == Access::Read) {
                for member in 0..members {
                    self.decorate_member(block, member, Decoration::NonWritable, None);
                }
            }
        }
    }

    fn function(&mut self, function: &mut dr::Function) -> Option<()> {
        let mut used = HashSet::new();
        for instruction in function.blocks.iter().flat_map(|it| &it.instructions) {
            if instruction.class.opcode != Op::ArrayLength {
                used.extend(instruction.operands.iter().filter_map(id_of));
            }
        }
        let mut addresses = HashMap::new();
        let (mut variables, mut loads) = (Vec::new(), Vec::new());
        for at in 0..self.buffers.len() {
            let (variable, pointer, index) = {
                let it = &self.buffers[at];
                (it.variable, it.pointer, it.index)
            };
            if used.contains(&variable) {
                let address = self.load_address(pointer, index, &mut variables, &mut loads);
                addresses.insert(variable, address);
            }
        }
        for block in &mut function.blocks {
            let old = std::mem::take(&mut block.instructions);
            for instruction in old {
                self.instruction(instruction, &addresses, &mut block.instructions)?;
            }
        }
        // A function's variables stand first in its first block.
        let start = &mut function.blocks.first_mut()?.instructions;
        let after = start
            .iter()
            .position(|it| it.class.opcode != Op::Variable)
            .unwrap_or(start.len());
        start.splice(after..after, variables.into_iter().chain(loads));
        Some(())
    }

    /// Loads an address through a variable that says that no other pointer reaches the same bytes, as is taken of a buffer's variable.
    fn load_address(
        &mut self,
        pointer: u32,
        index: u32,
        variables: &mut Vec<Instruction>,
        loads: &mut Vec<Instruction>,
    ) -> u32 {
        let local_type = self.pointer_to(StorageClass::Function, pointer);
        let (local, address) = (self.id(), self.id());
        let loaded = self.load_push(pointer, self.first + index, loads);
        self.decorate(local, Decoration::RestrictPointer);
        variables.push(Instruction::new(
            Op::Variable,
            Some(local_type),
            Some(local),
            vec![Operand::StorageClass(StorageClass::Function)],
        ));
        let operands = vec![Operand::IdRef(local), Operand::IdRef(loaded)];
        loads.push(Instruction::new(Op::Store, None, None, operands));
        loads.push(Instruction::new(
            Op::Load,
            Some(pointer),
            Some(address),
            vec![Operand::IdRef(local)],
        ));
        address
    }

    /// Loads a member of the push constants.
    fn load_push(&mut self, ty: u32, member: u32, out: &mut Vec<Instruction>) -> u32 {
        let pointer = self.pointer_to(StorageClass::PushConstant, ty);
        let number = self.number(member);
        let (chain, value) = (self.id(), self.id());
        out.push(Instruction::new(
            Op::AccessChain,
            Some(pointer),
            Some(chain),
            vec![Operand::IdRef(self.push), Operand::IdRef(number)],
        ));
        out.push(Instruction::new(
            Op::Load,
            Some(ty),
            Some(value),
            vec![Operand::IdRef(chain)],
        ));
        value
    }

    fn instruction(
        &mut self,
        mut it: Instruction,
        addresses: &HashMap<u32, u32>,
        out: &mut Vec<Instruction>,
    ) -> Option<()> {
        if it.class.opcode == Op::ArrayLength {
            return self.array_length(&it, out);
        }
        for operand in &mut it.operands {
            if let Operand::IdRef(id) = operand
                && let Some(address) = addresses.get(id)
            {
                *id = *address;
            }
        }
        out.push(it);
        Some(())
    }

    /// (size - offset of the array) / size of an element.
    fn array_length(&mut self, it: &Instruction, out: &mut Vec<Instruction>) -> Option<()> {
        let [Operand::IdRef(variable), Operand::LiteralBit32(member)] = it.operands[..] else {
            return None;
        };
        let buffer = self.buffers.iter().find(|it| it.variable == variable)?;
        let place = self.sizes.iter().position(|it| *it == buffer.index)? as u32;
        let (offset, stride) = self.types.array_in(buffer.block, member)?;
        let member = self.first + self.kernel.bindings.len() as u32 + place;
        let ty = self.u32_type;
        let mut size = self.load_push(ty, member, out);
        let mut operate = |this: &mut Self, op, id: u32, number: u32, result: u32| {
            let number = this.number(number);
            let operands = vec![Operand::IdRef(id), Operand::IdRef(number)];
            out.push(Instruction::new(op, Some(ty), Some(result), operands));
        };
        if offset > 0 {
            let rest = self.id();
            operate(self, Op::ISub, size, offset, rest);
            size = rest;
        }
        operate(self, Op::UDiv, size, stride, it.result_id?);
        Some(())
    }

    /// A load or a store through an address says how it is aligned.
    fn align_accesses(&mut self) -> Option<()> {
        let mut pointees: HashMap<u32, u32> = HashMap::new();
        pointees.extend(self.buffers.iter().map(|it| (it.variable, it.block)));
        let types = self.types;
        let mut align_max = 1;
        let blocks = self
            .module
            .functions
            .iter_mut()
            .flat_map(|it| &mut it.blocks);
        for instruction in blocks.flat_map(|it| &mut it.instructions) {
            if let (Some(id), Some(ty)) = (instruction.result_id, instruction.result_type)
                && let Some(Kind::Pointer {
                    class: StorageClass::StorageBuffer,
                    pointee,
                }) = types.kind(ty)
            {
                pointees.insert(id, *pointee);
            }
            if !matches!(instruction.class.opcode, Op::Load | Op::Store) {
                continue;
            }
            let pointer = instruction.operands.first().and_then(id_of)?;
            let Some(pointee) = pointees.get(&pointer) else {
                continue;
            };
            let plain = if instruction.class.opcode == Op::Load {
                1
            } else {
                2
            };
            let align = types.layout(*pointee).ok()?.align;
            if instruction.operands.len() != plain || !align.is_power_of_two() {
                return None;
            }
            align_max = align.max(align_max);
            instruction.operands.extend([
                Operand::MemoryAccess(MemoryAccess::ALIGNED),
                Operand::LiteralBit32(align),
            ]);
        }
        self.align = align_max;
        (align_max <= ALIGN_MAX).then_some(())
    }
}

fn id_of(operand: &Operand) -> Option<u32> {
    match operand {
        Operand::IdRef(id) => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Module, SpirvOptions};

    /// The fuzzer found this: addresses lay over push constants that the table knew nothing of. naga leaves none out.
    #[test]
    fn push_constants_that_the_table_leaves_out_are_left_alone() {
        let source = "
            @group(0) @binding(0) var<storage, read_write> x: array<u32>;
            var<immediate> s: array<vec4<u32>, 2>;
            @compute @workgroup_size(1) fn main() { x[0] = s[1].x; }";
        let module = Module::from_wgsl(source).unwrap();
        let mut kernel = module.kernels()[0].clone();
        let words = module.spirv("main", &SpirvOptions::default()).unwrap();
        assert!(super::rewrite(&words, &kernel).unwrap().is_some());
        let scalars = kernel.scalars.take();
        assert_eq!(super::rewrite(&words, &kernel).unwrap(), None);
        // Nor does a block of 4 GiB overflow.
        for bytes in [u32::MAX, u32::MAX - 7] {
            kernel.scalars = scalars.clone().map(|it| crate::Scalars { bytes, ..it });
            assert_eq!(super::rewrite(&words, &kernel).unwrap(), None);
        }
    }

    /// The fuzzer found this: what was added took ids that were taken already. naga's own header is right.
    #[test]
    fn a_header_that_counts_too_few_ids_is_left_alone() {
        let source = "
            @group(0) @binding(0) var<storage, read_write> x: array<u32>;
            @compute @workgroup_size(1) fn main() { x[0] = arrayLength(&x); }";
        let module = Module::from_wgsl(source).unwrap();
        let kernel = &module.kernels()[0];
        let mut words = module.spirv("main", &SpirvOptions::default()).unwrap();
        let bound = words[3];
        assert!(super::rewrite(&words, kernel).unwrap().is_some());
        for wrong in [2, bound - 1, u32::MAX] {
            words[3] = wrong;
            assert_eq!(super::rewrite(&words, kernel).unwrap(), None, "{wrong}");
        }
    }
}
