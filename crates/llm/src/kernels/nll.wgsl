// Negative log-likelihood, in nats, of the token that follows each token: log(sum of exp(logits)) - logits[next].
//
// One workgroup a token. Grid: tokens.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> nll: array<f32>;

struct Scalars {
    vocabulary: u32,
    // Position of the first token; its successor is the first to be scored.
    position: u32,
}
var<immediate> p: Scalars;

var<workgroup> shared_values: array<f32, 256>;

@compute @workgroup_size(256)
fn score(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let start = group.x * p.vocabulary;
    var highest = -3.0e38;
    for (var i = local; i < p.vocabulary; i += 256u) {
        highest = max(highest, logits[start + i]);
    }
    shared_values[local] = highest;
    workgroupBarrier();
    for (var i = 0u; i < 256u; i++) {
        highest = max(highest, shared_values[i]);
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = local; i < p.vocabulary; i += 256u) {
        sum += exp(logits[start + i] - highest);
    }
    shared_values[local] = sum;
    workgroupBarrier();
    if local == 0u {
        var total = 0.0;
        for (var i = 0u; i < 256u; i++) {
            total += shared_values[i];
        }
        let next = min(tokens[p.position + group.x + 1u], p.vocabulary - 1u);
        nll[p.position + group.x] = log(total) + highest - logits[start + next];
    }
}
