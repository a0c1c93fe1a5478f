// advance [MslBuffer { group: 0, binding: 1, slot: 0 }, MslBuffer { group: 0, binding: 4, slot: 1 }, MslBuffer { group: 2, binding: 0, slot: 2 }]
// scalars Some(3)
// sizes Some(MslSizes { slot: 4, bindings: [(0, 4), (0, 1)] })
// threadgroup []
// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
};

struct Particle {
    metal::packed_float3 position;
    float mass;
    metal::float3 velocity;
};
typedef Particle type_3[1];
struct Particles {
    uint count;
    char _pad1[12];
    type_3 items;
};
struct Forces {
    metal::packed_float3 gravity;
    float drag;
};
struct Step {
    float dt;
    char _pad1[12];
    Forces forces;
    metal::uint2 seed;
    char _pad3[8];
};
typedef metal::float3 type_5[1];
struct type_6 {
    uint inner[6];
};

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

void mark(
    uint i,
    device type_6& flags,
    constant Step& step
) {
    uint _e8 = step.seed.x;
    flags.inner[metal::min(unsigned(naga_mod(i, 6u)), 5u)] = _e8;
    return;
}

struct advanceInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void advance(
  metal::uint3 id [[thread_position_in_grid]]
, device Particles& particles [[buffer(1)]]
, device type_5 const& fields [[buffer(0)]]
, device type_6& flags [[buffer(2)]]
, constant Step& step [[buffer(3)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
    uint i_1 = id.x;
    uint _e4 = particles.count;
    if (i_1 >= _e4) {
        return;
    }
    metal::float3 _e9 = step.forces.gravity;
    metal::float3 _e12 = fields[metal::min(unsigned(i_1), (_buffer_sizes.size1 - 0 - 12) / 16)];
    metal::float3 _e18 = particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].velocity;
    float _e22 = step.forces.drag;
    metal::float3 force = (_e9 + _e12) - (_e18 * _e22);
    metal::float3 _e29 = particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].velocity;
    float _e32 = step.dt;
    float _e38 = particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].mass;
    particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].velocity = _e29 + ((force * _e32) / metal::float3(_e38));
    metal::float3 _e46 = particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].position;
    metal::float3 _e51 = particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].velocity;
    float _e54 = step.dt;
    particles.items[metal::min(unsigned(i_1), (_buffer_sizes.size0 - 16 - 32) / 32)].position = _e46 + (_e51 * _e54);
    mark(i_1, flags, step);
    return;
}
