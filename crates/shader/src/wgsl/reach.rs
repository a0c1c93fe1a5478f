//! What naga's bounds checks do not cover, found before a checked kernel is written.

use naga::valid::FunctionInfo;
use naga::{Expression, Function, Handle, Module, Scalar, TypeInner};

use super::Specialized;

/// Why a kernel's accesses cannot all be kept inside its memory, if so, in one line.
///
/// naga 30 clamps an index by `UMin` on 32 bits whatever the index's width is, which for another width is no valid SPIR-V. And of a matrix that a subgroup loads or stores together it clamps where
/// the first element is, not the others, which lie rows of the caller's choice apart.
pub(crate) fn unbounded(specialized: &Specialized) -> Option<&'static str> {
    let (module, info) = (&specialized.module, &specialized.info);
    let functions = module
        .functions
        .iter()
        .map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate();
    let entries = entries.map(|(at, entry)| (&entry.function, info.get_entry_point(at)));
    functions
        .chain(entries)
        .find_map(|(function, info)| in_function(module, function, info))
}

fn in_function(module: &Module, function: &Function, info: &FunctionInfo) -> Option<&'static str> {
    let type_of = |handle: Handle<Expression>| info[handle].ty.inner_with(&module.types);
    for (handle, expression) in function.expressions.iter() {
        if matches!(type_of(handle), TypeInner::CooperativeMatrix { .. }) {
            return Some("cooperative matrices cannot be kept inside a buffer");
        }
        if let Expression::Access { index, .. } = expression
            && !matches!(type_of(*index), TypeInner::Scalar(Scalar { width: 4, .. }))
        {
            return Some("an index is an integer of other than 32 bits; convert it with u32()");
        }
    }
    None
}
