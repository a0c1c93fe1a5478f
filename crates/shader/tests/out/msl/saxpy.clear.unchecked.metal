// clear [MslBuffer { group: 0, binding: 1, slot: 0 }]
// scalars Some(1)
// sizes Some(MslSizes { slot: 2, bindings: [(0, 1)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
};

struct Arguments {
    uint n;
    float a;
};
typedef float type_2[1];

struct clearInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void clear(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2& y [[buffer(0)]]
, constant Arguments& arguments [[buffer(1)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(2)]]
) {
    uint _e4 = arguments.n;
    if (id.x < _e4) {
        y[id.x] = 0.0;
        return;
    } else {
        return;
    }
}
