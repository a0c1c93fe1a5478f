// c = a * b for row-major matrices, a tile at a time through workgroup memory.

override tile: u32 = 16u;

struct Shape {
    m: u32,
    n: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
var<immediate> shape: Shape;

var<workgroup> tile_a: array<f32, 256>;
var<workgroup> tile_b: array<f32, 256>;

@compute @workgroup_size(tile, tile)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = group.y * tile + local.y;
    let column = group.x * tile + local.x;
    let own = local.y * tile + local.x;
    var sum = 0.0;
    for (var start = 0u; start < shape.k; start += tile) {
        let along = start + local.x;
        let down = start + local.y;
        tile_a[own] = select(0.0, a[row * shape.k + along], row < shape.m && along < shape.k);
        tile_b[own] = select(0.0, b[down * shape.n + column], down < shape.k && column < shape.n);
        workgroupBarrier();
        for (var i = 0u; i < tile; i++) {
            sum = fma(tile_a[local.y * tile + i], tile_b[i * tile + local.x], sum);
        }
        workgroupBarrier();
    }
    if row < shape.m && column < shape.n {
        c[row * shape.n + column] = sum;
    }
}
