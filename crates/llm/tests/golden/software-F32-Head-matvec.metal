// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
    uint size4;
};

typedef metal::uint4 type_3[1];
struct type_5 {
    metal::float4 inner[2];
};
struct Part {
    uint block;
    uint i;
};
typedef metal::float4 type_9[1];
typedef float type_10[1];
typedef metal::uint2 type_11[1];
struct type_12 {
    metal::uint2 inner[32];
};
constant uint WORKGROUP = 32u;
constant uint LANES = 1u;
constant uint SUBGROUP = 1u;
constant uint SUBGROUPS = 32u;
constant uint TEAMS = 32u;
constant uint ROWS = 8u;
constant uint OUTPUTS = 8u;
constant uint BLOCKS = 2u;
constant uint UNROLL = 4u;
constant uint PIECE_FIRST = 0u;
constant uint PIECE_ROWS = 259u;
constant uint PIECE_GROUP = 0u;
constant uint HEAD = 16u;
constant uint HEADS = 4u;
constant uint SPLIT = 1u;
constant float EPSILON = 0.00001;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

type_5 part(
    uint block_1,
    uint i_1,
    device type_3 const& quants,
    constant _mslBufferSizes& _buffer_sizes
) {
    metal::uint4 _e7 = quants[metal::min(unsigned((8u * block_1) + i_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    metal::uint4 _e16 = quants[metal::min(unsigned(((8u * block_1) + 4u) + i_1), (_buffer_sizes.size0 - 0 - 16) / 16)];
    return type_5 {{as_type<metal::float4>(_e7), as_type<metal::float4>(_e16)}};
}

Part load(
    uint block_2,
    uint i_2
) {
    return Part {block_2, i_2};
}

type_5 unpack(
    Part p,
    device type_3 const& quants,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_5 _e3 = part(p.block, p.i, quants, _buffer_sizes);
    return _e3;
}

metal::float2 affine(
    Part p_1
) {
    return metal::float2(1.0, 0.0);
}

metal::uint2 better(
    metal::uint2 a,
    metal::uint2 b
) {
    bool local_2 = {};
    bool local_3 = {};
    float x_1 = as_type<float>(a.x);
    float y_1 = as_type<float>(b.x);
    if (!((y_1 > x_1))) {
        if (y_1 == x_1) {
            local_3 = b.y < a.y;
        } else {
            local_3 = false;
        }
        bool _e17 = local_3;
        local_2 = _e17;
    } else {
        local_2 = true;
    }
    bool _e19 = local_2;
    return _e19 ? b : a;
}

uint weight_row(
    uint first,
    uint r
) {
    return metal::min(first + r, 258u);
}

type_5 input(
    uint block_3,
    uint i_3,
    uint parts,
    device type_9 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_5 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_3) + i_3), (_buffer_sizes.size1 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_3) + 4u) + i_3), (_buffer_sizes.size1 - 0 - 16) / 16)];
    v = type_5 {{_e8, _e16}};
    type_5 _e19 = v;
    return _e19;
}

float product(
    type_5 w,
    type_5 v_1
) {
    metal::float4 sum = (w.inner[0] * v_1.inner[0]) + (w.inner[1] * v_1.inner[1]);
    return (sum.x + sum.y) + (sum.z + sum.w);
}
uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct matvecInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matvec(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, device type_3 const& quants [[buffer(0)]]
, device type_9 const& x [[buffer(1)]]
, device type_10& y [[buffer(2)]]
, device type_9 const& norm [[buffer(3)]]
, device type_11& best [[buffer(4)]]
, threadgroup type_12& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(5)]]
) {
    if (local == 0u) {
        found = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float sum_0_ = 0.0;
    float sum_1_ = 0.0;
    float sum_2_ = 0.0;
    float sum_3_ = 0.0;
    float sum_4_ = 0.0;
    float sum_5_ = 0.0;
    float sum_6_ = 0.0;
    float sum_7_ = 0.0;
    float squares = 0.0;
    uint block = 0u;
    type_5 v_0_ = {};
    type_5 v_1_ = {};
    type_5 v_2_ = {};
    type_5 v_3_ = {};
    float value_0_ = {};
    float value_1_ = {};
    float value_2_ = {};
    float value_3_ = {};
    float value_4_ = {};
    float value_5_ = {};
    float value_6_ = {};
    float value_7_ = {};
    metal::uint2 mine = NONE;
    bool local_1 = {};
    uint i = 1u;
    uint lane = naga_mod(local, LANES);
    uint team = naga_div(local, LANES);
    uint first_1 = ((group.x * TEAMS) + team) * OUTPUTS;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e757 = block;
            block = _e757 + 1u;
        }
        loop_init = false;
        uint _e33 = block;
        if (_e33 < BLOCKS) {
        } else {
            break;
        }
        {
            uint block_0_ = block;
            uint block_1_ = block;
            uint block_2_ = block;
            uint block_3_ = block;
            uint _e45 = weight_row(first_1, 0u);
            Part _e49 = load((_e45 * BLOCKS) + block_0_, 0u);
            uint _e51 = weight_row(first_1, 1u);
            Part _e55 = load((_e51 * BLOCKS) + block_0_, 0u);
            uint _e57 = weight_row(first_1, 2u);
            Part _e61 = load((_e57 * BLOCKS) + block_0_, 0u);
            uint _e63 = weight_row(first_1, 3u);
            Part _e67 = load((_e63 * BLOCKS) + block_0_, 0u);
            uint _e69 = weight_row(first_1, 4u);
            Part _e73 = load((_e69 * BLOCKS) + block_0_, 0u);
            uint _e75 = weight_row(first_1, 5u);
            Part _e79 = load((_e75 * BLOCKS) + block_0_, 0u);
            uint _e81 = weight_row(first_1, 6u);
            Part _e85 = load((_e81 * BLOCKS) + block_0_, 0u);
            uint _e87 = weight_row(first_1, 7u);
            Part _e91 = load((_e87 * BLOCKS) + block_0_, 0u);
            uint _e93 = weight_row(first_1, 0u);
            Part _e97 = load((_e93 * BLOCKS) + block_1_, 1u);
            uint _e99 = weight_row(first_1, 1u);
            Part _e103 = load((_e99 * BLOCKS) + block_1_, 1u);
            uint _e105 = weight_row(first_1, 2u);
            Part _e109 = load((_e105 * BLOCKS) + block_1_, 1u);
            uint _e111 = weight_row(first_1, 3u);
            Part _e115 = load((_e111 * BLOCKS) + block_1_, 1u);
            uint _e117 = weight_row(first_1, 4u);
            Part _e121 = load((_e117 * BLOCKS) + block_1_, 1u);
            uint _e123 = weight_row(first_1, 5u);
            Part _e127 = load((_e123 * BLOCKS) + block_1_, 1u);
            uint _e129 = weight_row(first_1, 6u);
            Part _e133 = load((_e129 * BLOCKS) + block_1_, 1u);
            uint _e135 = weight_row(first_1, 7u);
            Part _e139 = load((_e135 * BLOCKS) + block_1_, 1u);
            uint _e141 = weight_row(first_1, 0u);
            Part _e145 = load((_e141 * BLOCKS) + block_2_, 2u);
            uint _e147 = weight_row(first_1, 1u);
            Part _e151 = load((_e147 * BLOCKS) + block_2_, 2u);
            uint _e153 = weight_row(first_1, 2u);
            Part _e157 = load((_e153 * BLOCKS) + block_2_, 2u);
            uint _e159 = weight_row(first_1, 3u);
            Part _e163 = load((_e159 * BLOCKS) + block_2_, 2u);
            uint _e165 = weight_row(first_1, 4u);
            Part _e169 = load((_e165 * BLOCKS) + block_2_, 2u);
            uint _e171 = weight_row(first_1, 5u);
            Part _e175 = load((_e171 * BLOCKS) + block_2_, 2u);
            uint _e177 = weight_row(first_1, 6u);
            Part _e181 = load((_e177 * BLOCKS) + block_2_, 2u);
            uint _e183 = weight_row(first_1, 7u);
            Part _e187 = load((_e183 * BLOCKS) + block_2_, 2u);
            uint _e189 = weight_row(first_1, 0u);
            Part _e193 = load((_e189 * BLOCKS) + block_3_, 3u);
            uint _e195 = weight_row(first_1, 1u);
            Part _e199 = load((_e195 * BLOCKS) + block_3_, 3u);
            uint _e201 = weight_row(first_1, 2u);
            Part _e205 = load((_e201 * BLOCKS) + block_3_, 3u);
            uint _e207 = weight_row(first_1, 3u);
            Part _e211 = load((_e207 * BLOCKS) + block_3_, 3u);
            uint _e213 = weight_row(first_1, 4u);
            Part _e217 = load((_e213 * BLOCKS) + block_3_, 3u);
            uint _e219 = weight_row(first_1, 5u);
            Part _e223 = load((_e219 * BLOCKS) + block_3_, 3u);
            uint _e225 = weight_row(first_1, 6u);
            Part _e229 = load((_e225 * BLOCKS) + block_3_, 3u);
            uint _e231 = weight_row(first_1, 7u);
            Part _e235 = load((_e231 * BLOCKS) + block_3_, 3u);
            type_5 _e236 = input(block_0_, 0u, 1u, x, _buffer_sizes);
            v_0_ = _e236;
            type_5 _e238 = input(block_1_, 1u, 1u, x, _buffer_sizes);
            v_1_ = _e238;
            type_5 _e240 = input(block_2_, 2u, 1u, x, _buffer_sizes);
            v_2_ = _e240;
            type_5 _e242 = input(block_3_, 3u, 1u, x, _buffer_sizes);
            v_3_ = _e242;
            metal::float4 _e249 = norm[metal::min(unsigned((8u * block_0_) + 0u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            metal::float4 _e257 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + 0u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            type_5 norm_0_ = type_5 {{_e249, _e257}};
            metal::float4 _e264 = norm[metal::min(unsigned((8u * block_1_) + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            metal::float4 _e272 = norm[metal::min(unsigned(((8u * block_1_) + 4u) + 1u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            type_5 norm_1_ = type_5 {{_e264, _e272}};
            metal::float4 _e279 = norm[metal::min(unsigned((8u * block_2_) + 2u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            metal::float4 _e287 = norm[metal::min(unsigned(((8u * block_2_) + 4u) + 2u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            type_5 norm_2_ = type_5 {{_e279, _e287}};
            metal::float4 _e294 = norm[metal::min(unsigned((8u * block_3_) + 3u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            metal::float4 _e302 = norm[metal::min(unsigned(((8u * block_3_) + 4u) + 3u), (_buffer_sizes.size3 - 0 - 16) / 16)];
            type_5 norm_3_ = type_5 {{_e294, _e302}};
            float _e304 = squares;
            type_5 _e305 = v_0_;
            type_5 _e306 = v_0_;
            float _e307 = product(_e305, _e306);
            squares = _e304 + _e307;
            metal::float4 _e310 = v_0_.inner[0];
            v_0_.inner[0] = _e310 * norm_0_.inner[0];
            metal::float4 _e314 = v_0_.inner[1];
            v_0_.inner[1] = _e314 * norm_0_.inner[1];
            float _e317 = squares;
            type_5 _e318 = v_1_;
            type_5 _e319 = v_1_;
            float _e320 = product(_e318, _e319);
            squares = _e317 + _e320;
            metal::float4 _e323 = v_1_.inner[0];
            v_1_.inner[0] = _e323 * norm_1_.inner[0];
            metal::float4 _e327 = v_1_.inner[1];
            v_1_.inner[1] = _e327 * norm_1_.inner[1];
            float _e330 = squares;
            type_5 _e331 = v_2_;
            type_5 _e332 = v_2_;
            float _e333 = product(_e331, _e332);
            squares = _e330 + _e333;
            metal::float4 _e336 = v_2_.inner[0];
            v_2_.inner[0] = _e336 * norm_2_.inner[0];
            metal::float4 _e340 = v_2_.inner[1];
            v_2_.inner[1] = _e340 * norm_2_.inner[1];
            float _e343 = squares;
            type_5 _e344 = v_3_;
            type_5 _e345 = v_3_;
            float _e346 = product(_e344, _e345);
            squares = _e343 + _e346;
            metal::float4 _e349 = v_3_.inner[0];
            v_3_.inner[0] = _e349 * norm_3_.inner[0];
            metal::float4 _e353 = v_3_.inner[1];
            v_3_.inner[1] = _e353 * norm_3_.inner[1];
            metal::float4 _e357 = v_0_.inner[0];
            metal::float4 _e359 = v_0_.inner[1];
            metal::float4 whole_0_ = _e357 + _e359;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float2 _e368 = affine(_e49);
            float _e369 = sum_0_;
            type_5 _e371 = unpack(_e49, quants, _buffer_sizes);
            type_5 _e372 = v_0_;
            float _e373 = product(_e371, _e372);
            sum_0_ = _e369 + ((_e368.x * _e373) + (_e368.y * total_0_));
            metal::float2 _e379 = affine(_e55);
            float _e380 = sum_1_;
            type_5 _e382 = unpack(_e55, quants, _buffer_sizes);
            type_5 _e383 = v_0_;
            float _e384 = product(_e382, _e383);
            sum_1_ = _e380 + ((_e379.x * _e384) + (_e379.y * total_0_));
            metal::float2 _e390 = affine(_e61);
            float _e391 = sum_2_;
            type_5 _e393 = unpack(_e61, quants, _buffer_sizes);
            type_5 _e394 = v_0_;
            float _e395 = product(_e393, _e394);
            sum_2_ = _e391 + ((_e390.x * _e395) + (_e390.y * total_0_));
            metal::float2 _e401 = affine(_e67);
            float _e402 = sum_3_;
            type_5 _e404 = unpack(_e67, quants, _buffer_sizes);
            type_5 _e405 = v_0_;
            float _e406 = product(_e404, _e405);
            sum_3_ = _e402 + ((_e401.x * _e406) + (_e401.y * total_0_));
            metal::float2 _e412 = affine(_e73);
            float _e413 = sum_4_;
            type_5 _e415 = unpack(_e73, quants, _buffer_sizes);
            type_5 _e416 = v_0_;
            float _e417 = product(_e415, _e416);
            sum_4_ = _e413 + ((_e412.x * _e417) + (_e412.y * total_0_));
            metal::float2 _e423 = affine(_e79);
            float _e424 = sum_5_;
            type_5 _e426 = unpack(_e79, quants, _buffer_sizes);
            type_5 _e427 = v_0_;
            float _e428 = product(_e426, _e427);
            sum_5_ = _e424 + ((_e423.x * _e428) + (_e423.y * total_0_));
            metal::float2 _e434 = affine(_e85);
            float _e435 = sum_6_;
            type_5 _e437 = unpack(_e85, quants, _buffer_sizes);
            type_5 _e438 = v_0_;
            float _e439 = product(_e437, _e438);
            sum_6_ = _e435 + ((_e434.x * _e439) + (_e434.y * total_0_));
            metal::float2 _e445 = affine(_e91);
            float _e446 = sum_7_;
            type_5 _e448 = unpack(_e91, quants, _buffer_sizes);
            type_5 _e449 = v_0_;
            float _e450 = product(_e448, _e449);
            sum_7_ = _e446 + ((_e445.x * _e450) + (_e445.y * total_0_));
            metal::float4 _e457 = v_1_.inner[0];
            metal::float4 _e459 = v_1_.inner[1];
            metal::float4 whole_1_ = _e457 + _e459;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float2 _e468 = affine(_e97);
            float _e469 = sum_0_;
            type_5 _e471 = unpack(_e97, quants, _buffer_sizes);
            type_5 _e472 = v_1_;
            float _e473 = product(_e471, _e472);
            sum_0_ = _e469 + ((_e468.x * _e473) + (_e468.y * total_1_));
            metal::float2 _e479 = affine(_e103);
            float _e480 = sum_1_;
            type_5 _e482 = unpack(_e103, quants, _buffer_sizes);
            type_5 _e483 = v_1_;
            float _e484 = product(_e482, _e483);
            sum_1_ = _e480 + ((_e479.x * _e484) + (_e479.y * total_1_));
            metal::float2 _e490 = affine(_e109);
            float _e491 = sum_2_;
            type_5 _e493 = unpack(_e109, quants, _buffer_sizes);
            type_5 _e494 = v_1_;
            float _e495 = product(_e493, _e494);
            sum_2_ = _e491 + ((_e490.x * _e495) + (_e490.y * total_1_));
            metal::float2 _e501 = affine(_e115);
            float _e502 = sum_3_;
            type_5 _e504 = unpack(_e115, quants, _buffer_sizes);
            type_5 _e505 = v_1_;
            float _e506 = product(_e504, _e505);
            sum_3_ = _e502 + ((_e501.x * _e506) + (_e501.y * total_1_));
            metal::float2 _e512 = affine(_e121);
            float _e513 = sum_4_;
            type_5 _e515 = unpack(_e121, quants, _buffer_sizes);
            type_5 _e516 = v_1_;
            float _e517 = product(_e515, _e516);
            sum_4_ = _e513 + ((_e512.x * _e517) + (_e512.y * total_1_));
            metal::float2 _e523 = affine(_e127);
            float _e524 = sum_5_;
            type_5 _e526 = unpack(_e127, quants, _buffer_sizes);
            type_5 _e527 = v_1_;
            float _e528 = product(_e526, _e527);
            sum_5_ = _e524 + ((_e523.x * _e528) + (_e523.y * total_1_));
            metal::float2 _e534 = affine(_e133);
            float _e535 = sum_6_;
            type_5 _e537 = unpack(_e133, quants, _buffer_sizes);
            type_5 _e538 = v_1_;
            float _e539 = product(_e537, _e538);
            sum_6_ = _e535 + ((_e534.x * _e539) + (_e534.y * total_1_));
            metal::float2 _e545 = affine(_e139);
            float _e546 = sum_7_;
            type_5 _e548 = unpack(_e139, quants, _buffer_sizes);
            type_5 _e549 = v_1_;
            float _e550 = product(_e548, _e549);
            sum_7_ = _e546 + ((_e545.x * _e550) + (_e545.y * total_1_));
            metal::float4 _e557 = v_2_.inner[0];
            metal::float4 _e559 = v_2_.inner[1];
            metal::float4 whole_2_ = _e557 + _e559;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float2 _e568 = affine(_e145);
            float _e569 = sum_0_;
            type_5 _e571 = unpack(_e145, quants, _buffer_sizes);
            type_5 _e572 = v_2_;
            float _e573 = product(_e571, _e572);
            sum_0_ = _e569 + ((_e568.x * _e573) + (_e568.y * total_2_));
            metal::float2 _e579 = affine(_e151);
            float _e580 = sum_1_;
            type_5 _e582 = unpack(_e151, quants, _buffer_sizes);
            type_5 _e583 = v_2_;
            float _e584 = product(_e582, _e583);
            sum_1_ = _e580 + ((_e579.x * _e584) + (_e579.y * total_2_));
            metal::float2 _e590 = affine(_e157);
            float _e591 = sum_2_;
            type_5 _e593 = unpack(_e157, quants, _buffer_sizes);
            type_5 _e594 = v_2_;
            float _e595 = product(_e593, _e594);
            sum_2_ = _e591 + ((_e590.x * _e595) + (_e590.y * total_2_));
            metal::float2 _e601 = affine(_e163);
            float _e602 = sum_3_;
            type_5 _e604 = unpack(_e163, quants, _buffer_sizes);
            type_5 _e605 = v_2_;
            float _e606 = product(_e604, _e605);
            sum_3_ = _e602 + ((_e601.x * _e606) + (_e601.y * total_2_));
            metal::float2 _e612 = affine(_e169);
            float _e613 = sum_4_;
            type_5 _e615 = unpack(_e169, quants, _buffer_sizes);
            type_5 _e616 = v_2_;
            float _e617 = product(_e615, _e616);
            sum_4_ = _e613 + ((_e612.x * _e617) + (_e612.y * total_2_));
            metal::float2 _e623 = affine(_e175);
            float _e624 = sum_5_;
            type_5 _e626 = unpack(_e175, quants, _buffer_sizes);
            type_5 _e627 = v_2_;
            float _e628 = product(_e626, _e627);
            sum_5_ = _e624 + ((_e623.x * _e628) + (_e623.y * total_2_));
            metal::float2 _e634 = affine(_e181);
            float _e635 = sum_6_;
            type_5 _e637 = unpack(_e181, quants, _buffer_sizes);
            type_5 _e638 = v_2_;
            float _e639 = product(_e637, _e638);
            sum_6_ = _e635 + ((_e634.x * _e639) + (_e634.y * total_2_));
            metal::float2 _e645 = affine(_e187);
            float _e646 = sum_7_;
            type_5 _e648 = unpack(_e187, quants, _buffer_sizes);
            type_5 _e649 = v_2_;
            float _e650 = product(_e648, _e649);
            sum_7_ = _e646 + ((_e645.x * _e650) + (_e645.y * total_2_));
            metal::float4 _e657 = v_3_.inner[0];
            metal::float4 _e659 = v_3_.inner[1];
            metal::float4 whole_3_ = _e657 + _e659;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            metal::float2 _e668 = affine(_e193);
            float _e669 = sum_0_;
            type_5 _e671 = unpack(_e193, quants, _buffer_sizes);
            type_5 _e672 = v_3_;
            float _e673 = product(_e671, _e672);
            sum_0_ = _e669 + ((_e668.x * _e673) + (_e668.y * total_3_));
            metal::float2 _e679 = affine(_e199);
            float _e680 = sum_1_;
            type_5 _e682 = unpack(_e199, quants, _buffer_sizes);
            type_5 _e683 = v_3_;
            float _e684 = product(_e682, _e683);
            sum_1_ = _e680 + ((_e679.x * _e684) + (_e679.y * total_3_));
            metal::float2 _e690 = affine(_e205);
            float _e691 = sum_2_;
            type_5 _e693 = unpack(_e205, quants, _buffer_sizes);
            type_5 _e694 = v_3_;
            float _e695 = product(_e693, _e694);
            sum_2_ = _e691 + ((_e690.x * _e695) + (_e690.y * total_3_));
            metal::float2 _e701 = affine(_e211);
            float _e702 = sum_3_;
            type_5 _e704 = unpack(_e211, quants, _buffer_sizes);
            type_5 _e705 = v_3_;
            float _e706 = product(_e704, _e705);
            sum_3_ = _e702 + ((_e701.x * _e706) + (_e701.y * total_3_));
            metal::float2 _e712 = affine(_e217);
            float _e713 = sum_4_;
            type_5 _e715 = unpack(_e217, quants, _buffer_sizes);
            type_5 _e716 = v_3_;
            float _e717 = product(_e715, _e716);
            sum_4_ = _e713 + ((_e712.x * _e717) + (_e712.y * total_3_));
            metal::float2 _e723 = affine(_e223);
            float _e724 = sum_5_;
            type_5 _e726 = unpack(_e223, quants, _buffer_sizes);
            type_5 _e727 = v_3_;
            float _e728 = product(_e726, _e727);
            sum_5_ = _e724 + ((_e723.x * _e728) + (_e723.y * total_3_));
            metal::float2 _e734 = affine(_e229);
            float _e735 = sum_6_;
            type_5 _e737 = unpack(_e229, quants, _buffer_sizes);
            type_5 _e738 = v_3_;
            float _e739 = product(_e737, _e738);
            sum_6_ = _e735 + ((_e734.x * _e739) + (_e734.y * total_3_));
            metal::float2 _e745 = affine(_e235);
            float _e746 = sum_7_;
            type_5 _e748 = unpack(_e235, quants, _buffer_sizes);
            type_5 _e749 = v_3_;
            float _e750 = product(_e748, _e749);
            sum_7_ = _e746 + ((_e745.x * _e750) + (_e745.y * total_3_));
        }
    }
    float _e759 = squares;
    float scale = 1.0 / metal::sqrt((_e759 / 64.0) + EPSILON);
    float _e767 = sum_0_;
    sum_0_ = _e767 * scale;
    float _e769 = sum_1_;
    sum_1_ = _e769 * scale;
    float _e771 = sum_2_;
    sum_2_ = _e771 * scale;
    float _e773 = sum_3_;
    sum_3_ = _e773 * scale;
    float _e775 = sum_4_;
    sum_4_ = _e775 * scale;
    float _e777 = sum_5_;
    sum_5_ = _e777 * scale;
    float _e779 = sum_6_;
    sum_6_ = _e779 * scale;
    float _e781 = sum_7_;
    sum_7_ = _e781 * scale;
    float _e783 = sum_0_;
    value_0_ = _e783;
    float _e785 = sum_1_;
    value_1_ = _e785;
    float _e787 = sum_2_;
    value_2_ = _e787;
    float _e789 = sum_3_;
    value_3_ = _e789;
    float _e791 = sum_4_;
    value_4_ = _e791;
    float _e793 = sum_5_;
    value_5_ = _e793;
    float _e795 = sum_6_;
    value_6_ = _e795;
    float _e797 = sum_7_;
    value_7_ = _e797;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e811 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e811;
        }
        if ((first_1 + 1u) < PIECE_ROWS) {
            float _e822 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 1u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e822;
        }
        if ((first_1 + 2u) < PIECE_ROWS) {
            float _e833 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 2u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e833;
        }
        if ((first_1 + 3u) < PIECE_ROWS) {
            float _e844 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 3u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e844;
        }
        if ((first_1 + 4u) < PIECE_ROWS) {
            float _e855 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 4u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e855;
        }
        if ((first_1 + 5u) < PIECE_ROWS) {
            float _e866 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 5u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e866;
        }
        if ((first_1 + 6u) < PIECE_ROWS) {
            float _e877 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 6u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e877;
        }
        if ((first_1 + 7u) < PIECE_ROWS) {
            float _e888 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 7u), (_buffer_sizes.size2 - 0 - 4) / 4)] = _e888;
        }
    }
    if ((first_1 + 0u) < PIECE_ROWS) {
        metal::uint2 _e895 = mine;
        float _e896 = value_0_;
        metal::uint2 _e903 = better(_e895, metal::uint2(as_type<uint>(_e896), (PIECE_FIRST + first_1) + 0u));
        mine = _e903;
    }
    if ((first_1 + 1u) < PIECE_ROWS) {
        metal::uint2 _e908 = mine;
        float _e909 = value_1_;
        metal::uint2 _e916 = better(_e908, metal::uint2(as_type<uint>(_e909), (PIECE_FIRST + first_1) + 1u));
        mine = _e916;
    }
    if ((first_1 + 2u) < PIECE_ROWS) {
        metal::uint2 _e921 = mine;
        float _e922 = value_2_;
        metal::uint2 _e929 = better(_e921, metal::uint2(as_type<uint>(_e922), (PIECE_FIRST + first_1) + 2u));
        mine = _e929;
    }
    if ((first_1 + 3u) < PIECE_ROWS) {
        metal::uint2 _e934 = mine;
        float _e935 = value_3_;
        metal::uint2 _e942 = better(_e934, metal::uint2(as_type<uint>(_e935), (PIECE_FIRST + first_1) + 3u));
        mine = _e942;
    }
    if ((first_1 + 4u) < PIECE_ROWS) {
        metal::uint2 _e947 = mine;
        float _e948 = value_4_;
        metal::uint2 _e955 = better(_e947, metal::uint2(as_type<uint>(_e948), (PIECE_FIRST + first_1) + 4u));
        mine = _e955;
    }
    if ((first_1 + 5u) < PIECE_ROWS) {
        metal::uint2 _e960 = mine;
        float _e961 = value_5_;
        metal::uint2 _e968 = better(_e960, metal::uint2(as_type<uint>(_e961), (PIECE_FIRST + first_1) + 5u));
        mine = _e968;
    }
    if ((first_1 + 6u) < PIECE_ROWS) {
        metal::uint2 _e973 = mine;
        float _e974 = value_6_;
        metal::uint2 _e981 = better(_e973, metal::uint2(as_type<uint>(_e974), (PIECE_FIRST + first_1) + 6u));
        mine = _e981;
    }
    if ((first_1 + 7u) < PIECE_ROWS) {
        metal::uint2 _e986 = mine;
        float _e987 = value_7_;
        metal::uint2 _e994 = better(_e986, metal::uint2(as_type<uint>(_e987), (PIECE_FIRST + first_1) + 7u));
        mine = _e994;
    }
    if (lane == 0u) {
        metal::uint2 _e999 = mine;
        found.inner[metal::min(unsigned(team), 31u)] = _e999;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (team == 0u) {
        local_1 = lane == 0u;
    } else {
        local_1 = false;
    }
    bool _e1007 = local_1;
    if (_e1007) {
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e1020 = i;
                i = _e1020 + 1u;
            }
            loop_init_1 = false;
            uint _e1010 = i;
            if (_e1010 < TEAMS) {
            } else {
                break;
            }
            {
                metal::uint2 _e1013 = mine;
                uint _e1015 = i;
                metal::uint2 _e1017 = found.inner[metal::min(unsigned(_e1015), 31u)];
                metal::uint2 _e1018 = better(_e1013, _e1017);
                mine = _e1018;
            }
        }
        metal::uint2 _e1027 = mine;
        best[metal::min(unsigned(PIECE_GROUP + group.x), (_buffer_sizes.size4 - 0 - 8) / 8)] = _e1027;
        return;
    } else {
        return;
    }
}
