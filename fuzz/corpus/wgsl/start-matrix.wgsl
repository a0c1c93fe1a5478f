enable wgpu_cooperative_matrix;
var<private> a: coop_mat8x8<f32, A>;
var<private> b: coop_mat8x8<f32, B>;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(8, 8, 1) fn main() {
    var c = coopLoad<coop_mat8x8<f32, C>>(&x[4]);
    c = coopMultiplyAdd(a, b, c);
    coopStore(c, &x[0]);
}
