// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef metal::uint4 type_2[1];
struct type_4 {
    metal::float4 inner[8];
};
typedef uint type_5[1];
typedef metal::float4 type_6[1];
struct Scalars {
    uint blocks;
    uint position;
    uint vocabulary;
};

type_4 decode(
    uint block,
    device type_2 const& quants,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_4 w_1 = {};
    uint i_1 = 0u;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e18 = i_1;
            i_1 = _e18 + 1u;
        }
        loop_init = false;
        uint _e4 = i_1;
        if (_e4 < 8u) {
        } else {
            break;
        }
        {
            uint _e7 = i_1;
            uint _e12 = i_1;
            metal::uint4 _e15 = quants[metal::min(unsigned((8u * block) + _e12), (_buffer_sizes.size0 - 0 - 16) / 16)];
            w_1.inner[metal::min(unsigned(_e7), 7u)] = as_type<metal::float4>(_e15);
        }
    }
    type_4 _e20 = w_1;
    return _e20;
}

struct embedInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void embed(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_5 const& tokens [[buffer(1)]]
, device type_6& x [[buffer(2)]]
, constant Scalars& p [[buffer(3)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    type_4 w = {};
    uint i = 0u;
    uint block_1 = id.x;
    uint token = id.y;
    uint _e5 = p.blocks;
    if (block_1 >= _e5) {
        return;
    }
    uint _e10 = p.position;
    uint _e13 = tokens[metal::min(unsigned(_e10 + token), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint _e16 = p.vocabulary;
    uint row = metal::min(_e13, _e16 - 1u);
    uint _e22 = p.blocks;
    type_4 _e25 = decode((row * _e22) + block_1, quants, _buffer_sizes);
    w = _e25;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e47 = i;
            i = _e47 + 1u;
        }
        loop_init_1 = false;
        uint _e29 = i;
        if (_e29 < 8u) {
        } else {
            break;
        }
        {
            uint _e35 = p.blocks;
            uint _e40 = i;
            uint _e43 = i;
            metal::float4 _e45 = w.inner[metal::min(unsigned(_e43), 7u)];
            x[metal::min(unsigned((((token * _e35) + block_1) * 8u) + _e40), (_buffer_sizes.size2 - 0 - 16) / 16)] = _e45;
        }
    }
    return;
}
