// A block of 32 weights as the matrix-vector product takes it, for formats that have nothing better than `decode`.
//
// A format that can do better has a file of its own with the same four names:
// - `Block` is a block in registers, as it is stored;
// - `load` fills it and does nothing else, so that several loads are under way before the first is used;
// - `unpack` gives 32 values in the order of the columns, with as little work as possible;
// - `affine` gives the scale and the offset that make weights of them: weight = value * scale + offset. It is applied once a block, not once a weight.

struct Block {
    at: u32,
}

fn load(block: u32) -> Block {
    return Block(block);
}

fn unpack(b: Block) -> array<vec4<f32>, 8> {
    return decode(b.at);
}

fn affine(b: Block) -> vec2<f32> {
    return vec2<f32>(1.0, 0.0);
}
