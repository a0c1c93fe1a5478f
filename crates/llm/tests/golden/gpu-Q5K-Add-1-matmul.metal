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
typedef metal::float4 type_7[1];
typedef float type_8[1];
struct Scalars {
    uint rows;
    uint blocks;
    uint tokens;
};
struct type_9 {
    float inner[64];
};
struct type_11 {
    float inner[1];
};
struct type_12 {
    type_11 inner[1];
};
struct type_13 {
    type_6 inner[1];
};
constant uint WORKGROUP = 64u;
constant uint LANES = 8u;
constant uint ROWS = 1u;
constant uint OUTPUTS = 1u;
constant uint TOKENS = 1u;
constant uint GROUPS = 8u;

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
    uint first_1 = naga_div(block_1, 8u) * 13u;
    uint b = naga_mod(block_1, 8u);
    uint _e14 = scales[metal::min(unsigned((first_1 + 2u) + naga_div(b, 4u)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint low = (_e14 >> (naga_mod(b, 4u) * 8u)) & 255u;
    uint _e26 = scales[metal::min(unsigned(first_1 + 4u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint both = low | (((_e26 >> (b * 4u)) & 15u) << 8u);
    uint _e37 = scales[metal::min(unsigned(first_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float scale = as_type<float>(_e37) * static_cast<float>(both & 63u);
    uint _e47 = scales[metal::min(unsigned(first_1 + 1u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float minimum = as_type<float>(_e47) * static_cast<float>(both >> 6u);
    uint fifth = scales[metal::min(unsigned((first_1 + 5u) + b), (_buffer_sizes.size1 - 0 - 4) / 4)];
    metal::uint4 q = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e111 = i_2;
            i_2 = _e111 + 1u;
        }
        loop_init = false;
        uint _e65 = i_2;
        if (_e65 < 4u) {
        } else {
            break;
        }
        {
            uint _e68 = i_2;
            uint upper = ((fifth >> _e68) & 16843009u) << 4u;
            uint _e74 = i_2;
            uint _e76 = i_2;
            w_1.inner[metal::min(unsigned(_e74), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q[metal::min(unsigned(_e76), 3u)] & 252645135u) | upper))) * scale) - metal::float4(minimum);
            uint _e86 = i_2;
            uint upper_too = ((fifth >> (_e86 + 4u)) & 16843009u) << 4u;
            uint _e94 = i_2;
            uint _e98 = i_2;
            w_1.inner[metal::min(unsigned(_e94 + 4u), 7u)] = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(((q[metal::min(unsigned(_e98), 3u)] >> 4u) & 252645135u) | upper_too))) * scale) - metal::float4(minimum);
        }
    }
    type_6 _e113 = w_1;
    return _e113;
}

uint weight_row(
    uint first,
    uint r_3,
    constant Scalars& p
) {
    uint _e4 = p.rows;
    uint last = _e4 - 1u;
    return metal::min(first + r_3, last);
}

struct matmulInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void matmul(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_7 const& x [[buffer(2)]]
, device type_8& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, threadgroup type_9& partial
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (local == 0u) {
        partial = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
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
    uint r_1 = 0u;
    uint t_2 = {};
    uint other = 1u;
    uint r_2 = {};
    uint t_3 = {};
    uint o = 0u;
    uint t_4 = {};
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
                            inputs.inner[metal::min(unsigned(_e50), 0u)].inner[metal::min(unsigned(_e52), 7u)] = _e58;
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
                                    metal::float4 _e100 = inputs.inner[metal::min(unsigned(_e96), 0u)].inner[metal::min(unsigned(_e98), 7u)];
                                    sum = _e92 + metal::dot(_e95, _e100);
                                }
                            }
                            uint _e106 = r;
                            uint _e108 = t_1;
                            float _e110 = sums.inner[metal::min(unsigned(_e106), 0u)].inner[metal::min(unsigned(_e108), 0u)];
                            float _e111 = sum;
                            sums.inner[metal::min(unsigned(_e106), 0u)].inner[metal::min(unsigned(_e108), 0u)] = _e110 + _e111;
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
            uint _e151 = r_1;
            r_1 = _e151 + 1u;
        }
        loop_init_7 = false;
        uint _e124 = r_1;
        if (_e124 < ROWS) {
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
                    uint _e148 = t_2;
                    t_2 = _e148 + 1u;
                }
                loop_init_8 = false;
                uint _e129 = t_2;
                if (_e129 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e135 = r_1;
                    uint _e139 = t_2;
                    uint _e142 = r_1;
                    uint _e144 = t_2;
                    float _e146 = sums.inner[metal::min(unsigned(_e142), 0u)].inner[metal::min(unsigned(_e144), 0u)];
                    partial.inner[metal::min(unsigned((((local * ROWS) + _e135) * TOKENS) + _e139), 63u)] = _e146;
                }
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (lane > 0u) {
        return;
    }
    uint2 loop_bound_9 = uint2(4294967295u);
    bool loop_init_9 = true;
    while(true) {
        if (metal::all(loop_bound_9 == uint2(0u))) { break; }
        loop_bound_9 -= uint2(loop_bound_9.y == 0u, 1u);
        if (!loop_init_9) {
            uint _e196 = other;
            other = _e196 + 1u;
        }
        loop_init_9 = false;
        uint _e157 = other;
        if (_e157 < LANES) {
        } else {
            break;
        }
        {
            r_2 = 0u;
            uint2 loop_bound_10 = uint2(4294967295u);
            bool loop_init_10 = true;
            while(true) {
                if (metal::all(loop_bound_10 == uint2(0u))) { break; }
                loop_bound_10 -= uint2(loop_bound_10.y == 0u, 1u);
                if (!loop_init_10) {
                    uint _e193 = r_2;
                    r_2 = _e193 + 1u;
                }
                loop_init_10 = false;
                uint _e162 = r_2;
                if (_e162 < ROWS) {
                } else {
                    break;
                }
                {
                    t_3 = 0u;
                    uint2 loop_bound_11 = uint2(4294967295u);
                    bool loop_init_11 = true;
                    while(true) {
                        if (metal::all(loop_bound_11 == uint2(0u))) { break; }
                        loop_bound_11 -= uint2(loop_bound_11.y == 0u, 1u);
                        if (!loop_init_11) {
                            uint _e190 = t_3;
                            t_3 = _e190 + 1u;
                        }
                        loop_init_11 = false;
                        uint _e167 = t_3;
                        if (_e167 < TOKENS) {
                        } else {
                            break;
                        }
                        {
                            uint _e170 = r_2;
                            uint _e172 = t_3;
                            float _e174 = sums.inner[metal::min(unsigned(_e170), 0u)].inner[metal::min(unsigned(_e172), 0u)];
                            uint _e176 = other;
                            uint _e180 = r_2;
                            uint _e184 = t_3;
                            float _e187 = partial.inner[metal::min(unsigned(((((local + _e176) * ROWS) + _e180) * TOKENS) + _e184), 63u)];
                            sums.inner[metal::min(unsigned(_e170), 0u)].inner[metal::min(unsigned(_e172), 0u)] = _e174 + _e187;
                        }
                    }
                }
            }
        }
    }
    uint2 loop_bound_12 = uint2(4294967295u);
    bool loop_init_12 = true;
    while(true) {
        if (metal::all(loop_bound_12 == uint2(0u))) { break; }
        loop_bound_12 -= uint2(loop_bound_12.y == 0u, 1u);
        if (!loop_init_12) {
            uint _e246 = o;
            o = _e246 + 1u;
        }
        loop_init_12 = false;
        uint _e200 = o;
        if (_e200 < OUTPUTS) {
        } else {
            break;
        }
        {
            t_4 = 0u;
            uint2 loop_bound_13 = uint2(4294967295u);
            bool loop_init_13 = true;
            while(true) {
                if (metal::all(loop_bound_13 == uint2(0u))) { break; }
                loop_bound_13 -= uint2(loop_bound_13.y == 0u, 1u);
                if (!loop_init_13) {
                    uint _e243 = t_4;
                    t_4 = _e243 + 1u;
                }
                loop_init_13 = false;
                uint _e205 = t_4;
                if (_e205 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e208 = o;
                    uint _e212 = p.rows;
                    if ((first_2 + _e208) < _e212) {
                        uint _e216 = t_4;
                        uint _e220 = p.tokens;
                        local_1 = (token + _e216) < _e220;
                    } else {
                        local_1 = false;
                    }
                    bool _e223 = local_1;
                    if (_e223) {
                        uint _e224 = t_4;
                        uint _e228 = p.rows;
                        uint _e231 = o;
                        uint at = (((token + _e224) * _e228) + first_2) + _e231;
                        uint _e233 = o;
                        uint _e235 = t_4;
                        float value = sums.inner[metal::min(unsigned(_e233), 0u)].inner[metal::min(unsigned(_e235), 0u)];
                        float _e240 = y[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)];
                        y[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e240 + value;
                    }
                }
            }
        }
    }
    return;
}
