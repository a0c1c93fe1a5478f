// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
};

typedef metal::uint4 type_2[1];
typedef uint type_3[1];
struct type_6 {
    metal::float4 inner[8];
};
typedef metal::float4 type_8[1];
typedef float type_9[1];
struct Scalars {
    uint rows;
    uint blocks;
    uint tokens;
};
struct type_11 {
    float inner[4];
};
struct type_12 {
    type_11 inner[8];
};
struct type_13 {
    type_6 inner[4];
};
constant uint WORKGROUP = 32u;
constant uint LANES = 1u;
constant uint ROWS = 8u;
constant uint OUTPUTS = 4u;
constant uint TOKENS = 4u;
constant uint GROUPS = 32u;

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

type_6 decode(
    uint block_1,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 w_1 = {};
    uint i_2 = 0u;
    uint first_1 = naga_div(block_1, 8u) * 21u;
    uint b = naga_mod(block_1, 8u);
    uint _e14 = scales[metal::min(unsigned((first_1 + 1u) + naga_div(b, 2u)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 both = static_cast<metal::float4>(int4(as_type<packed_char4>(_e14 >> (naga_mod(b, 2u) * 16u)))).xy;
    uint _e25 = scales[metal::min(unsigned(first_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::float2 scale = both * as_type<float>(_e25);
    uint _e35 = scales[metal::min(unsigned((first_1 + 5u) + (2u * b)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint _e43 = scales[metal::min(unsigned((first_1 + 6u) + (2u * b)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::uint2 upper = metal::uint2(_e35, _e43);
    metal::uint4 q = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e100 = i_2;
            i_2 = _e100 + 1u;
        }
        loop_init = false;
        uint _e51 = i_2;
        if (_e51 < 4u) {
        } else {
            break;
        }
        {
            uint _e55 = i_2;
            metal::uint2 bits = ((upper >> metal::uint2(2u * _e55)) & metal::uint2(50529027u)) << metal::uint2(4u);
            uint _e65 = i_2;
            uint _e67 = i_2;
            w_1.inner[metal::min(unsigned(_e65), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q[metal::min(unsigned(_e67), 3u)] & 252645135u) | bits.x))) - metal::float4(32.0)) * scale.x;
            uint _e80 = i_2;
            uint _e84 = i_2;
            w_1.inner[metal::min(unsigned(_e80 + 4u), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(((q[metal::min(unsigned(_e84), 3u)] >> 4u) & 252645135u) | bits.y))) - metal::float4(32.0)) * scale.y;
        }
    }
    type_6 _e102 = w_1;
    return _e102;
}

uint weight_row(
    uint first,
    uint r_1,
    constant Scalars& p
) {
    uint _e4 = p.rows;
    uint last = _e4 - 1u;
    uint _e15 = p.rows;
    return metal::min(first + naga_div(r_1, 2u), last) + (naga_mod(r_1, 2u) * _e15);
}

struct matmulInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matmul(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_8 const& x [[buffer(2)]]
, device type_9& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    type_12 sums = {};
    uint block = {};
    type_13 inputs = {};
    uint t = {};
    uint i = {};
    uint r = {};
    type_6 w = {};
    uint t_1 = {};
    float sum = {};
    uint i_1 = {};
    uint o = 0u;
    uint t_2 = {};
    bool local_1 = {};
    uint lane = naga_mod(local, LANES);
    uint first_2 = ((group.x * GROUPS) + naga_div(local, LANES)) * OUTPUTS;
    uint token = group.y * TOKENS;
    block = lane;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e119 = block;
            block = _e119 + LANES;
        }
        loop_init_1 = false;
        uint _e17 = block;
        uint _e20 = p.blocks;
        if (_e17 < _e20) {
        } else {
            break;
        }
        {
            inputs = type_13 {};
            t = 0u;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e63 = t;
                    t = _e63 + 1u;
                }
                loop_init_2 = false;
                uint _e26 = t;
                if (_e26 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e29 = t;
                    uint _e33 = p.tokens;
                    uint _e39 = p.blocks;
                    uint _e41 = block;
                    uint start = ((metal::min(token + _e29, _e33 - 1u) * _e39) + _e41) * 8u;
                    i = 0u;
                    uint2 loop_bound_3 = uint2(4294967295u);
                    bool loop_init_3 = true;
                    while(true) {
                        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
                        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
                        if (!loop_init_3) {
                            uint _e60 = i;
                            i = _e60 + 1u;
                        }
                        loop_init_3 = false;
                        uint _e47 = i;
                        if (_e47 < 8u) {
                        } else {
                            break;
                        }
                        {
                            uint _e50 = t;
                            uint _e52 = i;
                            uint _e55 = i;
                            metal::float4 _e58 = x[metal::min(unsigned(start + _e55), (_buffer_sizes.size2 - 0 - 16) / 16)];
                            inputs.inner[metal::min(unsigned(_e50), 3u)].inner[metal::min(unsigned(_e52), 7u)] = _e58;
                        }
                    }
                }
            }
            r = 0u;
            uint2 loop_bound_4 = uint2(4294967295u);
            bool loop_init_4 = true;
            while(true) {
                if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                if (!loop_init_4) {
                    uint _e117 = r;
                    r = _e117 + 1u;
                }
                loop_init_4 = false;
                uint _e67 = r;
                if (_e67 < ROWS) {
                } else {
                    break;
                }
                {
                    uint _e70 = r;
                    uint _e71 = weight_row(first_2, _e70, p);
                    uint _e74 = p.blocks;
                    uint _e76 = block;
                    type_6 _e78 = decode((_e71 * _e74) + _e76, quants, scales, _buffer_sizes);
                    w = _e78;
                    t_1 = 0u;
                    uint2 loop_bound_5 = uint2(4294967295u);
                    bool loop_init_5 = true;
                    while(true) {
                        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                        if (!loop_init_5) {
                            uint _e114 = t_1;
                            t_1 = _e114 + 1u;
                        }
                        loop_init_5 = false;
                        uint _e82 = t_1;
                        if (_e82 < TOKENS) {
                        } else {
                            break;
                        }
                        {
                            sum = 0.0;
                            i_1 = 0u;
                            uint2 loop_bound_6 = uint2(4294967295u);
                            bool loop_init_6 = true;
                            while(true) {
                                if (metal::all(loop_bound_6 == uint2(0u))) { break; }
                                loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
                                if (!loop_init_6) {
                                    uint _e104 = i_1;
                                    i_1 = _e104 + 1u;
                                }
                                loop_init_6 = false;
                                uint _e89 = i_1;
                                if (_e89 < 8u) {
                                } else {
                                    break;
                                }
                                {
                                    float _e92 = sum;
                                    uint _e93 = i_1;
                                    metal::float4 _e95 = w.inner[metal::min(unsigned(_e93), 7u)];
                                    uint _e96 = t_1;
                                    uint _e98 = i_1;
                                    metal::float4 _e100 = inputs.inner[metal::min(unsigned(_e96), 3u)].inner[metal::min(unsigned(_e98), 7u)];
                                    sum = _e92 + metal::dot(_e95, _e100);
                                }
                            }
                            uint _e106 = r;
                            uint _e108 = t_1;
                            float _e110 = sums.inner[metal::min(unsigned(_e106), 7u)].inner[metal::min(unsigned(_e108), 3u)];
                            float _e111 = sum;
                            sums.inner[metal::min(unsigned(_e106), 7u)].inner[metal::min(unsigned(_e108), 3u)] = _e110 + _e111;
                        }
                    }
                }
            }
        }
    }
    uint2 loop_bound_7 = uint2(4294967295u);
    bool loop_init_7 = true;
    while(true) {
        if (metal::all(loop_bound_7 == uint2(0u))) { break; }
        loop_bound_7 -= uint2(loop_bound_7.y == 0u, 1u);
        if (!loop_init_7) {
            uint _e185 = o;
            o = _e185 + 1u;
        }
        loop_init_7 = false;
        uint _e124 = o;
        if (_e124 < OUTPUTS) {
        } else {
            break;
        }
        {
            t_2 = 0u;
            uint2 loop_bound_8 = uint2(4294967295u);
            bool loop_init_8 = true;
            while(true) {
                if (metal::all(loop_bound_8 == uint2(0u))) { break; }
                loop_bound_8 -= uint2(loop_bound_8.y == 0u, 1u);
                if (!loop_init_8) {
                    uint _e182 = t_2;
                    t_2 = _e182 + 1u;
                }
                loop_init_8 = false;
                uint _e129 = t_2;
                if (_e129 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e132 = o;
                    uint _e136 = p.rows;
                    if ((first_2 + _e132) < _e136) {
                        uint _e140 = t_2;
                        uint _e144 = p.tokens;
                        local_1 = (token + _e140) < _e144;
                    } else {
                        local_1 = false;
                    }
                    bool _e147 = local_1;
                    if (_e147) {
                        uint _e148 = t_2;
                        uint _e152 = p.rows;
                        uint _e155 = o;
                        uint at = (((token + _e148) * _e152) + first_2) + _e155;
                        uint _e158 = o;
                        uint _e161 = t_2;
                        float gate = sums.inner[metal::min(unsigned(2u * _e158), 7u)].inner[metal::min(unsigned(_e161), 3u)];
                        uint _e170 = o;
                        uint _e175 = t_2;
                        float _e177 = sums.inner[metal::min(unsigned((2u * _e170) + 1u), 7u)].inner[metal::min(unsigned(_e175), 3u)];
                        float value = (gate / (1.0 + metal::exp(-(gate)))) * _e177;
                        y[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)] = value;
                    }
                }
            }
        }
    }
    return;
}
