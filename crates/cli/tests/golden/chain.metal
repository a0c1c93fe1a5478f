// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
};

typedef uint type_1[1];

struct chainInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void chain(
  metal::uint3 id [[thread_position_in_grid]]
, device type_1& x [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(1)]]
) {
    uint _e7 = x[metal::min(unsigned(id.x), (_buffer_sizes.size0 - 0 - 4) / 4)];
    x[metal::min(unsigned(id.x), (_buffer_sizes.size0 - 0 - 4) / 4)] = (_e7 * 1664525u) + 1013904223u;
    return;
}
