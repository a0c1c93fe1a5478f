//! What an entry point, and the functions it calls, does with each variable of a module.

use std::collections::{HashMap, HashSet};

use rspirv::dr::{self, Instruction, Operand};
use rspirv::spirv::Op;

use crate::ShaderError;

/// What is done with a variable. Neither, if only its length is asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    pub(super) reads: bool,
    pub(super) writes: bool,
}

/// Each global variable that is named anywhere in the call tree, by id.
///
/// The interface listed with an entry point is not used: before SPIR-V 1.4 it leaves buffers out, and later it may
/// list more than is used.
pub(super) fn of(module: &dr::Module, function: u32) -> Result<HashMap<u32, Use>, ShaderError> {
    let functions: HashMap<u32, &dr::Function> = module
        .functions
        .iter()
        .filter_map(|function| Some((function.def.as_ref()?.result_id?, function)))
        .collect();
    let globals = module.types_global_values.iter();
    let globals = globals.filter(|instruction| instruction.class.opcode == Op::Variable);
    let mut walk = Walk {
        globals: globals.filter_map(|global| global.result_id).collect(),
        uses: HashMap::new(),
    };
    // A variable may start out as a pointer to another one. What is done through it cannot be followed.
    for instruction in &module.types_global_values {
        walk.instruction(instruction, &mut HashMap::new());
    }
    let mut pending = vec![function];
    let mut seen = HashSet::new();
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(function) = functions.get(&id) else {
            return Err(ShaderError::spirv(
                "an entry point or a call names no function",
            ));
        };
        pending.extend(walk.function(function));
    }
    Ok(walk.uses)
}

struct Walk {
    globals: HashSet<u32>,
    uses: HashMap<u32, Use>,
}

const NONE: Use = Use {
    reads: false,
    writes: false,
};
const READ: Use = Use {
    reads: true,
    writes: false,
};
const WRITE: Use = Use {
    reads: false,
    writes: true,
};
const BOTH: Use = Use {
    reads: true,
    writes: true,
};

impl Walk {
    /// Gives the functions it calls.
    ///
    /// Blocks come in an order where a pointer is defined before it is used, save for OpPhi, which counts as both a
    /// read and a write of whatever it may point into.
    fn function(&mut self, function: &dr::Function) -> Vec<u32> {
        let mut roots = HashMap::new();
        let mut calls = Vec::new();
        for instruction in function.blocks.iter().flat_map(|block| &block.instructions) {
            if let (Op::FunctionCall, Some(Operand::IdRef(callee))) =
                (instruction.class.opcode, instruction.operands.first())
            {
                calls.push(*callee);
            }
            self.instruction(instruction, &mut roots);
        }
        calls
    }

    /// `roots` is the variable that each pointer of the function points into.
    fn instruction(&mut self, instruction: &Instruction, roots: &mut HashMap<u32, u32>) {
        let derives = matches!(
            instruction.class.opcode,
            Op::AccessChain
                | Op::InBoundsAccessChain
                | Op::PtrAccessChain
                | Op::InBoundsPtrAccessChain
                | Op::CopyObject
        );
        for (index, operand) in instruction.operands.iter().enumerate() {
            let Operand::IdRef(id) = operand else {
                continue;
            };
            let global = || self.globals.contains(id).then_some(*id);
            let Some(root) = roots.get(id).copied().or_else(global) else {
                continue;
            };
            let done = if derives && index == 0 {
                NONE
            } else {
                effect(instruction.class.opcode, index)
            };
            let used = self.uses.entry(root).or_default();
            used.reads |= done.reads;
            used.writes |= done.writes;
            if let (true, Some(result)) = (derives && index == 0, instruction.result_id) {
                roots.insert(result, root);
            }
        }
    }
}

/// What an instruction does with the pointer that is its operand at `index`, from 0.
///
/// Whatever is not listed may do both: a pointer handed to a call, chosen by OpSelect, or stored.
fn effect(opcode: Op, index: usize) -> Use {
    match (opcode, index) {
        (Op::ArrayLength | Op::Name, _) => NONE,
        (Op::Load | Op::AtomicLoad | Op::CooperativeMatrixLoadKHR, 0) | (Op::CopyMemory, 1) => READ,
        (Op::Store | Op::AtomicStore | Op::CooperativeMatrixStoreKHR | Op::CopyMemory, 0) => WRITE,
        _ => BOTH,
    }
}
