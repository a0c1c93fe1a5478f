// longest [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 2, slot: 1 }]
// scalars None
// sizes Some(MslSizes { slot: 2, bindings: [(0, 0)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
};

typedef uint type_1[1];

struct longestInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void longest(
  metal::uint3 id [[thread_position_in_grid]]
, device type_1 const& input [[buffer(0)]]
, device metal::atomic_uint& largest [[buffer(1)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(2)]]
) {
    uint _e5 = input[id.x];
    uint _e7 = metal::atomic_fetch_max_explicit(&largest, metal::popcount(_e5), metal::memory_order_relaxed);
    return;
}
