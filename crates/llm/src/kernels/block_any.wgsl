// A quarter of a block of weights as the matrix-vector product takes it, for formats that have nothing better than `part`.
//
// A quarter `i` of a block of 32 is the elements 4 i to 4 i + 3 and 16 + 4 i to 16 + 4 i + 3: what a word of nibbles holds. Four lanes share a block, so that neighbours read what lies side
// by side, of the weights and of the input. A format that can do better has a file of its own with the same four names:
// - `Part` is a quarter in registers, as it is stored;
// - `load` fills it and does nothing else, so that several loads are under way before the first is used;
// - `unpack` gives its eight values, with as little work as possible;
// - `affine` gives the scale and the offset that make weights of them: weight = value * scale + offset. It is applied once a quarter, not once a weight, and is the
//   same for all quarters of a block.

struct Part {
    block: u32,
    i: u32,
}

fn load(block: u32, i: u32) -> Part {
    return Part(block, i);
}

fn unpack(p: Part) -> array<vec4<f32>, 2> {
    return part(p.block, p.i);
}

fn affine(p: Part) -> vec2<f32> {
    return vec2<f32>(1.0, 0.0);
}
