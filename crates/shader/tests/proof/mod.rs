//! Proves of a kernel's SPIR-V that no access leaves its memory, whatever wrote it: each index is a constant in range, or the lesser of something and the last index. For a runtime array
//! the last index comes from the length of that very array; where buffers are found by address, from the size that is pushed for that very buffer.
//!
//! Any other form is an error: what is not understood is not proven. Shared with the fuzzer.

use std::collections::HashMap;

use rspirv::dr::{self, Instruction, Operand};
use rspirv::spirv::{Decoration, GlslStd450Op, Op, StorageClass};
use tidegate_shader::Addressed;

/// Why the words are not proven.
type Unproven = String;

/// Proves a kernel that binds descriptors, or one that finds its buffers by address.
///
/// # Errors
/// The first instruction that is not understood, in words.
pub(crate) fn check(words: &[u32], addressed: Option<&Addressed>) -> Result<(), Unproven> {
    let module = dr::load_words(words).map_err(|it| it.to_string())?;
    let proof = Proof::new(&module, addressed);
    for function in &module.functions {
        for instruction in function.blocks.iter().flat_map(|it| &it.instructions) {
            proof
                .instruction(instruction)
                .map_err(|it| format!("{it}: {instruction:?}"))?;
        }
    }
    Ok(())
}

/// The array whose length is meant: what it is reached from, and its member there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    root: Root,
    member: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Variable(u32),
    /// The kernel's binding of this number, by its address.
    Binding(u32),
}

struct Proof<'a> {
    /// Every instruction that has a result, by its id.
    made: HashMap<u32, &'a Instruction>,
    /// What is stored into each variable of a function, if it is stored into once.
    stored: HashMap<u32, Option<u32>>,
    numbers: HashMap<(u32, Decoration), u32>,
    offsets: HashMap<(u32, u32), u32>,
    addressed: Option<&'a Addressed>,
}

impl<'a> Proof<'a> {
    fn new(module: &'a dr::Module, addressed: Option<&'a Addressed>) -> Self {
        let mut proof = Self {
            made: HashMap::new(),
            stored: HashMap::new(),
            numbers: HashMap::new(),
            offsets: HashMap::new(),
            addressed,
        };
        for it in module.all_inst_iter() {
            proof.made.extend(it.result_id.map(|id| (id, it)));
            match (it.class.opcode, it.operands.as_slice()) {
                (Op::Store, [Operand::IdRef(to), Operand::IdRef(what), ..]) => {
                    let entry = proof.stored.entry(*to).or_insert(Some(*what));
                    if *entry != Some(*what) {
                        *entry = None;
                    }
                }
                (
                    Op::Decorate,
                    [
                        Operand::IdRef(id),
                        Operand::Decoration(it),
                        Operand::LiteralBit32(number),
                    ],
                ) => {
                    proof.numbers.insert((*id, *it), *number);
                }
                (
                    Op::MemberDecorate,
                    [
                        Operand::IdRef(id),
                        Operand::LiteralBit32(member),
                        Operand::Decoration(Decoration::Offset),
                        Operand::LiteralBit32(offset),
                    ],
                ) => {
                    proof.offsets.insert((*id, *member), *offset);
                }
                _ => {}
            }
        }
        proof
    }

    fn instruction(&self, it: &Instruction) -> Result<(), Unproven> {
        match (it.class.opcode, it.operands.as_slice()) {
            (Op::AccessChain | Op::InBoundsAccessChain, [base, indices @ ..]) => {
                self.chain(id(base)?, indices)
            }
            (Op::VectorExtractDynamic, [vector, index])
            | (Op::VectorInsertDynamic, [vector, _, index]) => {
                let ty = self.type_of(id(vector)?)?;
                self.step(None, ty, index).map(drop)
            }
            (
                Op::PtrAccessChain
                | Op::InBoundsPtrAccessChain
                | Op::CopyMemory
                | Op::CopyMemorySized
                | Op::CooperativeMatrixLoadKHR
                | Op::CooperativeMatrixStoreKHR
                | Op::ConvertUToPtr
                | Op::ImageTexelPointer
                | Op::ImageRead
                | Op::ImageWrite,
                _,
            ) => Err("is not understood".to_owned()),
            (Op::Bitcast | Op::Select | Op::Phi | Op::CopyObject, _) => {
                let ty = self.get(it.result_type.ok_or("has no type")?)?;
                match ty.class.opcode {
                    Op::TypePointer => Err("makes a pointer".to_owned()),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn chain(&self, base: u32, indices: &[Operand]) -> Result<(), Unproven> {
        let pointer = self.get(self.type_of(base)?)?;
        let [Operand::StorageClass(_), Operand::IdRef(pointee)] = pointer.operands[..] else {
            return Err("its base is no pointer".to_owned());
        };
        let mut ty = pointee;
        let mut place = self.place(base)?;
        for index in indices {
            (ty, place) = self.step(place, ty, index)?;
        }
        Ok(())
    }

    /// One index into a type: what it gives, and where that is if it can be a runtime array.
    fn step(
        &self,
        place: Option<Place>,
        ty: u32,
        index: &Operand,
    ) -> Result<(u32, Option<Place>), Unproven> {
        let index = id(index)?;
        let declared = self.get(ty)?;
        let operand = |at: usize| declared.operands.get(at).ok_or("a type is cut short");
        let most = match declared.class.opcode {
            Op::TypeStruct => {
                let member = self
                    .constant(index)
                    .ok_or("a member is chosen at run time")?;
                let inner = id(operand(member as usize)?)?;
                let place = place.map(|it| Place { member, ..it });
                return Ok((inner, place));
            }
            Op::TypeVector | Op::TypeMatrix => match operand(1)? {
                Operand::LiteralBit32(lanes) => *lanes,
                _ => return Err("a vector without a length".to_owned()),
            },
            Op::TypeArray => self
                .constant(id(operand(1)?)?)
                .ok_or("an array without a constant length")?,
            Op::TypeRuntimeArray => {
                let place = place.ok_or("a runtime array that is reached in an unknown way")?;
                self.within(index, |most| self.is_last_of(most, place))?;
                return Ok((id(operand(0)?)?, None));
            }
            _ => return Err("an index into something that has no parts".to_owned()),
        };
        if self.constant(index).is_none_or(|it| it >= most) {
            self.within(index, |last| {
                self.constant(last).is_some_and(|it| it < most)
            })?;
        }
        Ok((id(operand(0)?)?, None))
    }

    /// Whether an index is the lesser of two numbers of 32 bits, of which the second is one that `is_last` accepts.
    fn within(&self, index: u32, is_last: impl Fn(u32) -> bool) -> Result<(), Unproven> {
        let it = self.get(index)?;
        let [
            _,
            Operand::LiteralExtInstInteger(op),
            Operand::IdRef(one),
            Operand::IdRef(other),
        ] = it.operands[..]
        else {
            return Err("an index is not clamped".to_owned());
        };
        if it.class.opcode != Op::ExtInst || op != GlslStd450Op::UMin as u32 {
            return Err("an index is not clamped".to_owned());
        }
        for number in [index, one, other] {
            let ty = self.get(self.type_of(number)?)?;
            let word = Some(&Operand::LiteralBit32(32));
            if ty.class.opcode != Op::TypeInt || ty.operands.first() != word {
                return Err("an index is clamped in other than 32 bits".to_owned());
            }
        }
        match is_last(one) || is_last(other) {
            true => Ok(()),
            false => Err("an index is clamped to something else than the last one".to_owned()),
        }
    }

    /// Whether a number is the length of the array there, less 1.
    fn is_last_of(&self, number: u32, place: Place) -> bool {
        let Ok([length, one]) = self.binary(number, Op::ISub) else {
            return false;
        };
        self.constant(one) == Some(1) && self.is_length_of(length, place).is_ok()
    }

    fn is_length_of(&self, length: u32, place: Place) -> Result<(), Unproven> {
        let other = || "another length".to_owned();
        let binding = match place.root {
            Root::Variable(variable) => {
                let it = self.get(length)?;
                let expected = [
                    Operand::IdRef(variable),
                    Operand::LiteralBit32(place.member),
                ];
                return match it.class.opcode == Op::ArrayLength && it.operands == expected {
                    true => Ok(()),
                    false => Err(other()),
                };
            }
            Root::Binding(binding) => binding,
        };
        // (size - offset of the array) / size of an element.
        let [mut size, stride] = self.binary(length, Op::UDiv)?;
        let mut offset = 0;
        if let Ok([whole, before]) = self.binary(size, Op::ISub) {
            (size, offset) = (whole, self.constant(before).ok_or_else(other)?);
        }
        let addressed = self.addressed.ok_or_else(other)?;
        let pushed = self.pushed(size)?;
        let sizes = pushed.checked_sub(addressed.sizes_at).ok_or_else(other)?;
        if sizes % 4 != 0 || addressed.sizes.get(sizes as usize / 4) != Some(&binding) {
            return Err("the size of another buffer".to_owned());
        }
        let (block, member) = (self.block_of(binding)?, place.member);
        let declared = self.get(block)?.operands.get(member as usize);
        let array = id(declared.ok_or("no such member")?)?;
        let real = self.offsets.get(&(block, member)).copied();
        let real_stride = self.numbers.get(&(array, Decoration::ArrayStride)).copied();
        match (real, real_stride) == (Some(offset), self.constant(stride)) && offset < 1 << 30 {
            true => Ok(()),
            false => Err("a length of wrong parts".to_owned()),
        }
    }

    /// Where a pointer that a chain starts from points, if it is to a block or into one.
    fn place(&self, base: u32) -> Result<Option<Place>, Unproven> {
        let it = self.get(base)?;
        let at = |root| Some(Place { root, member: 0 });
        Ok(match (it.class.opcode, it.operands.as_slice()) {
            (Op::Variable, _) => at(Root::Variable(base)),
            (Op::AccessChain | Op::InBoundsAccessChain, [first, indices @ ..]) => {
                let mut place = self.place(id(first)?)?;
                let mut ty = self.pointee(id(first)?)?;
                for index in indices {
                    (ty, place) = self.step(place, ty, index)?;
                }
                place
            }
            (Op::Load, [Operand::IdRef(local)]) => {
                let loaded = self.stored.get(local).copied().flatten();
                let offset = self.pushed(loaded.ok_or("an address that is stored twice")?)?;
                let addressed = self.addressed.ok_or("a pointer that was loaded")?;
                let bytes = offset.checked_sub(addressed.first).ok_or("no address")?;
                if bytes % 8 != 0 || offset >= addressed.sizes_at {
                    return Err("no address".to_owned());
                }
                at(Root::Binding(bytes / 8))
            }
            _ => None,
        })
    }

    /// The offset of the push constant that was loaded.
    fn pushed(&self, loaded: u32) -> Result<u32, Unproven> {
        let load = self.get(loaded)?;
        let chain = self.get(id(load.operands.first().ok_or("no pointer")?)?)?;
        let (Op::Load, Op::AccessChain, [Operand::IdRef(push), Operand::IdRef(member)]) = (
            load.class.opcode,
            chain.class.opcode,
            chain.operands.as_slice(),
        ) else {
            return Err("is no push constant".to_owned());
        };
        let class = self.get(*push)?.operands.first();
        if class != Some(&Operand::StorageClass(StorageClass::PushConstant)) {
            return Err("is no push constant".to_owned());
        }
        let member = self
            .constant(*member)
            .ok_or("a member chosen at run time")?;
        let offset = self.offsets.get(&(self.pointee(*push)?, member));
        Ok(*offset.ok_or("a push constant without an offset")?)
    }

    /// The type that the address of a binding points to.
    fn block_of(&self, binding: u32) -> Result<u32, Unproven> {
        let found = self.made.values().find(|it| {
            let place = || it.result_id.and_then(|id| self.place(id).ok().flatten());
            it.class.opcode == Op::Load
                && place().is_some_and(|it| it.root == Root::Binding(binding))
        });
        self.pointee(found.and_then(|it| it.result_id).ok_or("no such address")?)
    }

    fn pointee(&self, pointer: u32) -> Result<u32, Unproven> {
        let ty = self.get(self.type_of(pointer)?)?;
        id(ty.operands.get(1).ok_or("is no pointer")?)
    }

    fn binary(&self, number: u32, op: Op) -> Result<[u32; 2], Unproven> {
        let it = self.get(number)?;
        match (it.class.opcode == op, it.operands.as_slice()) {
            (true, [one, other]) => Ok([id(one)?, id(other)?]),
            _ => Err("another operation".to_owned()),
        }
    }

    fn constant(&self, number: u32) -> Option<u32> {
        let it = self.made.get(&number)?;
        match (it.class.opcode, it.operands.as_slice()) {
            (Op::Constant, [Operand::LiteralBit32(value)]) => Some(*value),
            (Op::ConstantNull, []) => Some(0),
            _ => None,
        }
    }

    fn type_of(&self, value: u32) -> Result<u32, Unproven> {
        Ok(self.get(value)?.result_type.ok_or("has no type")?)
    }

    fn get(&self, id: u32) -> Result<&'a Instruction, Unproven> {
        let found = self.made.get(&id).copied();
        found.ok_or_else(|| format!("nothing has the id {id}"))
    }
}

fn id(operand: &Operand) -> Result<u32, Unproven> {
    match operand {
        Operand::IdRef(id) => Ok(*id),
        _ => Err("an id is missing".to_owned()),
    }
}
