// matmul [MslBuffer { group: 0, binding: 0, slot: 0 }, MslBuffer { group: 0, binding: 1, slot: 1 }, MslBuffer { group: 0, binding: 2, slot: 2 }]
// scalars Some(3)
// sizes Some(MslSizes { slot: 4, bindings: [(0, 0), (0, 1), (0, 2)] })
// threadgroup [1024, 1024]
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

struct Shape {
    uint m;
    uint n;
    uint k;
};
typedef float type_2[1];
struct type_3 {
    float inner[256];
};
constant uint tile = 16u;

struct matmulInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void matmul(
  metal::uint3 group [[threadgroup_position_in_grid]]
, metal::uint3 local [[thread_position_in_threadgroup]]
, uint __local_invocation_index [[thread_index_in_threadgroup]]
, device type_2 const& a [[buffer(0)]]
, device type_2 const& b [[buffer(1)]]
, device type_2& c [[buffer(2)]]
, constant Shape& shape [[buffer(3)]]
, threadgroup type_3& tile_a
, threadgroup type_3& tile_b
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    if (__local_invocation_index == 0u) {
        tile_a = {};
        tile_b = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float sum = 0.0;
    uint start = 0u;
    bool local_1 = {};
    bool local_2 = {};
    uint i = {};
    bool local_3 = {};
    uint row = (group.y * tile) + local.y;
    uint column = (group.x * tile) + local.x;
    uint own = (local.y * tile) + local.x;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e106 = start;
            start = _e106 + tile;
        }
        loop_init = false;
        uint _e21 = start;
        uint _e24 = shape.k;
        if (_e21 < _e24) {
        } else {
            break;
        }
        {
            uint _e26 = start;
            uint along = _e26 + local.x;
            uint _e29 = start;
            uint down = _e29 + local.y;
            uint _e37 = shape.k;
            float _e41 = a[metal::min(unsigned((row * _e37) + along), (_buffer_sizes.size0 - 0 - 4) / 4)];
            uint _e44 = shape.m;
            if (row < _e44) {
                uint _e50 = shape.k;
                local_1 = along < _e50;
            } else {
                local_1 = false;
            }
            bool _e53 = local_1;
            tile_a.inner[metal::min(unsigned(own), 255u)] = _e53 ? _e41 : 0.0;
            uint _e61 = shape.n;
            float _e65 = b[metal::min(unsigned((down * _e61) + column), (_buffer_sizes.size1 - 0 - 4) / 4)];
            uint _e68 = shape.k;
            if (down < _e68) {
                uint _e74 = shape.n;
                local_2 = column < _e74;
            } else {
                local_2 = false;
            }
            bool _e77 = local_2;
            tile_b.inner[metal::min(unsigned(own), 255u)] = _e77 ? _e65 : 0.0;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            i = 0u;
            uint2 loop_bound_1 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_1 == uint2(0u))) { break; }
                loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e104 = i;
                    i = _e104 + 1u;
                }
                loop_init_1 = false;
                uint _e82 = i;
                if (_e82 < tile) {
                } else {
                    break;
                }
                {
                    uint _e89 = i;
                    float _e92 = tile_a.inner[metal::min(unsigned((local.y * tile) + _e89), 255u)];
                    uint _e94 = i;
                    float _e100 = tile_b.inner[metal::min(unsigned((_e94 * tile) + local.x), 255u)];
                    float _e101 = sum;
                    sum = metal::fma(_e92, _e100, _e101);
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
        }
    }
    uint _e111 = shape.m;
    if (row < _e111) {
        uint _e117 = shape.n;
        local_3 = column < _e117;
    } else {
        local_3 = false;
    }
    bool _e120 = local_3;
    if (_e120) {
        uint _e124 = shape.n;
        float _e128 = sum;
        c[metal::min(unsigned((row * _e124) + column), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e128;
        return;
    } else {
        return;
    }
}
