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
struct type_8 {
    metal::float4 inner[2];
};
struct Part {
    uint block;
    uint i;
};
typedef metal::float4 type_10[1];
typedef float type_11[1];
typedef metal::uint2 type_12[1];
struct type_13 {
    metal::uint2 inner[1];
};
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
constant uint PIECE_ROWS = 259u;
constant uint PIECE_GROUP = 0u;
constant uint HEAD = 16u;
constant uint HEADS = 4u;
constant uint SPLIT = 1u;
constant float EPSILON = 0.00001;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

type_8 part(
    uint block,
    uint i_1,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint first_1 = naga_div(block, 8u) * 21u;
    uint b_1 = naga_mod(block, 8u);
    uint _e15 = scales[metal::min(unsigned((first_1 + 1u) + naga_div(b_1, 2u)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 both = static_cast<metal::float4>(int4(as_type<packed_char4>(_e15 >> (naga_mod(b_1, 2u) * 16u)))).xy;
    uint _e26 = scales[metal::min(unsigned(first_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 scale = both * as_type<float>(_e26);
    uint _e36 = scales[metal::min(unsigned((first_1 + 5u) + (2u * b_1)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint _e44 = scales[metal::min(unsigned((first_1 + 6u) + (2u * b_1)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::uint2 upper = metal::uint2(_e36, _e44);
    uint q = quants[metal::min(unsigned(block), (_buffer_sizes.size0 - 0 - 16) / 16)][metal::min(unsigned(i_1), 3u)];
    metal::uint2 bits = ((upper >> metal::uint2(2u * i_1)) & metal::uint2(50529027u)) << metal::uint2(4u);
    metal::float4 front = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q & 252645135u) | bits.x))) - metal::float4(32.0)) * scale.x;
    metal::float4 back = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(((q >> 4u) & 252645135u) | bits.y))) - metal::float4(32.0)) * scale.y;
    return type_8 {{front, back}};
}

Part load(
    uint block_1,
    uint i_2
) {
    return Part {block_1, i_2};
}

type_8 unpack(
    Part p,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_8 _e3 = part(p.block, p.i, quants, scales, _buffer_sizes);
    return _e3;
}

metal::float2 affine(
    Part p_1
) {
    return metal::float2(1.0, 0.0);
}

metal::uint2 better(
    metal::uint2 a,
    metal::uint2 b
) {
    bool local_1 = {};
    bool local_2 = {};
    float x_1 = as_type<float>(a.x);
    float y_1 = as_type<float>(b.x);
    if (!((y_1 > x_1))) {
        if (y_1 == x_1) {
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

uint weight_row(
    uint first,
    uint r
) {
    return metal::min(first + r, 258u);
}

type_8 input(
    uint block_2,
    uint i_3,
    uint parts,
    device type_10 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_8 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_2) + i_3), (_buffer_sizes.size2 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_2) + 4u) + i_3), (_buffer_sizes.size2 - 0 - 16) / 16)];
    v = type_8 {{_e8, _e16}};
    type_8 _e19 = v;
    return _e19;
}

float product(
    type_8 w,
    type_8 v_1
) {
    metal::float4 sum = (w.inner[0] * v_1.inner[0]) + (w.inner[1] * v_1.inner[1]);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

struct matvecInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matvec(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint subgroup_lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, uint __local_invocation_index [[thread_index_in_threadgroup]]
, device type_3 const& quants [[buffer(0)]]
, device type_4 const& scales [[buffer(1)]]
, device type_10 const& x [[buffer(2)]]
, device type_11& y [[buffer(3)]]
, device type_10 const& norm [[buffer(4)]]
, device type_12& best [[buffer(5)]]
, threadgroup type_13& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    if (__local_invocation_index == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float sum_0_ = 0.0;
    float squares = 0.0;
    uint start = {};
    type_8 v_0_ = {};
    float value_0_ = {};
    metal::uint2 mine = NONE;
    bool local = {};
    uint i = 1u;
    uint lane = naga_mod(subgroup * SUBGROUP, LANES) + subgroup_lane;
    uint team = naga_div(subgroup * SUBGROUP, LANES);
    uint first_2 = ((group.x * TEAMS) + team) * OUTPUTS;
    start = lane;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e109 = start;
            start = _e109 + 32u;
        }
        loop_init = false;
        uint _e24 = start;
        if (_e24 < 8u) {
        } else {
            break;
        }
        {
            uint _e27 = start;
            uint at_0_ = metal::min(_e27 + 0u, 7u);
            uint block_0_ = naga_div(at_0_, 4u);
            uint i_0_ = naga_mod(at_0_, 4u);
            uint _e37 = weight_row(first_2, 0u);
            Part _e41 = load((_e37 * BLOCKS) + block_0_, i_0_);
            type_8 _e42 = input(block_0_, i_0_, 1u, x, _buffer_sizes);
            v_0_ = _e42;
            metal::float4 _e49 = norm[metal::min(unsigned((8u * block_0_) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e57 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_8 norm_0_ = type_8 {{_e49, _e57}};
            uint _e59 = start;
            float inside_0_ = ((_e59 + 0u) < 8u) ? 1.0 : 0.0;
            metal::float4 _e68 = v_0_.inner[0];
            v_0_.inner[0] = _e68 * inside_0_;
            metal::float4 _e71 = v_0_.inner[1];
            v_0_.inner[1] = _e71 * inside_0_;
            float _e73 = squares;
            type_8 _e74 = v_0_;
            type_8 _e75 = v_0_;
            float _e76 = product(_e74, _e75);
            squares = _e73 + _e76;
            metal::float4 _e79 = v_0_.inner[0];
            v_0_.inner[0] = _e79 * norm_0_.inner[0];
            metal::float4 _e83 = v_0_.inner[1];
            v_0_.inner[1] = _e83 * norm_0_.inner[1];
            metal::float4 _e87 = v_0_.inner[0];
            metal::float4 _e89 = v_0_.inner[1];
            metal::float4 whole_0_ = _e87 + _e89;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float2 _e98 = affine(_e41);
            float _e99 = sum_0_;
            type_8 _e101 = unpack(_e41, quants, scales, _buffer_sizes);
            type_8 _e102 = v_0_;
            float _e103 = product(_e101, _e102);
            sum_0_ = _e99 + ((_e98.x * _e103) + (_e98.y * total_0_));
        }
    }
    float _e112 = sum_0_;
    float unnamed = metal::simd_sum(_e112);
    sum_0_ = unnamed;
    float _e114 = squares;
    float unnamed_1 = metal::simd_sum(_e114);
    squares = unnamed_1;
    float _e116 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e116 / 64.0) + EPSILON);
    float _e124 = sum_0_;
    sum_0_ = _e124 * scale_1;
    float _e126 = sum_0_;
    value_0_ = _e126;
    if (lane == 0u) {
        if ((first_2 + 0u) < PIECE_ROWS) {
            float _e140 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e140;
        }
    }
    if ((first_2 + 0u) < PIECE_ROWS) {
        metal::uint2 _e147 = mine;
        float _e148 = value_0_;
        metal::uint2 _e155 = better(_e147, metal::uint2(as_type<uint>(_e148), (PIECE_FIRST + first_2) + 0u));
        mine = _e155;
    }
    if (lane == 0u) {
        metal::uint2 _e160 = mine;
        found.inner[metal::min(unsigned(team), 0u)] = _e160;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (team == 0u) {
        local = lane == 0u;
    } else {
        local = false;
    }
    bool _e168 = local;
    if (_e168) {
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e181 = i;
                i = _e181 + 1u;
            }
            loop_init_1 = false;
            uint _e171 = i;
            if (_e171 < TEAMS) {
            } else {
                break;
            }
            {
                metal::uint2 _e174 = mine;
                uint _e176 = i;
                metal::uint2 _e178 = found.inner[metal::min(unsigned(_e176), 0u)];
                metal::uint2 _e179 = better(_e174, _e178);
                mine = _e179;
            }
        }
        metal::uint2 _e188 = mine;
        best[metal::min(unsigned(PIECE_GROUP + group.x), (_buffer_sizes.size5 - 0 - 8) / 8)] = _e188;
        return;
    } else {
        return;
    }
}
