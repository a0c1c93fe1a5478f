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
    uint first;
    uint rows;
};

type_5 decode(
    uint block,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_5 w_1 = {};
    uint i = 0u;
    metal::uint4 q = quants[metal::min(unsigned(block), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint _e6 = scales[metal::min(unsigned(block), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 scale = float2(as_type<half2>(_e6));
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e45 = i;
            i = _e45 + 1u;
        }
        loop_init = false;
        uint _e11 = i;
        if (_e11 < 4u) {
        } else {
            break;
        }
        {
            uint _e14 = i;
            uint _e16 = i;
            w_1.inner[metal::min(unsigned(_e14), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(q[metal::min(unsigned(_e16), 3u)] & 252645135u))) * scale.x) + metal::float4(scale.y);
            uint _e27 = i;
            uint _e31 = i;
            w_1.inner[metal::min(unsigned(_e27 + 4u), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q[metal::min(unsigned(_e31), 3u)] >> 4u) & 252645135u))) * scale.x) + metal::float4(scale.y);
        }
    }
    type_5 _e47 = w_1;
    return _e47;
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
    bool local = {};
    bool local_1 = {};
    type_5 w = {};
    uint block_1 = id.x;
    uint token = id.y;
    uint _e6 = p.position;
    uint _e9 = tokens[metal::min(unsigned(_e6 + token), (_buffer_sizes.size2 - 0 - 4) / 4)];
    uint _e12 = p.vocabulary;
    uint row = metal::min(_e9, _e12 - 1u);
    uint _e18 = p.blocks;
    if (!((block_1 >= _e18))) {
        uint _e25 = p.first;
        local = row < _e25;
    } else {
        local = true;
    }
    bool _e28 = local;
    if (!(_e28)) {
        uint _e34 = p.first;
        uint _e38 = p.rows;
        local_1 = (row - _e34) >= _e38;
    } else {
        local_1 = true;
    }
    bool _e41 = local_1;
    if (_e41) {
        return;
    }
    uint _e44 = p.first;
    uint _e48 = p.blocks;
    type_5 _e51 = decode(((row - _e44) * _e48) + block_1, quants, scales, _buffer_sizes);
    w = _e51;
    uint _e56 = p.blocks;
    metal::float4 _e65 = w.inner[0];
    x[metal::min(unsigned((((token * _e56) + block_1) * 8u) + 0u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e65;
    uint _e69 = p.blocks;
    metal::float4 _e78 = w.inner[1];
    x[metal::min(unsigned((((token * _e69) + block_1) * 8u) + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e78;
    uint _e82 = p.blocks;
    metal::float4 _e91 = w.inner[2];
    x[metal::min(unsigned((((token * _e82) + block_1) * 8u) + 2u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e91;
    uint _e95 = p.blocks;
    metal::float4 _e104 = w.inner[3];
    x[metal::min(unsigned((((token * _e95) + block_1) * 8u) + 3u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e104;
    uint _e108 = p.blocks;
    metal::float4 _e117 = w.inner[4];
    x[metal::min(unsigned((((token * _e108) + block_1) * 8u) + 4u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e117;
    uint _e121 = p.blocks;
    metal::float4 _e130 = w.inner[5];
    x[metal::min(unsigned((((token * _e121) + block_1) * 8u) + 5u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e130;
    uint _e134 = p.blocks;
    metal::float4 _e143 = w.inner[6];
    x[metal::min(unsigned((((token * _e134) + block_1) * 8u) + 6u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e143;
    uint _e147 = p.blocks;
    metal::float4 _e156 = w.inner[7];
    x[metal::min(unsigned((((token * _e147) + block_1) * 8u) + 7u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e156;
    return;
}
