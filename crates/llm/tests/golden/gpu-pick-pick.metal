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
struct type_6 {
    metal::float4 inner[8];
};
typedef metal::uint2 type_9[1];
typedef metal::float4 type_10[1];
struct type_11 {
    metal::uint2 inner[8];
};
constant uint WORKGROUP = 256u;
constant uint FOUND = 8u;
constant uint COUNT = 9u;
constant uint BLOCKS = 2u;
constant uint VOCABULARY = 259u;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

type_6 decode(
    uint block_1,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 w_1 = {};
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
    type_6 _e47 = w_1;
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
[[max_total_threads_per_threadgroup(256)]] kernel void pick(
  uint local [[thread_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_9 const& best [[buffer(2)]]
, device type_3& tokens [[buffer(3)]]
, device type_3& progress [[buffer(4)]]
, device type_10& x [[buffer(5)]]
, threadgroup type_11& found
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
    type_6 w = {};
    uint _e5 = progress[metal::min(unsigned(0), (_buffer_sizes.size4 - 0 - 4) / 4)];
    uint position = _e5 + 1u;
    i = local;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e54 = i;
            i = _e54 + 1024u;
        }
        loop_init_1 = false;
        uint _e11 = i;
        if (_e11 < COUNT) {
        } else {
            break;
        }
        {
            uint _e15 = i;
            metal::uint2 pair_0_ = best[metal::min(unsigned(metal::min(_e15 + 0u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e23 = i;
            metal::uint2 pair_1_ = best[metal::min(unsigned(metal::min(_e23 + 256u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e31 = i;
            metal::uint2 pair_2_ = best[metal::min(unsigned(metal::min(_e31 + 512u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
            uint _e39 = i;
            metal::uint2 pair_3_ = best[metal::min(unsigned(metal::min(_e39 + 768u, 8u)), (_buffer_sizes.size2 - 0 - 8) / 8)];
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
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e91 = i_1;
            i_1 = _e91 + 1u;
        }
        loop_init_2 = false;
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
        tokens[metal::min(unsigned(position), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e98;
        progress[metal::min(unsigned(0), (_buffer_sizes.size4 - 0 - 4) / 4)] = position;
    }
    uint _e102 = mine.y;
    uint token = metal::min(_e102, 258u);
    block = local;
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            uint _e187 = block;
            block = _e187 + WORKGROUP;
        }
        loop_init_3 = false;
        uint _e106 = block;
        if (_e106 < BLOCKS) {
        } else {
            break;
        }
        {
            uint _e111 = block;
            type_6 _e113 = decode((token * BLOCKS) + _e111, quants, scales, _buffer_sizes);
            w = _e113;
            uint _e117 = block;
            metal::float4 _e123 = w.inner[0];
            x[metal::min(unsigned((8u * _e117) + 0u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e123;
            uint _e126 = block;
            metal::float4 _e132 = w.inner[1];
            x[metal::min(unsigned((8u * _e126) + 1u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e132;
            uint _e135 = block;
            metal::float4 _e141 = w.inner[2];
            x[metal::min(unsigned((8u * _e135) + 2u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e141;
            uint _e144 = block;
            metal::float4 _e150 = w.inner[3];
            x[metal::min(unsigned((8u * _e144) + 3u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e150;
            uint _e153 = block;
            metal::float4 _e159 = w.inner[4];
            x[metal::min(unsigned((8u * _e153) + 4u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e159;
            uint _e162 = block;
            metal::float4 _e168 = w.inner[5];
            x[metal::min(unsigned((8u * _e162) + 5u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e168;
            uint _e171 = block;
            metal::float4 _e177 = w.inner[6];
            x[metal::min(unsigned((8u * _e171) + 6u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e177;
            uint _e180 = block;
            metal::float4 _e186 = w.inner[7];
            x[metal::min(unsigned((8u * _e180) + 7u), (_buffer_sizes.size5 - 0 - 16) / 16)] = _e186;
        }
    }
    return;
}
