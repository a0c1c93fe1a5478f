// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
};

typedef metal::uint4 type_2[1];
typedef uint type_3[1];
struct type_5 {
    metal::float4 inner[8];
};
typedef metal::float4 type_6[1];
struct Scalars {
    uint blocks;
    uint position;
    uint vocabulary;
};

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

type_5 decode(
    uint block,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_5 w_1 = {};
    uint i_1 = 0u;
    uint first = naga_div(block, 8u) * 13u;
    uint b = naga_mod(block, 8u);
    uint _e14 = scales[metal::min(unsigned((first + 2u) + naga_div(b, 4u)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint low = (_e14 >> (naga_mod(b, 4u) * 8u)) & 255u;
    uint _e26 = scales[metal::min(unsigned(first + 4u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint both = low | (((_e26 >> (b * 4u)) & 15u) << 8u);
    uint _e37 = scales[metal::min(unsigned(first), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float scale = as_type<float>(_e37) * static_cast<float>(both & 63u);
    uint _e47 = scales[metal::min(unsigned(first + 1u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float minimum = as_type<float>(_e47) * static_cast<float>(both >> 6u);
    uint fifth = scales[metal::min(unsigned((first + 5u) + b), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::uint4 q = quants[metal::min(unsigned(block), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e111 = i_1;
            i_1 = _e111 + 1u;
        }
        loop_init = false;
        uint _e65 = i_1;
        if (_e65 < 4u) {
        } else {
            break;
        }
        {
            uint _e68 = i_1;
            uint upper = ((fifth >> _e68) & 16843009u) << 4u;
            uint _e74 = i_1;
            uint _e76 = i_1;
            w_1.inner[metal::min(unsigned(_e74), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q[metal::min(unsigned(_e76), 3u)] & 252645135u) | upper))) * scale) - metal::float4(minimum);
            uint _e86 = i_1;
            uint upper_too = ((fifth >> (_e86 + 4u)) & 16843009u) << 4u;
            uint _e94 = i_1;
            uint _e98 = i_1;
            w_1.inner[metal::min(unsigned(_e94 + 4u), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(((q[metal::min(unsigned(_e98), 3u)] >> 4u) & 252645135u) | upper_too))) * scale) - metal::float4(minimum);
        }
    }
    type_5 _e113 = w_1;
    return _e113;
}

struct embedInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void embed(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_3 const& tokens [[buffer(2)]]
, device type_6& x [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    type_5 w = {};
    uint i = 0u;
    uint block_1 = id.x;
    uint token = id.y;
    uint _e5 = p.blocks;
    if (block_1 >= _e5) {
        return;
    }
    uint _e10 = p.position;
    uint _e13 = tokens[metal::min(unsigned(_e10 + token), (_buffer_sizes.size2 - 0 - 4) / 4)];
    uint _e16 = p.vocabulary;
    uint row = metal::min(_e13, _e16 - 1u);
    uint _e22 = p.blocks;
    type_5 _e25 = decode((row * _e22) + block_1, quants, scales, _buffer_sizes);
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
            x[metal::min(unsigned((((token * _e35) + block_1) * 8u) + _e40), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e45;
        }
    }
    return;
}
