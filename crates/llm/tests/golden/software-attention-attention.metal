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
    float inner[32];
};
struct type_10 {
    metal::float4 inner[2];
};
struct type_11 {
    type_10 inner[32];
};
constant uint WORKGROUP = 32u;
constant uint LANES = 1u;
constant uint SUBGROUPS = 32u;
constant uint PARTS = 16u;
constant uint FOLDS = 0u;
constant uint RESTS = 16u;
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
[[max_total_threads_per_threadgroup(32)]] kernel void attention(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, device type_3 const& qkv [[buffer(0)]]
, device type_5 const& keys [[buffer(1)]]
, device type_5 const& values [[buffer(2)]]
, device type_7& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, threadgroup type_8& query
, threadgroup type_9& weights
, threadgroup type_11& rests
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (local == 0u) {
        query = {};
        weights = {};
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
    uint i = {};
    uint i_1 = {};
    bool local_1 = {};
    uint head_1 = group.x;
    uint head_kv_2 = naga_div(head_1, 2u);
    uint chunk_3 = naga_mod(local, CHUNKS);
    uint part = naga_div(local, CHUNKS);
    uint token_1 = group.y;
    uint _e23 = p.position;
    uint end = (_e23 + token_1) + 1u;
    if (local < CHUNKS) {
        uint _e29 = head_start(token_1, head_1);
        uint _e34 = pair_start(_e29, (4u * local) + 0u);
        float _e37 = qkv[metal::min(unsigned(_e34), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e42 = qkv[metal::min(unsigned(_e34 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_0_ = metal::float2(_e37, _e42) * SCALE;
        uint _e50 = pair_start(_e29, (4u * local) + 1u);
        float _e53 = qkv[metal::min(unsigned(_e50), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e58 = qkv[metal::min(unsigned(_e50 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_1_ = metal::float2(_e53, _e58) * SCALE;
        uint _e66 = pair_start(_e29, (4u * local) + 2u);
        float _e69 = qkv[metal::min(unsigned(_e66), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e74 = qkv[metal::min(unsigned(_e66 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_2_ = metal::float2(_e69, _e74) * SCALE;
        uint _e82 = pair_start(_e29, (4u * local) + 3u);
        float _e85 = qkv[metal::min(unsigned(_e82), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e90 = qkv[metal::min(unsigned(_e82 + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
        metal::float2 q_3_ = metal::float2(_e85, _e90) * SCALE;
        query.inner[metal::min(unsigned(2u * local), 3u)] = metal::float4(q_0_, q_1_);
        query.inner[metal::min(unsigned((2u * local) + 1u), 3u)] = metal::float4(q_2_, q_3_);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint to = (4u * ((token_1 * HEADS) + head_1)) + (2u * local);
    first = 0u;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e265 = first;
            first = _e265 + WORKGROUP;
        }
        loop_init = false;
        uint _e115 = first;
        if (_e115 < end) {
        } else {
            break;
        }
        {
            uint _e118 = first;
            uint count = metal::min(WORKGROUP, end - _e118);
            uint _e121 = first;
            uint mine = _e121 + metal::min(local, count - 1u);
            uint _e128 = key_at(mine, head_kv_2, 0u);
            metal::uint4 key_0_ = keys[metal::min(unsigned(_e128), (_buffer_sizes.size1 - 0 - 16) / 16)];
            uint _e133 = key_at(mine, head_kv_2, 1u);
            metal::uint4 key_1_ = keys[metal::min(unsigned(_e133), (_buffer_sizes.size1 - 0 - 16) / 16)];
            score = 0.0;
            float _e138 = score;
            float _e140 = score_of(key_0_, 0u, query);
            score = _e138 + _e140;
            float _e142 = score;
            float _e144 = score_of(key_1_, 1u, query);
            score = _e142 + _e144;
            float _e146 = score;
            score = (local < count) ? _e146 : -300000000000000000000000000000000000000.0;
            float _e150 = highest;
            block_highest = _e150;
            float _e154 = score;
            weights.inner[metal::min(unsigned(local), 31u)] = _e154;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            i = 0u;
            uint2 loop_bound_1 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_1 == uint2(0u))) { break; }
                loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e166 = i;
                    i = _e166 + 1u;
                }
                loop_init_1 = false;
                uint _e157 = i;
                if (_e157 < count) {
                } else {
                    break;
                }
                {
                    float _e159 = block_highest;
                    uint _e161 = i;
                    float _e163 = weights.inner[metal::min(unsigned(_e161), 31u)];
                    block_highest = metal::max(_e159, _e163);
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e168 = score;
            float _e169 = block_highest;
            float weight = (local < count) ? metal::exp(_e168 - _e169) : 0.0;
            weights.inner[metal::min(unsigned(local), 31u)] = weight;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e177 = highest;
            float _e178 = block_highest;
            float scale = metal::exp(_e177 - _e178);
            float _e181 = block_highest;
            highest = _e181;
            float _e182 = total;
            total = _e182 * scale;
            metal::float4 _e184 = low;
            low = _e184 * scale;
            metal::float4 _e186 = high;
            high = _e186 * scale;
            i_1 = 0u;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e199 = i_1;
                    i_1 = _e199 + 1u;
                }
                loop_init_2 = false;
                uint _e190 = i_1;
                if (_e190 < count) {
                } else {
                    break;
                }
                {
                    float _e192 = total;
                    uint _e194 = i_1;
                    float _e196 = weights.inner[metal::min(unsigned(_e194), 31u)];
                    total = _e192 + _e196;
                }
            }
            if (part < PARTS) {
                uint at_0_ = part + 0u;
                uint _e206 = first;
                uint _e211 = value_at(_e206 + metal::min(at_0_, count - 1u), head_kv_2, chunk_3);
                metal::uint4 value_0_ = values[metal::min(unsigned(_e211), (_buffer_sizes.size2 - 0 - 16) / 16)];
                uint at_1_ = part + 16u;
                uint _e217 = first;
                uint _e222 = value_at(_e217 + metal::min(at_1_, count - 1u), head_kv_2, chunk_3);
                metal::uint4 value_1_ = values[metal::min(unsigned(_e222), (_buffer_sizes.size2 - 0 - 16) / 16)];
                float _e229 = weights.inner[metal::min(unsigned(metal::min(at_0_, 31u)), 31u)];
                float weight_0_ = (at_0_ < count) ? _e229 : 0.0;
                metal::float4 _e233 = low;
                metal::float4 _e236 = halves(value_0_.x, value_0_.y);
                low = _e233 + (weight_0_ * _e236);
                metal::float4 _e239 = high;
                metal::float4 _e242 = halves(value_0_.z, value_0_.w);
                high = _e239 + (weight_0_ * _e242);
                float _e249 = weights.inner[metal::min(unsigned(metal::min(at_1_, 31u)), 31u)];
                float weight_1_ = (at_1_ < count) ? _e249 : 0.0;
                metal::float4 _e253 = low;
                metal::float4 _e256 = halves(value_1_.x, value_1_.y);
                low = _e253 + (weight_1_ * _e256);
                metal::float4 _e259 = high;
                metal::float4 _e262 = halves(value_1_.z, value_1_.w);
                high = _e259 + (weight_1_ * _e262);
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
        }
    }
    if (part < PARTS) {
        local_1 = naga_mod(part, 1u) == 0u;
    } else {
        local_1 = false;
    }
    bool _e277 = local_1;
    if (_e277) {
        metal::float4 _e285 = low;
        metal::float4 _e286 = high;
        rests.inner[metal::min(unsigned((naga_div(part, 1u) * CHUNKS) + chunk_3), 31u)] = type_10 {{_e285, _e286}};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local < CHUNKS) {
        low = metal::float4(0.0);
        high = metal::float4(0.0);
        metal::float4 _e294 = low;
        metal::float4 _e300 = rests.inner[metal::min(unsigned(0u + local), 31u)].inner[0];
        low = _e294 + _e300;
        metal::float4 _e302 = high;
        metal::float4 _e308 = rests.inner[metal::min(unsigned(0u + local), 31u)].inner[1];
        high = _e302 + _e308;
        metal::float4 _e310 = low;
        metal::float4 _e316 = rests.inner[metal::min(unsigned(2u + local), 31u)].inner[0];
        low = _e310 + _e316;
        metal::float4 _e318 = high;
        metal::float4 _e324 = rests.inner[metal::min(unsigned(2u + local), 31u)].inner[1];
        high = _e318 + _e324;
        metal::float4 _e326 = low;
        metal::float4 _e332 = rests.inner[metal::min(unsigned(4u + local), 31u)].inner[0];
        low = _e326 + _e332;
        metal::float4 _e334 = high;
        metal::float4 _e340 = rests.inner[metal::min(unsigned(4u + local), 31u)].inner[1];
        high = _e334 + _e340;
        metal::float4 _e342 = low;
        metal::float4 _e348 = rests.inner[metal::min(unsigned(6u + local), 31u)].inner[0];
        low = _e342 + _e348;
        metal::float4 _e350 = high;
        metal::float4 _e356 = rests.inner[metal::min(unsigned(6u + local), 31u)].inner[1];
        high = _e350 + _e356;
        metal::float4 _e358 = low;
        metal::float4 _e364 = rests.inner[metal::min(unsigned(8u + local), 31u)].inner[0];
        low = _e358 + _e364;
        metal::float4 _e366 = high;
        metal::float4 _e372 = rests.inner[metal::min(unsigned(8u + local), 31u)].inner[1];
        high = _e366 + _e372;
        metal::float4 _e374 = low;
        metal::float4 _e380 = rests.inner[metal::min(unsigned(10u + local), 31u)].inner[0];
        low = _e374 + _e380;
        metal::float4 _e382 = high;
        metal::float4 _e388 = rests.inner[metal::min(unsigned(10u + local), 31u)].inner[1];
        high = _e382 + _e388;
        metal::float4 _e390 = low;
        metal::float4 _e396 = rests.inner[metal::min(unsigned(12u + local), 31u)].inner[0];
        low = _e390 + _e396;
        metal::float4 _e398 = high;
        metal::float4 _e404 = rests.inner[metal::min(unsigned(12u + local), 31u)].inner[1];
        high = _e398 + _e404;
        metal::float4 _e406 = low;
        metal::float4 _e412 = rests.inner[metal::min(unsigned(14u + local), 31u)].inner[0];
        low = _e406 + _e412;
        metal::float4 _e414 = high;
        metal::float4 _e420 = rests.inner[metal::min(unsigned(14u + local), 31u)].inner[1];
        high = _e414 + _e420;
        metal::float4 _e422 = low;
        metal::float4 _e428 = rests.inner[metal::min(unsigned(16u + local), 31u)].inner[0];
        low = _e422 + _e428;
        metal::float4 _e430 = high;
        metal::float4 _e436 = rests.inner[metal::min(unsigned(16u + local), 31u)].inner[1];
        high = _e430 + _e436;
        metal::float4 _e438 = low;
        metal::float4 _e444 = rests.inner[metal::min(unsigned(18u + local), 31u)].inner[0];
        low = _e438 + _e444;
        metal::float4 _e446 = high;
        metal::float4 _e452 = rests.inner[metal::min(unsigned(18u + local), 31u)].inner[1];
        high = _e446 + _e452;
        metal::float4 _e454 = low;
        metal::float4 _e460 = rests.inner[metal::min(unsigned(20u + local), 31u)].inner[0];
        low = _e454 + _e460;
        metal::float4 _e462 = high;
        metal::float4 _e468 = rests.inner[metal::min(unsigned(20u + local), 31u)].inner[1];
        high = _e462 + _e468;
        metal::float4 _e470 = low;
        metal::float4 _e476 = rests.inner[metal::min(unsigned(22u + local), 31u)].inner[0];
        low = _e470 + _e476;
        metal::float4 _e478 = high;
        metal::float4 _e484 = rests.inner[metal::min(unsigned(22u + local), 31u)].inner[1];
        high = _e478 + _e484;
        metal::float4 _e486 = low;
        metal::float4 _e492 = rests.inner[metal::min(unsigned(24u + local), 31u)].inner[0];
        low = _e486 + _e492;
        metal::float4 _e494 = high;
        metal::float4 _e500 = rests.inner[metal::min(unsigned(24u + local), 31u)].inner[1];
        high = _e494 + _e500;
        metal::float4 _e502 = low;
        metal::float4 _e508 = rests.inner[metal::min(unsigned(26u + local), 31u)].inner[0];
        low = _e502 + _e508;
        metal::float4 _e510 = high;
        metal::float4 _e516 = rests.inner[metal::min(unsigned(26u + local), 31u)].inner[1];
        high = _e510 + _e516;
        metal::float4 _e518 = low;
        metal::float4 _e524 = rests.inner[metal::min(unsigned(28u + local), 31u)].inner[0];
        low = _e518 + _e524;
        metal::float4 _e526 = high;
        metal::float4 _e532 = rests.inner[metal::min(unsigned(28u + local), 31u)].inner[1];
        high = _e526 + _e532;
        metal::float4 _e534 = low;
        metal::float4 _e540 = rests.inner[metal::min(unsigned(30u + local), 31u)].inner[0];
        low = _e534 + _e540;
        metal::float4 _e542 = high;
        metal::float4 _e548 = rests.inner[metal::min(unsigned(30u + local), 31u)].inner[1];
        high = _e542 + _e548;
        metal::float4 _e552 = low;
        float _e553 = total;
        y[metal::min(unsigned(to), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e552 / metal::float4(_e553);
        metal::float4 _e560 = high;
        float _e561 = total;
        y[metal::min(unsigned(to + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e560 / metal::float4(_e561);
        return;
    } else {
        return;
    }
}
