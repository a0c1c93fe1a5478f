// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef metal::uint2 type_4[1];
typedef uint type_5[1];
struct type_6 {
    metal::uint2 inner[8];
};
constant uint WORKGROUP = 256u;
constant uint FOUND = 8u;
constant uint COUNT = 9u;
constant uint BLOCKS = 2u;
constant uint VOCABULARY = 259u;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

metal::uint2 better(
    metal::uint2 a,
    metal::uint2 b
) {
    bool local_1 = {};
    bool local_2 = {};
    float x = as_type<float>(a.x);
    float y = as_type<float>(b.x);
    if (!((y > x))) {
        if (y == x) {
            local_2 = b.y < a.y;
        } else {
            local_2 = false;
        }
        bool _e17 = local_2;
        local_1 = _e17;
    } else {
        local_1 = true;
    }
    bool _e19 = local_1;
    return _e19 ? b : a;
}

struct pickInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void pick(
  uint local [[thread_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, device type_4 const& best [[buffer(0)]]
, device type_5& tokens [[buffer(1)]]
, device type_5& progress [[buffer(2)]]
, threadgroup type_6& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    if (local == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 mine = NONE;
    uint i = {};
    uint i_1 = 1u;
    uint _e5 = progress[metal::min(unsigned(0), (_buffer_sizes.size2 - 0 - 4) / 4)];
    uint position = _e5 + 1u;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e54 = i;
            i = _e54 + 1024u;
        }
        loop_init = false;
        uint _e11 = i;
        if (_e11 < COUNT) {
        } else {
            break;
        }
        {
            uint _e15 = i;
            metal::uint2 pair_0_ = best[metal::min(unsigned(metal::min(_e15 + 0u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e23 = i;
            metal::uint2 pair_1_ = best[metal::min(unsigned(metal::min(_e23 + 256u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e31 = i;
            metal::uint2 pair_2_ = best[metal::min(unsigned(metal::min(_e31 + 512u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e39 = i;
            metal::uint2 pair_3_ = best[metal::min(unsigned(metal::min(_e39 + 768u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            metal::uint2 _e46 = mine;
            metal::uint2 _e47 = better(_e46, pair_0_);
            mine = _e47;
            metal::uint2 _e48 = mine;
            metal::uint2 _e49 = better(_e48, pair_1_);
            mine = _e49;
            metal::uint2 _e50 = mine;
            metal::uint2 _e51 = better(_e50, pair_2_);
            mine = _e51;
            metal::uint2 _e52 = mine;
            metal::uint2 _e53 = better(_e52, pair_3_);
            mine = _e53;
        }
    }
    uint _e58 = mine.x;
    float unnamed = metal::simd_max(as_type<float>(_e58));
    uint _e63 = mine.y;
    uint _e65 = mine.x;
    uint unnamed_1 = metal::simd_min((as_type<float>(_e65) == unnamed) ? _e63 : 4294967295u);
    if (lane == 0u) {
        found.inner[metal::min(unsigned(subgroup), 7u)] = metal::uint2(as_type<uint>(unnamed), unnamed_1);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 _e78 = found.inner[0];
    mine = _e78;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e91 = i_1;
            i_1 = _e91 + 1u;
        }
        loop_init_1 = false;
        uint _e81 = i_1;
        if (_e81 < FOUND) {
        } else {
            break;
        }
        {
            metal::uint2 _e84 = mine;
            uint _e86 = i_1;
            metal::uint2 _e88 = found.inner[metal::min(unsigned(_e86), 7u)];
            metal::uint2 _e89 = better(_e84, _e88);
            mine = _e89;
        }
    }
    if (local == 0u) {
        uint _e98 = mine.y;
        tokens[metal::min(unsigned(position), (_buffer_sizes.size1 - 0 - 4) / 4)] = _e98;
        progress[metal::min(unsigned(0), (_buffer_sizes.size2 - 0 - 4) / 4)] = position;
        return;
    } else {
        return;
    }
}
