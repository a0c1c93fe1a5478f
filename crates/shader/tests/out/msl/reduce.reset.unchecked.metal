// reset [MslBuffer { group: 0, binding: 1, slot: 0 }]
// scalars None
// sizes None
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;


[[max_total_threads_per_threadgroup(1)]] kernel void reset(
  device metal::atomic_uint& total [[buffer(0)]]
) {
    metal::atomic_store_explicit(&total, 0u, metal::memory_order_relaxed);
    return;
}
