// A quarter of a block of four-bit weights as the matrix-vector product takes it: see `block_any.wgsl`.
//
// 16 is 0x41800000 in single precision, and the four bits below its exponent's are worth 8, 4, 2 and 1. So a nibble moved there makes 16 + nibble, exactly, with a shift and a logical
// operation; `affine` takes the 16 away again, for all eight at once.

struct Part {
    q: u32,
    scale: u32,
}

fn load(block: u32, i: u32) -> Part {
    return Part(quants[block][i], scales[block]);
}

fn unpack(p: Part) -> array<vec4<f32>, 2> {
    let low = vec4<u32>(p.q << 19u, p.q << 11u, p.q << 3u, p.q >> 5u);
    let high = vec4<u32>(p.q << 15u, p.q << 7u, p.q >> 1u, p.q >> 9u);
    return array<vec4<f32>, 2>(
        bitcast<vec4<f32>>((low & vec4<u32>(0x780000u)) | vec4<u32>(0x41800000u)),
        bitcast<vec4<f32>>((high & vec4<u32>(0x780000u)) | vec4<u32>(0x41800000u)),
    );
}

fn affine(p: Part) -> vec2<f32> {
    let scale = unpack2x16float(p.scale);
    return vec2<f32>(scale.x, scale.y - 16.0 * scale.x);
}
