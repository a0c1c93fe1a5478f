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
typedef metal::float4 type_10[1];
typedef float type_11[1];
typedef metal::uint2 type_12[1];
struct type_13 {
    metal::uint2 inner[8];
};
struct type_14 {
    float inner[128];
};
constant uint WORKGROUP = 64u;
constant uint LANES = 8u;
constant uint SUBGROUP = 1u;
constant uint SUBGROUPS = 64u;
constant uint TEAMS = 8u;
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

Part load(
    uint block,
    uint i_1,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = quants[metal::min(unsigned(block), (_buffer_sizes.size0 - 0 - 16) / 16)][metal::min(unsigned(i_1), 3u)];
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

metal::uint2 better(
    metal::uint2 a,
    metal::uint2 b
) {
    bool local_2 = {};
    bool local_3 = {};
    float x_1 = as_type<float>(a.x);
    float y_1 = as_type<float>(b.x);
    if (!((y_1 > x_1))) {
        if (y_1 == x_1) {
            local_3 = b.y < a.y;
        } else {
            local_3 = false;
        }
        bool _e17 = local_3;
        local_2 = _e17;
    } else {
        local_2 = true;
    }
    bool _e19 = local_2;
    return _e19 ? b : a;
}

uint weight_row(
    uint first,
    uint r
) {
    return metal::min(first + r, 258u);
}

type_7 input(
    uint block_1,
    uint i_2,
    uint parts,
    device type_10 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_7 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_1) + i_2), (_buffer_sizes.size2 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_1) + 4u) + i_2), (_buffer_sizes.size2 - 0 - 16) / 16)];
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
[[max_total_threads_per_threadgroup(64)]] kernel void matvec(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, device type_3 const& quants [[buffer(0)]]
, device type_4 const& scales [[buffer(1)]]
, device type_10 const& x [[buffer(2)]]
, device type_11& y [[buffer(3)]]
, device type_10 const& norm [[buffer(4)]]
, device type_12& best [[buffer(5)]]
, threadgroup type_13& found
, threadgroup type_14& partial
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    if (local == 0u) {
        found = {};
        partial = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float sum_0_ = 0.0;
    float squares = 0.0;
    uint start = {};
    type_7 v_0_ = {};
    uint other = 1u;
    float value_0_ = {};
    metal::uint2 mine = NONE;
    bool local_1 = {};
    uint i = 1u;
    uint lane = naga_mod(local, LANES);
    uint team = naga_div(local, LANES);
    uint first_1 = ((group.x * TEAMS) + team) * OUTPUTS;
    start = lane;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e89 = start;
            start = _e89 + 8u;
        }
        loop_init = false;
        uint _e18 = start;
        if (_e18 < 8u) {
        } else {
            break;
        }
        {
            uint _e21 = start;
            uint at_0_ = metal::min(_e21 + 0u, 7u);
            uint block_0_ = naga_div(at_0_, 4u);
            uint i_0_ = naga_mod(at_0_, 4u);
            uint _e31 = weight_row(first_1, 0u);
            Part _e35 = load((_e31 * BLOCKS) + block_0_, i_0_, quants, scales, _buffer_sizes);
            type_7 _e36 = input(block_0_, i_0_, 1u, x, _buffer_sizes);
            v_0_ = _e36;
            metal::float4 _e43 = norm[metal::min(unsigned((8u * block_0_) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e51 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + i_0_), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_0_ = type_7 {{_e43, _e51}};
            float _e53 = squares;
            type_7 _e54 = v_0_;
            type_7 _e55 = v_0_;
            float _e56 = product(_e54, _e55);
            squares = _e53 + _e56;
            metal::float4 _e59 = v_0_.inner[0];
            v_0_.inner[0] = _e59 * norm_0_.inner[0];
            metal::float4 _e63 = v_0_.inner[1];
            v_0_.inner[1] = _e63 * norm_0_.inner[1];
            metal::float4 _e67 = v_0_.inner[0];
            metal::float4 _e69 = v_0_.inner[1];
            metal::float4 whole_0_ = _e67 + _e69;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float2 _e78 = affine(_e35);
            float _e79 = sum_0_;
            type_7 _e81 = unpack(_e35);
            type_7 _e82 = v_0_;
            float _e83 = product(_e81, _e82);
            sum_0_ = _e79 + ((_e78.x * _e83) + (_e78.y * total_0_));
        }
    }
    float _e98 = sum_0_;
    partial.inner[metal::min(unsigned((local * 2u) + 0u), 127u)] = _e98;
    float _e105 = squares;
    partial.inner[metal::min(unsigned((local * 2u) + ROWS), 127u)] = _e105;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e135 = other;
            other = _e135 + 1u;
        }
        loop_init_1 = false;
        uint _e108 = other;
        if (_e108 < LANES) {
        } else {
            break;
        }
        {
            uint _e113 = other;
            uint at = ((team * LANES) + naga_mod(lane + _e113, LANES)) * 2u;
            float _e120 = sum_0_;
            float _e125 = partial.inner[metal::min(unsigned(at + 0u), 127u)];
            sum_0_ = _e120 + _e125;
            float _e127 = squares;
            float _e132 = partial.inner[metal::min(unsigned(at + ROWS), 127u)];
            squares = _e127 + _e132;
        }
    }
    float _e137 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e137 / 64.0) + EPSILON);
    float _e145 = sum_0_;
    sum_0_ = _e145 * scale_1;
    float _e147 = sum_0_;
    value_0_ = _e147;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e161 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e161;
        }
    }
    if ((first_1 + 0u) < PIECE_ROWS) {
        metal::uint2 _e168 = mine;
        float _e169 = value_0_;
        metal::uint2 _e176 = better(_e168, metal::uint2(as_type<uint>(_e169), (PIECE_FIRST + first_1) + 0u));
        mine = _e176;
    }
    if (lane == 0u) {
        metal::uint2 _e181 = mine;
        found.inner[metal::min(unsigned(team), 7u)] = _e181;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (team == 0u) {
        local_1 = lane == 0u;
    } else {
        local_1 = false;
    }
    bool _e189 = local_1;
    if (_e189) {
        uint2 loop_bound_2 = uint2(4294967295u);
        bool loop_init_2 = true;
        while(true) {
            if (metal::all(loop_bound_2 == uint2(0u))) { break; }
            loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
            if (!loop_init_2) {
                uint _e202 = i;
                i = _e202 + 1u;
            }
            loop_init_2 = false;
            uint _e192 = i;
            if (_e192 < TEAMS) {
            } else {
                break;
            }
            {
                metal::uint2 _e195 = mine;
                uint _e197 = i;
                metal::uint2 _e199 = found.inner[metal::min(unsigned(_e197), 7u)];
                metal::uint2 _e200 = better(_e195, _e199);
                mine = _e200;
            }
        }
        metal::uint2 _e209 = mine;
        best[metal::min(unsigned(PIECE_GROUP + group.x), (_buffer_sizes.size5 - 0 - 8) / 8)] = _e209;
        return;
    } else {
        return;
    }
}
