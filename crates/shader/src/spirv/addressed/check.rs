//! Whether a module's functions use its buffers in the ways that can be rewritten, and which lengths they ask for.

use std::collections::HashSet;

use rspirv::dr::Operand;
use rspirv::spirv::{Op, StorageClass};

use super::Rewriter;
use crate::spirv::types::Kind;

impl Rewriter<'_> {
    fn is_storage(&self, ty: Option<u32>) -> bool {
        let kind = ty.and_then(|it| self.types.kind(it));
        matches!(
            kind,
            Some(Kind::Pointer {
                class: StorageClass::StorageBuffer,
                ..
            })
        )
    }

    /// Nothing if a buffer's pointer goes anywhere but into an access.
    pub(super) fn check_functions(&self) -> Option<()> {
        let mut pointers: HashSet<u32> = self.buffers.iter().map(|it| it.variable).collect();
        for function in &self.module.functions {
            let parameters = &function.parameters;
            if parameters.iter().any(|it| self.is_storage(it.result_type)) {
                return None;
            }
            let blocks = function.blocks.iter();
            for instruction in blocks.flat_map(|it| &it.instructions) {
                let opcode = instruction.class.opcode;
                let chain = matches!(opcode, Op::AccessChain | Op::InBoundsAccessChain);
                if self.is_storage(instruction.result_type) {
                    if !chain {
                        return None;
                    }
                    pointers.extend(instruction.result_id);
                }
                let touches =
                    |it: &Operand| matches!(it, Operand::IdRef(id) if pointers.contains(id));
                let access = chain || matches!(opcode, Op::Load | Op::Store | Op::ArrayLength);
                // An operand but the first would be a pointer that is stored or an index.
                let others = instruction.operands.iter().skip(1);
                let understood = access || is_atomic(opcode);
                let touched = instruction.operands.iter().any(touches);
                if touched && (!understood || others.clone().any(touches)) {
                    return None;
                }
            }
        }
        Some(())
    }

    /// The buffers whose length is asked for.
    pub(super) fn find_sizes(&mut self) {
        let functions = self.module.functions.iter();
        let instructions = functions.flat_map(|it| &it.blocks);
        for instruction in instructions.flat_map(|it| &it.instructions) {
            if instruction.class.opcode == Op::ArrayLength
                && let Some(Operand::IdRef(id)) = instruction.operands.first()
                && let Some(buffer) = self.buffers.iter().find(|it| it.variable == *id)
                && !self.sizes.contains(&buffer.index)
            {
                self.sizes.push(buffer.index);
            }
        }
    }
}

/// The operations on one number that is shared, whose pointer is their first operand.
fn is_atomic(op: Op) -> bool {
    matches!(
        op,
        Op::AtomicLoad
            | Op::AtomicStore
            | Op::AtomicExchange
            | Op::AtomicCompareExchange
            | Op::AtomicIIncrement
            | Op::AtomicIDecrement
            | Op::AtomicIAdd
            | Op::AtomicISub
            | Op::AtomicSMin
            | Op::AtomicUMin
            | Op::AtomicSMax
            | Op::AtomicUMax
            | Op::AtomicAnd
            | Op::AtomicOr
            | Op::AtomicXor
            | Op::AtomicFAddEXT
    )
}
