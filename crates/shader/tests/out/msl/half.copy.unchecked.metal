// copy [MslBuffer { group: 0, binding: 1, slot: 0 }, MslBuffer { group: 1, binding: 0, slot: 1 }]
// scalars None
// sizes Some(MslSizes { slot: 2, bindings: [(0, 1), (1, 0)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
};

typedef metal::float4 type_2[1];
typedef float type_3[1];

struct copyInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void copy(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2 const& x [[buffer(0)]]
, device type_3& out [[buffer(1)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(2)]]
) {
    float _e8 = x[id.x].x;
    out[id.x] = _e8;
    return;
}
