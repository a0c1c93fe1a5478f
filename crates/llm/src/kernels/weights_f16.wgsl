// Half precision weights: a block of 32 is four vec4, each of eight halves in order. There are no scales.

@group(0) @binding(0) var<storage, read> quants: array<vec4<u32>>;

fn decode(block: u32) -> array<vec4<f32>, 8> {
    var w: array<vec4<f32>, 8>;
    for (var i = 0u; i < 4u; i++) {
        let q = quants[4u * block + i];
        w[2u * i] = vec4<f32>(unpack2x16float(q.x), unpack2x16float(q.y));
        w[2u * i + 1u] = vec4<f32>(unpack2x16float(q.z), unpack2x16float(q.w));
    }
    return w;
}
