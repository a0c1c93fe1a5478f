// Causal attention of one query head at one token over the cache, with the softmax computed as it goes.
//
// Positions come in blocks of WORKGROUP: each invocation computes the score of one position; then the invocations share out the head's pairs, and SPLIT
// of them share a pair, each taking every SPLIT-th position. The running maximum and sum are the same in every invocation.
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.)
//
// Grid: HEADS by tokens.

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

struct Scalars {
    // Position of the first token.
    position: u32,
}
var<immediate> p: Scalars;

const SPLIT = WORKGROUP / HEAD_PAIRS;

var<workgroup> query: array<vec2<f32>, HEAD_PAIRS>;
var<workgroup> weights: array<f32, WORKGROUP>;
var<workgroup> parts: array<vec2<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn attention(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let head = group.x;
    let token = group.y;
    let head_kv = head / (HEADS / HEADS_KV);
    let positions = p.position + token + 1u;
    let start = (token * (HEADS + 2u * HEADS_KV) + head) * 2u * HEAD_PAIRS;
    for (var i = local; i < HEAD_PAIRS; i += WORKGROUP) {
        let a = start + select(2u * i, i, PAIR_STRIDE > 1u);
        query[i] = vec2<f32>(qkv[a], qkv[a + PAIR_STRIDE]) * SCALE;
    }
    workgroupBarrier();
    let pair = local % HEAD_PAIRS;
    let part = local / HEAD_PAIRS;
    var highest = -3.0e38;
    var total = 0.0;
    var sum = vec2<f32>(0.0);
    for (var first = 0u; first < positions; first += WORKGROUP) {
        let count = min(WORKGROUP, positions - first);
        var score = -3.0e38;
        if local < count {
            score = 0.0;
            let row = ((first + local) * HEADS_KV + head_kv) * HEAD_PAIRS;
            for (var i = 0u; i < HEAD_PAIRS; i++) {
                score += dot(unpack2x16float(keys[row + i]), query[i]);
            }
        }
        weights[local] = score;
        workgroupBarrier();
        var block_highest = highest;
        for (var i = 0u; i < count; i++) {
            block_highest = max(block_highest, weights[i]);
        }
        workgroupBarrier();
        weights[local] = select(0.0, exp(score - block_highest), local < count);
        workgroupBarrier();
        let scale = exp(highest - block_highest);
        highest = block_highest;
        total *= scale;
        sum *= scale;
        for (var i = 0u; i < count; i++) {
            total += weights[i];
        }
        if part < SPLIT {
            for (var i = part; i < count; i += SPLIT) {
                let row = ((first + i) * HEADS_KV + head_kv) * HEAD_PAIRS;
                sum += weights[i] * unpack2x16float(values[row + pair]);
            }
        }
        workgroupBarrier();
    }
    parts[local] = sum;
    workgroupBarrier();
    if part == 0u {
        for (var i = 1u; i < SPLIT; i++) {
            sum += parts[i * HEAD_PAIRS + pair];
        }
        let to = (token * HEADS + head) * 2u * HEAD_PAIRS + 2u * pair;
        y[to] = sum.x / total;
        y[to + 1u] = sum.y / total;
    }
}
