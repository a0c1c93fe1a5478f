// Q5_K: as Q4_K, and a word with the fifth bits of each block after the five words of scales that eight share. Bit 8 k + i is that of element 4 i + k: a shift and a
// mask bring those of four elements to the bytes that these have.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    let first = block / 8u * 13u;
    let b = block % 8u;
    let low = (scales[first + 2u + b / 4u] >> (b % 4u * 8u)) & 0xffu;
    let both = low | (((scales[first + 4u] >> (b * 4u)) & 0xfu) << 8u);
    let scale = bitcast<f32>(scales[first]) * f32(both & 63u);
    let minimum = bitcast<f32>(scales[first + 1u]) * f32(both >> 6u);
    let fifth = scales[first + 5u + b];
    let q = quants[block];
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        let upper = ((fifth >> i) & 0x01010101u) << 4u;
        w[i] = vec4<f32>(unpack4xU8((q[i] & 0x0f0f0f0fu) | upper)) * scale - minimum;
        let upper_too = ((fifth >> (i + 4u)) & 0x01010101u) << 4u;
        w[i + 4u] = vec4<f32>(unpack4xU8(((q[i] >> 4u) & 0x0f0f0f0fu) | upper_too)) * scale - minimum;
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    let first = block / 8u * 13u;
    let b = block % 8u;
    let low = (scales[first + 2u + b / 4u] >> (b % 4u * 8u)) & 0xffu;
    let both = low | (((scales[first + 4u] >> (b * 4u)) & 0xfu) << 8u);
    let scale = bitcast<f32>(scales[first]) * f32(both & 63u);
    let minimum = bitcast<f32>(scales[first + 1u]) * f32(both >> 6u);
    let fifth = scales[first + 5u + b];
    let q = quants[block][i];
    let upper = ((fifth >> i) & 0x01010101u) << 4u;
    let front = vec4<f32>(unpack4xU8((q & 0x0f0f0f0fu) | upper)) * scale - minimum;
    let upper_too = ((fifth >> (i + 4u)) & 0x01010101u) << 4u;
    let back = vec4<f32>(unpack4xU8(((q >> 4u) & 0x0f0f0f0fu) | upper_too)) * scale - minimum;
    return array<vec4<f32>, 2>(front, back);
}
