// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef metal::uint2 type_3[1];
typedef uint type_4[1];
struct type_5 {
    metal::uint2 inner[32];
};
constant uint WORKGROUP = 32u;
constant uint FOUND = 32u;
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
[[max_total_threads_per_threadgroup(32)]] kernel void pick(
  uint local [[thread_index_in_threadgroup]]
, device type_3 const& best [[buffer(0)]]
, device type_4& tokens [[buffer(1)]]
, device type_4& progress [[buffer(2)]]
, threadgroup type_5& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    if (local == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 mine = NONE;
    uint i = {};
    uint i_1 = 1u;
    uint _e3 = progress[metal::min(unsigned(0), (_buffer_sizes.size2 - 0 - 4) / 4)];
    uint position = _e3 + 1u;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e52 = i;
            i = _e52 + 128u;
        }
        loop_init = false;
        uint _e9 = i;
        if (_e9 < COUNT) {
        } else {
            break;
        }
        {
            uint _e13 = i;
            metal::uint2 pair_0_ = best[metal::min(unsigned(metal::min(_e13 + 0u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e21 = i;
            metal::uint2 pair_1_ = best[metal::min(unsigned(metal::min(_e21 + 32u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e29 = i;
            metal::uint2 pair_2_ = best[metal::min(unsigned(metal::min(_e29 + 64u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            uint _e37 = i;
            metal::uint2 pair_3_ = best[metal::min(unsigned(metal::min(_e37 + 96u, 8u)), (_buffer_sizes.size0 - 0 - 8) / 8)];
            metal::uint2 _e44 = mine;
            metal::uint2 _e45 = better(_e44, pair_0_);
            mine = _e45;
            metal::uint2 _e46 = mine;
            metal::uint2 _e47 = better(_e46, pair_1_);
            mine = _e47;
            metal::uint2 _e48 = mine;
            metal::uint2 _e49 = better(_e48, pair_2_);
            mine = _e49;
            metal::uint2 _e50 = mine;
            metal::uint2 _e51 = better(_e50, pair_3_);
            mine = _e51;
        }
    }
    metal::uint2 _e57 = mine;
    found.inner[metal::min(unsigned(local), 31u)] = _e57;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 _e60 = found.inner[0];
    mine = _e60;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e73 = i_1;
            i_1 = _e73 + 1u;
        }
        loop_init_1 = false;
        uint _e63 = i_1;
        if (_e63 < FOUND) {
        } else {
            break;
        }
        {
            metal::uint2 _e66 = mine;
            uint _e68 = i_1;
            metal::uint2 _e70 = found.inner[metal::min(unsigned(_e68), 31u)];
            metal::uint2 _e71 = better(_e66, _e70);
            mine = _e71;
        }
    }
    if (local == 0u) {
        uint _e80 = mine.y;
        tokens[metal::min(unsigned(position), (_buffer_sizes.size1 - 0 - 4) / 4)] = _e80;
        progress[metal::min(unsigned(0), (_buffer_sizes.size2 - 0 - 4) / 4)] = position;
        return;
    } else {
        return;
    }
}
