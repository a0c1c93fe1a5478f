// Random four-bit weights, for measurements: nibbles, or for each block a scale and a minimum that make weights of mean 0 out of them.
//
// An invocation makes one word. Grid: ceil(words / 256) along x, in rows of ROW along y.

@group(0) @binding(0) var<storage, read_write> words: array<u32>;

struct Scalars {
    count: u32,
    seed: u32,
    // About the largest weight, or 0 for nibbles.
    scale: f32,
}
var<immediate> p: Scalars;

// Jarzynski and Olano, "Hash Functions for GPU Rendering" (2020): PCG.
fn hash(x: u32) -> u32 {
    let state = x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

@compute @workgroup_size(256)
fn random(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * ROW + group.x) * 256u + local;
    if at >= p.count {
        return;
    }
    let bits = hash(at ^ hash(p.seed));
    if p.scale == 0.0 {
        words[at] = bits;
        return;
    }
    let largest = p.scale * (0.5 + f32(bits >> 8u) / 16777216.0);
    words[at] = pack2x16float(vec2<f32>(largest / 7.5, -largest));
}
