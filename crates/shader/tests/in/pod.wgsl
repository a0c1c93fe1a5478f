// Scalars in a uniform buffer, as compilers for WebGPU emit them.

struct PODArgs {
    n: i32,
    scale: f32,
    packGridDimX: u32,
}

@group(0) @binding(0) var<storage, read_write> T_out: array<f32>;
@group(0) @binding(1) var<storage, read> T_in: array<f32>;
@group(0) @binding(2) var<uniform> podArgs: PODArgs;

@compute @workgroup_size(256, 1, 1)
fn T_multiply_kernel(
    @builtin(workgroup_id) blockIdx: vec3<u32>,
    @builtin(num_workgroups) gridDim: vec3<u32>,
    @builtin(local_invocation_id) threadIdx: vec3<u32>,
) {
    if blockIdx.z * gridDim.x + blockIdx.x > podArgs.packGridDimX {
        return;
    }
    let v__1: i32 = i32(blockIdx.z * gridDim.x + blockIdx.x);
    let i: i32 = v__1 * 256i + i32(threadIdx.x);
    if i < podArgs.n {
        T_out[i] = T_in[i] * podArgs.scale;
    }
}
