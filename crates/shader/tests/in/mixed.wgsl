struct Inner { a: vec3<f32>, b: array<u32, 3> }
struct Particle { at: vec2<f32>, inner: Inner, turn: mat3x2<f32>, rest: array<Inner, 2> }
struct Plain { n: array<u32, 4> }
@group(0) @binding(0) var<storage, read_write> x: array<Particle>;
@group(0) @binding(1) var<storage, read_write> y: Plain;
var<workgroup> shared_one: array<Particle, 4>;
var<workgroup> only: array<array<u32, 4>, 8>;
var<private> mine: Inner;
fn change(p: Particle, i: u32) -> Particle { var q = p; q.inner.b[i % 3u] += 1u; q.rest[i % 2u].a.y *= 2.0; return q; }
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) {
    var p = x[i];
    p = change(p, i);
    shared_one[i] = p;
    only[i] = y.n;
    workgroupBarrier();
    mine = shared_one[3u - i].inner;
    x[i] = shared_one[3u - i];
    x[i].at = x[i].turn * mine.a;
    var z = y;
    z.n[i] = only[3u - i][i];
    if i == 0u { y = z; }
}
