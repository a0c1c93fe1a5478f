// RMSNorm: y[token] = x[token] / sqrt(mean(x[token]^2) + epsilon) * weight.
//
// One workgroup a token. Grid: tokens.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Scalars {
    columns: u32,
    epsilon: f32,
}
var<immediate> p: Scalars;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn norm(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let start = group.x * p.columns;
    var sum = 0.0;
    for (var i = local; i < p.columns; i += 64u) {
        let value = x[start + i];
        sum += value * value;
    }
    sums[local] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) {
        total += sums[i];
    }
    let scale = 1.0 / sqrt(total / f32(p.columns) + p.epsilon);
    for (var i = local; i < p.columns; i += 64u) {
        y[group.x * p.columns + i] = x[start + i] * scale * weight[i];
    }
}
