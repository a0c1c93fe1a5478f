// scale [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }, MslBuffer { group: 1, binding: 0, slot: 2 }]
// scalars None
// sizes Some(MslSizes { slot: 3, bindings: [(0, 0), (0, 1), (1, 0)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef metal::half4 type_1[1];
typedef metal::float4 type_4[1];
typedef float type_5[1];

float dot_at(
    uint i,
    device type_1 const& weights,
    device type_4 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    metal::half4 _e3 = weights[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 8) / 8)];
    metal::float4 _e7 = x[metal::min(unsigned(i), (_buffer_sizes.size1 - 0 - 16) / 16)];
    return metal::dot(static_cast<metal::float4>(_e3), _e7);
}

struct scaleInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void scale(
  metal::uint3 id [[thread_position_in_grid]]
, device type_1 const& weights [[buffer(0)]]
, device type_4 const& x [[buffer(1)]]
, device type_5& out [[buffer(2)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    float _e5 = dot_at(id.x, weights, x, _buffer_sizes);
    out[metal::min(unsigned(id.x), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e5;
    return;
}
