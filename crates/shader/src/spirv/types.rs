//! The types, layouts, constants and decorations of a SPIR-V module.

use std::collections::HashMap;

use rspirv::dr::{self, Instruction, Operand};
use rspirv::spirv::{Decoration, Op, StorageClass};

use crate::{Scalar, ScalarKind, ShaderError};

/// What a type is made of, by id.
pub(super) enum Kind {
    Number(ScalarKind),
    Vector { element: ScalarKind, lanes: u32 },
    Matrix { rows: u64, columns: u64 },
    Array,
    Struct { members: Vec<Member> },
    Pointer { class: StorageClass, pointee: u32 },
    Other,
}

pub(super) struct Member {
    ty: u32,
    offset: u64,
    name: String,
}

/// How a type lies in memory.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// With one element where there is a runtime array.
    pub(super) bytes: u64,
    pub(super) align: u32,
    pub(super) runtime_stride: Option<u32>,
}

#[derive(Default)]
pub(super) struct Types {
    kinds: HashMap<u32, Kind>,
    /// Absent for what has no size, such as a boolean, an image, or anything that holds one.
    layouts: HashMap<u32, Layout>,
    constants: HashMap<u32, u64>,
    decorations: HashMap<(u32, Decoration), Option<u32>>,
    member_decorations: HashMap<(u32, u32, Decoration), Option<u32>>,
    member_names: HashMap<(u32, u32), String>,
}

impl Types {
    /// Each type is laid out when it is declared. A type may only name types declared before it, save through a
    /// pointer (section 2.4), so this needs no recursion and a type that holds itself has no layout.
    pub(super) fn new(module: &dr::Module) -> Result<Self, ShaderError> {
        let mut types = Self::default();
        for instruction in &module.annotations {
            types.annotate(instruction);
        }
        for instruction in &module.debug_names {
            if let [
                Operand::IdRef(ty),
                Operand::LiteralBit32(index),
                Operand::LiteralString(name),
            ] = instruction.operands.as_slice()
            {
                types.member_names.insert((*ty, *index), name.clone());
            }
        }
        for instruction in &module.types_global_values {
            let Some(id) = instruction.result_id else {
                continue;
            };
            if types.kinds.contains_key(&id) || types.constants.contains_key(&id) {
                return Err(ShaderError::spirv(format!("the id {id} is defined twice")));
            }
            match instruction.class.opcode {
                Op::Constant | Op::SpecConstant => types.declare_constant(id, instruction),
                opcode if opcode.is_type() => {
                    let (kind, layout) = types.declare(id, instruction);
                    types.layouts.extend(layout.map(|layout| (id, layout)));
                    types.kinds.insert(id, kind);
                }
                _ => {}
            }
        }
        Ok(types)
    }

    pub(super) fn kind(&self, ty: u32) -> Option<&Kind> {
        self.kinds.get(&ty)
    }

    pub(super) fn layout(&self, ty: u32) -> Result<Layout, ShaderError> {
        self.layouts.get(&ty).copied().ok_or_else(|| {
            ShaderError::spirv("the size of a buffer or of workgroup memory cannot be told")
        })
    }

    /// The value of an integer constant. For one that can be specialized, its default.
    pub(super) fn constant(&self, id: u32) -> Option<u64> {
        self.constants.get(&id).copied()
    }

    pub(super) fn decorated(&self, id: u32, decoration: Decoration) -> bool {
        self.decorations.contains_key(&(id, decoration))
    }

    pub(super) fn member_decorated(&self, ty: u32, index: usize, decoration: Decoration) -> bool {
        u32::try_from(index).is_ok_and(|index| {
            self.member_decorations
                .contains_key(&(ty, index, decoration))
        })
    }

    /// The number given with a decoration.
    pub(super) fn number(&self, id: u32, decoration: Decoration) -> Option<u32> {
        self.decorations.get(&(id, decoration)).copied().flatten()
    }

    /// The numbers and vectors of a block in order of their offset, or `None` if it holds anything else.
    ///
    /// Walks a list instead of recursing: nothing bounds how deep structures nest. The number of members is bounded,
    /// for structures that hold others twice grow exponentially.
    pub(super) fn flatten(&self, ty: u32) -> Option<Vec<Scalar>> {
        const MEMBERS_MAX: usize = 4096;
        let mut scalars = Vec::new();
        let mut pending = vec![(ty, 0_u64, String::new())];
        let mut seen = 0;
        while let Some((ty, offset, name)) = pending.pop() {
            seen += 1;
            if seen > MEMBERS_MAX {
                return None;
            }
            let kind = match self.kinds.get(&ty)? {
                Kind::Number(kind) | Kind::Vector { element: kind, .. } => *kind,
                Kind::Struct { members } => {
                    for member in members {
                        let name = if name.is_empty() {
                            member.name.clone()
                        } else {
                            format!("{name}.{}", member.name)
                        };
                        pending.push((member.ty, offset.checked_add(member.offset)?, name));
                    }
                    continue;
                }
                Kind::Matrix { .. } | Kind::Array | Kind::Pointer { .. } | Kind::Other => {
                    return None;
                }
            };
            let bytes = u32::try_from(self.layouts.get(&ty)?.bytes).ok()?;
            scalars.push(Scalar {
                name,
                offset: u32::try_from(offset).ok()?,
                bytes,
                kind,
            });
        }
        scalars.sort_by_key(|scalar| scalar.offset);
        Some(scalars)
    }

    fn annotate(&mut self, instruction: &Instruction) {
        let literal = |operand: Option<&Operand>| match operand {
            Some(Operand::LiteralBit32(number)) => Some(*number),
            Some(Operand::BuiltIn(built_in)) => Some(*built_in as u32),
            _ => None,
        };
        match (instruction.class.opcode, instruction.operands.as_slice()) {
            (
                Op::Decorate,
                [
                    Operand::IdRef(id),
                    Operand::Decoration(decoration),
                    rest @ ..,
                ],
            ) => {
                self.decorations
                    .insert((*id, *decoration), literal(rest.first()));
            }
            (
                Op::MemberDecorate,
                [
                    Operand::IdRef(id),
                    Operand::LiteralBit32(index),
                    Operand::Decoration(decoration),
                    rest @ ..,
                ],
            ) => {
                self.member_decorations
                    .insert((*id, *index, *decoration), literal(rest.first()));
            }
            _ => {}
        }
    }

    fn declare_constant(&mut self, id: u32, instruction: &Instruction) {
        let signed_or_float = !matches!(
            instruction.result_type.and_then(|ty| self.kinds.get(&ty)),
            Some(Kind::Number(
                ScalarKind::U8 | ScalarKind::U16 | ScalarKind::U32 | ScalarKind::U64
            ))
        );
        let value = match instruction.operands.first() {
            Some(Operand::LiteralBit32(value)) => u64::from(*value),
            Some(Operand::LiteralBit64(value)) => *value,
            _ => return,
        };
        // A length may be a signed constant. A negative one is no length, and neither is a float.
        let negative_at = if matches!(instruction.operands.first(), Some(Operand::LiteralBit64(_)))
        {
            63
        } else {
            31
        };
        if !(signed_or_float && value >> negative_at != 0) {
            self.constants.insert(id, value);
        }
    }

    fn declare(&self, id: u32, instruction: &Instruction) -> (Kind, Option<Layout>) {
        let plain = |bytes: u64, align| {
            Some(Layout {
                bytes,
                align,
                runtime_stride: None,
            })
        };
        match (instruction.class.opcode, instruction.operands.as_slice()) {
            (Op::TypeInt, [Operand::LiteralBit32(bits), Operand::LiteralBit32(signed)]) => {
                number(ScalarKind::integer(bits / 8, *signed == 1))
            }
            // A second operand names an encoding that is not IEEE's, such as bfloat16.
            (Op::TypeFloat, [Operand::LiteralBit32(bits)]) => number(ScalarKind::float(bits / 8)),
            (Op::TypeVector, [Operand::IdRef(element), Operand::LiteralBit32(lanes)]) => {
                let Some(&Kind::Number(element)) = self.kinds.get(element) else {
                    return (Kind::Other, None);
                };
                let align = element.bytes() * if *lanes == 2 { 2 } else { 4 };
                let bytes = u64::from(element.bytes()) * u64::from(*lanes);
                (
                    Kind::Vector {
                        element,
                        lanes: *lanes,
                    },
                    plain(bytes, align),
                )
            }
            (Op::TypeMatrix, [Operand::IdRef(column), Operand::LiteralBit32(columns)]) => {
                let Some(Kind::Vector { lanes, .. }) = self.kinds.get(column) else {
                    return (Kind::Other, None);
                };
                let columns = u64::from(*columns);
                let layout = self.layouts.get(column).and_then(|column| {
                    let stride = column.bytes.checked_next_multiple_of(column.align.into())?;
                    plain(stride.checked_mul(columns)?, column.align)
                });
                (
                    Kind::Matrix {
                        rows: (*lanes).into(),
                        columns,
                    },
                    layout,
                )
            }
            (Op::TypeArray, [Operand::IdRef(element), Operand::IdRef(length)]) => {
                let layout = self.layouts.get(element).and_then(|element| {
                    let bytes = self
                        .stride(id, element)?
                        .checked_mul(self.constant(*length)?)?;
                    plain(bytes, element.align)
                });
                (Kind::Array, layout)
            }
            (Op::TypeRuntimeArray, [Operand::IdRef(element)]) => {
                let layout = self.layouts.get(element).and_then(|element| {
                    let bytes = self.stride(id, element)?;
                    let runtime_stride = Some(u32::try_from(bytes).ok()?);
                    Some(Layout {
                        bytes,
                        align: element.align,
                        runtime_stride,
                    })
                });
                (Kind::Array, layout)
            }
            (Op::TypeStruct, members) => self.declare_struct(id, members),
            (Op::TypePointer, [Operand::StorageClass(class), Operand::IdRef(pointee)]) => {
                let physical = *class == StorageClass::PhysicalStorageBuffer;
                let layout = if physical { plain(8, 8) } else { None };
                (
                    Kind::Pointer {
                        class: *class,
                        pointee: *pointee,
                    },
                    layout,
                )
            }
            // A boolean has no size that a program could see. It may lie in workgroup memory, where it takes four bytes.
            (Op::TypeBool, _) => (Kind::Other, plain(4, 4)),
            _ => (Kind::Other, None),
        }
    }

    fn declare_struct(&self, id: u32, operands: &[Operand]) -> (Kind, Option<Layout>) {
        let mut layout = Some(Layout {
            bytes: 0,
            align: 1,
            runtime_stride: None,
        });
        let mut members = Vec::with_capacity(operands.len());
        for (index, operand) in (0..).zip(operands) {
            let Operand::IdRef(ty) = operand else {
                return (Kind::Other, None);
            };
            let name = self
                .member_names
                .get(&(id, index))
                .cloned()
                .unwrap_or_default();
            let mut offset = 0;
            layout = layout.and_then(|mut whole| {
                let own = self.layouts.get(ty)?;
                let explicit = self
                    .member_decorations
                    .get(&(id, index, Decoration::Offset));
                offset = match explicit {
                    Some(offset) => u64::from((*offset)?),
                    // Workgroup memory need not be laid out; a driver then packs it much like this.
                    None => whole.bytes.checked_next_multiple_of(own.align.into())?,
                };
                let end = offset.checked_add(self.member_bytes((id, index), *ty, own)?)?;
                whole.bytes = whole.bytes.max(end);
                whole.align = whole.align.max(own.align);
                whole.runtime_stride = whole.runtime_stride.or(own.runtime_stride);
                Some(whole)
            });
            members.push(Member {
                ty: *ty,
                offset,
                name,
            });
        }
        (Kind::Struct { members }, layout)
    }

    /// A matrix takes its stride from the structure it is a member of (section 3.20, `MatrixStride`).
    fn member_bytes(&self, (id, index): (u32, u32), ty: u32, own: &Layout) -> Option<u64> {
        let stride = self
            .member_decorations
            .get(&(id, index, Decoration::MatrixStride));
        let (Some(&stride), Some(&Kind::Matrix { rows, columns })) = (stride, self.kinds.get(&ty))
        else {
            return Some(own.bytes);
        };
        let by_rows = self
            .member_decorations
            .contains_key(&(id, index, Decoration::RowMajor));
        u64::from(stride?).checked_mul(if by_rows { rows } else { columns })
    }

    fn stride(&self, array: u32, element: &Layout) -> Option<u64> {
        match self.number(array, Decoration::ArrayStride) {
            Some(stride) => Some(u64::from(stride)),
            None => element
                .bytes
                .checked_next_multiple_of(u64::from(element.align)),
        }
    }
}

fn number(kind: Option<ScalarKind>) -> (Kind, Option<Layout>) {
    match kind {
        Some(kind) => {
            let layout = Layout {
                bytes: u64::from(kind.bytes()),
                align: kind.bytes(),
                runtime_stride: None,
            };
            (Kind::Number(kind), Some(layout))
        }
        None => (Kind::Other, None),
    }
}
