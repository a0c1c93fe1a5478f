// Eight-bit weights: a block of 32 is two vec4 of signed bytes in order, with its scale as the low half of one word.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    let scale = unpack2x16float(scales[block]).x;
    let low = quants[2u * block];
    let high = quants[2u * block + 1u];
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        w[i] = vec4<f32>(unpack4xI8(low[i])) * scale;
        w[i + 4u] = vec4<f32>(unpack4xI8(high[i])) * scale;
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    let scale = unpack2x16float(scales[block]).x;
    return array<vec4<f32>, 2>(
        vec4<f32>(unpack4xI8(quants[2u * block][i])) * scale,
        vec4<f32>(unpack4xI8(quants[2u * block + 1u][i])) * scale,
    );
}
