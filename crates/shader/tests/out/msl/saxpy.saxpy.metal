// saxpy [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }]
// scalars Some(2)
// sizes Some(MslSizes { slot: 3, bindings: [(0, 0), (0, 1)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
};

struct Arguments {
    uint n;
    float a;
};
typedef float type_2[1];

struct saxpyInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void saxpy(
  metal::uint3 id [[thread_position_in_grid]]
, device type_2 const& x [[buffer(0)]]
, device type_2& y [[buffer(1)]]
, constant Arguments& arguments [[buffer(2)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    uint i = id.x;
    uint _e4 = arguments.n;
    if (i >= _e4) {
        return;
    }
    float _e10 = arguments.a;
    float _e13 = x[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 4) / 4)];
    float _e17 = y[metal::min(unsigned(i), (_buffer_sizes.size1 - 0 - 4) / 4)];
    y[metal::min(unsigned(i), (_buffer_sizes.size1 - 0 - 4) / 4)] = (_e10 * _e13) + _e17;
    return;
}
