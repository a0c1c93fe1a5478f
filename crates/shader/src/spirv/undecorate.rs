//! Takes explicit layouts off the types of variables that may have none.
//!
//! Only what a host can see is laid out: types in other storage classes may have neither a stride nor offsets (Vulkan, "Shader Interfaces", VUID-StandaloneSpirv-None-10684). naga 30
//! gives them to every type, after which Qualcomm's compiler refuses kernels with workgroup memory, and NVIDIA's was seen to crash on a function's own arrays
//! (<https://github.com/gfx-rs/wgpu/issues/7696>). A type that stands in a buffer too becomes two: all values take the one without a layout, and what is
//! loaded from a buffer or stored to it is taken apart and put together.

use std::collections::{HashMap, HashSet};

use rspirv::binary::Assemble as _;
use rspirv::dr::{self, Instruction, Operand};
use rspirv::spirv::{Decoration, Op, StorageClass};

use super::types::Types;
use crate::ShaderError;

/// Instructions that are added at most. A kernel that copies larger arrays keeps its layouts.
const ADDED_MAX: usize = 1 << 14;

/// The same module without them. Word for word what it was if it has none, or if it has another form than is understood here.
pub(crate) fn undecorate(words: Vec<u32>) -> Result<Vec<u32>, ShaderError> {
    if !is_concerned(&words) {
        return Ok(words);
    }
    let module = super::load(&words)?;
    let types = Types::new(&module)?;
    let changed = Undecorate::new(module, &types).and_then(Undecorate::run);
    Ok(changed.unwrap_or(words))
}

/// Whether a pointer of another storage class leads to an array or a structure.
fn is_concerned(words: &[u32]) -> bool {
    let mut composites: HashSet<u32> = HashSet::new();
    super::instructions(words).any(|it| {
        let op = super::opcode(it[0]);
        if op == Op::TypeArray as u32 || op == Op::TypeStruct as u32 {
            composites.extend(it.get(1));
        }
        let [_, _, class, pointee] = it else {
            return false;
        };
        let explicit = StorageClass::from_u32(*class).is_none_or(is_explicit);
        op == Op::TypePointer as u32 && !explicit && composites.contains(pointee)
    })
}

/// The storage classes whose variables are laid out.
fn is_explicit(class: StorageClass) -> bool {
    matches!(
        class,
        StorageClass::StorageBuffer
            | StorageClass::Uniform
            | StorageClass::PushConstant
            | StorageClass::PhysicalStorageBuffer
    )
}

/// Those of a type and of its members, as they lie.
fn is_layout(decoration: Decoration) -> bool {
    matches!(
        decoration,
        Decoration::ArrayStride
            | Decoration::Offset
            | Decoration::MatrixStride
            | Decoration::ColMajor
            | Decoration::RowMajor
    )
}

struct Undecorate<'a> {
    module: dr::Module,
    types: &'a Types,
    /// What each array, runtime array and structure is made of.
    parts: HashMap<u32, Vec<u32>>,
    /// The length of each array.
    lengths: HashMap<u32, u64>,
    /// The type without a layout of each that is in a buffer too, or holds one.
    twins: HashMap<u32, u32>,
    /// The type of each value.
    values: HashMap<u32, u32>,
    /// Class and pointee of each pointer's type.
    pointers: HashMap<u32, (StorageClass, u32)>,
    next: u32,
    added: usize,
}

impl<'a> Undecorate<'a> {
    fn new(module: dr::Module, types: &'a Types) -> Option<Self> {
        let next = module.header.as_ref()?.bound;
        let mut it = Self {
            module,
            types,
            parts: HashMap::new(),
            lengths: HashMap::new(),
            twins: HashMap::new(),
            values: HashMap::new(),
            pointers: HashMap::new(),
            next,
            added: 0,
        };
        it.read()?;
        Some(it)
    }

    fn run(mut self) -> Option<Vec<u32>> {
        let explicit = self.reached(is_explicit);
        let bare = self.reached(|class| !is_explicit(class));
        // In the order of declaration: what a type is made of comes before it.
        for at in 0..self.module.types_global_values.len() {
            let Some(id) = self.module.types_global_values[at].result_id else {
                continue;
            };
            let holds_twin = |parts: &Vec<u32>| parts.iter().any(|it| self.twins.contains_key(it));
            // A block is never loaded as a whole.
            let is_value = self.is_sized(id) && !self.types.decorated(id, Decoration::Block);
            let is_twin = explicit.contains(&id)
                && is_value
                && (bare.contains(&id) || self.parts.get(&id).is_some_and(holds_twin));
            if is_twin {
                let twin = self.id();
                self.twins.insert(id, twin);
            }
        }
        self.module.annotations.retain(|it| {
            !matches!(
                it.operands[..],
                [Operand::IdRef(id), Operand::Decoration(which), ..]
                | [Operand::IdRef(id), _, Operand::Decoration(which), ..]
                    if is_layout(which) && bare.contains(&id) && !explicit.contains(&id)
            )
        });
        if !self.twins.is_empty() {
            self.declare(&explicit);
            let mut functions = std::mem::take(&mut self.module.functions);
            for function in &mut functions {
                self.function(function)?;
            }
            self.module.functions = functions;
        }
        self.module.header.as_mut()?.bound = self.next;
        Some(self.module.assemble())
    }

    fn read(&mut self) -> Option<()> {
        for it in &self.module.types_global_values {
            let (id, ids) = (it.result_id?, it.operands.iter().filter_map(id_of));
            match (it.class.opcode, &it.operands[..]) {
                (Op::TypeArray, [Operand::IdRef(element), Operand::IdRef(length)]) => {
                    self.lengths.insert(id, self.types.constant(*length)?);
                    self.parts.insert(id, vec![*element]);
                }
                (Op::TypeRuntimeArray | Op::TypeStruct, _) => {
                    self.parts.insert(id, ids.collect());
                }
                (Op::TypePointer, [Operand::StorageClass(class), Operand::IdRef(pointee)]) => {
                    self.pointers.insert(id, (*class, *pointee));
                }
                _ => {}
            }
        }
        for it in self.module.all_inst_iter() {
            // What copies from memory to memory has no value that could be taken apart.
            if matches!(it.class.opcode, Op::CopyMemory | Op::CopyMemorySized) {
                return None;
            }
            if let (Some(id), Some(ty)) = (it.result_id, it.result_type) {
                self.values.insert(id, ty);
            }
        }
        Some(())
    }

    /// Every array and structure that pointers of some classes lead to.
    fn reached(&self, class: impl Fn(StorageClass) -> bool) -> HashSet<u32> {
        let pointers = self.pointers.values();
        let pointees = pointers.filter(|it| class(it.0)).map(|it| it.1);
        let mut pending: Vec<u32> = pointees.collect();
        let mut reached = HashSet::new();
        while let Some(id) = pending.pop() {
            if let Some(parts) = self.parts.get(&id)
                && reached.insert(id)
            {
                pending.extend(parts);
            }
        }
        reached
    }

    /// Whether there can be a value of this type.
    fn is_sized(&self, ty: u32) -> bool {
        self.types
            .layout(ty)
            .is_ok_and(|it| it.runtime_stride.is_none())
    }

    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn twin(&self, ty: u32) -> u32 {
        self.twins.get(&ty).copied().unwrap_or(ty)
    }

    /// Declares each twin after its type, and has all but what is laid out made of twins.
    fn declare(&mut self, explicit: &HashSet<u32>) {
        let old = std::mem::take(&mut self.module.types_global_values);
        for mut it in old {
            let laid_out = match it.class.opcode {
                Op::TypePointer => {
                    matches!(it.operands[..], [Operand::StorageClass(class), _] if is_explicit(class))
                }
                Op::TypeArray | Op::TypeRuntimeArray | Op::TypeStruct => {
                    it.result_id.is_some_and(|id| explicit.contains(&id))
                }
                _ => false,
            };
            let twin = it.result_id.and_then(|id| self.twins.get(&id).copied());
            let mut bare = it.clone();
            self.retype(&mut bare);
            if laid_out || twin.is_some() {
                self.module.types_global_values.push(it);
                if let Some(twin) = twin {
                    bare.result_id = Some(twin);
                    self.module.types_global_values.push(bare);
                }
            } else {
                it = bare;
                self.module.types_global_values.push(it);
            }
        }
    }

    /// Names twins in place of the types that have one.
    fn retype(&self, it: &mut Instruction) {
        it.result_type = it.result_type.map(|ty| self.twin(ty));
        if it.class.opcode.is_type() {
            for operand in &mut it.operands {
                if let Operand::IdRef(id) = operand {
                    *id = self.twin(*id);
                }
            }
        }
    }

    fn function(&mut self, function: &mut dr::Function) -> Option<()> {
        for it in function.def.iter_mut().chain(&mut function.parameters) {
            self.retype(it);
        }
        // A function's own type is an operand, and the same as before.
        for block in &mut function.blocks {
            let old = std::mem::take(&mut block.instructions);
            for it in old {
                self.instruction(it, &mut block.instructions)?;
            }
        }
        Some(())
    }

    fn instruction(&mut self, mut it: Instruction, out: &mut Vec<Instruction>) -> Option<()> {
        // The type with a layout that is loaded or stored, if it has a twin.
        let pointer = it.operands.first().and_then(id_of);
        let pointee = pointer
            .and_then(|id| self.pointers.get(self.values.get(&id)?))
            .filter(|(class, pointee)| is_explicit(*class) && self.twins.contains_key(pointee))
            .map(|it| it.1);
        match (it.class.opcode, pointee) {
            (Op::Load, Some(ty)) => {
                let result = it.result_id?;
                let loaded = self.id();
                it.result_id = Some(loaded);
                out.push(it);
                self.convert(loaded, ty, true, Some(result), out)?;
            }
            (Op::Store, Some(ty)) => {
                let value = it.operands.get(1).and_then(id_of)?;
                let value = self.convert(value, ty, false, None, out)?;
                it.operands[1] = Operand::IdRef(value);
                out.push(it);
            }
            _ => {
                self.retype(&mut it);
                out.push(it);
            }
        }
        Some(())
    }

    /// Takes a value apart and puts it together as a twin, or from the twin. Gives the new value.
    fn convert(
        &mut self,
        value: u32,
        ty: u32,
        to_twin: bool,
        result: Option<u32>,
        out: &mut Vec<Instruction>,
    ) -> Option<u32> {
        let parts = self.parts.get(&ty)?.clone();
        let count = self.lengths.get(&ty).copied().unwrap_or(parts.len() as u64);
        self.added += 1;
        let mut made = Vec::new();
        for index in 0..u32::try_from(count).ok()? {
            self.added += 1;
            if self.added > ADDED_MAX {
                return None;
            }
            let part = *parts.get(index as usize).or_else(|| parts.first())?;
            let (from, id) = (if to_twin { part } else { self.twin(part) }, self.id());
            let operands = vec![Operand::IdRef(value), Operand::LiteralBit32(index)];
            out.push(Instruction::new(
                Op::CompositeExtract,
                Some(from),
                Some(id),
                operands,
            ));
            let id = if self.twins.contains_key(&part) {
                self.convert(id, part, to_twin, None, out)?
            } else {
                id
            };
            made.push(Operand::IdRef(id));
        }
        let to = if to_twin { self.twin(ty) } else { ty };
        let id = result.unwrap_or_else(|| self.id());
        out.push(Instruction::new(
            Op::CompositeConstruct,
            Some(to),
            Some(id),
            made,
        ));
        Some(id)
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
    use super::*;
    use crate::{Module, SpirvOptions};

    /// The types with a layout that pointers lead to which may lead to none.
    fn wrong(words: &[u32]) -> Vec<u32> {
        let module = super::super::load(words).unwrap();
        let types = Types::new(&module).unwrap();
        let it = Undecorate::new(module, &types).unwrap();
        let reached = it.reached(|class| !is_explicit(class));
        let decorated = it.module.annotations.iter().filter(|it| {
            let which = it.operands.iter().find_map(|it| match it {
                Operand::Decoration(which) => Some(*which),
                _ => None,
            });
            which.is_some_and(is_layout)
        });
        let decorated = decorated.filter_map(|it| id_of(it.operands.first()?));
        decorated.filter(|it| reached.contains(it)).collect()
    }

    fn emitted(source: &str) -> Vec<u32> {
        let module = Module::from_wgsl(source).unwrap();
        module.spirv("main", &SpirvOptions::default()).unwrap()
    }

    #[test]
    fn only_what_is_in_buffers_has_a_layout() {
        let kernel = |body: &str| {
            format!(
                "struct Pair {{ a: vec3<f32>, b: array<u32, 3> }}
                @group(0) @binding(0) var<storage, read_write> x: array<Pair>;
                @group(0) @binding(1) var<storage, read_write> n: array<u32, 64>;
                var<workgroup> part: array<u32, 64>;
                var<workgroup> pairs: array<array<Pair, 4>, 2>;
                var<private> own: Pair;
                fn turned(it: Pair) -> Pair {{ var next = it; next.b[1] = 7u; return next; }}
                @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) {{ {body} }}"
            )
        };
        for body in [
            "n[i] = 1u;",
            "part[i] = n[i]; workgroupBarrier(); n[i] = part[3u - i];",
            "part = n; workgroupBarrier(); n = part;",
            "var p = x[i]; p.b[0] = i; x[i] = p;",
            "own = turned(x[i]); pairs[1][i] = own; workgroupBarrier(); x[i] = pairs[1][3u - i];",
            "let p = x[i]; x[0] = turned(p); x[1].b = p.b;",
        ] {
            assert_eq!(wrong(&emitted(&kernel(body))), [], "{body}");
        }
    }

    /// Thousands of instructions for one copy would take a driver longer than the mistake is worth.
    #[test]
    fn a_copy_of_a_large_array_keeps_its_layout() {
        let kernel = |length: u32| {
            emitted(&format!(
                "@group(0) @binding(0) var<storage, read_write> x: array<u32, {length}>;
                @compute @workgroup_size(1) fn main() {{ var y = x; y[x[0]] = 1u; x = y; }}"
            ))
        };
        assert_eq!(wrong(&kernel(4000)), []);
        assert_eq!(wrong(&kernel(40_000)).len(), 1);
    }
}
