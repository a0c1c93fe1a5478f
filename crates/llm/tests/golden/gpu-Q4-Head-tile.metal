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
struct type_6 {
    metal::float4 inner[8];
};
typedef metal::float4 type_7[1];
typedef float type_8[1];
struct Scalars {
    uint first;
    uint rows;
    uint height;
    uint blocks;
    uint tokens;
};
struct type_9 {
    metal::float4 inner[256];
};
constant uint OUTPUTS = 32u;

type_6 decode(
    uint block_1,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 w_1 = {};
    uint i = 0u;
    metal::uint4 q = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint _e6 = scales[metal::min(unsigned(block_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
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
    type_6 _e47 = w_1;
    return _e47;
}

uint weight_row(
    uint first,
    uint r,
    constant Scalars& p
) {
    uint _e5 = p.rows;
    return metal::min(first + r, _e5 - 1u);
}

void store(
    uint output,
    uint token,
    float sum,
    device type_8& y,
    constant Scalars& p,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local_1 = {};
    float value = {};
    uint _e5 = p.rows;
    if (!((output >= _e5))) {
        uint _e12 = p.tokens;
        local_1 = token >= _e12;
    } else {
        local_1 = true;
    }
    bool _e15 = local_1;
    if (_e15) {
        return;
    }
    uint _e18 = p.first;
    uint row = _e18 + output;
    uint _e22 = p.height;
    uint at = (token * _e22) + row;
    value = sum;
    float _e28 = value;
    y[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e28;
    return;
}
uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct tileInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void tile(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_7 const& x [[buffer(2)]]
, device type_8& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, threadgroup type_9& weights
, threadgroup type_9& inputs
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (local == 0u) {
        weights = {};
        inputs = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::float4 sums_0_ = metal::float4(0.0);
    metal::float4 sums_1_ = metal::float4(0.0);
    metal::float4 sums_2_ = metal::float4(0.0);
    metal::float4 sums_3_ = metal::float4(0.0);
    uint block = 0u;
    type_6 w = {};
    uint k = {};
    uint first_1 = group.x * OUTPUTS;
    uint token_1 = group.y * 32u;
    uint row_1 = naga_mod(local, 8u);
    uint column = naga_div(local, 8u);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e272 = block;
            block = _e272 + 1u;
        }
        loop_init_1 = false;
        uint _e26 = block;
        uint _e29 = p.blocks;
        if (_e26 < _e29) {
        } else {
            break;
        }
        {
            uint slot = naga_mod(local, 32u);
            if (local < 32u) {
                uint _e35 = weight_row(first_1, slot, p);
                uint _e38 = p.blocks;
                uint _e40 = block;
                type_6 _e42 = decode((_e35 * _e38) + _e40, quants, scales, _buffer_sizes);
                w = _e42;
                metal::float4 _e49 = w.inner[0];
                weights.inner[metal::min(unsigned(0u + slot), 255u)] = _e49;
                metal::float4 _e55 = w.inner[1];
                weights.inner[metal::min(unsigned(32u + slot), 255u)] = _e55;
                metal::float4 _e61 = w.inner[2];
                weights.inner[metal::min(unsigned(64u + slot), 255u)] = _e61;
                metal::float4 _e67 = w.inner[3];
                weights.inner[metal::min(unsigned(96u + slot), 255u)] = _e67;
                metal::float4 _e73 = w.inner[4];
                weights.inner[metal::min(unsigned(128u + slot), 255u)] = _e73;
                metal::float4 _e79 = w.inner[5];
                weights.inner[metal::min(unsigned(160u + slot), 255u)] = _e79;
                metal::float4 _e85 = w.inner[6];
                weights.inner[metal::min(unsigned(192u + slot), 255u)] = _e85;
                metal::float4 _e91 = w.inner[7];
                weights.inner[metal::min(unsigned(224u + slot), 255u)] = _e91;
            } else {
                uint _e95 = p.tokens;
                uint _e101 = p.blocks;
                uint _e103 = block;
                uint start = ((metal::min(token_1 + slot, _e95 - 1u) * _e101) + _e103) * 8u;
                metal::float4 _e115 = x[metal::min(unsigned(start + 0u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(0u + slot), 255u)] = _e115;
                metal::float4 _e124 = x[metal::min(unsigned(start + 1u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(32u + slot), 255u)] = _e124;
                metal::float4 _e133 = x[metal::min(unsigned(start + 2u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(64u + slot), 255u)] = _e133;
                metal::float4 _e142 = x[metal::min(unsigned(start + 3u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(96u + slot), 255u)] = _e142;
                metal::float4 _e151 = x[metal::min(unsigned(start + 4u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(128u + slot), 255u)] = _e151;
                metal::float4 _e160 = x[metal::min(unsigned(start + 5u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(160u + slot), 255u)] = _e160;
                metal::float4 _e169 = x[metal::min(unsigned(start + 6u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(192u + slot), 255u)] = _e169;
                metal::float4 _e178 = x[metal::min(unsigned(start + 7u), (_buffer_sizes.size2 - 0 - 16) / 16)];
                inputs.inner[metal::min(unsigned(224u + slot), 255u)] = _e178;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            k = 0u;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e268 = k;
                    k = _e268 + 32u;
                }
                loop_init_2 = false;
                uint _e181 = k;
                if (_e181 < 256u) {
                } else {
                    break;
                }
                {
                    uint _e185 = k;
                    metal::float4 v_0_ = inputs.inner[metal::min(unsigned((_e185 + 0u) + column), 255u)];
                    uint _e192 = k;
                    metal::float4 v_1_ = inputs.inner[metal::min(unsigned((_e192 + 8u) + column), 255u)];
                    uint _e199 = k;
                    metal::float4 v_2_ = inputs.inner[metal::min(unsigned((_e199 + 16u) + column), 255u)];
                    uint _e206 = k;
                    metal::float4 v_3_ = inputs.inner[metal::min(unsigned((_e206 + 24u) + column), 255u)];
                    uint _e213 = k;
                    metal::float4 w_0_ = weights.inner[metal::min(unsigned((_e213 + 0u) + row_1), 255u)];
                    metal::float4 _e219 = sums_0_;
                    sums_0_ = _e219 + metal::float4(metal::dot(w_0_, v_0_), metal::dot(w_0_, v_1_), metal::dot(w_0_, v_2_), metal::dot(w_0_, v_3_));
                    uint _e227 = k;
                    metal::float4 w_1_ = weights.inner[metal::min(unsigned((_e227 + 8u) + row_1), 255u)];
                    metal::float4 _e233 = sums_1_;
                    sums_1_ = _e233 + metal::float4(metal::dot(w_1_, v_0_), metal::dot(w_1_, v_1_), metal::dot(w_1_, v_2_), metal::dot(w_1_, v_3_));
                    uint _e241 = k;
                    metal::float4 w_2_ = weights.inner[metal::min(unsigned((_e241 + 16u) + row_1), 255u)];
                    metal::float4 _e247 = sums_2_;
                    sums_2_ = _e247 + metal::float4(metal::dot(w_2_, v_0_), metal::dot(w_2_, v_1_), metal::dot(w_2_, v_2_), metal::dot(w_2_, v_3_));
                    uint _e255 = k;
                    metal::float4 w_3_ = weights.inner[metal::min(unsigned((_e255 + 24u) + row_1), 255u)];
                    metal::float4 _e261 = sums_3_;
                    sums_3_ = _e261 + metal::float4(metal::dot(w_3_, v_0_), metal::dot(w_3_, v_1_), metal::dot(w_3_, v_2_), metal::dot(w_3_, v_3_));
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
        }
    }
    float _e279 = sums_0_.x;
    store(first_1 + row_1, (token_1 + 0u) + column, _e279, y, p, _buffer_sizes);
    float _e287 = sums_1_.x;
    store((first_1 + 8u) + row_1, (token_1 + 0u) + column, _e287, y, p, _buffer_sizes);
    float _e295 = sums_2_.x;
    store((first_1 + 16u) + row_1, (token_1 + 0u) + column, _e295, y, p, _buffer_sizes);
    float _e303 = sums_3_.x;
    store((first_1 + 24u) + row_1, (token_1 + 0u) + column, _e303, y, p, _buffer_sizes);
    float _e309 = sums_0_.y;
    store(first_1 + row_1, (token_1 + 8u) + column, _e309, y, p, _buffer_sizes);
    float _e317 = sums_1_.y;
    store((first_1 + 8u) + row_1, (token_1 + 8u) + column, _e317, y, p, _buffer_sizes);
    float _e325 = sums_2_.y;
    store((first_1 + 16u) + row_1, (token_1 + 8u) + column, _e325, y, p, _buffer_sizes);
    float _e333 = sums_3_.y;
    store((first_1 + 24u) + row_1, (token_1 + 8u) + column, _e333, y, p, _buffer_sizes);
    float _e339 = sums_0_.z;
    store(first_1 + row_1, (token_1 + 16u) + column, _e339, y, p, _buffer_sizes);
    float _e347 = sums_1_.z;
    store((first_1 + 8u) + row_1, (token_1 + 16u) + column, _e347, y, p, _buffer_sizes);
    float _e355 = sums_2_.z;
    store((first_1 + 16u) + row_1, (token_1 + 16u) + column, _e355, y, p, _buffer_sizes);
    float _e363 = sums_3_.z;
    store((first_1 + 24u) + row_1, (token_1 + 16u) + column, _e363, y, p, _buffer_sizes);
    float _e369 = sums_0_.w;
    store(first_1 + row_1, (token_1 + 24u) + column, _e369, y, p, _buffer_sizes);
    float _e377 = sums_1_.w;
    store((first_1 + 8u) + row_1, (token_1 + 24u) + column, _e377, y, p, _buffer_sizes);
    float _e385 = sums_2_.w;
    store((first_1 + 16u) + row_1, (token_1 + 24u) + column, _e385, y, p, _buffer_sizes);
    float _e393 = sums_3_.w;
    store((first_1 + 24u) + row_1, (token_1 + 24u) + column, _e393, y, p, _buffer_sizes);
    return;
}
