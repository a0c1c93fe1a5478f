//! The suite's kernels in WGSL: each the twin of the kernel in Rust that has its name.

const SCALARS: &str = "struct Scalars { a: u32, b: u32 }";
const X: &str = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;";
/// The uniform comes first, and the arrays are declared in another order than they are bound in.
const OUT_OF_ORDER: &str = "
    @group(0) @binding(2) var<storage, read_write> y: array<u32>;
    @group(0) @binding(1) var<storage> x: array<u32>;
    @group(0) @binding(0) var<uniform> s: Scalars;";
const INTO: &str = "{
    let i = id.x;
    if i < arrayLength(&y) {
        var own = 0u;
        if i < arrayLength(&x) { own = x[i]; }
        y[i] = own * s.a + s.b;
    }
}";
const ID: &str =
    "@compute @workgroup_size(64) fn NAME(@builtin(global_invocation_id) id: vec3<u32>)";

/// The source of the kernel `name`, by itself in its module.
pub(crate) fn wgsl(name: &str) -> String {
    let parts = match name {
        "fill_index" => vec![
            X,
            "var<immediate> start: u32;",
            ID,
            "{ if id.x < arrayLength(&x) { x[id.x] = start + id.x; } }",
        ],
        "affine" => vec![
            SCALARS,
            X,
            "var<immediate> s: Scalars;",
            ID,
            "{ if id.x < arrayLength(&x) { x[id.x] = x[id.x] * s.a + s.b; } }",
        ],
        "affine_uniform" => vec![
            SCALARS,
            X,
            "@group(0) @binding(1) var<uniform> s: Scalars;",
            ID,
            "{ if id.x < arrayLength(&x) { x[id.x] = x[id.x] * s.a + s.b; } }",
        ],
        "affine_into" => vec![SCALARS, OUT_OF_ORDER, ID, INTO],
        "add" => vec![
            "@group(0) @binding(0) var<storage> x: array<u32>;
             @group(0) @binding(1) var<storage> y: array<u32>;
             @group(0) @binding(2) var<storage, read_write> z: array<u32>;",
            ID,
            "{ let i = id.x;
               if i < min(arrayLength(&x), min(arrayLength(&y), arrayLength(&z))) { z[i] = x[i] + y[i]; } }",
        ],
        "copy" => vec![
            "@group(0) @binding(0) var<storage> x: array<u32>;
             @group(0) @binding(1) var<storage, read_write> y: array<u32>;",
            ID,
            "{ if id.x < min(arrayLength(&x), arrayLength(&y)) { y[id.x] = x[id.x]; } }",
        ],
        "swap" => vec![
            "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
             @group(0) @binding(1) var<storage, read_write> y: array<u32>;",
            ID,
            "{ if id.x < min(arrayLength(&x), arrayLength(&y)) {
                 let t = x[id.x]; x[id.x] = y[id.x]; y[id.x] = t; } }",
        ],
        "block_sum" => vec![
            "@group(0) @binding(0) var<storage> x: array<u32>;
             @group(0) @binding(1) var<storage, read_write> sums: array<u32>;
             var<workgroup> part: array<u32, 64>;
             @compute @workgroup_size(64) fn NAME(
                 @builtin(workgroup_id) group: vec3<u32>,
                 @builtin(local_invocation_id) local: vec3<u32>)
             { let i = group.x * 64u + local.x;
               var own = 0u;
               if i < arrayLength(&x) { own = x[i]; }
               part[local.x] = own;
               workgroupBarrier();
               if local.x == 0u && group.x < arrayLength(&sums) {
                   var sum = 0u;
                   for (var k = 0u; k < 64u; k++) { sum += part[k]; }
                   sums[group.x] = sum;
               } }",
        ],
        _ => panic!("no kernel {name}"),
    };
    parts.join("\n").replace("NAME", name)
}
