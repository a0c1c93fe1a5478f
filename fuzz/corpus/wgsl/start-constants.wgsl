override tile: u32 = 4;
override other = tile * 2 + 1;
const c = array(1, 2, 3);
var<workgroup> t: array<f32, other>;
@group(1) @binding(3) var<storage> x: array<f32>;
@group(2) @binding(0) var<storage, read_write> y: array<f32, 16>;
@compute @workgroup_size(tile) fn a(@builtin(global_invocation_id) g: vec3<u32>) {
    t[g.x % tile] = x[g.x] / f32(c[g.y]);
    let v = workgroupUniformLoad(&t[other - 1]);
    switch g.z { case 1, 2: { y[other - 1] = v; } default: { loop { if v > 1 { break; } continuing { y[g.x] += 1; break if y[3] > 2; } } } }
}
@compute @workgroup_size(1) fn b() { y[0] = f32(i32(x[1]) / i32(x[2])); }
