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
constant uint PIECE_ROWS = 128u;
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
    return metal::min(first + r, 127u);
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
, device type_9 const& norm [[buffer(4)]]
, device type_10 const& bias [[buffer(5)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    float sum_0_ = 0.0;
    float squares = 0.0;
    uint start = {};
    type_7 v_0_ = {};
    float value_0_ = {};
    uint lane = naga_mod(subgroup * SUBGROUP, LANES) + subgroup_lane;
    uint team = naga_div(subgroup * SUBGROUP, LANES);
    uint first_1 = ((group.x * TEAMS) + team) * OUTPUTS;
    float bias_0_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 0u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    start = lane;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e118 = start;
            start = _e118 + 32u;
        }
        loop_init = false;
        uint _e33 = start;
        if (_e33 < 8u) {
        } else {
            break;
        }
        {
            uint _e36 = start;
            uint at_0_ = metal::min(_e36 + 0u, 7u);
            uint block_0_ = naga_div(at_0_, 4u);
            uint i_0_ = naga_mod(at_0_, 4u);
            uint _e46 = weight_row(first_1, 0u);
            Part _e50 = load((_e46 * BLOCKS) + block_0_, i_0_, quants, scales, _buffer_sizes);
            type_7 _e51 = input(block_0_, i_0_, 1u, x, _buffer_sizes);
            v_0_ = _e51;
            metal::float4 _e58 = norm[metal::min(unsigned((8u * block_0_) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e66 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_0_ = type_7 {{_e58, _e66}};
            uint _e68 = start;
            float inside_0_ = ((_e68 + 0u) < 8u) ? 1.0 : 0.0;
            metal::float4 _e77 = v_0_.inner[0];
            v_0_.inner[0] = _e77 * inside_0_;
            metal::float4 _e80 = v_0_.inner[1];
            v_0_.inner[1] = _e80 * inside_0_;
            float _e82 = squares;
            type_7 _e83 = v_0_;
            type_7 _e84 = v_0_;
            float _e85 = product(_e83, _e84);
            squares = _e82 + _e85;
            metal::float4 _e88 = v_0_.inner[0];
            v_0_.inner[0] = _e88 * norm_0_.inner[0];
            metal::float4 _e92 = v_0_.inner[1];
            v_0_.inner[1] = _e92 * norm_0_.inner[1];
            metal::float4 _e96 = v_0_.inner[0];
            metal::float4 _e98 = v_0_.inner[1];
            metal::float4 whole_0_ = _e96 + _e98;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float2 _e107 = affine(_e50);
            float _e108 = sum_0_;
            type_7 _e110 = unpack(_e50);
            type_7 _e111 = v_0_;
            float _e112 = product(_e110, _e111);
            sum_0_ = _e108 + ((_e107.x * _e112) + (_e107.y * total_0_));
        }
    }
    float _e121 = sum_0_;
    float unnamed = metal::simd_sum(_e121);
    sum_0_ = unnamed;
    float _e123 = squares;
    float unnamed_1 = metal::simd_sum(_e123);
    squares = unnamed_1;
    float _e125 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e125 / 64.0) + EPSILON);
    float _e133 = sum_0_;
    sum_0_ = _e133 * scale_1;
    float _e135 = sum_0_;
    value_0_ = _e135;
    float _e137 = value_0_;
    value_0_ = _e137 + bias_0_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e151 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e151;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
