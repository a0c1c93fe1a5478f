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

impl Layout {
    const fn new(bytes: u64, align: u32) -> Self {
        Self {
            bytes,
            align,
            runtime_stride: None,
        }
    }
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

    /// Where member `index` of a structure begins, and the bytes from one of its elements to the next, if it is a runtime array.
    pub(super) fn array_in(&self, structure: u32, index: u32) -> Option<(u32, u32)> {
        let Some(Kind::Struct { members }) = self.kinds.get(&structure) else {
            return None;
        };
        let member = members.get(index as usize)?;
        let offset = u32::try_from(member.offset).ok()?;
        Some((offset, self.layouts.get(&member.ty)?.runtime_stride?))
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

    /// Keeps what can be an array's length or a workgroup's size: an integer that is not negative.
    fn declare_constant(&mut self, id: u32, instruction: &Instruction) {
        use ScalarKind::{I8, I16, I32, I64, U8, U16, U32, U64};

        let kind = match instruction.result_type.and_then(|ty| self.kinds.get(&ty)) {
            Some(Kind::Number(kind)) => *kind,
            _ => return,
        };
        let value = match (kind, instruction.operands.first()) {
            (U8 | U16 | U32, Some(Operand::LiteralBit32(value))) => Some(u64::from(*value)),
            (U64, Some(Operand::LiteralBit64(value))) => Some(*value),
            // Narrow numbers are sign-extended (section 2.2.1).
            (I8 | I16 | I32, Some(Operand::LiteralBit32(value))) => {
                u64::try_from(value.cast_signed()).ok()
            }
            (I64, Some(Operand::LiteralBit64(value))) => u64::try_from(value.cast_signed()).ok(),
            _ => None,
        };
        self.constants.extend(value.map(|value| (id, value)));
    }

    fn declare(&self, id: u32, instruction: &Instruction) -> (Kind, Option<Layout>) {
        match (instruction.class.opcode, instruction.operands.as_slice()) {
            (Op::TypeInt, [Operand::LiteralBit32(bits), Operand::LiteralBit32(signed)]) => {
                number(ScalarKind::integer(bits / 8, *signed == 1))
            }
            // A second operand names an encoding that is not IEEE's, such as bfloat16.
            (Op::TypeFloat, [Operand::LiteralBit32(bits)]) => number(ScalarKind::float(bits / 8)),
            // A boolean has no size that a host could see. In workgroup memory it takes four bytes.
            (Op::TypeBool, _) => (Kind::Other, Some(Layout::new(4, 4))),
            (Op::TypeVector, [Operand::IdRef(element), Operand::LiteralBit32(lanes)]) => {
                self.declare_vector(*element, *lanes)
            }
            (Op::TypeMatrix, [Operand::IdRef(column), Operand::LiteralBit32(columns)]) => {
                self.declare_matrix(*column, u64::from(*columns))
            }
            (Op::TypeArray, [Operand::IdRef(element), Operand::IdRef(length)]) => {
                (Kind::Array, self.array(id, *element, *length))
            }
            (Op::TypeRuntimeArray, [Operand::IdRef(element)]) => {
                (Kind::Array, self.runtime_array(id, *element))
            }
            (Op::TypeStruct, members) => self.declare_struct(id, members),
            (Op::TypePointer, [Operand::StorageClass(class), Operand::IdRef(pointee)]) => {
                let (class, pointee) = (*class, *pointee);
                let physical = class == StorageClass::PhysicalStorageBuffer;
                (
                    Kind::Pointer { class, pointee },
                    physical.then(|| Layout::new(8, 8)),
                )
            }
            _ => (Kind::Other, None),
        }
    }

    fn declare_vector(&self, element: u32, lanes: u32) -> (Kind, Option<Layout>) {
        let Some(&Kind::Number(element)) = self.kinds.get(&element) else {
            return (Kind::Other, None);
        };
        let align = element.bytes() * if lanes == 2 { 2 } else { 4 };
        let bytes = u64::from(element.bytes()) * u64::from(lanes);
        (
            Kind::Vector { element, lanes },
            Some(Layout::new(bytes, align)),
        )
    }

    fn declare_matrix(&self, column: u32, columns: u64) -> (Kind, Option<Layout>) {
        let Some(&Kind::Vector { lanes, .. }) = self.kinds.get(&column) else {
            return (Kind::Other, None);
        };
        let layout = self.layouts.get(&column).and_then(|column| {
            let stride = column.bytes.checked_next_multiple_of(column.align.into())?;
            Some(Layout::new(stride.checked_mul(columns)?, column.align))
        });
        (
            Kind::Matrix {
                rows: lanes.into(),
                columns,
            },
            layout,
        )
    }

    fn array(&self, id: u32, element: u32, length: u32) -> Option<Layout> {
        let element = self.layouts.get(&element)?;
        let bytes = self
            .stride(id, element)?
            .checked_mul(self.constant(length)?)?;
        Some(Layout::new(bytes, element.align))
    }

    fn runtime_array(&self, id: u32, element: u32) -> Option<Layout> {
        let element = self.layouts.get(&element)?;
        let bytes = self.stride(id, element)?;
        let runtime_stride = Some(u32::try_from(bytes).ok()?);
        Some(Layout {
            runtime_stride,
            ..Layout::new(bytes, element.align)
        })
    }

    fn declare_struct(&self, id: u32, operands: &[Operand]) -> (Kind, Option<Layout>) {
        let mut layout = Some(Layout::new(0, 1));
        let mut members = Vec::with_capacity(operands.len());
        let mut is_explicit = false;
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
                is_explicit |= explicit.is_some();
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
        let layout = layout.and_then(|whole| {
            let bytes = if is_explicit {
                whole.bytes
            } else {
                // As WGSL does, <https://www.w3.org/TR/WGSL/#structure-member-layout>.
                whole.bytes.checked_next_multiple_of(whole.align.into())?
            };
            Some(Layout { bytes, ..whole })
        });
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

    /// `None` where elements would overlap, which the specification forbids.
    fn stride(&self, array: u32, element: &Layout) -> Option<u64> {
        let stride = match self.number(array, Decoration::ArrayStride) {
            Some(stride) => u64::from(stride),
            None => element
                .bytes
                .checked_next_multiple_of(element.align.into())?,
        };
        (stride >= element.bytes.max(1)).then_some(stride)
    }
}

fn number(kind: Option<ScalarKind>) -> (Kind, Option<Layout>) {
    match kind {
        Some(kind) => {
            let layout = Layout::new(kind.bytes().into(), kind.bytes());
            (Kind::Number(kind), Some(layout))
        }
        None => (Kind::Other, None),
    }
}
