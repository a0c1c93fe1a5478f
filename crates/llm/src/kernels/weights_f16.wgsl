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

// Elements 4 i to 4 i + 3, and the same 16 further on.
fn part(block: u32, i: u32) -> array<vec4<f32>, 2> {
    // Two vec4 of the block hold the first half, two the second; four elements are half of one.
    let a = quants[4u * block + i / 2u];
    let b = quants[4u * block + 2u + i / 2u];
    let first = select(a.xy, a.zw, i % 2u == 1u);
    let second = select(b.xy, b.zw, i % 2u == 1u);
    return array<vec4<f32>, 2>(
        vec4<f32>(unpack2x16float(first.x), unpack2x16float(first.y)),
        vec4<f32>(unpack2x16float(second.x), unpack2x16float(second.y)),
    );
}
