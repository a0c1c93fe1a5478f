// Rotary position embedding of the queries and keys of several tokens, and the append to the key and value cache. (For one token `attention.wgsl` does it.)
//
// A pair (a, b) of a head at some position turns by that position's angle for the pair, whose cosine and sine stand in a table made on the host: a device's own sine is good to 11 bits.
// Queries are turned in place. Keys and values go to the caches as halves: see `cache.wgsl`.
//
// An invocation handles one pair. Grid: ceil(pairs of a row / 64) by tokens.

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> turns: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;

struct Scalars {
    position: u32,
}
var<immediate> p: Scalars;

@compute @workgroup_size(64)
fn rope(@builtin(global_invocation_id) id: vec3<u32>) {
    let head = id.x / HEAD_PAIRS;
    let pair = id.x % HEAD_PAIRS;
    let token = id.y;
    let position = p.position + token;
    if head >= HEADS + 2u * HEADS_KV {
        return;
    }
    let start = head_start(token, head);
    if head >= HEADS + HEADS_KV {
        let at = 4u * value_at(position, head - HEADS - HEADS_KV, pair / 4u) + pair % 4u;
        values[at] = pack2x16float(vec2<f32>(qkv[start + 2u * pair], qkv[start + 2u * pair + 1u]));
        return;
    }
    let a = pair_start(start, pair);
    let b = a + PAIR_STRIDE;
    let v = turned(vec2<f32>(qkv[a], qkv[b]), turns[position * HEAD_PAIRS + pair]);
    if head >= HEADS {
        keys[4u * key_at(position, head - HEADS, pair / 4u) + pair % 4u] = pack2x16float(v);
    } else {
        qkv[a] = v.x;
        qkv[b] = v.y;
    }
}
