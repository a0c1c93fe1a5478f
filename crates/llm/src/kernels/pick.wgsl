// The second stage of the argmax: the largest of the COUNT pairs that the workgroups of the output projection left. Its row is the next token: it is appended to the tokens after the
// device's own position, which moves on, and with EMBED its row of the embedding table becomes x, so that the next step can begin. If no logit is a number the token is 0xffffffff, which the host reports.
//
// SUBGROUP: a subgroup finds its largest by itself. FOUND is how many remain: one a subgroup, or one an invocation.
//
// Grid: 1.

@group(0) @binding(2) var<storage, read> best: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> progress: array<u32>;
//#if EMBED
@group(0) @binding(5) var<storage, read_write> x: array<vec4<f32>>;
//#endif

var<workgroup> found: array<vec2<u32>, FOUND>;

@compute @workgroup_size(WORKGROUP)
fn pick(
    @builtin(local_invocation_index) local: u32,
    //#if SUBGROUP
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    //#endif
) {
    let position = progress[0] + 1u;
    var mine = NONE;
    for (var i = local; i < COUNT; i += 4u * WORKGROUP) {
        // Looking at the last pair again changes nothing.
        //#each u 4
        let pair_$u = best[min(i + $uu * WORKGROUP, COUNT - 1u)];
        //#end
        //#each u 4
        mine = better(mine, pair_$u);
        //#end
    }
    //#if SUBGROUP
    let top = subgroupMax(bitcast<f32>(mine.x));
    let row = subgroupMin(select(NONE.y, mine.y, bitcast<f32>(mine.x) == top));
    if lane == 0u {
        found[subgroup] = vec2<u32>(bitcast<u32>(top), row);
    }
    //#else
    found[local] = mine;
    //#endif
    workgroupBarrier();
    mine = found[0];
    for (var i = 1u; i < FOUND; i++) {
        mine = better(mine, found[i]);
    }
    if local == 0u {
        tokens[position] = mine.y;
        progress[0] = position;
    }
    //#if EMBED
    let token = min(mine.y, VOCABULARY - 1u);
    for (var block = local; block < BLOCKS; block += WORKGROUP) {
        var w = decode(token * BLOCKS + block);
        //#each i 8
        x[8u * block + $iu] = w[$i];
        //#end
    }
    //#endif
}
