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
    uint size6;
};

typedef float type_3[1];
typedef metal::uint4 type_5[1];
typedef metal::float4 type_7[1];
typedef metal::float2 type_8[1];
typedef uint type_9[1];
struct type_10 {
    metal::uint4 inner[2];
};
struct type_11 {
    metal::float4 inner[4];
};
struct type_12 {
    float inner[256];
};
struct type_13 {
    float inner[8];
};
struct type_14 {
    metal::float4 inner[2];
};
struct type_15 {
    type_14 inner[16];
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

metal::float2 turned(
    metal::float2 v,
    metal::float2 turn
) {
    return metal::float2((v.x * turn.x) - (v.y * turn.y), (v.x * turn.y) + (v.y * turn.x));
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
    threadgroup type_11& query
) {
    metal::float4 _e4 = halves(key.x, key.y);
    metal::float4 _e9 = query.inner[metal::min(unsigned(2u * chunk_2), 3u)];
    metal::float4 _e13 = halves(key.z, key.w);
    metal::float4 _e20 = query.inner[metal::min(unsigned((2u * chunk_2) + 1u), 3u)];
    return metal::dot(_e4, _e9) + metal::dot(_e13, _e20);
}

metal::float2 pair_of(
    uint start_1,
    uint pair_1,
    uint position_2,
    device type_3 const& qkv,
    device type_8 const& turns,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e3 = pair_start(start_1, pair_1);
    float _e6 = qkv[metal::min(unsigned(_e3), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e11 = qkv[metal::min(unsigned(_e3 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
    metal::float2 _e18 = turns[metal::min(unsigned((position_2 * HEAD_PAIRS) + pair_1), (_buffer_sizes.size4 - 0 - 8) / 8)];
    metal::float2 _e19 = turned(metal::float2(_e6, _e11), _e18);
    return _e19;
}

void own_chunk(
    uint chunk_3,
    uint head_1,
    uint head_kv_2,
    uint position_3,
    device type_3 const& qkv,
    device type_8 const& turns,
    threadgroup type_10& own_key,
    threadgroup type_10& own_value,
    threadgroup type_11& query,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = head_start(0u, head_1);
    uint _e9 = head_start(0u, HEADS + head_kv_2);
    uint _e13 = head_start(0u, 6u + head_kv_2);
    uint v_1 = _e13 + (8u * chunk_3);
    metal::float2 _e21 = pair_of(_e5, (4u * chunk_3) + 0u, position_3, qkv, turns, _buffer_sizes);
    metal::float2 q_0_ = _e21 * SCALE;
    metal::float2 _e28 = pair_of(_e9, (4u * chunk_3) + 0u, position_3, qkv, turns, _buffer_sizes);
    uint k_0_ = as_type<uint>(half2(_e28));
    float _e34 = qkv[metal::min(unsigned(v_1 + 0u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e39 = qkv[metal::min(unsigned(v_1 + 1u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    uint v_0_ = as_type<uint>(half2(metal::float2(_e34, _e39)));
    metal::float2 _e46 = pair_of(_e5, (4u * chunk_3) + 1u, position_3, qkv, turns, _buffer_sizes);
    metal::float2 q_1_ = _e46 * SCALE;
    metal::float2 _e53 = pair_of(_e9, (4u * chunk_3) + 1u, position_3, qkv, turns, _buffer_sizes);
    uint k_1_ = as_type<uint>(half2(_e53));
    float _e59 = qkv[metal::min(unsigned(v_1 + 2u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e64 = qkv[metal::min(unsigned(v_1 + 3u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    uint v_1_ = as_type<uint>(half2(metal::float2(_e59, _e64)));
    metal::float2 _e71 = pair_of(_e5, (4u * chunk_3) + 2u, position_3, qkv, turns, _buffer_sizes);
    metal::float2 q_2_ = _e71 * SCALE;
    metal::float2 _e78 = pair_of(_e9, (4u * chunk_3) + 2u, position_3, qkv, turns, _buffer_sizes);
    uint k_2_ = as_type<uint>(half2(_e78));
    float _e84 = qkv[metal::min(unsigned(v_1 + 4u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e89 = qkv[metal::min(unsigned(v_1 + 5u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    uint v_2_ = as_type<uint>(half2(metal::float2(_e84, _e89)));
    metal::float2 _e96 = pair_of(_e5, (4u * chunk_3) + 3u, position_3, qkv, turns, _buffer_sizes);
    metal::float2 q_3_ = _e96 * SCALE;
    metal::float2 _e103 = pair_of(_e9, (4u * chunk_3) + 3u, position_3, qkv, turns, _buffer_sizes);
    uint k_3_ = as_type<uint>(half2(_e103));
    float _e109 = qkv[metal::min(unsigned(v_1 + 6u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e114 = qkv[metal::min(unsigned(v_1 + 7u), (_buffer_sizes.size0 - 0 - 4) / 4)];
    uint v_3_ = as_type<uint>(half2(metal::float2(_e109, _e114)));
    query.inner[metal::min(unsigned(2u * chunk_3), 3u)] = metal::float4(q_0_, q_1_);
    query.inner[metal::min(unsigned((2u * chunk_3) + 1u), 3u)] = metal::float4(q_2_, q_3_);
    own_key.inner[metal::min(unsigned(chunk_3), 1u)] = metal::uint4(k_0_, k_1_, k_2_, k_3_);
    own_value.inner[metal::min(unsigned(chunk_3), 1u)] = metal::uint4(v_0_, v_1_, v_2_, v_3_);
    return;
}

struct attentionInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void attention(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint lane [[thread_index_in_simdgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, uint __local_invocation_index [[thread_index_in_threadgroup]]
, device type_3 const& qkv [[buffer(0)]]
, device type_5& keys [[buffer(1)]]
, device type_5& values [[buffer(2)]]
, device type_7& y [[buffer(3)]]
, device type_8 const& turns [[buffer(4)]]
, device type_8& shares [[buffer(5)]]
, device type_9 const& progress [[buffer(6)]]
, threadgroup type_10& own_key
, threadgroup type_10& own_value
, threadgroup type_11& query
, threadgroup type_12& weights
, threadgroup type_13& maxima
, threadgroup type_13& sums
, threadgroup type_15& rests
, constant _mslBufferSizes& _buffer_sizes [[buffer(7)]]
) {
    if (__local_invocation_index == 0u) {
        own_key = {};
        own_value = {};
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
    uint head_2 = group.x;
    uint head_kv_3 = naga_div(head_2, 2u);
    uint chunk_4 = naga_mod(local_1, CHUNKS);
    uint part = naga_div(local_1, CHUNKS);
    uint position_4 = progress[metal::min(unsigned(0), (_buffer_sizes.size6 - 0 - 4) / 4)];
    uint start_2 = group.y * SPLIT;
    if (start_2 > position_4) {
        return;
    }
    uint end = metal::min(position_4, start_2 + SPLIT);
    if (local_1 < CHUNKS) {
        own_chunk(local_1, head_2, head_kv_3, position_4, qkv, turns, own_key, own_value, query, _buffer_sizes);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if ((position_4 - start_2) < SPLIT) {
        highest = 0.0;
        float _e39 = highest;
        metal::uint4 _e42 = own_key.inner[0];
        float _e44 = score_of(_e42, 0u, query);
        highest = _e39 + _e44;
        float _e46 = highest;
        metal::uint4 _e49 = own_key.inner[1];
        float _e51 = score_of(_e49, 1u, query);
        highest = _e46 + _e51;
        total = 1.0;
        if (part == 0u) {
            uint _e59 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].x;
            uint _e63 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].y;
            metal::float4 _e64 = halves(_e59, _e63);
            low = _e64;
            uint _e68 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].z;
            uint _e72 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].w;
            metal::float4 _e73 = halves(_e68, _e72);
            high = _e73;
            if (naga_mod(head_2, 2u) == 0u) {
                uint _e79 = key_at(position_4, head_kv_3, chunk_4);
                metal::uint4 _e83 = own_key.inner[metal::min(unsigned(chunk_4), 1u)];
                keys[metal::min(unsigned(_e79), (_buffer_sizes.size1 - 0 - 16) / 16)] = _e83;
                uint _e85 = value_at(position_4, head_kv_3, chunk_4);
                metal::uint4 _e89 = own_value.inner[metal::min(unsigned(chunk_4), 1u)];
                values[metal::min(unsigned(_e85), (_buffer_sizes.size2 - 0 - 16) / 16)] = _e89;
            }
        }
    }
    uint to = (4u * ((group.y * HEADS) + head_2)) + (2u * local_1);
    first = start_2;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e312 = first;
            first = _e312 + WORKGROUP;
        }
        loop_init = false;
        uint _e100 = first;
        if (_e100 < end) {
        } else {
            break;
        }
        {
            uint _e103 = first;
            uint count = metal::min(WORKGROUP, end - _e103);
            uint _e106 = first;
            uint mine = _e106 + metal::min(local_1, count - 1u);
            uint _e113 = key_at(mine, head_kv_3, 0u);
            metal::uint4 key_0_ = keys[metal::min(unsigned(_e113), (_buffer_sizes.size1 - 0 - 16) / 16)];
            uint _e118 = key_at(mine, head_kv_3, 1u);
            metal::uint4 key_1_ = keys[metal::min(unsigned(_e118), (_buffer_sizes.size1 - 0 - 16) / 16)];
            score = 0.0;
            float _e123 = score;
            float _e125 = score_of(key_0_, 0u, query);
            score = _e123 + _e125;
            float _e127 = score;
            float _e129 = score_of(key_1_, 1u, query);
            score = _e127 + _e129;
            float _e131 = score;
            score = (local_1 < count) ? _e131 : -300000000000000000000000000000000000000.0;
            float _e135 = highest;
            block_highest = _e135;
            float _e137 = score;
            float unnamed = metal::simd_max(_e137);
            if (lane == 0u) {
                maxima.inner[metal::min(unsigned(subgroup), 7u)] = unnamed;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e143 = block_highest;
            float _e146 = maxima.inner[0];
            block_highest = metal::max(_e143, _e146);
            float _e148 = block_highest;
            float _e151 = maxima.inner[1];
            block_highest = metal::max(_e148, _e151);
            float _e153 = block_highest;
            float _e156 = maxima.inner[2];
            block_highest = metal::max(_e153, _e156);
            float _e158 = block_highest;
            float _e161 = maxima.inner[3];
            block_highest = metal::max(_e158, _e161);
            float _e163 = block_highest;
            float _e166 = maxima.inner[4];
            block_highest = metal::max(_e163, _e166);
            float _e168 = block_highest;
            float _e171 = maxima.inner[5];
            block_highest = metal::max(_e168, _e171);
            float _e173 = block_highest;
            float _e176 = maxima.inner[6];
            block_highest = metal::max(_e173, _e176);
            float _e178 = block_highest;
            float _e181 = maxima.inner[7];
            block_highest = metal::max(_e178, _e181);
            float _e183 = score;
            float _e184 = block_highest;
            float weight = (local_1 < count) ? metal::exp(_e183 - _e184) : 0.0;
            weights.inner[metal::min(unsigned(local_1), 255u)] = weight;
            float unnamed_1 = metal::simd_sum(weight);
            if (lane == 0u) {
                sums.inner[metal::min(unsigned(subgroup), 7u)] = unnamed_1;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e197 = highest;
            float _e198 = block_highest;
            float scale = metal::exp(_e197 - _e198);
            float _e201 = block_highest;
            highest = _e201;
            float _e202 = total;
            total = _e202 * scale;
            metal::float4 _e204 = low;
            low = _e204 * scale;
            metal::float4 _e206 = high;
            high = _e206 * scale;
            float _e208 = total;
            float _e211 = sums.inner[0];
            total = _e208 + _e211;
            float _e213 = total;
            float _e216 = sums.inner[1];
            total = _e213 + _e216;
            float _e218 = total;
            float _e221 = sums.inner[2];
            total = _e218 + _e221;
            float _e223 = total;
            float _e226 = sums.inner[3];
            total = _e223 + _e226;
            float _e228 = total;
            float _e231 = sums.inner[4];
            total = _e228 + _e231;
            float _e233 = total;
            float _e236 = sums.inner[5];
            total = _e233 + _e236;
            float _e238 = total;
            float _e241 = sums.inner[6];
            total = _e238 + _e241;
            float _e243 = total;
            float _e246 = sums.inner[7];
            total = _e243 + _e246;
            if (part < PARTS) {
                uint at_0_ = part + 0u;
                uint _e253 = first;
                uint _e258 = value_at(_e253 + metal::min(at_0_, count - 1u), head_kv_3, chunk_4);
                metal::uint4 value_0_ = values[metal::min(unsigned(_e258), (_buffer_sizes.size2 - 0 - 16) / 16)];
                uint at_1_ = part + 128u;
                uint _e264 = first;
                uint _e269 = value_at(_e264 + metal::min(at_1_, count - 1u), head_kv_3, chunk_4);
                metal::uint4 value_1_ = values[metal::min(unsigned(_e269), (_buffer_sizes.size2 - 0 - 16) / 16)];
                float _e276 = weights.inner[metal::min(unsigned(metal::min(at_0_, 255u)), 255u)];
                float weight_0_ = (at_0_ < count) ? _e276 : 0.0;
                metal::float4 _e280 = low;
                metal::float4 _e283 = halves(value_0_.x, value_0_.y);
                low = _e280 + (weight_0_ * _e283);
                metal::float4 _e286 = high;
                metal::float4 _e289 = halves(value_0_.z, value_0_.w);
                high = _e286 + (weight_0_ * _e289);
                float _e296 = weights.inner[metal::min(unsigned(metal::min(at_1_, 255u)), 255u)];
                float weight_1_ = (at_1_ < count) ? _e296 : 0.0;
                metal::float4 _e300 = low;
                metal::float4 _e303 = halves(value_1_.x, value_1_.y);
                low = _e300 + (weight_1_ * _e303);
                metal::float4 _e306 = high;
                metal::float4 _e309 = halves(value_1_.z, value_1_.w);
                high = _e306 + (weight_1_ * _e309);
            }
        }
    }
    metal::float4 _e315 = low;
    metal::float4 _e316 = low;
    metal::float4 unnamed_2 = metal::simd_shuffle_xor(_e316, 2u);
    low = _e315 + unnamed_2;
    metal::float4 _e320 = high;
    metal::float4 _e321 = high;
    metal::float4 unnamed_3 = metal::simd_shuffle_xor(_e321, 2u);
    high = _e320 + unnamed_3;
    metal::float4 _e325 = low;
    metal::float4 _e326 = low;
    metal::float4 unnamed_4 = metal::simd_shuffle_xor(_e326, 4u);
    low = _e325 + unnamed_4;
    metal::float4 _e330 = high;
    metal::float4 _e331 = high;
    metal::float4 unnamed_5 = metal::simd_shuffle_xor(_e331, 4u);
    high = _e330 + unnamed_5;
    metal::float4 _e335 = low;
    metal::float4 _e336 = low;
    metal::float4 unnamed_6 = metal::simd_shuffle_xor(_e336, 8u);
    low = _e335 + unnamed_6;
    metal::float4 _e340 = high;
    metal::float4 _e341 = high;
    metal::float4 unnamed_7 = metal::simd_shuffle_xor(_e341, 8u);
    high = _e340 + unnamed_7;
    metal::float4 _e345 = low;
    metal::float4 _e346 = low;
    metal::float4 unnamed_8 = metal::simd_shuffle_xor(_e346, 16u);
    low = _e345 + unnamed_8;
    metal::float4 _e350 = high;
    metal::float4 _e351 = high;
    metal::float4 unnamed_9 = metal::simd_shuffle_xor(_e351, 16u);
    high = _e350 + unnamed_9;
    if (part < PARTS) {
        local = naga_mod(part, 16u) == 0u;
    } else {
        local = false;
    }
    bool _e364 = local;
    if (_e364) {
        metal::float4 _e372 = low;
        metal::float4 _e373 = high;
        rests.inner[metal::min(unsigned((naga_div(part, 16u) * CHUNKS) + chunk_4), 15u)] = type_14 {{_e372, _e373}};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local_1 < CHUNKS) {
        low = metal::float4(0.0);
        high = metal::float4(0.0);
        metal::float4 _e381 = low;
        metal::float4 _e387 = rests.inner[metal::min(unsigned(0u + local_1), 15u)].inner[0];
        low = _e381 + _e387;
        metal::float4 _e389 = high;
        metal::float4 _e395 = rests.inner[metal::min(unsigned(0u + local_1), 15u)].inner[1];
        high = _e389 + _e395;
        metal::float4 _e397 = low;
        metal::float4 _e403 = rests.inner[metal::min(unsigned(2u + local_1), 15u)].inner[0];
        low = _e397 + _e403;
        metal::float4 _e405 = high;
        metal::float4 _e411 = rests.inner[metal::min(unsigned(2u + local_1), 15u)].inner[1];
        high = _e405 + _e411;
        metal::float4 _e413 = low;
        metal::float4 _e419 = rests.inner[metal::min(unsigned(4u + local_1), 15u)].inner[0];
        low = _e413 + _e419;
        metal::float4 _e421 = high;
        metal::float4 _e427 = rests.inner[metal::min(unsigned(4u + local_1), 15u)].inner[1];
        high = _e421 + _e427;
        metal::float4 _e429 = low;
        metal::float4 _e435 = rests.inner[metal::min(unsigned(6u + local_1), 15u)].inner[0];
        low = _e429 + _e435;
        metal::float4 _e437 = high;
        metal::float4 _e443 = rests.inner[metal::min(unsigned(6u + local_1), 15u)].inner[1];
        high = _e437 + _e443;
        metal::float4 _e445 = low;
        metal::float4 _e451 = rests.inner[metal::min(unsigned(8u + local_1), 15u)].inner[0];
        low = _e445 + _e451;
        metal::float4 _e453 = high;
        metal::float4 _e459 = rests.inner[metal::min(unsigned(8u + local_1), 15u)].inner[1];
        high = _e453 + _e459;
        metal::float4 _e461 = low;
        metal::float4 _e467 = rests.inner[metal::min(unsigned(10u + local_1), 15u)].inner[0];
        low = _e461 + _e467;
        metal::float4 _e469 = high;
        metal::float4 _e475 = rests.inner[metal::min(unsigned(10u + local_1), 15u)].inner[1];
        high = _e469 + _e475;
        metal::float4 _e477 = low;
        metal::float4 _e483 = rests.inner[metal::min(unsigned(12u + local_1), 15u)].inner[0];
        low = _e477 + _e483;
        metal::float4 _e485 = high;
        metal::float4 _e491 = rests.inner[metal::min(unsigned(12u + local_1), 15u)].inner[1];
        high = _e485 + _e491;
        metal::float4 _e493 = low;
        metal::float4 _e499 = rests.inner[metal::min(unsigned(14u + local_1), 15u)].inner[0];
        low = _e493 + _e499;
        metal::float4 _e501 = high;
        metal::float4 _e507 = rests.inner[metal::min(unsigned(14u + local_1), 15u)].inner[1];
        high = _e501 + _e507;
        metal::float4 _e511 = low;
        float _e512 = total;
        y[metal::min(unsigned(to), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e511 / metal::float4(_e512);
        metal::float4 _e519 = high;
        float _e520 = total;
        y[metal::min(unsigned(to + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e519 / metal::float4(_e520);
    }
    if (local_1 == 0u) {
        float _e531 = highest;
        float _e532 = total;
        shares[metal::min(unsigned((group.y * HEADS) + head_2), (_buffer_sizes.size5 - 0 - 8) / 8)] = metal::float2(_e531, _e532);
        return;
    } else {
        return;
    }
}
