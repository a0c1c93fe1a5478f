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
typedef metal::float2 type_4[1];
typedef uint type_5[1];
struct Scalars {
    uint position;
};
constant uint HEADS = 4u;
constant uint HEADS_KV = 2u;
constant uint HEAD_PAIRS = 8u;
constant uint CHUNKS = 2u;
constant uint PAIR_STRIDE = 8u;

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
    return start + (true ? pair : (2u * pair));
}

metal::float2 turned(
    metal::float2 v,
    metal::float2 turn
) {
    return metal::float2((v.x * turn.x) - (v.y * turn.y), (v.x * turn.y) + (v.y * turn.x));
}

struct ropeInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void rope(
  metal::uint3 id [[thread_position_in_grid]]
, device type_3& qkv [[buffer(0)]]
, device type_4 const& turns [[buffer(1)]]
, device type_5& keys [[buffer(2)]]
, device type_5& values [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    uint head_1 = naga_div(id.x, HEAD_PAIRS);
    uint pair_1 = naga_mod(id.x, HEAD_PAIRS);
    uint token_1 = id.y;
    uint _e10 = p.position;
    uint position_2 = _e10 + token_1;
    if (head_1 >= 8u) {
        return;
    }
    uint _e14 = head_start(token_1, head_1);
    if (head_1 >= 6u) {
        uint _e24 = value_at(position_2, (head_1 - HEADS) - HEADS_KV, naga_div(pair_1, 4u));
        uint at = (4u * _e24) + naga_mod(pair_1, 4u);
        float _e36 = qkv[metal::min(unsigned(_e14 + (2u * pair_1)), (_buffer_sizes.size0 - 0 - 4) / 4)];
        float _e44 = qkv[metal::min(unsigned((_e14 + (2u * pair_1)) + 1u), (_buffer_sizes.size0 - 0 - 4) / 4)];
        values[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)] = as_type<uint>(half2(metal::float2(_e36, _e44)));
        return;
    }
    uint _e47 = pair_start(_e14, pair_1);
    uint b = _e47 + PAIR_STRIDE;
    float _e52 = qkv[metal::min(unsigned(_e47), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e55 = qkv[metal::min(unsigned(b), (_buffer_sizes.size0 - 0 - 4) / 4)];
    metal::float2 _e62 = turns[metal::min(unsigned((position_2 * HEAD_PAIRS) + pair_1), (_buffer_sizes.size1 - 0 - 8) / 8)];
    metal::float2 _e63 = turned(metal::float2(_e52, _e55), _e62);
    if (head_1 >= HEADS) {
        uint _e72 = key_at(position_2, head_1 - HEADS, naga_div(pair_1, 4u));
        keys[metal::min(unsigned((4u * _e72) + naga_mod(pair_1, 4u)), (_buffer_sizes.size2 - 0 - 4) / 4)] = as_type<uint>(half2(_e63));
        return;
    } else {
        qkv[metal::min(unsigned(_e47), (_buffer_sizes.size0 - 0 - 4) / 4)] = _e63.x;
        qkv[metal::min(unsigned(b), (_buffer_sizes.size0 - 0 - 4) / 4)] = _e63.y;
        return;
    }
}
