// y[row] = sum over columns of W[row][column] * x[column], for one token. What comes before and after the product in the model is done with it, because a launch costs more than either.
//
// NORM: x is normed first: x / sqrt(mean(x^2) + epsilon) * norm. The root mean square multiplies the result, so that no invocation waits for it, and the lanes of a row see
// all of x anyhow.
// MERGE: x is the attention of several parts of the past, to be weighed by each part's share: see `attention.wgsl`.
// GATED: row r of the output comes from rows r and PIECE_ROWS + r of W, as silu(first) * second.
// BIAS: a vector is added.
// ADD: the output is added to what is there, which makes it a residual connection.
// BEST: each workgroup also writes the largest of its outputs, with its row: the first stage of the argmax.
//
// A team of LANES invocations shares ROWS rows of W, each lane taking every LANES-th block of 32 columns. How a team adds up: SUBGROUP, it is a subgroup; SHARED, through
// workgroup memory; neither, it is one invocation, as a software device wants it, where a barrier is dear and rows that share loads are cheap. OUTPUTS is ROWS, or half of it if GATED.
//
// What is bound of W are PIECE_ROWS outputs, from output PIECE_FIRST on; BLOCKS blocks make a row. All of these are constants: a device reads arguments anew after each barrier.
//
// Grid: ceil(PIECE_ROWS / (TEAMS * OUTPUTS)).

@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
//#if NORM
@group(0) @binding(4) var<storage, read> norm: array<vec4<f32>>;
//#endif
//#if BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;
//#endif
//#if MERGE
@group(0) @binding(6) var<storage, read> shares: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read> progress: array<u32>;
//#endif
//#if BEST
@group(0) @binding(8) var<storage, read_write> best: array<vec2<u32>>;

var<workgroup> found: array<vec2<u32>, TEAMS>;
//#endif

//#if SHARED
var<workgroup> partial: array<f32, WORKGROUP * (ROWS + 1u)>;
//#endif

// Row of W that goes into output `first + r`, or, of a gated pair, `first + r / 2`.
fn weight_row(first: u32, r: u32) -> u32 {
    //#if GATED
    return min(first + r / 2u, PIECE_ROWS - 1u) + (r % 2u) * PIECE_ROWS;
    //#else
    return min(first + r, PIECE_ROWS - 1u);
    //#endif
}

// 32 elements of x, before the norm.
fn input(block: u32, parts: u32) -> array<vec4<f32>, 8> {
    var v: array<vec4<f32>, 8>;
    //#each i 8
    v[$i] = x[8u * block + $iu];
    //#end
    //#if MERGE
    if parts > 1u {
        let head = 32u * block / HEAD;
        var highest = shares[head].x;
        for (var i = 1u; i < parts; i++) {
            highest = max(highest, shares[i * HEADS + head].x);
        }
        var share = shares[head].y * exp(shares[head].x - highest);
        var total = share;
        //#each i 8
        v[$i] *= share;
        //#end
        for (var i = 1u; i < parts; i++) {
            share = shares[i * HEADS + head].y * exp(shares[i * HEADS + head].x - highest);
            total += share;
            let start = 8u * (i * BLOCKS + block);
            //#each i 8
            v[$i] += x[start + $iu] * share;
            //#end
        }
        //#each i 8
        v[$i] /= total;
        //#end
    }
    //#endif
    return v;
}

fn product(w: array<vec4<f32>, 8>, v: array<vec4<f32>, 8>) -> f32 {
    var sum = w[0] * v[0];
    //#each i 7
    sum += w[$i + 1] * v[$i + 1];
    //#end
    return (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(WORKGROUP)
fn matvec(
    @builtin(workgroup_id) group: vec3<u32>,
    //#if SUBGROUP
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) team: u32,
    //#else
    @builtin(local_invocation_index) local: u32,
    //#endif
) {
    //#if SUBGROUP
    //#else
    let lane = local % LANES;
    let team = local / LANES;
    //#endif
    let first = (group.x * TEAMS + team) * OUTPUTS;
    //#if MERGE
    let parts = progress[0] / SPLIT + 1u;
    //#else
    let parts = 1u;
    //#endif
    //#if ADD
    //#each o OUTPUTS
    let old_$o = y[PIECE_FIRST + min(first + $ou, PIECE_ROWS - 1u)];
    //#end
    //#endif
    //#if BIAS
    //#each o OUTPUTS
    let bias_$o = bias[PIECE_FIRST + min(first + $ou, PIECE_ROWS - 1u)];
    //#end
    //#endif
    //#each r ROWS
    var sum_$r = 0.0;
    //#end
    var squares = 0.0;
    for (var block = lane; block < BLOCKS; block += LANES) {
        //#each r ROWS
        let block_$r = load(weight_row(first, $ru) * BLOCKS + block);
        //#end
        //#if NORM
        var v = input(block, parts);
        let square = product(v, v);
        squares += square;
        //#each i 8
        v[$i] *= norm[8u * block + $iu];
        //#end
        //#else
        let v = input(block, parts);
        //#endif
        let whole = ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
        let total = (whole.x + whole.y) + (whole.z + whole.w);
        //#each r ROWS
        let affine_$r = affine(block_$r);
        sum_$r += affine_$r.x * product(unpack(block_$r), v) + affine_$r.y * total;
        //#end
    }
    //#if SUBGROUP
    //#each r ROWS
    sum_$r = subgroupAdd(sum_$r);
    //#end
    //#if NORM
    squares = subgroupAdd(squares);
    //#endif
    //#endif
    //#if SHARED
    //#each r ROWS
    partial[local * (ROWS + 1u) + $ru] = sum_$r;
    //#end
    partial[local * (ROWS + 1u) + ROWS] = squares;
    workgroupBarrier();
    for (var other = 1u; other < LANES; other++) {
        let at = (team * LANES + (lane + other) % LANES) * (ROWS + 1u);
        //#each r ROWS
        sum_$r += partial[at + $ru];
        //#end
        squares += partial[at + ROWS];
    }
    //#endif
    //#if NORM
    let scale = 1.0 / sqrt(squares / f32(32u * BLOCKS) + EPSILON);
    //#each r ROWS
    sum_$r *= scale;
    //#end
    //#endif
    //#if GATED
    //#each o OUTPUTS
    let value_$o = sum_$(2o) / (1.0 + exp(-sum_$(2o))) * sum_$(2o+1);
    //#end
    //#else
    //#each o OUTPUTS
    var value_$o = sum_$o;
    //#if BIAS
    value_$o += bias_$o;
    //#endif
    //#if ADD
    value_$o += old_$o;
    //#endif
    //#end
    //#endif
    if lane == 0u {
        //#each o OUTPUTS
        if first + $ou < PIECE_ROWS {
            y[PIECE_FIRST + first + $ou] = value_$o;
        }
        //#end
    }
    //#if BEST
    var mine = NONE;
    //#each o OUTPUTS
    if first + $ou < PIECE_ROWS {
        mine = better(mine, vec2<u32>(bitcast<u32>(value_$o), PIECE_FIRST + first + $ou));
    }
    //#end
    if lane == 0u {
        found[team] = mine;
    }
    workgroupBarrier();
    if team == 0u && lane == 0u {
        for (var i = 1u; i < TEAMS; i++) {
            mine = better(mine, found[i]);
        }
        best[PIECE_GROUP + group.x] = mine;
    }
    //#endif
}
