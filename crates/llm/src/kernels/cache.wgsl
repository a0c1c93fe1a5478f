// Where keys and values lie in a layer's cache, in vec4 of eight halves: CHUNKS of them make a head at a position.
//
// Keys: chunk by chunk, 32 positions side by side, because an invocation computes the score of a position and its neighbours that of the next ones. A chunk holds four pairs of elements that turn together.
// Values: position by position, because invocations share out the elements of a head. Elements are in order, whatever a pair is.

fn key_at(position: u32, head_kv: u32, chunk: u32) -> u32 {
    return ((position / 32u * HEADS_KV + head_kv) * CHUNKS + chunk) * 32u + position % 32u;
}

fn value_at(position: u32, head_kv: u32, chunk: u32) -> u32 {
    return (position * HEADS_KV + head_kv) * CHUNKS + chunk;
}

// A row of qkv holds the query heads, then the key heads, then the value heads. This is where a head starts.
fn head_start(token: u32, head: u32) -> u32 {
    return (token * (HEADS + 2u * HEADS_KV) + head) * 2u * HEAD_PAIRS;
}

// First element of a pair of a head: PAIR_STRIDE is the distance of the second, 1 for neighbouring pairs, half a head to rotate halves.
fn pair_start(start: u32, pair: u32) -> u32 {
    return start + select(2u * pair, pair, PAIR_STRIDE > 1u);
}

fn turned(v: vec2<f32>, turn: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(v.x * turn.x - v.y * turn.y, v.x * turn.y + v.y * turn.x);
}
