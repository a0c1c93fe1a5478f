// y = a * x + y, with its scalars as immediates and a grid larger than the vector.

struct Arguments {
    n: u32,
    a: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<immediate> arguments: Arguments;

@compute @workgroup_size(256)
fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arguments.n {
        return;
    }
    y[i] = arguments.a * x[i] + y[i];
}

// Declared read_write as in saxpy, but only written here.
@compute @workgroup_size(256)
fn clear(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arguments.n {
        y[id.x] = 0.0;
    }
}
