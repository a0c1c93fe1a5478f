// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef float type_1[1];
typedef uint type_3[1];
struct Scalars {
    uint vocabulary;
    uint position;
};
struct type_4 {
    float inner[256];
};

struct scoreInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void score(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_1 const& logits [[buffer(0)]]
, device type_3 const& tokens [[buffer(1)]]
, device type_1& nll [[buffer(2)]]
, constant Scalars& p [[buffer(3)]]
, threadgroup type_4& shared_values
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    if (local == 0u) {
        shared_values = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float highest = -300000000000000000000000000000000000000.0;
    uint i = {};
    uint i_1 = 0u;
    float sum = 0.0;
    uint i_2 = {};
    float total = 0.0;
    uint i_3 = 0u;
    uint _e5 = p.vocabulary;
    uint start = group.x * _e5;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e22 = i;
            i = _e22 + 256u;
        }
        loop_init = false;
        uint _e10 = i;
        uint _e13 = p.vocabulary;
        if (_e10 < _e13) {
        } else {
            break;
        }
        {
            float _e15 = highest;
            uint _e17 = i;
            float _e20 = logits[metal::min(unsigned(start + _e17), (_buffer_sizes.size0 - 0 - 4) / 4)];
            highest = metal::max(_e15, _e20);
        }
    }
    float _e27 = highest;
    shared_values.inner[metal::min(unsigned(local), 255u)] = _e27;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e40 = i_1;
            i_1 = _e40 + 1u;
        }
        loop_init_1 = false;
        uint _e30 = i_1;
        if (_e30 < 256u) {
        } else {
            break;
        }
        {
            float _e33 = highest;
            uint _e35 = i_1;
            float _e37 = shared_values.inner[metal::min(unsigned(_e35), 255u)];
            highest = metal::max(_e33, _e37);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    i_2 = local;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e60 = i_2;
            i_2 = _e60 + 256u;
        }
        loop_init_2 = false;
        uint _e45 = i_2;
        uint _e48 = p.vocabulary;
        if (_e45 < _e48) {
        } else {
            break;
        }
        {
            float _e50 = sum;
            uint _e52 = i_2;
            float _e55 = logits[metal::min(unsigned(start + _e52), (_buffer_sizes.size0 - 0 - 4) / 4)];
            float _e56 = highest;
            sum = _e50 + metal::exp(_e55 - _e56);
        }
    }
    float _e65 = sum;
    shared_values.inner[metal::min(unsigned(local), 255u)] = _e65;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local == 0u) {
        uint2 loop_bound_3 = uint2(4294967295u);
        bool loop_init_3 = true;
        while(true) {
            if (metal::all(loop_bound_3 == uint2(0u))) { break; }
            loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
            if (!loop_init_3) {
                uint _e82 = i_3;
                i_3 = _e82 + 1u;
            }
            loop_init_3 = false;
            uint _e72 = i_3;
            if (_e72 < 256u) {
            } else {
                break;
            }
            {
                float _e75 = total;
                uint _e77 = i_3;
                float _e79 = shared_values.inner[metal::min(unsigned(_e77), 255u)];
                total = _e75 + _e79;
            }
        }
        uint _e87 = p.position;
        uint _e93 = tokens[metal::min(unsigned((_e87 + group.x) + 1u), (_buffer_sizes.size1 - 0 - 4) / 4)];
        uint _e96 = p.vocabulary;
        uint next = metal::min(_e93, _e96 - 1u);
        uint _e103 = p.position;
        float _e107 = total;
        float _e109 = highest;
        float _e114 = logits[metal::min(unsigned(start + next), (_buffer_sizes.size0 - 0 - 4) / 4)];
        nll[metal::min(unsigned(_e103 + group.x), (_buffer_sizes.size2 - 0 - 4) / 4)] = (metal::log(_e107) + _e109) - _e114;
        return;
    } else {
        return;
    }
}
