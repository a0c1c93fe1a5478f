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
};

typedef float type_2[1];
typedef metal::float2 type_4[1];
typedef uint type_5[1];
struct Scalars {
    uint position;
};
constant uint HEADS = 4u;
constant uint HEADS_KV = 2u;
constant uint HEAD_PAIRS = 8u;
constant uint PAIR_STRIDE = 8u;
constant uint WIDTH = 128u;

metal::float2 load(
    uint token,
    uint a,
    uint b,
    device type_2 const& qkv,
    device type_2 const& bias,
    constant _mslBufferSizes& _buffer_sizes
) {
    float _e8 = qkv[metal::min(unsigned((token * WIDTH) + a), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e14 = qkv[metal::min(unsigned((token * WIDTH) + b), (_buffer_sizes.size0 - 0 - 4) / 4)];
    metal::float2 found = metal::float2(_e8, _e14);
    float _e18 = bias[metal::min(unsigned(a), (_buffer_sizes.size4 - 0 - 4) / 4)];
    float _e21 = bias[metal::min(unsigned(b), (_buffer_sizes.size4 - 0 - 4) / 4)];
    return found + metal::float2(_e18, _e21);
}
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}


struct ropeInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void rope(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2& qkv [[buffer(0)]]
, device type_4 const& turns [[buffer(1)]]
, device type_5& keys [[buffer(2)]]
, device type_5& values [[buffer(3)]]
, device type_2 const& bias [[buffer(4)]]
, constant Scalars& p [[buffer(5)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    uint head = naga_div(id.x, HEAD_PAIRS);
    uint pair = naga_mod(id.x, HEAD_PAIRS);
    uint token_1 = id.y;
    uint _e10 = p.position;
    uint position = _e10 + token_1;
    if (head >= 8u) {
        return;
    }
    uint a_1 = ((head * 2u) * HEAD_PAIRS) + (true ? pair : (2u * pair));
    uint b_1 = a_1 + PAIR_STRIDE;
    if (head >= 6u) {
        uint row = (((position * HEADS_KV) + head) - HEADS) - HEADS_KV;
        uint v = ((head * 2u) * HEAD_PAIRS) + (2u * pair);
        metal::float2 _e48 = load(token_1, v, v + 1u, qkv, bias, _buffer_sizes);
        values[metal::min(unsigned((row * HEAD_PAIRS) + pair), (_buffer_sizes.size3 - 0 - 4) / 4)] = as_type<uint>(half2(_e48));
        return;
    }
    metal::float2 turn = turns[metal::min(unsigned((position * HEAD_PAIRS) + pair), (_buffer_sizes.size1 - 0 - 8) / 8)];
    metal::float2 _e56 = load(token_1, a_1, b_1, qkv, bias, _buffer_sizes);
    metal::float2 turned = metal::float2((_e56.x * turn.x) - (_e56.y * turn.y), (_e56.x * turn.y) + (_e56.y * turn.x));
    if (head >= HEADS) {
        uint row_1 = ((position * HEADS_KV) + head) - HEADS;
        keys[metal::min(unsigned((row_1 * HEAD_PAIRS) + pair), (_buffer_sizes.size2 - 0 - 4) / 4)] = as_type<uint>(half2(turned));
        return;
    } else {
        qkv[metal::min(unsigned((token_1 * WIDTH) + a_1), (_buffer_sizes.size0 - 0 - 4) / 4)] = turned.x;
        qkv[metal::min(unsigned((token_1 * WIDTH) + b_1), (_buffer_sizes.size0 - 0 - 4) / 4)] = turned.y;
        return;
    }
}
