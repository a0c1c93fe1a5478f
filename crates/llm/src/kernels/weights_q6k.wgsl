// Q6_K: a block of 32 is one vec4 of nibbles, as in Q4, and two words of the two bits above. Eight blocks share what their scales are multiplied with (not a half here: see
// Q4_K) and four words of scales, a signed byte for every 16 elements; the words of bits follow. Bits 8 k + 2 i and the next are those of element 4 i + k
// of the first 16, or of the last.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    let first = block / 8u * 21u;
    let b = block % 8u;
    let both = vec4<f32>(unpack4xI8(scales[first + 1u + b / 2u] >> (b % 2u * 16u))).xy;
    let scale = both * bitcast<f32>(scales[first]);
    let upper = vec2<u32>(scales[first + 5u + 2u * b], scales[first + 6u + 2u * b]);
    let q = quants[block];
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        let bits = ((upper >> vec2<u32>(2u * i)) & vec2<u32>(0x03030303u)) << vec2<u32>(4u);
        w[i] = (vec4<f32>(unpack4xU8((q[i] & 0x0f0f0f0fu) | bits.x)) - 32.0) * scale.x;
        w[i + 4u] = (vec4<f32>(unpack4xU8(((q[i] >> 4u) & 0x0f0f0f0fu) | bits.y)) - 32.0) * scale.y;
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    let first = block / 8u * 21u;
    let b = block % 8u;
    let both = vec4<f32>(unpack4xI8(scales[first + 1u + b / 2u] >> (b % 2u * 16u))).xy;
    let scale = both * bitcast<f32>(scales[first]);
    let upper = vec2<u32>(scales[first + 5u + 2u * b], scales[first + 6u + 2u * b]);
    let q = quants[block][i];
    let bits = ((upper >> vec2<u32>(2u * i)) & vec2<u32>(0x03030303u)) << vec2<u32>(4u);
    let front = (vec4<f32>(unpack4xU8((q & 0x0f0f0f0fu) | bits.x)) - 32.0) * scale.x;
    let back = (vec4<f32>(unpack4xU8(((q >> 4u) & 0x0f0f0f0fu) | bits.y)) - 32.0) * scale.y;
    return array<vec4<f32>, 2>(front, back);
}
