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

typedef metal::uint4 type_3[1];
typedef uint type_4[1];
struct type_7 {
    metal::float4 inner[2];
};
struct Part {
    uint q;
    uint scale;
};
typedef metal::float4 type_9[1];
typedef float type_10[1];
constant uint WORKGROUP = 32u;
constant uint LANES = 32u;
constant uint SUBGROUP = 32u;
constant uint SUBGROUPS = 1u;
constant uint TEAMS = 1u;
constant uint ROWS = 1u;
constant uint OUTPUTS = 1u;
constant uint BLOCKS = 2u;
constant uint UNROLL = 1u;
constant uint PIECE_FIRST = 0u;
constant uint PIECE_ROWS = 64u;
constant uint PIECE_GROUP = 0u;
constant uint HEAD = 16u;
constant uint HEADS = 4u;
constant uint SPLIT = 1u;
constant float EPSILON = 0.00001;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

Part load(
    uint block,
    uint i,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = quants[metal::min(unsigned(block), (_buffer_sizes.size0 - 0 - 16) / 16)][metal::min(unsigned(i), 3u)];
    uint _e8 = scales[metal::min(unsigned(block), (_buffer_sizes.size1 - 0 - 4) / 4)];
    return Part {_e5, _e8};
}

type_7 unpack(
    Part p
) {
    metal::uint4 low = metal::uint4(p.q << 19u, p.q << 11u, p.q << 3u, p.q >> 5u);
    metal::uint4 high = metal::uint4(p.q << 15u, p.q << 7u, p.q >> 1u, p.q >> 9u);
    return type_7 {{as_type<metal::float4>((low & metal::uint4(7864320u)) | metal::uint4(1098907648u)), as_type<metal::float4>((high & metal::uint4(7864320u)) | metal::uint4(1098907648u))}};
}

metal::float2 affine(
    Part p_1
) {
    metal::float2 scale = float2(as_type<half2>(p_1.scale));
    return metal::float2(scale.x, scale.y - (16.0 * scale.x));
}

uint weight_row(
    uint first,
    uint r
) {
    return metal::min(first + r, 63u);
}

type_7 input(
    uint block_1,
    uint i_1,
    uint parts,
    device type_9 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_7 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_1) + i_1), (_buffer_sizes.size2 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_1) + 4u) + i_1), (_buffer_sizes.size2 - 0 - 16) / 16)];
    v = type_7 {{_e8, _e16}};
    type_7 _e19 = v;
    return _e19;
}

float product(
    type_7 w,
    type_7 v_1
) {
    metal::float4 sum = (w.inner[0] * v_1.inner[0]) + (w.inner[1] * v_1.inner[1]);
    return (sum.x + sum.y) + (sum.z + sum.w);
}
uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct matvecInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matvec(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint subgroup_lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, device type_3 const& quants [[buffer(0)]]
, device type_4 const& scales [[buffer(1)]]
, device type_9 const& x [[buffer(2)]]
, device type_10& y [[buffer(3)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    float sum_0_ = 0.0;
    float squares = 0.0;
    uint start = {};
    type_7 v_0_ = {};
    float value_0_ = {};
    uint lane = naga_mod(subgroup * SUBGROUP, LANES) + subgroup_lane;
    uint team = naga_div(subgroup * SUBGROUP, LANES);
    uint first_1 = ((group.x * TEAMS) + team) * OUTPUTS;
    float old_0_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 0u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    start = lane;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e89 = start;
            start = _e89 + 32u;
        }
        loop_init = false;
        uint _e32 = start;
        if (_e32 < 8u) {
        } else {
            break;
        }
        {
            uint _e35 = start;
            uint at_0_ = metal::min(_e35 + 0u, 7u);
            uint block_0_ = naga_div(at_0_, 4u);
            uint i_0_ = naga_mod(at_0_, 4u);
            uint _e45 = weight_row(first_1, 0u);
            Part _e49 = load((_e45 * BLOCKS) + block_0_, i_0_, quants, scales, _buffer_sizes);
            type_7 _e50 = input(block_0_, i_0_, 1u, x, _buffer_sizes);
            v_0_ = _e50;
            uint _e52 = start;
            float inside_0_ = ((_e52 + 0u) < 8u) ? 1.0 : 0.0;
            metal::float4 _e61 = v_0_.inner[0];
            v_0_.inner[0] = _e61 * inside_0_;
            metal::float4 _e64 = v_0_.inner[1];
            v_0_.inner[1] = _e64 * inside_0_;
            metal::float4 _e67 = v_0_.inner[0];
            metal::float4 _e69 = v_0_.inner[1];
            metal::float4 whole_0_ = _e67 + _e69;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float2 _e78 = affine(_e49);
            float _e79 = sum_0_;
            type_7 _e81 = unpack(_e49);
            type_7 _e82 = v_0_;
            float _e83 = product(_e81, _e82);
            sum_0_ = _e79 + ((_e78.x * _e83) + (_e78.y * total_0_));
        }
    }
    float _e92 = sum_0_;
    float unnamed = metal::simd_sum(_e92);
    sum_0_ = unnamed;
    float _e94 = sum_0_;
    value_0_ = _e94;
    float _e96 = value_0_;
    value_0_ = _e96 + old_0_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e110 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e110;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
