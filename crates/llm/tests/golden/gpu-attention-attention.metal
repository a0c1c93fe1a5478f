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

typedef float type_3[1];
typedef metal::uint4 type_5[1];
typedef metal::float4 type_7[1];
struct Scalars {
    uint position;
};
struct type_8 {
    metal::float4 inner[4];
};
struct type_9 {
    float inner[256];
};
struct type_10 {
    float inner[8];
};
struct type_11 {
    metal::float4 inner[2];
};
struct type_12 {
    type_11 inner[16];
};
constant uint WORKGROUP = 256u;
constant uint LANES = 32u;
constant uint SUBGROUPS = 8u;
constant uint PARTS = 128u;
constant uint FOLDS = 4u;
constant uint RESTS = 8u;
constant uint STEPS = 2u;
constant uint SPLIT = 1073741824u;
constant uint HEADS = 4u;
constant uint HEADS_KV = 2u;
constant uint HEAD_PAIRS = 8u;
constant uint CHUNKS = 2u;
constant uint PAIR_STRIDE = 1u;
constant float SCALE = 0.25;

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

uint key_at(
    uint position,
    uint head_kv,
    uint chunk
) {
    return (((((naga_div(position, 32u) * HEADS_KV) + head_kv) * CHUNKS) + chunk) * 32u) + naga_mod(position, 32u);
}

uint value_at(
    uint position_1,
    uint head_kv_1,
    uint chunk_1
) {
    return (((position_1 * HEADS_KV) + head_kv_1) * CHUNKS) + chunk_1;
}

uint head_start(
    uint token,
    uint head
) {
    return (((token * 8u) + head) * 2u) * HEAD_PAIRS;
}

uint pair_start(
    uint start,
    uint pair
) {
    return start + (false ? pair : (2u * pair));
}

metal::float4 halves(
    uint low_1,
    uint high_1
) {
    return metal::float4(float2(as_type<half2>(low_1)), float2(as_type<half2>(high_1)));
}

float score_of(
    metal::uint4 key,
    uint chunk_2,
    threadgroup type_8& query
) {
    metal::float4 _e4 = halves(key.x, key.y);
    metal::float4 _e9 = query.inner[metal::min(unsigned(2u * chunk_2), 3u)];
    metal::float4 _e13 = halves(key.z, key.w);
    metal::float4 _e20 = query.inner[metal::min(unsigned((2u * chunk_2) + 1u), 3u)];
    return metal::dot(_e4, _e9) + metal::dot(_e13, _e20);
}

struct attentionInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void attention(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, uint __local_invocation_index [[thread_index_in_threadgroup]]
, device type_3 const& qkv [[buffer(0)]]
, device type_5 const& keys [[buffer(1)]]
, device type_5 const& values [[buffer(2)]]
, device type_7& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, threadgroup type_8& query
, threadgroup type_9& weights
, threadgroup type_10& maxima
, threadgroup type_10& sums
, threadgroup type_12& rests
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (__local_invocation_index == 0u) {
        query = {};
        weights = {};
        maxima = {};
        sums = {};
        rests = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float highest = -300000000000000000000000000000000000000.0;
    float total = 0.0;
    metal::float4 low = metal::float4(0.0);
    metal::float4 high = metal::float4(0.0);
    uint first = {};
    float score = {};
    float block_highest = {};
    bool local = {};
    uint local_1 = (subgroup * LANES) + lane;
    uint head_1 = group.x;
    uint head_kv_2 = naga_div(head_1, 2u);
    uint chunk_3 = naga_mod(local_1, CHUNKS);
    uint part = naga_div(local_1, CHUNKS);
    uint token_1 = group.y;
    uint _e27 = p.position;
    uint end = (_e27 + token_1) + 1u;
    if (local_1 < CHUNKS) {
        uint _e33 = head_start(token_1, head_1);
        uint _e38 = pair_start(_e33, (4u * local_1) + 0u);
        float _e41 = qkv[metal::min(unsigned(_e38), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e46 = qkv[metal::min(unsigned(_e38 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_0_ = metal::float2(_e41, _e46) * SCALE;
        uint _e54 = pair_start(_e33, (4u * local_1) + 1u);
        float _e57 = qkv[metal::min(unsigned(_e54), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e62 = qkv[metal::min(unsigned(_e54 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_1_ = metal::float2(_e57, _e62) * SCALE;
        uint _e70 = pair_start(_e33, (4u * local_1) + 2u);
        float _e73 = qkv[metal::min(unsigned(_e70), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e78 = qkv[metal::min(unsigned(_e70 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_2_ = metal::float2(_e73, _e78) * SCALE;
        uint _e86 = pair_start(_e33, (4u * local_1) + 3u);
        float _e89 = qkv[metal::min(unsigned(_e86), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e94 = qkv[metal::min(unsigned(_e86 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_3_ = metal::float2(_e89, _e94) * SCALE;
        query.inner[metal::min(unsigned(2u * local_1), 3u)] = metal::float4(q_0_, q_1_);
        query.inner[metal::min(unsigned((2u * local_1) + 1u), 3u)] = metal::float4(q_2_, q_3_);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint to = (4u * ((token_1 * HEADS) + head_1)) + (2u * local_1);
    first = 0u;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e331 = first;
            first = _e331 + WORKGROUP;
        }
        loop_init = false;
        uint _e119 = first;
        if (_e119 < end) {
        } else {
            break;
        }
        {
            uint _e122 = first;
            uint count = metal::min(WORKGROUP, end - _e122);
            uint _e125 = first;
            uint mine = _e125 + metal::min(local_1, count - 1u);
            uint _e132 = key_at(mine, head_kv_2, 0u);
            metal::uint4 key_0_ = keys[metal::min(unsigned(_e132), (_buffer_sizes.size1 - 0 - 16) / 16)];
            uint _e137 = key_at(mine, head_kv_2, 1u);
            metal::uint4 key_1_ = keys[metal::min(unsigned(_e137), (_buffer_sizes.size1 - 0 - 16) / 16)];
            score = 0.0;
            float _e142 = score;
            float _e144 = score_of(key_0_, 0u, query);
            score = _e142 + _e144;
            float _e146 = score;
            float _e148 = score_of(key_1_, 1u, query);
            score = _e146 + _e148;
            float _e150 = score;
            score = (local_1 < count) ? _e150 : -300000000000000000000000000000000000000.0;
            float _e154 = highest;
            block_highest = _e154;
            float _e156 = score;
            float unnamed = metal::simd_max(_e156);
            if (lane == 0u) {
                maxima.inner[metal::min(unsigned(subgroup), 7u)] = unnamed;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e162 = block_highest;
            float _e165 = maxima.inner[0];
            block_highest = metal::max(_e162, _e165);
            float _e167 = block_highest;
            float _e170 = maxima.inner[1];
            block_highest = metal::max(_e167, _e170);
            float _e172 = block_highest;
            float _e175 = maxima.inner[2];
            block_highest = metal::max(_e172, _e175);
            float _e177 = block_highest;
            float _e180 = maxima.inner[3];
            block_highest = metal::max(_e177, _e180);
            float _e182 = block_highest;
            float _e185 = maxima.inner[4];
            block_highest = metal::max(_e182, _e185);
            float _e187 = block_highest;
            float _e190 = maxima.inner[5];
            block_highest = metal::max(_e187, _e190);
            float _e192 = block_highest;
            float _e195 = maxima.inner[6];
            block_highest = metal::max(_e192, _e195);
            float _e197 = block_highest;
            float _e200 = maxima.inner[7];
            block_highest = metal::max(_e197, _e200);
            float _e202 = score;
            float _e203 = block_highest;
            float weight = (local_1 < count) ? metal::exp(_e202 - _e203) : 0.0;
            weights.inner[metal::min(unsigned(local_1), 255u)] = weight;
            float unnamed_1 = metal::simd_sum(weight);
            if (lane == 0u) {
                sums.inner[metal::min(unsigned(subgroup), 7u)] = unnamed_1;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e216 = highest;
            float _e217 = block_highest;
            float scale = metal::exp(_e216 - _e217);
            float _e220 = block_highest;
            highest = _e220;
            float _e221 = total;
            total = _e221 * scale;
            metal::float4 _e223 = low;
            low = _e223 * scale;
            metal::float4 _e225 = high;
            high = _e225 * scale;
            float _e227 = total;
            float _e230 = sums.inner[0];
            total = _e227 + _e230;
            float _e232 = total;
            float _e235 = sums.inner[1];
            total = _e232 + _e235;
            float _e237 = total;
            float _e240 = sums.inner[2];
            total = _e237 + _e240;
            float _e242 = total;
            float _e245 = sums.inner[3];
            total = _e242 + _e245;
            float _e247 = total;
            float _e250 = sums.inner[4];
            total = _e247 + _e250;
            float _e252 = total;
            float _e255 = sums.inner[5];
            total = _e252 + _e255;
            float _e257 = total;
            float _e260 = sums.inner[6];
            total = _e257 + _e260;
            float _e262 = total;
            float _e265 = sums.inner[7];
            total = _e262 + _e265;
            if (part < PARTS) {
                uint at_0_ = part + 0u;
                uint _e272 = first;
                uint _e277 = value_at(_e272 + metal::min(at_0_, count - 1u), head_kv_2, chunk_3);
                metal::uint4 value_0_ = values[metal::min(unsigned(_e277), (_buffer_sizes.size2 - 0 - 16) / 16)];
                uint at_1_ = part + 128u;
                uint _e283 = first;
                uint _e288 = value_at(_e283 + metal::min(at_1_, count - 1u), head_kv_2, chunk_3);
                metal::uint4 value_1_ = values[metal::min(unsigned(_e288), (_buffer_sizes.size2 - 0 - 16) / 16)];
                float _e295 = weights.inner[metal::min(unsigned(metal::min(at_0_, 255u)), 255u)];
                float weight_0_ = (at_0_ < count) ? _e295 : 0.0;
                metal::float4 _e299 = low;
                metal::float4 _e302 = halves(value_0_.x, value_0_.y);
                low = _e299 + (weight_0_ * _e302);
                metal::float4 _e305 = high;
                metal::float4 _e308 = halves(value_0_.z, value_0_.w);
                high = _e305 + (weight_0_ * _e308);
                float _e315 = weights.inner[metal::min(unsigned(metal::min(at_1_, 255u)), 255u)];
                float weight_1_ = (at_1_ < count) ? _e315 : 0.0;
                metal::float4 _e319 = low;
                metal::float4 _e322 = halves(value_1_.x, value_1_.y);
                low = _e319 + (weight_1_ * _e322);
                metal::float4 _e325 = high;
                metal::float4 _e328 = halves(value_1_.z, value_1_.w);
                high = _e325 + (weight_1_ * _e328);
            }
        }
    }
    metal::float4 _e334 = low;
    metal::float4 _e335 = low;
    metal::float4 unnamed_2 = metal::simd_shuffle_xor(_e335, 2u);
    low = _e334 + unnamed_2;
    metal::float4 _e339 = high;
    metal::float4 _e340 = high;
    metal::float4 unnamed_3 = metal::simd_shuffle_xor(_e340, 2u);
    high = _e339 + unnamed_3;
    metal::float4 _e344 = low;
    metal::float4 _e345 = low;
    metal::float4 unnamed_4 = metal::simd_shuffle_xor(_e345, 4u);
    low = _e344 + unnamed_4;
    metal::float4 _e349 = high;
    metal::float4 _e350 = high;
    metal::float4 unnamed_5 = metal::simd_shuffle_xor(_e350, 4u);
    high = _e349 + unnamed_5;
    metal::float4 _e354 = low;
    metal::float4 _e355 = low;
    metal::float4 unnamed_6 = metal::simd_shuffle_xor(_e355, 8u);
    low = _e354 + unnamed_6;
    metal::float4 _e359 = high;
    metal::float4 _e360 = high;
    metal::float4 unnamed_7 = metal::simd_shuffle_xor(_e360, 8u);
    high = _e359 + unnamed_7;
    metal::float4 _e364 = low;
    metal::float4 _e365 = low;
    metal::float4 unnamed_8 = metal::simd_shuffle_xor(_e365, 16u);
    low = _e364 + unnamed_8;
    metal::float4 _e369 = high;
    metal::float4 _e370 = high;
    metal::float4 unnamed_9 = metal::simd_shuffle_xor(_e370, 16u);
    high = _e369 + unnamed_9;
    if (part < PARTS) {
        local = naga_mod(part, 16u) == 0u;
    } else {
        local = false;
    }
    bool _e383 = local;
    if (_e383) {
        metal::float4 _e391 = low;
        metal::float4 _e392 = high;
        rests.inner[metal::min(unsigned((naga_div(part, 16u) * CHUNKS) + chunk_3), 15u)] = type_11 {{_e391, _e392}};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local_1 < CHUNKS) {
        low = metal::float4(0.0);
        high = metal::float4(0.0);
        metal::float4 _e400 = low;
        metal::float4 _e406 = rests.inner[metal::min(unsigned(0u + local_1), 15u)].inner[0];
        low = _e400 + _e406;
        metal::float4 _e408 = high;
        metal::float4 _e414 = rests.inner[metal::min(unsigned(0u + local_1), 15u)].inner[1];
        high = _e408 + _e414;
        metal::float4 _e416 = low;
        metal::float4 _e422 = rests.inner[metal::min(unsigned(2u + local_1), 15u)].inner[0];
        low = _e416 + _e422;
        metal::float4 _e424 = high;
        metal::float4 _e430 = rests.inner[metal::min(unsigned(2u + local_1), 15u)].inner[1];
        high = _e424 + _e430;
        metal::float4 _e432 = low;
        metal::float4 _e438 = rests.inner[metal::min(unsigned(4u + local_1), 15u)].inner[0];
        low = _e432 + _e438;
        metal::float4 _e440 = high;
        metal::float4 _e446 = rests.inner[metal::min(unsigned(4u + local_1), 15u)].inner[1];
        high = _e440 + _e446;
        metal::float4 _e448 = low;
        metal::float4 _e454 = rests.inner[metal::min(unsigned(6u + local_1), 15u)].inner[0];
        low = _e448 + _e454;
        metal::float4 _e456 = high;
        metal::float4 _e462 = rests.inner[metal::min(unsigned(6u + local_1), 15u)].inner[1];
        high = _e456 + _e462;
        metal::float4 _e464 = low;
        metal::float4 _e470 = rests.inner[metal::min(unsigned(8u + local_1), 15u)].inner[0];
        low = _e464 + _e470;
        metal::float4 _e472 = high;
        metal::float4 _e478 = rests.inner[metal::min(unsigned(8u + local_1), 15u)].inner[1];
        high = _e472 + _e478;
        metal::float4 _e480 = low;
        metal::float4 _e486 = rests.inner[metal::min(unsigned(10u + local_1), 15u)].inner[0];
        low = _e480 + _e486;
        metal::float4 _e488 = high;
        metal::float4 _e494 = rests.inner[metal::min(unsigned(10u + local_1), 15u)].inner[1];
        high = _e488 + _e494;
        metal::float4 _e496 = low;
        metal::float4 _e502 = rests.inner[metal::min(unsigned(12u + local_1), 15u)].inner[0];
        low = _e496 + _e502;
        metal::float4 _e504 = high;
        metal::float4 _e510 = rests.inner[metal::min(unsigned(12u + local_1), 15u)].inner[1];
        high = _e504 + _e510;
        metal::float4 _e512 = low;
        metal::float4 _e518 = rests.inner[metal::min(unsigned(14u + local_1), 15u)].inner[0];
        low = _e512 + _e518;
        metal::float4 _e520 = high;
        metal::float4 _e526 = rests.inner[metal::min(unsigned(14u + local_1), 15u)].inner[1];
        high = _e520 + _e526;
        metal::float4 _e530 = low;
        float _e531 = total;
        y[metal::min(unsigned(to), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e530 / metal::float4(_e531);
        metal::float4 _e538 = high;
        float _e539 = total;
        y[metal::min(unsigned(to + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e538 / metal::float4(_e539);
        return;
    } else {
        return;
    }
}
