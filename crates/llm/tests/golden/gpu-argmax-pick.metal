// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
};

typedef metal::uint2 type_2[1];
typedef uint type_3[1];
struct Scalars {
    uint vocabulary;
    uint position;
};
struct type_4 {
    metal::uint2 inner[64];
};
constant uint CHUNK = 1024u;
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
    if (_e19) {
        return b;
    }
    return a;
}

metal::uint2 reduce(
    uint local_3,
    metal::uint2 mine_1,
    threadgroup type_4& found
) {
    metal::uint2 all = {};
    uint i_1 = 1u;
    found.inner[metal::min(unsigned(local_3), 63u)] = mine_1;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    all = mine_1;
    if (local_3 == 0u) {
        uint2 loop_bound = uint2(4294967295u);
        bool loop_init = true;
        while(true) {
            if (metal::all(loop_bound == uint2(0u))) { break; }
            loop_bound -= uint2(loop_bound.y == 0u, 1u);
            if (!loop_init) {
                uint _e19 = i_1;
                i_1 = _e19 + 1u;
            }
            loop_init = false;
            uint _e9 = i_1;
            if (_e9 < 64u) {
            } else {
                break;
            }
            {
                metal::uint2 _e12 = all;
                uint _e14 = i_1;
                metal::uint2 _e16 = found.inner[metal::min(unsigned(_e14), 63u)];
                metal::uint2 _e17 = better(_e12, _e16);
                all = _e17;
            }
        }
    }
    metal::uint2 _e21 = all;
    return _e21;
}
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct pickInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void pick(
  uint local [[thread_index_in_threadgroup]]
, device type_2 const& best [[buffer(0)]]
, device type_3& tokens [[buffer(1)]]
, constant Scalars& p [[buffer(2)]]
, threadgroup type_4& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    if (local == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 mine = NONE;
    uint i = {};
    uint _e5 = p.vocabulary;
    uint chunks = naga_div((_e5 + CHUNK) - 1u, CHUNK);
    i = local;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e21 = i;
            i = _e21 + 64u;
        }
        loop_init_1 = false;
        uint _e13 = i;
        if (_e13 < chunks) {
        } else {
            break;
        }
        {
            metal::uint2 _e15 = mine;
            uint _e17 = i;
            metal::uint2 _e19 = best[metal::min(unsigned(_e17), (_buffer_sizes.size0 - 0 - 8) / 8)];
            metal::uint2 _e20 = better(_e15, _e19);
            mine = _e20;
        }
    }
    metal::uint2 _e24 = mine;
    metal::uint2 _e25 = reduce(local, _e24, found);
    mine = _e25;
    if (local == 0u) {
        uint _e31 = p.position;
        uint _e34 = mine.y;
        tokens[metal::min(unsigned(_e31), (_buffer_sizes.size1 - 0 - 4) / 4)] = _e34;
        return;
    } else {
        return;
    }
}
