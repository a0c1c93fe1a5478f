// Sums, first within subgroups, then across a workgroup, then across the grid.

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> total: atomic<u32>;
@group(0) @binding(2) var<storage, read_write> largest: atomic<u32>;

var<workgroup> partial: atomic<u32>;

@compute @workgroup_size(128)
fn reduce(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    var value = 0u;
    if id.x < arrayLength(&input) {
        value = input[id.x];
    }
    let sum = subgroupAdd(value);
    if lane == 0u {
        atomicAdd(&partial, sum);
    }
    workgroupBarrier();
    if local == 0u {
        atomicAdd(&total, atomicLoad(&partial));
    }
}

@compute @workgroup_size(1)
fn reset() {
    atomicStore(&total, 0u);
}

@compute @workgroup_size(64)
fn longest(@builtin(global_invocation_id) id: vec3<u32>) {
    atomicMax(&largest, countOneBits(input[id.x]));
}
