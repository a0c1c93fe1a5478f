// Single precision weights: a block of 32 is eight vec4 in order. There are no scales.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        w[i] = bitcast<vec4<f32>>(quants[8u * block + i]);
    }
    return w;
}

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    return array<vec4<f32>, 2>(
        bitcast<vec4<f32>>(quants[8u * block + i]),
        bitcast<vec4<f32>>(quants[8u * block + 4u + i]),
    );
}
