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
// A team of LANES invocations shares ROWS rows of W, each lane taking every LANES-th quarter of a block of 32 columns (see `block_any.wgsl`), UNROLL of them before it uses the first, so that the
// loads of all are under way together. How a team adds up: SUBGROUP, it is a subgroup, or with WIDE all of those of a workgroup; SHARED, through workgroup memory; neither, it is one invocation, as a software device wants it, where a
// barrier is dear and rows that share loads are cheap. OUTPUTS is ROWS, or half of it if GATED.
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
//#if WIDE
var<workgroup> partial: array<f32, SUBGROUPS * (ROWS + 1u)>;
//#endif

// Row of W that goes into output `first + r`, or, of a gated pair, `first + r / 2`.
fn weight_row(first: u32, r: u32) -> u32 {
    //#if GATED
    return min(first + r / 2u, PIECE_ROWS - 1u) + (r % 2u) * PIECE_ROWS;
    //#else
    return min(first + r, PIECE_ROWS - 1u);
    //#endif
}

// The eight elements of x that a quarter of a block is multiplied with, before the norm.
fn input(block: u32, i: u32, parts: u32) -> array<vec4<f32>, 2> {
    var v = array<vec4<f32>, 2>(x[8u * block + i], x[8u * block + 4u + i]);
    //#if MERGE
    if parts == 1u {
        return v;
    }
    // Four parts at a time, so that their loads are under way together; a part beyond the last is the last again, and weighs nothing.
    let head = 32u * block / HEAD;
    var highest = -3.0e38;
    var total = 0.0;
    v = array<vec4<f32>, 2>();
    for (var start = 0u; start < parts; start += 4u) {
        //#each p 4
        let part_$p = min(start + $pu, parts - 1u);
        let share_$p = shares[part_$p * HEADS + head];
        let front_$p = x[8u * (part_$p * BLOCKS + block) + i];
        let back_$p = x[8u * (part_$p * BLOCKS + block) + 4u + i];
        //#end
        let before = highest;
        //#each p 4
        highest = max(highest, share_$p.x);
        //#end
        let scale = exp(before - highest);
        total *= scale;
        v[0] *= scale;
        v[1] *= scale;
        //#each p 4
        let own_$p = select(0.0, share_$p.y * exp(share_$p.x - highest), start + $pu < parts);
        total += own_$p;
        v[0] += front_$p * own_$p;
        v[1] += back_$p * own_$p;
        //#end
    }
    v[0] /= total;
    v[1] /= total;
    //#endif
    return v;
}

fn product(w: array<vec4<f32>, 2>, v: array<vec4<f32>, 2>) -> f32 {
    let sum = w[0] * v[0] + w[1] * v[1];
    return (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(WORKGROUP)
fn matvec(
    @builtin(workgroup_id) group: vec3<u32>,
    //#if SUBGROUP
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    //#else
    @builtin(local_invocation_index) local: u32,
    //#endif
) {
    //#if SUBGROUP
    let lane = subgroup * SUBGROUP % LANES + subgroup_lane;
    let team = subgroup * SUBGROUP / LANES;
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
    //#if LANED
    for (var start = lane; start < 4u * BLOCKS; start += UNROLL * LANES) {
        //#each u UNROLL
        let at_$u = min(start + $uu * LANES, 4u * BLOCKS - 1u);
        let block_$u = at_$u / 4u;
        let i_$u = at_$u % 4u;
        //#end
    //#else
    for (var block = 0u; block < BLOCKS; block++) {
        //#each u UNROLL
        let block_$u = block;
        let i_$u = $uu;
        //#end
    //#endif
        //#each u UNROLL
        //#each r ROWS
        let part_$u_$r = load(weight_row(first, $ru) * BLOCKS + block_$u, i_$u);
        //#end
        //#end
        //#each u UNROLL
        var v_$u = input(block_$u, i_$u, parts);
        //#end
        //#if NORM
        //#each u UNROLL
        let norm_$u = array<vec4<f32>, 2>(norm[8u * block_$u + i_$u], norm[8u * block_$u + 4u + i_$u]);
        //#end
        //#endif
        //#if RAGGED
        //#each u UNROLL
        let inside_$u = select(0.0, 1.0, start + $uu * LANES < 4u * BLOCKS);
        v_$u[0] *= inside_$u;
        v_$u[1] *= inside_$u;
        //#end
        //#endif
        //#if NORM
        //#each u UNROLL
        squares += product(v_$u, v_$u);
        v_$u[0] *= norm_$u[0];
        v_$u[1] *= norm_$u[1];
        //#end
        //#endif
        //#each u UNROLL
        let whole_$u = v_$u[0] + v_$u[1];
        let total_$u = (whole_$u.x + whole_$u.y) + (whole_$u.z + whole_$u.w);
        //#end
        //#if LANED
        //#each u UNROLL
        //#each r ROWS
        let affine_$u_$r = affine(part_$u_$r);
        sum_$r += affine_$u_$r.x * product(unpack(part_$u_$r), v_$u) + affine_$u_$r.y * total_$u;
        //#end
        //#end
        //#else
        let total = (total_0 + total_1) + (total_2 + total_3);
        //#each r ROWS
        let affine_$r = affine(part_0_$r);
        var of_row_$r = product(unpack(part_0_$r), v_0);
        of_row_$r += product(unpack(part_1_$r), v_1);
        of_row_$r += product(unpack(part_2_$r), v_2);
        of_row_$r += product(unpack(part_3_$r), v_3);
        sum_$r += affine_$r.x * of_row_$r + affine_$r.y * total;
        //#end
        //#endif
    }
    //#if SUBGROUP
    //#each r ROWS
    sum_$r = subgroupAdd(sum_$r);
    //#end
    //#if NORM
    squares = subgroupAdd(squares);
    //#endif
    //#endif
    //#if WIDE
    if subgroup_lane == 0u {
        //#each r ROWS
        partial[subgroup * (ROWS + 1u) + $ru] = sum_$r;
        //#end
        partial[subgroup * (ROWS + 1u) + ROWS] = squares;
    }
    workgroupBarrier();
    //#each r ROWS
    sum_$r = 0.0;
    //#end
    squares = 0.0;
    //#each s SUBGROUPS
    //#each r ROWS
    sum_$r += partial[$su * (ROWS + 1u) + $ru];
    //#end
    squares += partial[$su * (ROWS + 1u) + ROWS];
    //#end
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
