// Q4_K: a block of 32 is one vec4 of nibbles, as in Q4. Eight blocks share five words of scales: what their scales are multiplied with, the same for their
// minima, two words of a byte for each block and one of a nibble for each: the low eight and high four bits of 6 bits of scale and 6 of minimum above.
//
// The two multipliers are halves in the file, and here not: most are too small to be normal halves, which a device may take for 0.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    let first = block / 8u * 5u;
    let b = block % 8u;
    let low = (scales[first + 2u + b / 4u] >> (b % 4u * 8u)) & 0xffu;
    let both = low | (((scales[first + 4u] >> (b * 4u)) & 0xfu) << 8u);
    let scale = bitcast<f32>(scales[first]) * f32(both & 63u);
    let minimum = bitcast<f32>(scales[first + 1u]) * f32(both >> 6u);
    let q = quants[block];
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        w[i] = vec4<f32>(unpack4xU8(q[i] & 0x0f0f0f0fu)) * scale - minimum;
        w[i + 4u] = vec4<f32>(unpack4xU8((q[i] >> 4u) & 0x0f0f0f0fu)) * scale - minimum;
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    let first = block / 8u * 5u;
    let b = block % 8u;
    let low = (scales[first + 2u + b / 4u] >> (b % 4u * 8u)) & 0xffu;
    let both = low | (((scales[first + 4u] >> (b * 4u)) & 0xfu) << 8u);
    let scale = bitcast<f32>(scales[first]) * f32(both & 63u);
    let minimum = bitcast<f32>(scales[first + 1u]) * f32(both >> 6u);
    let q = quants[block][i];
    let front = vec4<f32>(unpack4xU8(q & 0x0f0f0f0fu)) * scale - minimum;
    let back = vec4<f32>(unpack4xU8((q >> 4u) & 0x0f0f0f0fu)) * scale - minimum;
    return array<vec4<f32>, 2>(front, back);
}
