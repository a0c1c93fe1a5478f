//! Mistakes in the public library's part of the backend: which slot each of a launch's arguments has.

use super::{LIBRARY, Mistake, Symptom};

pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        package: LIBRARY,
        name: "uniform-not-last",
        what: "a uniform block of scalars is taken to be bound where it stands in the source",
        file: "backend/metal.rs",
        find: "order.sort_by_key(|it| uniform == Some((it.group, it.binding)));",
        replacement: "let _ = (uniform, &mut order);",
        target: "conformance",
        test: "metal::a_uniform_may_be_bound_before_the_buffers",
        symptom: Symptom::Bytes,
    },
    Mistake {
        package: LIBRARY,
        name: "sizes-by-slot",
        what: "the buffer of sizes lists arrays in the order of their bindings, not in that of the source",
        file: "backend/metal.rs",
        find: r".map(|at| place(at).map_or(u32::MAX, |it| it as u32))
                .collect(),",
        replacement: r".map(|at| place(at).map_or(u32::MAX, |it| it as u32))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect(),",
        target: "conformance",
        test: "metal::a_uniform_may_be_bound_before_the_buffers",
        symptom: Symptom::Bytes,
    },
];
