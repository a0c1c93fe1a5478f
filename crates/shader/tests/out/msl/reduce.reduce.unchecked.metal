// reduce [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }]
// scalars None
// sizes Some(MslSizes { slot: 2, bindings: [(0, 0)] })
// threadgroup [16]
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
};

typedef uint type_1[1];

struct reduceInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void reduce(
  metal::uint3 id [[thread_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, device type_1 const& input [[buffer(0)]]
, device metal::atomic_uint& total [[buffer(1)]]
, threadgroup metal::atomic_uint& partial
, constant _mslBufferSizes& _buffer_sizes [[buffer(2)]]
) {
    uint value = 0u;
    if (id.x < (1 + (_buffer_sizes.size0 - 0 - 4) / 4)) {
        uint _e12 = input[id.x];
        value = _e12;
    }
    uint _e13 = value;
    uint unnamed = metal::simd_sum(_e13);
    if (lane == 0u) {
        uint _e18 = metal::atomic_fetch_add_explicit(&partial, unnamed, metal::memory_order_relaxed);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (local == 0u) {
        uint _e23 = metal::atomic_load_explicit(&partial, metal::memory_order_relaxed);
        uint _e24 = metal::atomic_fetch_add_explicit(&total, _e23, metal::memory_order_relaxed);
        return;
    } else {
        return;
    }
}
