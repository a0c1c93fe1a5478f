// The token with the largest logit, the first of several, in two launches: `parts` finds the largest of each chunk of CHUNK logits, `pick` the largest of
// those, and appends its index to the tokens. If no logit is a number the token is 0xffffffff, which the host reports.
//
// Grid: ceil(vocabulary / CHUNK) for `parts`, 1 for `pick`.

const CHUNK = 1024u;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> best: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>;

struct Scalars {
    vocabulary: u32,
    // Where `pick` appends.
    position: u32,
}
var<immediate> p: Scalars;

var<workgroup> found: array<vec2<u32>, 64>;

const NONE = vec2<u32>(0xff800000u, 0xffffffffu);

// The better of two pairs of a logit's bits and its index.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let x = bitcast<f32>(a.x);
    let y = bitcast<f32>(b.x);
    if y > x || (y == x && b.y < a.y) {
        return b;
    }
    return a;
}

fn reduce(local: u32, mine: vec2<u32>) -> vec2<u32> {
    found[local] = mine;
    workgroupBarrier();
    var all = mine;
    if local == 0u {
        for (var i = 1u; i < 64u; i++) {
            all = better(all, found[i]);
        }
    }
    return all;
}

@compute @workgroup_size(64)
fn parts(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var mine = NONE;
    let start = group.x * CHUNK;
    for (var i = start + local; i < min(start + CHUNK, p.vocabulary); i += 64u) {
        mine = better(mine, vec2<u32>(bitcast<u32>(logits[i]), i));
    }
    mine = reduce(local, mine);
    if local == 0u {
        best[group.x] = mine;
    }
}

@compute @workgroup_size(64)
fn pick(@builtin(local_invocation_index) local: u32) {
    var mine = NONE;
    let chunks = (p.vocabulary + CHUNK - 1u) / CHUNK;
    for (var i = local; i < chunks; i += 64u) {
        mine = better(mine, best[i]);
    }
    mine = reduce(local, mine);
    if local == 0u {
        tokens[p.position] = mine.y;
    }
}
