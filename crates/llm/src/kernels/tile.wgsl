// y[token][row] = sum over columns of W[row][column] * x[token][column], for several tokens on a GPU.
//
// A workgroup of 64 makes a tile of 32 rows by 32 tokens: block of columns by block of columns, half of the invocations decode a row's block of W, the other half fetch a token's, and
// then each adds up every eighth row by every eighth token from workgroup memory, where neighbours read what lies side by side.
//
// GATED: output r comes from rows r and `rows` + r of the piece, as silu(first) * second; the tile has 16 of each.
// BIAS: a vector is added. ADD: the output is added to what is there, which makes it a residual connection.
//
// Grid: ceil(rows / OUTPUTS) by ceil(tokens / 32).

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

// Four columns at a time, then by row or token.
var<workgroup> weights: array<vec4<f32>, 256>;
var<workgroup> inputs: array<vec4<f32>, 256>;

// Row of W that is row `r` of the tile whose first output is `first`.
fn weight_row(first: u32, r: u32) -> u32 {
    //#if GATED
    return min(first + r % 16u, p.rows - 1u) + r / 16u * p.rows;
    //#else
    return min(first + r, p.rows - 1u);
    //#endif
}

fn store(output: u32, token: u32, sum: f32) {
    if output >= p.rows || token >= p.tokens {
        return;
    }
    let row = p.first + output;
    let at = token * p.height + row;
    var value = sum;
    //#if BIAS
    value += bias[row];
    //#endif
    //#if ADD
    value += y[at];
    //#endif
    y[at] = value;
}

@compute @workgroup_size(64)
fn tile(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let first = group.x * OUTPUTS;
    let token = group.y * 32u;
    let row = local % 8u;
    let column = local / 8u;
    // Row by token.
    //#each r 4
    var sums_$r = vec4<f32>(0.0);
    //#end
    for (var block = 0u; block < p.blocks; block++) {
        let slot = local % 32u;
        if local < 32u {
            var w = decode(weight_row(first, slot) * p.blocks + block);
            //#each i 8
            weights[$iu * 32u + slot] = w[$i];
            //#end
        } else {
            let start = (min(token + slot, p.tokens - 1u) * p.blocks + block) * 8u;
            //#each i 8
            inputs[$iu * 32u + slot] = x[start + $iu];
            //#end
        }
        workgroupBarrier();
        for (var k = 0u; k < 256u; k += 32u) {
            //#each t 4
            let v_$t = inputs[k + 8u * $tu + column];
            //#end
            //#each r 4
            let w_$r = weights[k + 8u * $ru + row];
            sums_$r += vec4<f32>(dot(w_$r, v_0), dot(w_$r, v_1), dot(w_$r, v_2), dot(w_$r, v_3));
            //#end
        }
        workgroupBarrier();
    }
    //#if GATED
    let gated_0 = sums_0 / (1.0 + exp(-sums_0)) * sums_2;
    let gated_1 = sums_1 / (1.0 + exp(-sums_1)) * sums_3;
    //#each t 4
    store(first + row, token + 8u * $tu + column, gated_0[$t]);
    store(first + 8u + row, token + 8u * $tu + column, gated_1[$t]);
    //#end
    //#else
    //#each t 4
    store(first + row, token + 8u * $tu + column, sums_0[$t]);
    store(first + 8u + row, token + 8u * $tu + column, sums_1[$t]);
    store(first + 16u + row, token + 8u * $tu + column, sums_2[$t]);
    store(first + 24u + row, token + 8u * $tu + column, sums_3[$t]);
    //#end
    //#endif
}
