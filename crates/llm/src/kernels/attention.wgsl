// Causal attention of one query head at one token over the cache, with the softmax computed as it goes.
//
// Positions come in blocks of WORKGROUP: each invocation computes the score of one position; then the invocations share out the head's chunks of eight elements, and PARTS of
// them share a chunk, each taking every PARTS-th position. The running maximum and sum are the same in every invocation.
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.)
//
// FUSED: there is one token, and its queries, keys and values have not been turned or appended: this kernel does both. The token's position is on the device. A workgroup takes SPLIT
// positions of the past, the last one also the token itself, and leaves the largest score and the sum next to its result, from which `matvec.wgsl` weighs the parts.
// (Dao et al., "Flash-Decoding", 2023.) The first head of those that share keys and values appends them; the others compute them, too, and read only what is older.
// Otherwise there are several tokens, and `rope.wgsl` came before.
//
// ONE: SPLIT is WORKGROUP, so that there is one block, and what it needs of the cache is loaded before anything else.
//
// SUBGROUP: maxima and sums go through subgroups of LANES invocations, and FOLDS times two halves of a subgroup are added up to begin with. RESTS is what is left of PARTS then.
//
// Grid: HEADS by parts of the past (FUSED), or HEADS by tokens.

//#if FUSED
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> turns: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> shares: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> progress: array<u32>;

var<workgroup> own_key: array<vec4<u32>, CHUNKS>;
var<workgroup> own_value: array<vec4<u32>, CHUNKS>;
//#else
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

struct Scalars {
    // Position of the first token.
    position: u32,
}
var<immediate> p: Scalars;
//#endif

// The head's pairs, two in a vec4.
var<workgroup> query: array<vec4<f32>, 2u * CHUNKS>;
var<workgroup> weights: array<f32, WORKGROUP>;
//#if SUBGROUP
var<workgroup> maxima: array<f32, SUBGROUPS>;
var<workgroup> sums: array<f32, SUBGROUPS>;
//#endif
// First and second half of each chunk.
var<workgroup> rests: array<array<vec4<f32>, 2>, RESTS * CHUNKS>;

const LOWEST = -3.0e38;

fn halves(low: u32, high: u32) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(low), unpack2x16float(high));
}

fn score_of(key: vec4<u32>, chunk: u32) -> f32 {
    return dot(halves(key.x, key.y), query[2u * chunk]) + dot(halves(key.z, key.w), query[2u * chunk + 1u]);
}

//#if FUSED
// Pair `pair` of the head that starts at `start`, turned.
fn pair_of(start: u32, pair: u32, position: u32) -> vec2<f32> {
    let a = pair_start(start, pair);
    return turned(vec2<f32>(qkv[a], qkv[a + PAIR_STRIDE]), turns[position * HEAD_PAIRS + pair]);
}

// Turns a chunk of the query; turns and rounds one of the key and of the value.
fn own_chunk(chunk: u32, head: u32, head_kv: u32, position: u32) {
    let q = head_start(0u, head);
    let k = head_start(0u, HEADS + head_kv);
    let v = head_start(0u, HEADS + HEADS_KV + head_kv) + 8u * chunk;
    //#each i 4
    let q_$i = pair_of(q, 4u * chunk + $iu, position) * SCALE;
    let k_$i = pack2x16float(pair_of(k, 4u * chunk + $iu, position));
    let v_$i = pack2x16float(vec2<f32>(qkv[v + $(2i)u], qkv[v + $(2i+1)u]));
    //#end
    query[2u * chunk] = vec4<f32>(q_0, q_1);
    query[2u * chunk + 1u] = vec4<f32>(q_2, q_3);
    own_key[chunk] = vec4<u32>(k_0, k_1, k_2, k_3);
    own_value[chunk] = vec4<u32>(v_0, v_1, v_2, v_3);
}
//#endif

@compute @workgroup_size(WORKGROUP)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    //#if SUBGROUP
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    //#else
    @builtin(local_invocation_index) local: u32,
    //#endif
) {
    //#if SUBGROUP
    let local = subgroup * LANES + lane;
    //#endif
    let head = group.x;
    let head_kv = head / (HEADS / HEADS_KV);
    let chunk = local % CHUNKS;
    let part = local / CHUNKS;
    var highest = LOWEST;
    var total = 0.0;
    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    //#if FUSED
    let position = progress[0];
    let start = group.y * SPLIT;
    if start > position {
        return;
    }
    let end = min(position, start + SPLIT);
    //#if ONE
    let count = end - start;
    let last = start + max(count, 1u) - 1u;
    let mine = min(start + local, last);
    //#each c CHUNKS
    let key_$c = keys[key_at(mine, head_kv, $cu)];
    //#end
    //#each u STEPS
    let at_$u = part + PARTS * $uu;
    let value_$u = values[value_at(min(start + at_$u, last), head_kv, chunk)];
    //#end
    //#endif
    if local < CHUNKS {
        own_chunk(local, head, head_kv, position);
    }
    workgroupBarrier();
    if position - start < SPLIT {
        highest = 0.0;
        //#each c CHUNKS
        highest += score_of(own_key[$c], $cu);
        //#end
        total = 1.0;
        if part == 0u {
            low = halves(own_value[chunk].x, own_value[chunk].y);
            high = halves(own_value[chunk].z, own_value[chunk].w);
            if head % (HEADS / HEADS_KV) == 0u {
                keys[key_at(position, head_kv, chunk)] = own_key[chunk];
                values[value_at(position, head_kv, chunk)] = own_value[chunk];
            }
        }
    }
    let to = 2u * CHUNKS * (group.y * HEADS + head) + 2u * local;
    //#else
    let token = group.y;
    let start = 0u;
    let end = p.position + token + 1u;
    if local < CHUNKS {
        let q = head_start(token, head);
        //#each i 4
        let a_$i = pair_start(q, 4u * local + $iu);
        let q_$i = vec2<f32>(qkv[a_$i], qkv[a_$i + PAIR_STRIDE]) * SCALE;
        //#end
        query[2u * local] = vec4<f32>(q_0, q_1);
        query[2u * local + 1u] = vec4<f32>(q_2, q_3);
    }
    workgroupBarrier();
    let to = 2u * CHUNKS * (token * HEADS + head) + 2u * local;
    //#endif
    //#if ONE
    {
    //#else
    for (var first = start; first < end; first += WORKGROUP) {
        let count = min(WORKGROUP, end - first);
        let mine = first + min(local, count - 1u);
        //#each c CHUNKS
        let key_$c = keys[key_at(mine, head_kv, $cu)];
        //#end
    //#endif
        var score = 0.0;
        //#each c CHUNKS
        score += score_of(key_$c, $cu);
        //#end
        score = select(LOWEST, score, local < count);
        var block_highest = highest;
        //#if SUBGROUP
        let lanes_highest = subgroupMax(score);
        if lane == 0u {
            maxima[subgroup] = lanes_highest;
        }
        workgroupBarrier();
        //#each s SUBGROUPS
        block_highest = max(block_highest, maxima[$s]);
        //#end
        //#else
        weights[local] = score;
        workgroupBarrier();
        for (var i = 0u; i < count; i++) {
            block_highest = max(block_highest, weights[i]);
        }
        workgroupBarrier();
        //#endif
        let weight = select(0.0, exp(score - block_highest), local < count);
        weights[local] = weight;
        //#if SUBGROUP
        let lanes_sum = subgroupAdd(weight);
        if lane == 0u {
            sums[subgroup] = lanes_sum;
        }
        //#endif
        workgroupBarrier();
        let scale = exp(highest - block_highest);
        highest = block_highest;
        total *= scale;
        low *= scale;
        high *= scale;
        //#if SUBGROUP
        //#each s SUBGROUPS
        total += sums[$s];
        //#end
        //#else
        for (var i = 0u; i < count; i++) {
            total += weights[i];
        }
        //#endif
        if part < PARTS {
            //#if ONE
            //#else
            //#each u STEPS
            let at_$u = part + PARTS * $uu;
            let value_$u = values[value_at(first + min(at_$u, count - 1u), head_kv, chunk)];
            //#end
            //#endif
            //#each u STEPS
            let weight_$u = select(0.0, weights[min(at_$u, WORKGROUP - 1u)], at_$u < count);
            low += weight_$u * halves(value_$u.x, value_$u.y);
            high += weight_$u * halves(value_$u.z, value_$u.w);
            //#end
        }
        //#if SUBGROUP
        //#else
        // The next block writes what this one reads.
        workgroupBarrier();
        //#endif
    }
    //#each f FOLDS
    low += subgroupShuffleXor(low, CHUNKS << $fu);
    high += subgroupShuffleXor(high, CHUNKS << $fu);
    //#end
    if part < PARTS && part % (PARTS / RESTS) == 0u {
        rests[part / (PARTS / RESTS) * CHUNKS + chunk] = array<vec4<f32>, 2>(low, high);
    }
    workgroupBarrier();
    if local < CHUNKS {
        low = vec4<f32>(0.0);
        high = vec4<f32>(0.0);
        //#each r RESTS
        low += rests[$ru * CHUNKS + local][0];
        high += rests[$ru * CHUNKS + local][1];
        //#end
        y[to] = low / total;
        y[to + 1u] = high / total;
    }
    //#if FUSED
    if local == 0u {
        shares[group.y * HEADS + head] = vec2<f32>(highest, total);
    }
    //#endif
}
