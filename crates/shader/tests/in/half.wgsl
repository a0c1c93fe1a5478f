// Weights in 16-bit floats, arithmetic in 32-bit ones.

enable f16;

@group(0) @binding(0) var<storage, read> weights: array<vec4<f16>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(1) @binding(0) var<storage, read_write> out: array<f32>;

fn dot_at(i: u32) -> f32 {
    return dot(vec4<f32>(weights[i]), x[i]);
}

@compute @workgroup_size(32)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
    out[id.x] = dot_at(id.x);
}

// Needs nothing of the device, though its neighbour does.
@compute @workgroup_size(32)
fn copy(@builtin(global_invocation_id) id: vec3<u32>) {
    out[id.x] = x[id.x].x;
}
