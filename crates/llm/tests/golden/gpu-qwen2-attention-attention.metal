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

typedef float type_2[1];
typedef uint type_3[1];
struct Scalars {
    uint position;
};
struct type_5 {
    metal::float2 inner[8];
};
struct type_6 {
    float inner[64];
};
struct type_7 {
    metal::float2 inner[64];
};
constant uint HEADS = 4u;
constant uint HEADS_KV = 2u;
constant uint HEAD_PAIRS = 8u;
constant uint PAIR_STRIDE = 8u;
constant uint WORKGROUP = 64u;
constant float SCALE = 0.25;
constant uint SPLIT = 8u;
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}


struct attentionInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void attention(
  uint local [[thread_index_in_threadgroup]]
, metal::uint3 group [[threadgroup_position_in_grid]]
, device type_2 const& qkv [[buffer(0)]]
, device type_3 const& keys [[buffer(1)]]
, device type_3 const& values [[buffer(2)]]
, device type_2& y [[buffer(3)]]
, constant Scalars& p [[buffer(4)]]
, threadgroup type_5& query
, threadgroup type_6& weights
, threadgroup type_7& parts
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (local == 0u) {
        query = {};
        weights = {};
        parts = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint i = {};
    float highest = -300000000000000000000000000000000000000.0;
    float total = 0.0;
    metal::float2 sum = metal::float2(0.0);
    uint first = 0u;
    float score = {};
    uint i_1 = {};
    float block_highest = {};
    uint i_2 = {};
    uint i_3 = {};
    uint i_4 = {};
    uint i_5 = 1u;
    uint head = group.x;
    uint token = group.y;
    uint head_kv = naga_div(head, 2u);
    uint _e8 = p.position;
    uint positions = (_e8 + token) + 1u;
    uint start = (((token * 8u) + head) * 2u) * HEAD_PAIRS;
    i = local;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e44 = i;
            i = _e44 + WORKGROUP;
        }
        loop_init = false;
        uint _e20 = i;
        if (_e20 < HEAD_PAIRS) {
        } else {
            break;
        }
        {
            uint _e24 = i;
            uint _e26 = i;
            uint a = start + (true ? _e26 : (2u * _e24));
            uint _e31 = i;
            float _e35 = qkv[metal::min(unsigned(a), (_buffer_sizes.size0 - 0 - 4) / 4)];
            float _e40 = qkv[metal::min(unsigned(a + PAIR_STRIDE), (_buffer_sizes.size0 - 0 - 4) / 4)];
            query.inner[metal::min(unsigned(_e31), 7u)] = metal::float2(_e35, _e40) * SCALE;
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint pair = naga_mod(local, HEAD_PAIRS);
    uint part = naga_div(local, HEAD_PAIRS);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e175 = first;
            first = _e175 + WORKGROUP;
        }
        loop_init_1 = false;
        uint _e60 = first;
        if (_e60 < positions) {
        } else {
            break;
        }
        {
            uint _e63 = first;
            uint count = metal::min(WORKGROUP, positions - _e63);
            score = -300000000000000000000000000000000000000.0;
            if (local < count) {
                score = 0.0;
                uint _e70 = first;
                uint row = (((_e70 + local) * HEADS_KV) + head_kv) * HEAD_PAIRS;
                i_1 = 0u;
                uint2 loop_bound_2 = uint2(4294967295u);
                bool loop_init_2 = true;
                while(true) {
                    if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                    loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                    if (!loop_init_2) {
                        uint _e96 = i_1;
                        i_1 = _e96 + 1u;
                    }
                    loop_init_2 = false;
                    uint _e79 = i_1;
                    if (_e79 < HEAD_PAIRS) {
                    } else {
                        break;
                    }
                    {
                        float _e82 = score;
                        uint _e84 = i_1;
                        uint _e87 = keys[metal::min(unsigned(row + _e84), (_buffer_sizes.size1 - 0 - 4) / 4)];
                        uint _e90 = i_1;
                        metal::float2 _e92 = query.inner[metal::min(unsigned(_e90), 7u)];
                        score = _e82 + metal::dot(float2(as_type<half2>(_e87)), _e92);
                    }
                }
            }
            float _e100 = score;
            weights.inner[metal::min(unsigned(local), 63u)] = _e100;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e101 = highest;
            block_highest = _e101;
            i_2 = 0u;
            uint2 loop_bound_3 = uint2(4294967295u);
            bool loop_init_3 = true;
            while(true) {
                if (metal::all(loop_bound_3 == uint2(0u))) { break; }
                loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
                if (!loop_init_3) {
                    uint _e114 = i_2;
                    i_2 = _e114 + 1u;
                }
                loop_init_3 = false;
                uint _e105 = i_2;
                if (_e105 < count) {
                } else {
                    break;
                }
                {
                    float _e107 = block_highest;
                    uint _e109 = i_2;
                    float _e111 = weights.inner[metal::min(unsigned(_e109), 63u)];
                    block_highest = metal::max(_e107, _e111);
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e118 = score;
            float _e119 = block_highest;
            weights.inner[metal::min(unsigned(local), 63u)] = (local < count) ? metal::exp(_e118 - _e119) : 0.0;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e125 = highest;
            float _e126 = block_highest;
            float scale = metal::exp(_e125 - _e126);
            float _e129 = block_highest;
            highest = _e129;
            float _e130 = total;
            total = _e130 * scale;
            metal::float2 _e132 = sum;
            sum = _e132 * scale;
            i_3 = 0u;
            uint2 loop_bound_4 = uint2(4294967295u);
            bool loop_init_4 = true;
            while(true) {
                if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                if (!loop_init_4) {
                    uint _e145 = i_3;
                    i_3 = _e145 + 1u;
                }
                loop_init_4 = false;
                uint _e136 = i_3;
                if (_e136 < count) {
                } else {
                    break;
                }
                {
                    float _e138 = total;
                    uint _e140 = i_3;
                    float _e142 = weights.inner[metal::min(unsigned(_e140), 63u)];
                    total = _e138 + _e142;
                }
            }
            if (part < SPLIT) {
                i_4 = part;
                uint2 loop_bound_5 = uint2(4294967295u);
                bool loop_init_5 = true;
                while(true) {
                    if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                    loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                    if (!loop_init_5) {
                        uint _e172 = i_4;
                        i_4 = _e172 + SPLIT;
                    }
                    loop_init_5 = false;
                    uint _e150 = i_4;
                    if (_e150 < count) {
                    } else {
                        break;
                    }
                    {
                        uint _e152 = first;
                        uint _e153 = i_4;
                        uint row_1 = (((_e152 + _e153) * HEADS_KV) + head_kv) * HEAD_PAIRS;
                        metal::float2 _e160 = sum;
                        uint _e162 = i_4;
                        float _e164 = weights.inner[metal::min(unsigned(_e162), 63u)];
                        uint _e168 = values[metal::min(unsigned(row_1 + pair), (_buffer_sizes.size2 - 0 - 4) / 4)];
                        sum = _e160 + (_e164 * float2(as_type<half2>(_e168)));
                    }
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
        }
    }
    metal::float2 _e180 = sum;
    parts.inner[metal::min(unsigned(local), 63u)] = _e180;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (part == 0u) {
        uint2 loop_bound_6 = uint2(4294967295u);
        bool loop_init_6 = true;
        while(true) {
            if (metal::all(loop_bound_6 == uint2(0u))) { break; }
            loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
            if (!loop_init_6) {
                uint _e198 = i_5;
                i_5 = _e198 + 1u;
            }
            loop_init_6 = false;
            uint _e185 = i_5;
            if (_e185 < SPLIT) {
            } else {
                break;
            }
            {
                metal::float2 _e188 = sum;
                uint _e190 = i_5;
                metal::float2 _e195 = parts.inner[metal::min(unsigned((_e190 * HEAD_PAIRS) + pair), 63u)];
                sum = _e188 + _e195;
            }
        }
        uint to = ((((token * HEADS) + head) * 2u) * HEAD_PAIRS) + (2u * pair);
        float _e213 = sum.x;
        float _e214 = total;
        y[metal::min(unsigned(to), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e213 / _e214;
        float _e221 = sum.y;
        float _e222 = total;
        y[metal::min(unsigned(to + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e221 / _e222;
        return;
    } else {
        return;
    }
}
