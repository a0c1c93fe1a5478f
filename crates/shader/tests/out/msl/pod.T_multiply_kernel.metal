// T_multiply_kernel [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }, MslBuffer { group: 0, binding: 2, slot: 2 }]
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

struct PODArgs {
    int n;
    float scale;
    uint packGridDimX;
};
typedef float type_3[1];

struct T_multiply_kernelInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void T_multiply_kernel(
  metal::uint3 blockIdx [[threadgroup_position_in_grid]]
, metal::uint3 gridDim [[threadgroups_per_grid]]
, metal::uint3 threadIdx [[thread_position_in_threadgroup]]
, device type_3& T_out [[buffer(0)]]
, device type_3 const& T_in [[buffer(1)]]
, constant PODArgs& podArgs [[buffer(2)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    uint _e10 = podArgs.packGridDimX;
    if (((blockIdx.z * gridDim.x) + blockIdx.x) > _e10) {
        return;
    }
    int v_1_ = static_cast<int>((blockIdx.z * gridDim.x) + blockIdx.x);
    int i = as_type<int>(as_type<uint>(as_type<int>(as_type<uint>(v_1_) * as_type<uint>(256))) + as_type<uint>(static_cast<int>(threadIdx.x)));
    int _e25 = podArgs.n;
    if (i < _e25) {
        float _e31 = T_in[metal::min(unsigned(i), (_buffer_sizes.size1 - 0 - 4) / 4)];
        float _e34 = podArgs.scale;
        T_out[metal::min(unsigned(i), (_buffer_sizes.size0 - 0 - 4) / 4)] = _e31 * _e34;
        return;
    } else {
        return;
    }
}
