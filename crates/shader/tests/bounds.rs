//! A checked kernel reaches no memory but its own, in SPIR-V with descriptors and with addresses. For MSL see the tests that run it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod proof;

use tidegate_shader::{BoundsChecks, Module, MslOptions, ShaderError, SpirvOptions};

const SOURCES: [&str; 6] = [
    include_str!("in/half.wgsl"),
    include_str!("in/layout.wgsl"),
    include_str!("in/matmul.wgsl"),
    include_str!("in/pod.wgsl"),
    include_str!("in/reduce.wgsl"),
    include_str!("in/saxpy.wgsl"),
];

/// Every space that has an index: storage behind a header, atomics, nested arrays, matrices and vectors, uniform blocks, immediates, workgroup, private and local memory, values, and pointers passed on.
const EVERYWHERE: &str = "
    struct Item { v: vec3<f32>, m: mat2x3<f32>, n: array<u32, 3> }
    struct Items { count: atomic<u32>, last: vec4<f32>, items: array<Item> }
    @group(0) @binding(0) var<storage, read_write> s: Items;
    @group(0) @binding(1) var<storage, read_write> x: array<array<u32, 4>>;
    @group(0) @binding(2) var<storage> y: array<atomic<i32>, 9>;
    @group(1) @binding(0) var<storage, read_write> z: array<atomic<u32>>;
    struct I { at: vec4<i32>, t: array<vec4<u32>, 2> } var<immediate> i: I;
    var<workgroup> w: array<array<f32, 5>, 3>;
    var<private> p: array<vec2<f32>, 7>;
    fn pick(a: ptr<function, array<f32, 6>>, at: i32) -> f32 { return (*a)[at]; }
    fn row(a: array<f32, 6>, at: u32) -> f32 { var b = a; return b[at] + pick(&b, i.at.x); }
    @compute @workgroup_size(8, 2)
    fn main(@builtin(local_invocation_index) l: u32) {
        var f = array<f32, 6>(1, 2, 3, 4, 5, 6);
        let at = i.at[l];
        w[at][l] = f[at] + row(f, l) + array<f32, 3>(7, 8, 9)[at];
        p[at][l] = vec4(1.0, 2.0, 3.0, 4.0)[at] + mat2x2f(1, 2, 3, 4)[at][l];
        workgroupBarrier();
        let item = &s.items[at];
        (*item).v[l] += (*item).m[at][l] + w[l][at] + p[l].x;
        (*item).n[l] = x[at][l] + i.t[at][l];
        s.last[at] = 1.0;
        x[7][2] = arrayLength(&s.items) + arrayLength(&x) * arrayLength(&z);
        for (var k = 0; k < at; k++) { atomicAdd(&z[k], u32(k)); f[k] = 2.0; }
        let e = atomicCompareExchangeWeak(&z[at * 3], 1u, 2u);
        let q = workgroupUniformLoad(&w[at][at]);
        x[l] = x[at + i32(q) + i32(e.old_value)];
    }";

fn uniform() -> String {
    // A uniform block: such a kernel binds descriptors.
    EVERYWHERE
        .replace("struct I { at: vec4<i32>, t: array<vec4<u32>, 2> } var<immediate> i: I;", "
            struct I { at: vec4<i32>, t: array<vec4<u32>, 2>, m: mat3x2<f32> } @group(2) @binding(0) var<uniform> i: I;")
        .replace("s.last[at] = 1.0;", "s.last[at] = i.m[at][l];")
}

/// Checks every kernel in both forms. Gives how many found their buffers by address.
fn prove(source: &str) -> u32 {
    let module = Module::from_wgsl(source).unwrap_or_else(|it| panic!("{it}"));
    let mut addressed = 0;
    for kernel in module.kernels() {
        let options = SpirvOptions::default();
        let words = module.spirv(&kernel.name, &options).unwrap();
        proof::check(&words, None).unwrap_or_else(|it| panic!("{}: {it}", kernel.name));
        if let Some(it) = module.spirv_addressed(&kernel.name, &options).unwrap() {
            proof::check(&it.words, Some(&it)).unwrap_or_else(|it| panic!("{}: {it}", kernel.name));
            addressed += 1;
        }
    }
    addressed
}

#[test]
fn every_index_is_clamped() {
    let everywhere = EVERYWHERE.replace(
        "var<storage> y: array<atomic<i32>",
        "var<storage> y: array<i32",
    );
    assert_eq!(prove(&everywhere), 1);
    assert_eq!(
        prove(&uniform().replace(
            "var<storage> y: array<atomic<i32>",
            "var<storage> y: array<i32"
        )),
        0
    );
    let addressed: u32 = SOURCES.into_iter().map(prove).sum();
    assert!(addressed > 0);
}

/// The proof is one: it fails for what is not checked, in each of the spaces.
#[test]
fn what_is_not_checked_is_not_proven() {
    let space = |declared: &str, used: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
             var<immediate> i: u32; {declared}
             @compute @workgroup_size(1) fn main() {{ var f = array<u32, 4>(); var v = vec4<u32>(); {used} }}"
        )
    };
    for (declared, used) in [
        ("", "x[i] = 1u;"),
        ("", "x[1] = 1u;"),
        ("", "f[i] = 1u; x[0] = f[1];"),
        ("", "v[i] = 1u; x[0] = v.x;"),
        ("var<workgroup> w: array<u32, 4>;", "w[i] = 1u;"),
        ("var<private> p: array<u32, 4>;", "p[i] = 1u;"),
        (
            "@group(0) @binding(1) var<storage> s: array<u32, 4>;",
            "x[0] = s[i];",
        ),
        (
            "@group(0) @binding(1) var<uniform> u: array<vec4<u32>, 4>;",
            "x[0] = u[i].x;",
        ),
    ] {
        let source = space(declared, used);
        prove(&source);
        let module = Module::from_wgsl(&source).unwrap();
        let unchecked = SpirvOptions::new(BoundsChecks::Unchecked);
        let words = module.spirv("main", &unchecked).unwrap();
        assert!(proof::check(&words, None).is_err(), "{used}");
        if let Some(it) = module.spirv_addressed("main", &unchecked).unwrap() {
            assert!(proof::check(&it.words, Some(&it)).is_err(), "{used}");
        }
    }
}

/// A size that is taken for another buffer's is noticed.
#[test]
fn a_size_must_be_the_buffers_own() {
    let source = "
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        var<immediate> i: u32;
        @compute @workgroup_size(1) fn main() { x[i] = y[i]; }";
    let module = Module::from_wgsl(source).unwrap();
    let it = module
        .spirv_addressed("main", &SpirvOptions::default())
        .unwrap();
    let mut it = it.unwrap();
    proof::check(&it.words, Some(&it)).unwrap();
    it.sizes.reverse();
    assert!(proof::check(&it.words, Some(&it)).is_err());
}

/// naga clamps neither; nobody but a caller who trusts the source may have them.
#[test]
fn what_cannot_be_checked_is_refused() {
    let matrix = "
        enable wgpu_cooperative_matrix;
        @group(0) @binding(0) var<storage, read_write> x: array<f32>;
        @compute @workgroup_size(8, 8, 1) fn main() {
            let c = coopLoad<coop_mat8x8<f32, C>>(&x[4]);
            coopStore(c, &x[0]);
        }";
    let wide = |ty: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
             var<immediate> i: {ty};
             fn put(at: {ty}) {{ x[at] = 1u; }}
             @compute @workgroup_size(1) fn main() {{ put(i); }}"
        )
    };
    for (source, word) in [
        (matrix.to_owned(), "matrices"),
        (wide("u64"), "32 bits"),
        (wide("i64"), "32 bits"),
    ] {
        let module = Module::from_wgsl(&source).unwrap_or_else(|it| panic!("{it}"));
        let refused = module.spirv("main", &SpirvOptions::default());
        let Err(ShaderError::Unbounded { kernel, message }) = refused else {
            panic!("{word}: {refused:?}");
        };
        assert!(kernel == "main" && message.contains(word), "{message}");
        let addressed = module.spirv_addressed("main", &SpirvOptions::default());
        assert!(matches!(addressed, Err(ShaderError::Unbounded { .. })));
        let refused = module.msl("main", &MslOptions::default());
        assert!(
            matches!(refused, Err(ShaderError::Unbounded { .. })),
            "{refused:?}"
        );
        let trusted = SpirvOptions::new(BoundsChecks::Unchecked);
        assert!(module.spirv("main", &trusted).is_ok());
    }
    let module = Module::from_wgsl(&wide("u32")).unwrap();
    assert!(module.spirv("main", &SpirvOptions::default()).is_ok());
}
