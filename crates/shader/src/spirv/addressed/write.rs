//! What is added to a module: types, constants, decorations, and what says that it uses addresses.

use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{AddressingModel, Capability, Decoration, Op, StorageClass};

use super::Rewriter;

impl Rewriter<'_> {
    pub(super) fn pointer_to(&mut self, class: StorageClass, ty: u32) -> u32 {
        let id = self.id();
        self.globals.push(Instruction::new(
            Op::TypePointer,
            None,
            Some(id),
            vec![Operand::StorageClass(class), Operand::IdRef(ty)],
        ));
        id
    }

    /// The id of a constant.
    pub(super) fn number(&mut self, value: u32) -> u32 {
        if let Some(id) = self.numbers.get(&value) {
            return *id;
        }
        let id = self.id();
        self.globals.push(Instruction::new(
            Op::Constant,
            Some(self.u32_type),
            Some(id),
            vec![Operand::LiteralBit32(value)],
        ));
        self.numbers.insert(value, id);
        id
    }

    pub(super) fn decorate(&mut self, id: u32, decoration: Decoration) {
        let operands = vec![Operand::IdRef(id), Operand::Decoration(decoration)];
        self.decorations
            .push(Instruction::new(Op::Decorate, None, None, operands));
    }

    pub(super) fn decorate_member(
        &mut self,
        id: u32,
        member: u32,
        decoration: Decoration,
        value: Option<Operand>,
    ) {
        let mut operands = vec![
            Operand::IdRef(id),
            Operand::LiteralBit32(member),
            Operand::Decoration(decoration),
        ];
        operands.extend(value);
        self.decorations
            .push(Instruction::new(Op::MemberDecorate, None, None, operands));
    }

    pub(super) fn finish(&mut self) {
        let module = &mut self.module;
        let capability = Operand::Capability(Capability::PhysicalStorageBufferAddresses);
        module.capabilities.push(Instruction::new(
            Op::Capability,
            None,
            None,
            vec![capability],
        ));
        let name = Operand::LiteralString("SPV_KHR_physical_storage_buffer".to_owned());
        module
            .extensions
            .push(Instruction::new(Op::Extension, None, None, vec![name]));
        if let Some(model) = &mut module.memory_model {
            model.operands[0] = Operand::AddressingModel(AddressingModel::PhysicalStorageBuffer64);
        }
        module.annotations.append(&mut self.decorations);
        module.types_global_values.append(&mut self.globals);
        if let Some(header) = &mut module.header {
            header.bound = self.next;
        }
    }
}
