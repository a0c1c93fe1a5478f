// x[token] = row tokens[position + token] of the embedding table, if the row is in the piece of the table that is bound.
//
// An invocation copies one block of 32 columns. Grid: ceil(blocks / 64) by tokens.

@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

struct Scalars {
    blocks: u32,
    position: u32,
    // Rows of the table: a token beyond it gets the last row.
    vocabulary: u32,
    // Rows of the piece: its first, and how many.
    first: u32,
    rows: u32,
}
var<immediate> p: Scalars;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    let token = id.y;
    let row = min(tokens[p.position + token], p.vocabulary - 1u);
    if block >= p.blocks || row < p.first || row - p.first >= p.rows {
        return;
    }
    var w = decode((row - p.first) * p.blocks + block);
    //#each i 8
    x[(token * p.blocks + block) * 8u + $iu] = w[$i];
    //#end
}
