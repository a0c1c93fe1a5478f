struct S { n: atomic<u32>, m: mat3x4<f32>, a: array<vec3<f32>> }
@group(0) @binding(0) var<storage, read_write> s: S;
@group(0) @binding(1) var<uniform> u: array<vec4<u32>, 4>;
var<workgroup> w: array<array<u32, 5>, 3>;
var<private> p: array<i32, 7>;
var<immediate> i: vec2<i32>;
fn pick(a: ptr<function, array<u32, 6>>, at: i32) -> u32 { return (*a)[at]; }
@compute @workgroup_size(8, 2)
fn main(@builtin(local_invocation_index) l: u32) {
    var f = array<u32, 6>(1, 2, 3, 4, 5, 6);
    w[i.x][i.y] = u[i.x][i.y] + pick(&f, i.y);
    p[i.x] = vec4(1, 2, 3, 4)[i.y];
    workgroupBarrier();
    for (var k = 0; k < 9; k++) { s.a[i.x + k][i.y] += s.m[k][i.x]; }
    atomicAdd(&s.n, w[l][l] + u32(p[l]) + arrayLength(&s.a));
}
