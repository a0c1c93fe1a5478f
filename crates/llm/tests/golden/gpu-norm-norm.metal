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
struct Scalars {
    uint columns;
    float epsilon;
};
struct type_3 {
    float inner[64];
};

struct normInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void norm(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_1 const& x [[buffer(0)]]
, device type_1 const& weight [[buffer(1)]]
, device type_1& y [[buffer(2)]]
, constant Scalars& p [[buffer(3)]]
, threadgroup type_3& sums
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    if (local == 0u) {
        sums = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float sum = 0.0;
    uint i = {};
    float total = 0.0;
    uint i_1 = 0u;
    uint i_2 = {};
    uint _e5 = p.columns;
    uint start = group.x * _e5;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e23 = i;
            i = _e23 + 64u;
        }
        loop_init = false;
        uint _e10 = i;
        uint _e13 = p.columns;
        if (_e10 < _e13) {
        } else {
            break;
        }
        {
            uint _e16 = i;
            float value = x[metal::min(unsigned(start + _e16), (_buffer_sizes.size0 - 0 - 4) / 4)];
            float _e20 = sum;
            sum = _e20 + (value * value);
        }
    }
    float _e28 = sum;
    sums.inner[metal::min(unsigned(local), 63u)] = _e28;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e43 = i_1;
            i_1 = _e43 + 1u;
        }
        loop_init_1 = false;
        uint _e33 = i_1;
        if (_e33 < 64u) {
        } else {
            break;
        }
        {
            float _e36 = total;
            uint _e38 = i_1;
            float _e40 = sums.inner[metal::min(unsigned(_e38), 63u)];
            total = _e36 + _e40;
        }
    }
    float _e45 = total;
    uint _e48 = p.columns;
    float _e53 = p.epsilon;
    float scale = 1.0 / metal::sqrt((_e45 / static_cast<float>(_e48)) + _e53);
    i_2 = local;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e84 = i_2;
            i_2 = _e84 + 64u;
        }
        loop_init_2 = false;
        uint _e59 = i_2;
        uint _e62 = p.columns;
        if (_e59 < _e62) {
        } else {
            break;
        }
        {
            uint _e68 = p.columns;
            uint _e70 = i_2;
            uint _e74 = i_2;
            float _e77 = x[metal::min(unsigned(start + _e74), (_buffer_sizes.size0 - 0 - 4) / 4)];
            uint _e80 = i_2;
            float _e82 = weight[metal::min(unsigned(_e80), (_buffer_sizes.size1 - 0 - 4) / 4)];
            y[metal::min(unsigned((group.x * _e68) + _e70), (_buffer_sizes.size2 - 0 - 4) / 4)] = (_e77 * scale) * _e82;
        }
    }
    return;
}
