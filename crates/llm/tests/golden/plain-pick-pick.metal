// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
    uint size4;
    uint size5;
};

typedef metal::uint4 type_2[1];
typedef uint type_3[1];
struct type_5 {
    metal::float4 inner[8];
};
typedef metal::uint2 type_8[1];
typedef metal::float4 type_9[1];
struct type_10 {
    metal::uint2 inner[64];
};
constant uint WORKGROUP = 64u;
constant uint FOUND = 64u;
constant uint COUNT = 9u;
constant uint BLOCKS = 2u;
constant uint VOCABULARY = 259u;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

type_5 decode(
    uint block_1,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_5 w_1 = {};
    uint i_2 = 0u;
    metal::uint4 q = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint _e6 = scales[metal::min(unsigned(block_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 scale = float2(as_type<half2>(_e6));
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e45 = i_2;
            i_2 = _e45 + 1u;
        }
        loop_init = false;
        uint _e11 = i_2;
        if (_e11 < 4u) {
        } else {
            break;
        }
        {
            uint _e14 = i_2;
            uint _e16 = i_2;
            w_1.inner[metal::min(unsigned(_e14), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(q[metal::min(unsigned(_e16), 3u)] & 252645135u))) * scale.x) + metal::float4(scale.y);
            uint _e27 = i_2;
            uint _e31 = i_2;
            w_1.inner[metal::min(unsigned(_e27 + 4u), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q[metal::min(unsigned(_e31), 3u)] >> 4u) & 252645135u))) * scale.x) + metal::float4(scale.y);
        }
    }
    type_5 _e47 = w_1;
    return _e47;
}

metal::uint2 better(
    metal::uint2 a,
    metal::uint2 b
) {
    bool local_1 = {};
    bool local_2 = {};
    float x_1 = as_type<float>(a.x);
    float y = as_type<float>(b.x);
    if (!((y > x_1))) {
        if (y == x_1) {
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
[[max_total_threads_per_threadgroup(64)]] kernel void pick(
  uint local [[thread_index_in_threadgroup]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_8 const& best [[buffer(2)]]
, device type_3& tokens [[buffer(3)]]
, device type_3& progress [[buffer(4)]]
, device type_9& x [[buffer(5)]]
, threadgroup type_10& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    if (local == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 mine = NONE;
    uint i = {};
    uint i_1 = 1u;
    uint block = {};
    type_5 w = {};
    uint _e3 = progress[metal::min(unsigned(0), (_buffer_sizes.size4 - 0 - 4) / 4)];
    uint position = _e3 + 1u;
    i = local;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e52 = i;
            i = _e52 + 256u;
        }
        loop_init_1 = false;
        uint _e9 = i;
        if (_e9 < COUNT) {
        } else {
            break;
        }
        {
            uint _e13 = i;
            metal::uint2 pair_0_ = best[metal::min(unsigned(metal::min(_e13 + 0u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e21 = i;
            metal::uint2 pair_1_ = best[metal::min(unsigned(metal::min(_e21 + 64u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e29 = i;
            metal::uint2 pair_2_ = best[metal::min(unsigned(metal::min(_e29 + 128u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e37 = i;
            metal::uint2 pair_3_ = best[metal::min(unsigned(metal::min(_e37 + 192u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
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
    found.inner[metal::min(unsigned(local), 63u)] = _e57;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::uint2 _e60 = found.inner[0];
    mine = _e60;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e73 = i_1;
            i_1 = _e73 + 1u;
        }
        loop_init_2 = false;
        uint _e63 = i_1;
        if (_e63 < FOUND) {
        } else {
            break;
        }
        {
            metal::uint2 _e66 = mine;
            uint _e68 = i_1;
            metal::uint2 _e70 = found.inner[metal::min(unsigned(_e68), 63u)];
            metal::uint2 _e71 = better(_e66, _e70);
            mine = _e71;
        }
    }
    if (local == 0u) {
        uint _e80 = mine.y;
        tokens[metal::min(unsigned(position), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e80;
        progress[metal::min(unsigned(0), (_buffer_sizes.size4 - 0 - 4) / 4)] = position;
    }
    uint _e84 = mine.y;
    uint token = metal::min(_e84, 258u);
    block = local;
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            uint _e169 = block;
            block = _e169 + WORKGROUP;
        }
        loop_init_3 = false;
        uint _e88 = block;
        if (_e88 < BLOCKS) {
        } else {
            break;
        }
        {
            uint _e93 = block;
            type_5 _e95 = decode((token * BLOCKS) + _e93, quants, scales, _buffer_sizes);
            w = _e95;
            uint _e99 = block;
            metal::float4 _e105 = w.inner[0];
            x[metal::min(unsigned((8u * _e99) + 0u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e105;
            uint _e108 = block;
            metal::float4 _e114 = w.inner[1];
            x[metal::min(unsigned((8u * _e108) + 1u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e114;
            uint _e117 = block;
            metal::float4 _e123 = w.inner[2];
            x[metal::min(unsigned((8u * _e117) + 2u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e123;
            uint _e126 = block;
            metal::float4 _e132 = w.inner[3];
            x[metal::min(unsigned((8u * _e126) + 3u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e132;
            uint _e135 = block;
            metal::float4 _e141 = w.inner[4];
            x[metal::min(unsigned((8u * _e135) + 4u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e141;
            uint _e144 = block;
            metal::float4 _e150 = w.inner[5];
            x[metal::min(unsigned((8u * _e144) + 5u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e150;
            uint _e153 = block;
            metal::float4 _e159 = w.inner[6];
            x[metal::min(unsigned((8u * _e153) + 6u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e159;
            uint _e162 = block;
            metal::float4 _e168 = w.inner[7];
            x[metal::min(unsigned((8u * _e162) + 7u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e168;
        }
    }
    return;
}
