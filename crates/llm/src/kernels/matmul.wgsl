// y[token][row] = sum over columns of W[row][column] * x[token][column].
//
// LANES invocations share a row, each taking every LANES-th block of 32 columns; an invocation works on ROWS rows and TOKENS tokens, so that what it decodes and
// loads is used several times. A GPU wants many lanes; a software device, where a barrier is dear and every load counts, wants one lane and more rows.
//
// GATED: row r of the output comes from rows r and rows + r of W, as silu(first) * second.
// ADD: the output is added to what is there, which makes it a residual connection.
//
// SHARED is set where LANES is more than 1. OUTPUTS is ROWS, or half of it if GATED.
//
// Grid: ceil(rows / (WORKGROUP / LANES * OUTPUTS)) by ceil(tokens / TOKENS).

@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

struct Scalars {
    // Rows of the output.
    rows: u32,
    // Blocks of 32 columns in a row.
    blocks: u32,
    tokens: u32,
}
var<immediate> p: Scalars;

const GROUPS = WORKGROUP / LANES;
//#if SHARED
var<workgroup> partial: array<f32, WORKGROUP * ROWS * TOKENS>;
//#endif

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
    let lane = local % LANES;
    let first = (group.x * GROUPS + local / LANES) * OUTPUTS;
    let token = group.y * TOKENS;
    var sums: array<array<f32, TOKENS>, ROWS>;
    for (var block = lane; block < p.blocks; block += LANES) {
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
    //#if SHARED
    for (var r = 0u; r < ROWS; r++) {
        for (var t = 0u; t < TOKENS; t++) {
            partial[(local * ROWS + r) * TOKENS + t] = sums[r][t];
        }
    }
    workgroupBarrier();
    if lane > 0u {
        return;
    }
    for (var other = 1u; other < LANES; other++) {
        for (var r = 0u; r < ROWS; r++) {
            for (var t = 0u; t < TOKENS; t++) {
                sums[r][t] += partial[((local + other) * ROWS + r) * TOKENS + t];
            }
        }
    }
    //#endif
    for (var o = 0u; o < OUTPUTS; o++) {
        for (var t = 0u; t < TOKENS; t++) {
            if first + o < p.rows && token + t < p.tokens {
                let at = (token + t) * p.rows + first + o;
                //#if GATED
                let gate = sums[2u * o][t];
                let value = gate / (1.0 + exp(-gate)) * sums[2u * o + 1u][t];
                //#else
                let value = sums[o][t];
                //#endif
                //#if ADD
                y[at] += value;
                //#else
                y[at] = value;
                //#endif
            }
        }
    }
}
