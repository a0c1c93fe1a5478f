// x[token] = row tokens[position + token] of the embedding table.
//
// An invocation copies one block of 32 columns. Grid: ceil(blocks / 64) by tokens.

@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

struct Scalars {
    blocks: u32,
    position: u32,
    // Rows of the table: a token beyond it gets the last row.
    vocabulary: u32,
}
var<immediate> p: Scalars;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    let token = id.y;
    if block >= p.blocks {
        return;
    }
    let row = min(tokens[p.position + token], p.vocabulary - 1u);
    var w = decode(row * p.blocks + block);
    for (var i = 0u; i < 8u; i++) {
        x[(token * p.blocks + block) * 8u + i] = w[i];
    }
}
