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
    uint first;
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
    uint _e4 = p.first;
    uint _e9 = p.columns;
    uint start = (_e4 + group.x) * _e9;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e27 = i;
            i = _e27 + 64u;
        }
        loop_init = false;
        uint _e14 = i;
        uint _e17 = p.columns;
        if (_e14 < _e17) {
        } else {
            break;
        }
        {
            uint _e20 = i;
            float value = x[metal::min(unsigned(start + _e20), (_buffer_sizes.size0 - 0 - 4) / 4)];
            float _e24 = sum;
            sum = _e24 + (value * value);
        }
    }
    float _e32 = sum;
    sums.inner[metal::min(unsigned(local), 63u)] = _e32;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e47 = i_1;
            i_1 = _e47 + 1u;
        }
        loop_init_1 = false;
        uint _e37 = i_1;
        if (_e37 < 64u) {
        } else {
            break;
        }
        {
            float _e40 = total;
            uint _e42 = i_1;
            float _e44 = sums.inner[metal::min(unsigned(_e42), 63u)];
            total = _e40 + _e44;
        }
    }
    float _e49 = total;
    uint _e52 = p.columns;
    float _e57 = p.epsilon;
    float scale = 1.0 / metal::sqrt((_e49 / static_cast<float>(_e52)) + _e57);
    i_2 = local;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e88 = i_2;
            i_2 = _e88 + 64u;
        }
        loop_init_2 = false;
        uint _e63 = i_2;
        uint _e66 = p.columns;
        if (_e63 < _e66) {
        } else {
            break;
        }
        {
            uint _e72 = p.columns;
            uint _e74 = i_2;
            uint _e78 = i_2;
            float _e81 = x[metal::min(unsigned(start + _e78), (_buffer_sizes.size0 - 0 - 4) / 4)];
            uint _e84 = i_2;
            float _e86 = weight[metal::min(unsigned(_e84), (_buffer_sizes.size1 - 0 - 4) / 4)];
            y[metal::min(unsigned((group.x * _e72) + _e74), (_buffer_sizes.size2 - 0 - 4) / 4)] = (_e81 * scale) * _e86;
        }
    }
    return;
}
