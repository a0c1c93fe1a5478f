// main_ [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }]
// scalars None
// sizes Some(MslSizes { slot: 2, bindings: [(0, 0)] })
// threadgroup [576, 128]
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
};

struct type_2 {
    uint inner[3];
};
struct Inner {
    metal::packed_float3 a;
    type_2 b;
    char _pad2[8];
};
struct type_5 {
    Inner inner[2];
};
struct Particle {
    metal::float2 at;
    char _pad1[8];
    Inner inner;
    metal::float3x2 turn;
    char _pad3[8];
    type_5 rest;
};
struct type_6 {
    uint inner[4];
};
struct Plain {
    type_6 n;
};
typedef Particle type_7[1];
struct type_8 {
    Particle inner[4];
};
struct type_9 {
    type_6 inner[8];
};

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

Particle change(
    Particle p_1,
    uint i_1
) {
    Particle q = {};
    q = p_1;
    uint _e8 = q.inner.b.inner[metal::min(unsigned(naga_mod(i_1, 3u)), 2u)];
    q.inner.b.inner[metal::min(unsigned(naga_mod(i_1, 3u)), 2u)] = _e8 + 1u;
    float _e17 = q.rest.inner[metal::min(unsigned(naga_mod(i_1, 2u)), 1u)].a[1];
    q.rest.inner[metal::min(unsigned(naga_mod(i_1, 2u)), 1u)].a[1] = _e17 * 2.0;
    Particle _e20 = q;
    return _e20;
}

struct main_Input {
};
[[max_total_threads_per_threadgroup(4)]] kernel void main_(
  uint i [[thread_index_in_threadgroup]]
, device type_7& x [[buffer(0)]]
, device Plain& y [[buffer(1)]]
, threadgroup type_8& shared_one
, threadgroup type_9& only
, constant _mslBufferSizes& _buffer_sizes [[buffer(2)]]
) {
    Inner mine = {};
    if (i == 0u) {
        shared_one = {};
        only = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    Particle p = {};
    Plain z = {};
    Particle _e3 = x[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 144) / 144)];
    p = _e3;
    Particle _e5 = p;
    Particle _e6 = change(_e5, i);
    p = _e6;
    Particle _e9 = p;
    shared_one.inner[metal::min(unsigned(i), 3u)] = _e9;
    type_6 _e14 = y.n;
    only.inner[metal::min(unsigned(i), 7u)] = _e14;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    Inner _e21 = shared_one.inner[metal::min(unsigned(3u - i), 3u)].inner;
    mine = _e21;
    Particle _e28 = shared_one.inner[metal::min(unsigned(3u - i), 3u)];
    x[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 144) / 144)] = _e28;
    metal::float3x2 _e35 = x[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 144) / 144)].turn;
    metal::float3 _e38 = mine.a;
    x[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 144) / 144)].at = _e35 * _e38;
    Plain _e41 = y;
    z = _e41;
    uint _e50 = only.inner[metal::min(unsigned(3u - i), 7u)].inner[metal::min(unsigned(i), 3u)];
    z.n.inner[metal::min(unsigned(i), 3u)] = _e50;
    if (i == 0u) {
        Plain _e54 = z;
        y = _e54;
        return;
    } else {
        return;
    }
}
