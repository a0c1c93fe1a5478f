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
    uint first;
    uint rows;
    uint height;
    uint blocks;
    uint tokens;
};
struct type_10 {
    float inner[4];
};
struct type_11 {
    type_10 inner[8];
};
struct type_12 {
    type_6 inner[4];
};
constant uint WORKGROUP = 32u;
constant uint ROWS = 8u;
constant uint OUTPUTS = 8u;
constant uint TOKENS = 4u;

type_6 decode(
    uint block_1,
    device type_2 const& quants,
    device type_3 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 w_1 = {};
    uint i_2 = 0u;
    uint _e3 = scales[metal::min(unsigned(block_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float scale = float2(as_type<half2>(_e3)).x;
    metal::uint4 low = quants[metal::min(unsigned(2u * block_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    metal::uint4 high = quants[metal::min(unsigned((2u * block_1) + 1u), (_buffer_sizes.size0 - 0 - 16) / 16)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e41 = i_2;
            i_2 = _e41 + 1u;
        }
        loop_init = false;
        uint _e21 = i_2;
        if (_e21 < 4u) {
        } else {
            break;
        }
        {
            uint _e24 = i_2;
            uint _e26 = i_2;
            w_1.inner[metal::min(unsigned(_e24), 7u)] = static_cast<metal::float4>(int4(as_type<packed_char4>(low[metal::min(unsigned(_e26), 3u)]))) * scale;
            uint _e31 = i_2;
            uint _e35 = i_2;
            w_1.inner[metal::min(unsigned(_e31 + 4u), 7u)] = static_cast<metal::float4>(int4(as_type<packed_char4>(high[metal::min(unsigned(_e35), 3u)]))) * scale;
        }
    }
    type_6 _e43 = w_1;
    return _e43;
}

uint weight_row(
    uint first,
    uint r_1,
    constant Scalars& p
) {
    uint _e4 = p.rows;
    uint last = _e4 - 1u;
    return metal::min(first + r_1, last);
}

struct matmulInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matmul(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_2 const& quants [[buffer(0)]]
, device type_3 const& scales [[buffer(1)]]
, device type_7 const& x [[buffer(2)]]
, device type_8& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    type_11 sums = {};
    uint block = 0u;
    type_12 inputs = {};
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
    float value = {};
    uint first_1 = ((group.x * WORKGROUP) + local) * OUTPUTS;
    uint token = group.y * TOKENS;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e117 = block;
            block = _e117 + 1u;
        }
        loop_init_1 = false;
        uint _e14 = block;
        uint _e17 = p.blocks;
        if (_e14 < _e17) {
        } else {
            break;
        }
        {
            inputs = type_12 {};
            t = 0u;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e60 = t;
                    t = _e60 + 1u;
                }
                loop_init_2 = false;
                uint _e23 = t;
                if (_e23 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e26 = t;
                    uint _e30 = p.tokens;
                    uint _e36 = p.blocks;
                    uint _e38 = block;
                    uint start = ((metal::min(token + _e26, _e30 - 1u) * _e36) + _e38) * 8u;
                    i = 0u;
                    uint2 loop_bound_3 = uint2(4294967295u);
                    bool loop_init_3 = true;
                    while(true) {
                        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
                        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
                        if (!loop_init_3) {
                            uint _e57 = i;
                            i = _e57 + 1u;
                        }
                        loop_init_3 = false;
                        uint _e44 = i;
                        if (_e44 < 8u) {
                        } else {
                            break;
                        }
                        {
                            uint _e47 = t;
                            uint _e49 = i;
                            uint _e52 = i;
                            metal::float4 _e55 = x[metal::min(unsigned(start + _e52), (_buffer_sizes.size2 - 0 - 16) / 16)];
                            inputs.inner[metal::min(unsigned(_e47), 3u)].inner[metal::min(unsigned(_e49), 7u)] = _e55;
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
                    uint _e114 = r;
                    r = _e114 + 1u;
                }
                loop_init_4 = false;
                uint _e64 = r;
                if (_e64 < ROWS) {
                } else {
                    break;
                }
                {
                    uint _e67 = r;
                    uint _e68 = weight_row(first_1, _e67, p);
                    uint _e71 = p.blocks;
                    uint _e73 = block;
                    type_6 _e75 = decode((_e68 * _e71) + _e73, quants, scales, _buffer_sizes);
                    w = _e75;
                    t_1 = 0u;
                    uint2 loop_bound_5 = uint2(4294967295u);
                    bool loop_init_5 = true;
                    while(true) {
                        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                        if (!loop_init_5) {
                            uint _e111 = t_1;
                            t_1 = _e111 + 1u;
                        }
                        loop_init_5 = false;
                        uint _e79 = t_1;
                        if (_e79 < TOKENS) {
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
                                    uint _e101 = i_1;
                                    i_1 = _e101 + 1u;
                                }
                                loop_init_6 = false;
                                uint _e86 = i_1;
                                if (_e86 < 8u) {
                                } else {
                                    break;
                                }
                                {
                                    float _e89 = sum;
                                    uint _e90 = i_1;
                                    metal::float4 _e92 = w.inner[metal::min(unsigned(_e90), 7u)];
                                    uint _e93 = t_1;
                                    uint _e95 = i_1;
                                    metal::float4 _e97 = inputs.inner[metal::min(unsigned(_e93), 3u)].inner[metal::min(unsigned(_e95), 7u)];
                                    sum = _e89 + metal::dot(_e92, _e97);
                                }
                            }
                            uint _e103 = r;
                            uint _e105 = t_1;
                            float _e107 = sums.inner[metal::min(unsigned(_e103), 7u)].inner[metal::min(unsigned(_e105), 3u)];
                            float _e108 = sum;
                            sums.inner[metal::min(unsigned(_e103), 7u)].inner[metal::min(unsigned(_e105), 3u)] = _e107 + _e108;
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
            uint _e171 = o;
            o = _e171 + 1u;
        }
        loop_init_7 = false;
        uint _e121 = o;
        if (_e121 < OUTPUTS) {
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
                    uint _e168 = t_2;
                    t_2 = _e168 + 1u;
                }
                loop_init_8 = false;
                uint _e126 = t_2;
                if (_e126 < TOKENS) {
                } else {
                    break;
                }
                {
                    uint _e129 = o;
                    uint _e133 = p.rows;
                    if ((first_1 + _e129) < _e133) {
                        uint _e137 = t_2;
                        uint _e141 = p.tokens;
                        local_1 = (token + _e137) < _e141;
                    } else {
                        local_1 = false;
                    }
                    bool _e144 = local_1;
                    if (_e144) {
                        uint _e147 = p.first;
                        uint _e149 = o;
                        uint row = (_e147 + first_1) + _e149;
                        uint _e151 = t_2;
                        uint _e155 = p.height;
                        uint at = ((token + _e151) * _e155) + row;
                        uint _e158 = o;
                        uint _e160 = t_2;
                        float _e162 = sums.inner[metal::min(unsigned(_e158), 7u)].inner[metal::min(unsigned(_e160), 3u)];
                        value = _e162;
                        float _e166 = value;
                        y[metal::min(unsigned(at), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e166;
                    }
                }
            }
        }
    }
    return;
}
