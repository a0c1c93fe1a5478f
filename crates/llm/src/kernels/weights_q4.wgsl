// Four-bit weights: a block of 32 is one vec4 of nibbles, with scale and minimum as two halves in one word.
// Byte j of the vec4 holds element j in its low nibble and element 16 + j in its high one, as in ggml's Q4_0 and Q4_1.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    let q = quants[block];
    let scale = unpack2x16float(scales[block]);
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        w[i] = vec4<f32>(unpack4xU8(q[i] & 0x0f0f0f0fu)) * scale.x + scale.y;
        w[i + 4u] = vec4<f32>(unpack4xU8((q[i] >> 4u) & 0x0f0f0f0fu)) * scale.x + scale.y;
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    let q = quants[block][i];
    let scale = unpack2x16float(scales[block]);
    return array<vec4<f32>, 2>(
        vec4<f32>(unpack4xU8(q & 0x0f0f0f0fu)) * scale.x + scale.y,
        vec4<f32>(unpack4xU8((q >> 4u) & 0x0f0f0f0fu)) * scale.x + scale.y,
    );
}
