// A block of 32 four-bit weights as the matrix-vector product takes it: see `block_any.wgsl`.
//
// 16 is 0x41800000 in single precision, and the four bits below its exponent's are worth 8, 4, 2 and 1. So a nibble moved there makes 16 + nibble, exactly, with a shift and a logical
// operation; `affine` takes the 16 away again, for the block as a whole.

struct Block {
    q: vec4<u32>,
    scale: u32,
}

fn load(block: u32) -> Block {
    return Block(quants[block], scales[block]);
}

fn low(q: u32) -> vec4<f32> {
    let moved = vec4<u32>(q << 19u, q << 11u, q << 3u, q >> 5u);
    return bitcast<vec4<f32>>((moved & vec4<u32>(0x780000u)) | vec4<u32>(0x41800000u));
}

fn high(q: u32) -> vec4<f32> {
    let moved = vec4<u32>(q << 15u, q << 7u, q >> 1u, q >> 9u);
    return bitcast<vec4<f32>>((moved & vec4<u32>(0x780000u)) | vec4<u32>(0x41800000u));
}

fn unpack(b: Block) -> array<vec4<f32>, 8> {
    return array<vec4<f32>, 8>(
        low(b.q.x), low(b.q.y), low(b.q.z), low(b.q.w),
        high(b.q.x), high(b.q.y), high(b.q.z), high(b.q.w),
    );
}

fn affine(b: Block) -> vec2<f32> {
    let scale = unpack2x16float(b.scale);
    return vec2<f32>(scale.x, scale.y - 16.0 * scale.x);
}
