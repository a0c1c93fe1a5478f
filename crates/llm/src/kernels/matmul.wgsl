// y[token][row] = sum over columns of W[row][column] * x[token][column], for several tokens on a software device.
//
// An invocation works on ROWS rows and TOKENS tokens, so that what it decodes and loads is used several times. (A GPU makes tiles: see `tile.wgsl`.)
//
// GATED: output r comes from rows r and `rows` + r of the piece, as silu(first) * second.
// BIAS: a vector is added. ADD: the output is added to what is there, which makes it a residual connection.
//
// OUTPUTS is ROWS, or half of it if GATED.
//
// Grid: ceil(rows / (WORKGROUP * OUTPUTS)) by ceil(tokens / TOKENS).

@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
//#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
//#endif

struct Scalars {
    // Outputs of the piece of W that is bound: its first, and how many.
    first: u32,
    rows: u32,
    // Outputs of all of W.
    height: u32,
    // Blocks of 32 columns in a row.
    blocks: u32,
    tokens: u32,
}
var<immediate> p: Scalars;

// Row of W that goes into output `first + r`, or, of a gated pair, `first + r / 2`.
fn weight_row(first: u32, r: u32) -> u32 {
    let last = p.rows - 1u;
    //#if GATED
    return min(first + r / 2u, last) + (r % 2u) * p.rows;
    //#else
    return min(first + r, last);
    //#endif
}

@compute @workgroup_size(WORKGROUP)
fn matmul(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let first = (group.x * WORKGROUP + local) * OUTPUTS;
    let token = group.y * TOKENS;
    var sums: array<array<f32, TOKENS>, ROWS>;
    for (var block = 0u; block < p.blocks; block++) {
        var inputs: array<array<vec4<f32>, 8>, TOKENS>;
        for (var t = 0u; t < TOKENS; t++) {
            let start = (min(token + t, p.tokens - 1u) * p.blocks + block) * 8u;
            for (var i = 0u; i < 8u; i++) {
                inputs[t][i] = x[start + i];
            }
        }
        for (var r = 0u; r < ROWS; r++) {
            var w = decode(weight_row(first, r) * p.blocks + block);
            for (var t = 0u; t < TOKENS; t++) {
                var sum = 0.0;
                for (var i = 0u; i < 8u; i++) {
                    sum += dot(w[i], inputs[t][i]);
                }
                sums[r][t] += sum;
            }
        }
    }
    for (var o = 0u; o < OUTPUTS; o++) {
        for (var t = 0u; t < TOKENS; t++) {
            if first + o < p.rows && token + t < p.tokens {
                let row = p.first + first + o;
                let at = (token + t) * p.height + row;
                //#if GATED
                let gate = sums[2u * o][t];
                var value = gate / (1.0 + exp(-gate)) * sums[2u * o + 1u][t];
                //#else
                var value = sums[o][t];
                //#endif
                //#if BIAS
                value += bias[row];
                //#endif
                //#if ADD
                value += y[at];
                //#endif
                y[at] = value;
            }
        }
    }
}
