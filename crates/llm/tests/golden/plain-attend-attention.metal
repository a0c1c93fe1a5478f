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
    float inner[64];
};
struct type_13 {
    metal::float4 inner[2];
};
struct type_14 {
    type_13 inner[64];
};
constant uint WORKGROUP = 64u;
constant uint LANES = 1u;
constant uint SUBGROUPS = 64u;
constant uint PARTS = 32u;
constant uint FOLDS = 0u;
constant uint RESTS = 32u;
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
[[max_total_threads_per_threadgroup(64)]] kernel void attention(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
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
, threadgroup type_14& rests
, constant _mslBufferSizes& _buffer_sizes [[buffer(7)]]
) {
    if (local == 0u) {
        own_key = {};
        own_value = {};
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
    uint head_2 = group.x;
    uint head_kv_3 = naga_div(head_2, 2u);
    uint chunk_4 = naga_mod(local, CHUNKS);
    uint part = naga_div(local, CHUNKS);
    uint position_4 = progress[metal::min(unsigned(0), (_buffer_sizes.size6 - 0 - 4) / 4)];
    uint start_2 = group.y * SPLIT;
    if (start_2 > position_4) {
        return;
    }
    uint end = metal::min(position_4, start_2 + SPLIT);
    if (local < CHUNKS) {
        own_chunk(local, head_2, head_kv_3, position_4, qkv, turns, own_key, own_value, query, _buffer_sizes);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if ((position_4 - start_2) < SPLIT) {
        highest = 0.0;
        float _e35 = highest;
        metal::uint4 _e38 = own_key.inner[0];
        float _e40 = score_of(_e38, 0u, query);
        highest = _e35 + _e40;
        float _e42 = highest;
        metal::uint4 _e45 = own_key.inner[1];
        float _e47 = score_of(_e45, 1u, query);
        highest = _e42 + _e47;
        total = 1.0;
        if (part == 0u) {
            uint _e55 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].x;
            uint _e59 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].y;
            metal::float4 _e60 = halves(_e55, _e59);
            low = _e60;
            uint _e64 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].z;
            uint _e68 = own_value.inner[metal::min(unsigned(chunk_4), 1u)].w;
            metal::float4 _e69 = halves(_e64, _e68);
            high = _e69;
            if (naga_mod(head_2, 2u) == 0u) {
                uint _e75 = key_at(position_4, head_kv_3, chunk_4);
                metal::uint4 _e79 = own_key.inner[metal::min(unsigned(chunk_4), 1u)];
                keys[metal::min(unsigned(_e75), (_buffer_sizes.size1 - 0 - 16) / 16)] = _e79;
                uint _e81 = value_at(position_4, head_kv_3, chunk_4);
                metal::uint4 _e85 = own_value.inner[metal::min(unsigned(chunk_4), 1u)];
                values[metal::min(unsigned(_e81), (_buffer_sizes.size2 - 0 - 16) / 16)] = _e85;
            }
        }
    }
    uint to = (4u * ((group.y * HEADS) + head_2)) + (2u * local);
    first = start_2;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e246 = first;
            first = _e246 + WORKGROUP;
        }
        loop_init = false;
        uint _e96 = first;
        if (_e96 < end) {
        } else {
            break;
        }
        {
            uint _e99 = first;
            uint count = metal::min(WORKGROUP, end - _e99);
            uint _e102 = first;
            uint mine = _e102 + metal::min(local, count - 1u);
            uint _e109 = key_at(mine, head_kv_3, 0u);
            metal::uint4 key_0_ = keys[metal::min(unsigned(_e109), (_buffer_sizes.size1 - 0 - 16) / 16)];
            uint _e114 = key_at(mine, head_kv_3, 1u);
            metal::uint4 key_1_ = keys[metal::min(unsigned(_e114), (_buffer_sizes.size1 - 0 - 16) / 16)];
            score = 0.0;
            float _e119 = score;
            float _e121 = score_of(key_0_, 0u, query);
            score = _e119 + _e121;
            float _e123 = score;
            float _e125 = score_of(key_1_, 1u, query);
            score = _e123 + _e125;
            float _e127 = score;
            score = (local < count) ? _e127 : -300000000000000000000000000000000000000.0;
            float _e131 = highest;
            block_highest = _e131;
            float _e135 = score;
            weights.inner[metal::min(unsigned(local), 63u)] = _e135;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            i = 0u;
            uint2 loop_bound_1 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_1 == uint2(0u))) { break; }
                loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e147 = i;
                    i = _e147 + 1u;
                }
                loop_init_1 = false;
                uint _e138 = i;
                if (_e138 < count) {
                } else {
                    break;
                }
                {
                    float _e140 = block_highest;
                    uint _e142 = i;
                    float _e144 = weights.inner[metal::min(unsigned(_e142), 63u)];
                    block_highest = metal::max(_e140, _e144);
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e149 = score;
            float _e150 = block_highest;
            float weight = (local < count) ? metal::exp(_e149 - _e150) : 0.0;
            weights.inner[metal::min(unsigned(local), 63u)] = weight;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e158 = highest;
            float _e159 = block_highest;
            float scale = metal::exp(_e158 - _e159);
            float _e162 = block_highest;
            highest = _e162;
            float _e163 = total;
            total = _e163 * scale;
            metal::float4 _e165 = low;
            low = _e165 * scale;
            metal::float4 _e167 = high;
            high = _e167 * scale;
            i_1 = 0u;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e180 = i_1;
                    i_1 = _e180 + 1u;
                }
                loop_init_2 = false;
                uint _e171 = i_1;
                if (_e171 < count) {
                } else {
                    break;
                }
                {
                    float _e173 = total;
                    uint _e175 = i_1;
                    float _e177 = weights.inner[metal::min(unsigned(_e175), 63u)];
                    total = _e173 + _e177;
                }
            }
            if (part < PARTS) {
                uint at_0_ = part + 0u;
                uint _e187 = first;
                uint _e192 = value_at(_e187 + metal::min(at_0_, count - 1u), head_kv_3, chunk_4);
                metal::uint4 value_0_ = values[metal::min(unsigned(_e192), (_buffer_sizes.size2 - 0 - 16) / 16)];
                uint at_1_ = part + 32u;
                uint _e198 = first;
                uint _e203 = value_at(_e198 + metal::min(at_1_, count - 1u), head_kv_3, chunk_4);
                metal::uint4 value_1_ = values[metal::min(unsigned(_e203), (_buffer_sizes.size2 - 0 - 16) / 16)];
                float _e210 = weights.inner[metal::min(unsigned(metal::min(at_0_, 63u)), 63u)];
                float weight_0_ = (at_0_ < count) ? _e210 : 0.0;
                metal::float4 _e214 = low;
                metal::float4 _e217 = halves(value_0_.x, value_0_.y);
                low = _e214 + (weight_0_ * _e217);
                metal::float4 _e220 = high;
                metal::float4 _e223 = halves(value_0_.z, value_0_.w);
                high = _e220 + (weight_0_ * _e223);
                float _e230 = weights.inner[metal::min(unsigned(metal::min(at_1_, 63u)), 63u)];
                float weight_1_ = (at_1_ < count) ? _e230 : 0.0;
                metal::float4 _e234 = low;
                metal::float4 _e237 = halves(value_1_.x, value_1_.y);
                low = _e234 + (weight_1_ * _e237);
                metal::float4 _e240 = high;
                metal::float4 _e243 = halves(value_1_.z, value_1_.w);
                high = _e240 + (weight_1_ * _e243);
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
        }
    }
    if (part < PARTS) {
        local_1 = naga_mod(part, 1u) == 0u;
    } else {
        local_1 = false;
    }
    bool _e258 = local_1;
    if (_e258) {
        metal::float4 _e266 = low;
        metal::float4 _e267 = high;
        rests.inner[metal::min(unsigned((naga_div(part, 1u) * CHUNKS) + chunk_4), 63u)] = type_13 {{_e266, _e267}};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local < CHUNKS) {
        low = metal::float4(0.0);
        high = metal::float4(0.0);
        metal::float4 _e275 = low;
        metal::float4 _e281 = rests.inner[metal::min(unsigned(0u + local), 63u)].inner[0];
        low = _e275 + _e281;
        metal::float4 _e283 = high;
        metal::float4 _e289 = rests.inner[metal::min(unsigned(0u + local), 63u)].inner[1];
        high = _e283 + _e289;
        metal::float4 _e291 = low;
        metal::float4 _e297 = rests.inner[metal::min(unsigned(2u + local), 63u)].inner[0];
        low = _e291 + _e297;
        metal::float4 _e299 = high;
        metal::float4 _e305 = rests.inner[metal::min(unsigned(2u + local), 63u)].inner[1];
        high = _e299 + _e305;
        metal::float4 _e307 = low;
        metal::float4 _e313 = rests.inner[metal::min(unsigned(4u + local), 63u)].inner[0];
        low = _e307 + _e313;
        metal::float4 _e315 = high;
        metal::float4 _e321 = rests.inner[metal::min(unsigned(4u + local), 63u)].inner[1];
        high = _e315 + _e321;
        metal::float4 _e323 = low;
        metal::float4 _e329 = rests.inner[metal::min(unsigned(6u + local), 63u)].inner[0];
        low = _e323 + _e329;
        metal::float4 _e331 = high;
        metal::float4 _e337 = rests.inner[metal::min(unsigned(6u + local), 63u)].inner[1];
        high = _e331 + _e337;
        metal::float4 _e339 = low;
        metal::float4 _e345 = rests.inner[metal::min(unsigned(8u + local), 63u)].inner[0];
        low = _e339 + _e345;
        metal::float4 _e347 = high;
        metal::float4 _e353 = rests.inner[metal::min(unsigned(8u + local), 63u)].inner[1];
        high = _e347 + _e353;
        metal::float4 _e355 = low;
        metal::float4 _e361 = rests.inner[metal::min(unsigned(10u + local), 63u)].inner[0];
        low = _e355 + _e361;
        metal::float4 _e363 = high;
        metal::float4 _e369 = rests.inner[metal::min(unsigned(10u + local), 63u)].inner[1];
        high = _e363 + _e369;
        metal::float4 _e371 = low;
        metal::float4 _e377 = rests.inner[metal::min(unsigned(12u + local), 63u)].inner[0];
        low = _e371 + _e377;
        metal::float4 _e379 = high;
        metal::float4 _e385 = rests.inner[metal::min(unsigned(12u + local), 63u)].inner[1];
        high = _e379 + _e385;
        metal::float4 _e387 = low;
        metal::float4 _e393 = rests.inner[metal::min(unsigned(14u + local), 63u)].inner[0];
        low = _e387 + _e393;
        metal::float4 _e395 = high;
        metal::float4 _e401 = rests.inner[metal::min(unsigned(14u + local), 63u)].inner[1];
        high = _e395 + _e401;
        metal::float4 _e403 = low;
        metal::float4 _e409 = rests.inner[metal::min(unsigned(16u + local), 63u)].inner[0];
        low = _e403 + _e409;
        metal::float4 _e411 = high;
        metal::float4 _e417 = rests.inner[metal::min(unsigned(16u + local), 63u)].inner[1];
        high = _e411 + _e417;
        metal::float4 _e419 = low;
        metal::float4 _e425 = rests.inner[metal::min(unsigned(18u + local), 63u)].inner[0];
        low = _e419 + _e425;
        metal::float4 _e427 = high;
        metal::float4 _e433 = rests.inner[metal::min(unsigned(18u + local), 63u)].inner[1];
        high = _e427 + _e433;
        metal::float4 _e435 = low;
        metal::float4 _e441 = rests.inner[metal::min(unsigned(20u + local), 63u)].inner[0];
        low = _e435 + _e441;
        metal::float4 _e443 = high;
        metal::float4 _e449 = rests.inner[metal::min(unsigned(20u + local), 63u)].inner[1];
        high = _e443 + _e449;
        metal::float4 _e451 = low;
        metal::float4 _e457 = rests.inner[metal::min(unsigned(22u + local), 63u)].inner[0];
        low = _e451 + _e457;
        metal::float4 _e459 = high;
        metal::float4 _e465 = rests.inner[metal::min(unsigned(22u + local), 63u)].inner[1];
        high = _e459 + _e465;
        metal::float4 _e467 = low;
        metal::float4 _e473 = rests.inner[metal::min(unsigned(24u + local), 63u)].inner[0];
        low = _e467 + _e473;
        metal::float4 _e475 = high;
        metal::float4 _e481 = rests.inner[metal::min(unsigned(24u + local), 63u)].inner[1];
        high = _e475 + _e481;
        metal::float4 _e483 = low;
        metal::float4 _e489 = rests.inner[metal::min(unsigned(26u + local), 63u)].inner[0];
        low = _e483 + _e489;
        metal::float4 _e491 = high;
        metal::float4 _e497 = rests.inner[metal::min(unsigned(26u + local), 63u)].inner[1];
        high = _e491 + _e497;
        metal::float4 _e499 = low;
        metal::float4 _e505 = rests.inner[metal::min(unsigned(28u + local), 63u)].inner[0];
        low = _e499 + _e505;
        metal::float4 _e507 = high;
        metal::float4 _e513 = rests.inner[metal::min(unsigned(28u + local), 63u)].inner[1];
        high = _e507 + _e513;
        metal::float4 _e515 = low;
        metal::float4 _e521 = rests.inner[metal::min(unsigned(30u + local), 63u)].inner[0];
        low = _e515 + _e521;
        metal::float4 _e523 = high;
        metal::float4 _e529 = rests.inner[metal::min(unsigned(30u + local), 63u)].inner[1];
        high = _e523 + _e529;
        metal::float4 _e531 = low;
        metal::float4 _e537 = rests.inner[metal::min(unsigned(32u + local), 63u)].inner[0];
        low = _e531 + _e537;
        metal::float4 _e539 = high;
        metal::float4 _e545 = rests.inner[metal::min(unsigned(32u + local), 63u)].inner[1];
        high = _e539 + _e545;
        metal::float4 _e547 = low;
        metal::float4 _e553 = rests.inner[metal::min(unsigned(34u + local), 63u)].inner[0];
        low = _e547 + _e553;
        metal::float4 _e555 = high;
        metal::float4 _e561 = rests.inner[metal::min(unsigned(34u + local), 63u)].inner[1];
        high = _e555 + _e561;
        metal::float4 _e563 = low;
        metal::float4 _e569 = rests.inner[metal::min(unsigned(36u + local), 63u)].inner[0];
        low = _e563 + _e569;
        metal::float4 _e571 = high;
        metal::float4 _e577 = rests.inner[metal::min(unsigned(36u + local), 63u)].inner[1];
        high = _e571 + _e577;
        metal::float4 _e579 = low;
        metal::float4 _e585 = rests.inner[metal::min(unsigned(38u + local), 63u)].inner[0];
        low = _e579 + _e585;
        metal::float4 _e587 = high;
        metal::float4 _e593 = rests.inner[metal::min(unsigned(38u + local), 63u)].inner[1];
        high = _e587 + _e593;
        metal::float4 _e595 = low;
        metal::float4 _e601 = rests.inner[metal::min(unsigned(40u + local), 63u)].inner[0];
        low = _e595 + _e601;
        metal::float4 _e603 = high;
        metal::float4 _e609 = rests.inner[metal::min(unsigned(40u + local), 63u)].inner[1];
        high = _e603 + _e609;
        metal::float4 _e611 = low;
        metal::float4 _e617 = rests.inner[metal::min(unsigned(42u + local), 63u)].inner[0];
        low = _e611 + _e617;
        metal::float4 _e619 = high;
        metal::float4 _e625 = rests.inner[metal::min(unsigned(42u + local), 63u)].inner[1];
        high = _e619 + _e625;
        metal::float4 _e627 = low;
        metal::float4 _e633 = rests.inner[metal::min(unsigned(44u + local), 63u)].inner[0];
        low = _e627 + _e633;
        metal::float4 _e635 = high;
        metal::float4 _e641 = rests.inner[metal::min(unsigned(44u + local), 63u)].inner[1];
        high = _e635 + _e641;
        metal::float4 _e643 = low;
        metal::float4 _e649 = rests.inner[metal::min(unsigned(46u + local), 63u)].inner[0];
        low = _e643 + _e649;
        metal::float4 _e651 = high;
        metal::float4 _e657 = rests.inner[metal::min(unsigned(46u + local), 63u)].inner[1];
        high = _e651 + _e657;
        metal::float4 _e659 = low;
        metal::float4 _e665 = rests.inner[metal::min(unsigned(48u + local), 63u)].inner[0];
        low = _e659 + _e665;
        metal::float4 _e667 = high;
        metal::float4 _e673 = rests.inner[metal::min(unsigned(48u + local), 63u)].inner[1];
        high = _e667 + _e673;
        metal::float4 _e675 = low;
        metal::float4 _e681 = rests.inner[metal::min(unsigned(50u + local), 63u)].inner[0];
        low = _e675 + _e681;
        metal::float4 _e683 = high;
        metal::float4 _e689 = rests.inner[metal::min(unsigned(50u + local), 63u)].inner[1];
        high = _e683 + _e689;
        metal::float4 _e691 = low;
        metal::float4 _e697 = rests.inner[metal::min(unsigned(52u + local), 63u)].inner[0];
        low = _e691 + _e697;
        metal::float4 _e699 = high;
        metal::float4 _e705 = rests.inner[metal::min(unsigned(52u + local), 63u)].inner[1];
        high = _e699 + _e705;
        metal::float4 _e707 = low;
        metal::float4 _e713 = rests.inner[metal::min(unsigned(54u + local), 63u)].inner[0];
        low = _e707 + _e713;
        metal::float4 _e715 = high;
        metal::float4 _e721 = rests.inner[metal::min(unsigned(54u + local), 63u)].inner[1];
        high = _e715 + _e721;
        metal::float4 _e723 = low;
        metal::float4 _e729 = rests.inner[metal::min(unsigned(56u + local), 63u)].inner[0];
        low = _e723 + _e729;
        metal::float4 _e731 = high;
        metal::float4 _e737 = rests.inner[metal::min(unsigned(56u + local), 63u)].inner[1];
        high = _e731 + _e737;
        metal::float4 _e739 = low;
        metal::float4 _e745 = rests.inner[metal::min(unsigned(58u + local), 63u)].inner[0];
        low = _e739 + _e745;
        metal::float4 _e747 = high;
        metal::float4 _e753 = rests.inner[metal::min(unsigned(58u + local), 63u)].inner[1];
        high = _e747 + _e753;
        metal::float4 _e755 = low;
        metal::float4 _e761 = rests.inner[metal::min(unsigned(60u + local), 63u)].inner[0];
        low = _e755 + _e761;
        metal::float4 _e763 = high;
        metal::float4 _e769 = rests.inner[metal::min(unsigned(60u + local), 63u)].inner[1];
        high = _e763 + _e769;
        metal::float4 _e771 = low;
        metal::float4 _e777 = rests.inner[metal::min(unsigned(62u + local), 63u)].inner[0];
        low = _e771 + _e777;
        metal::float4 _e779 = high;
        metal::float4 _e785 = rests.inner[metal::min(unsigned(62u + local), 63u)].inner[1];
        high = _e779 + _e785;
        metal::float4 _e789 = low;
        float _e790 = total;
        y[metal::min(unsigned(to), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e789 / metal::float4(_e790);
        metal::float4 _e797 = high;
        float _e798 = total;
        y[metal::min(unsigned(to + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)] = _e797 / metal::float4(_e798);
    }
    if (local == 0u) {
        float _e809 = highest;
        float _e810 = total;
        shares[metal::min(unsigned((group.y * HEADS) + head_2), (_buffer_sizes.size5 - 0 - 8) / 8)] = metal::float2(_e809, _e810);
        return;
    } else {
        return;
    }
}
