// Rotary position embedding of queries and keys, and the append to the key and value cache.
//
// A row of qkv holds the query heads, then the key heads, then the value heads; BIAS: still without their biases, which are as long as a row. A pair (a, b) of a head at some position turns by that position's angle for the
// pair, whose cosine and sine stand in a table made on the host: a device's own sine is good to 11 bits. Queries are turned in place. Keys and values go to the caches as
// pairs of halves, one word a pair, one row a position.
//
// PAIR_STRIDE: distance between the two elements of a pair; 1 for neighbouring pairs, half a head to rotate halves.
//
// An invocation handles one pair. Grid: ceil(pairs of a row / 64) by tokens.

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> turns: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;
//#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
//#endif

struct Scalars {
    position: u32,
}
var<immediate> p: Scalars;

const WIDTH = (HEADS + 2u * HEADS_KV) * 2u * HEAD_PAIRS;

// Two elements of a token's row.
fn load(token: u32, a: u32, b: u32) -> vec2<f32> {
    let found = vec2<f32>(qkv[token * WIDTH + a], qkv[token * WIDTH + b]);
    //#if BIAS
    return found + vec2<f32>(bias[a], bias[b]);
    //#else
    return found;
    //#endif
}

@compute @workgroup_size(64)
fn rope(@builtin(global_invocation_id) id: vec3<u32>) {
    let head = id.x / HEAD_PAIRS;
    let pair = id.x % HEAD_PAIRS;
    let token = id.y;
    let position = p.position + token;
    if head >= HEADS + 2u * HEADS_KV {
        return;
    }
    let a = head * 2u * HEAD_PAIRS + select(2u * pair, pair, PAIR_STRIDE > 1u);
    let b = a + PAIR_STRIDE;
    if head >= HEADS + HEADS_KV {
        let row = position * HEADS_KV + head - HEADS - HEADS_KV;
        // Values are stored as neighbours, whatever a pair is.
        let v = head * 2u * HEAD_PAIRS + 2u * pair;
        values[row * HEAD_PAIRS + pair] = pack2x16float(load(token, v, v + 1u));
        return;
    }
    let turn = turns[position * HEAD_PAIRS + pair];
    let old = load(token, a, b);
    let turned = vec2<f32>(old.x * turn.x - old.y * turn.y, old.x * turn.y + old.y * turn.x);
    if head >= HEADS {
        let row = position * HEADS_KV + head - HEADS;
        keys[row * HEAD_PAIRS + pair] = pack2x16float(turned);
    } else {
        qkv[token * WIDTH + a] = turned.x;
        qkv[token * WIDTH + b] = turned.y;
    }
}
