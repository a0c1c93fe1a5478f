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
    uint size5;
};

typedef metal::uint4 type_3[1];
typedef uint type_4[1];
struct type_6 {
    metal::float4 inner[2];
};
struct Part {
    uint block;
    uint i;
};
typedef metal::float4 type_10[1];
typedef float type_11[1];
typedef metal::uint2 type_12[1];
struct type_13 {
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

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

type_6 part(
    uint block_1,
    uint i_1,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint first_1 = naga_div(block_1, 8u) * 13u;
    uint b_1 = naga_mod(block_1, 8u);
    uint _e15 = scales[metal::min(unsigned((first_1 + 2u) + naga_div(b_1, 4u)), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint low = (_e15 >> (naga_mod(b_1, 4u) * 8u)) & 255u;
    uint _e27 = scales[metal::min(unsigned(first_1 + 4u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint both = low | (((_e27 >> (b_1 * 4u)) & 15u) << 8u);
    uint _e38 = scales[metal::min(unsigned(first_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float scale = as_type<float>(_e38) * static_cast<float>(both & 63u);
    uint _e48 = scales[metal::min(unsigned(first_1 + 1u), (_buffer_sizes.size1 - 0 - 4) / 4)];
    float minimum = as_type<float>(_e48) * static_cast<float>(both >> 6u);
    uint fifth = scales[metal::min(unsigned((first_1 + 5u) + b_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    uint q = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)][metal::min(unsigned(i_1), 3u)];
    uint upper = ((fifth >> i_1) & 16843009u) << 4u;
    metal::float4 front = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>((q & 252645135u) | upper))) * scale) - metal::float4(minimum);
    uint upper_too = ((fifth >> (i_1 + 4u)) & 16843009u) << 4u;
    metal::float4 back = (static_cast<metal::float4>(uint4(as_type<packed_uchar4>(((q >> 4u) & 252645135u) | upper_too))) * scale) - metal::float4(minimum);
    return type_6 {{front, back}};
}

Part load(
    uint block_2,
    uint i_2
) {
    return Part {block_2, i_2};
}

type_6 unpack(
    Part p,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 _e3 = part(p.block, p.i, quants, scales, _buffer_sizes);
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

type_6 input(
    uint block_3,
    uint i_3,
    uint parts,
    device type_10 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_6 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_3) + i_3), (_buffer_sizes.size2 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_3) + 4u) + i_3), (_buffer_sizes.size2 - 0 - 16) / 16)];
    v = type_6 {{_e8, _e16}};
    type_6 _e19 = v;
    return _e19;
}

float product(
    type_6 w,
    type_6 v_1
) {
    metal::float4 sum = (w.inner[0] * v_1.inner[0]) + (w.inner[1] * v_1.inner[1]);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

struct matvecInput {
};
[[max_total_threads_per_threadgroup(32)]] kernel void matvec(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, device type_3 const& quants [[buffer(0)]]
, device type_4 const& scales [[buffer(1)]]
, device type_10 const& x [[buffer(2)]]
, device type_11& y [[buffer(3)]]
, device type_10 const& norm [[buffer(4)]]
, device type_12& best [[buffer(5)]]
, threadgroup type_13& found
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
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
    type_6 v_0_ = {};
    type_6 v_1_ = {};
    type_6 v_2_ = {};
    type_6 v_3_ = {};
    float of_row_0_ = {};
    float of_row_1_ = {};
    float of_row_2_ = {};
    float of_row_3_ = {};
    float of_row_4_ = {};
    float of_row_5_ = {};
    float of_row_6_ = {};
    float of_row_7_ = {};
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
    uint first_2 = ((group.x * TEAMS) + team) * OUTPUTS;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e632 = block;
            block = _e632 + 1u;
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
            uint _e45 = weight_row(first_2, 0u);
            Part _e49 = load((_e45 * BLOCKS) + block_0_, 0u);
            uint _e51 = weight_row(first_2, 1u);
            Part _e55 = load((_e51 * BLOCKS) + block_0_, 0u);
            uint _e57 = weight_row(first_2, 2u);
            Part _e61 = load((_e57 * BLOCKS) + block_0_, 0u);
            uint _e63 = weight_row(first_2, 3u);
            Part _e67 = load((_e63 * BLOCKS) + block_0_, 0u);
            uint _e69 = weight_row(first_2, 4u);
            Part _e73 = load((_e69 * BLOCKS) + block_0_, 0u);
            uint _e75 = weight_row(first_2, 5u);
            Part _e79 = load((_e75 * BLOCKS) + block_0_, 0u);
            uint _e81 = weight_row(first_2, 6u);
            Part _e85 = load((_e81 * BLOCKS) + block_0_, 0u);
            uint _e87 = weight_row(first_2, 7u);
            Part _e91 = load((_e87 * BLOCKS) + block_0_, 0u);
            uint _e93 = weight_row(first_2, 0u);
            Part _e97 = load((_e93 * BLOCKS) + block_1_, 1u);
            uint _e99 = weight_row(first_2, 1u);
            Part _e103 = load((_e99 * BLOCKS) + block_1_, 1u);
            uint _e105 = weight_row(first_2, 2u);
            Part _e109 = load((_e105 * BLOCKS) + block_1_, 1u);
            uint _e111 = weight_row(first_2, 3u);
            Part _e115 = load((_e111 * BLOCKS) + block_1_, 1u);
            uint _e117 = weight_row(first_2, 4u);
            Part _e121 = load((_e117 * BLOCKS) + block_1_, 1u);
            uint _e123 = weight_row(first_2, 5u);
            Part _e127 = load((_e123 * BLOCKS) + block_1_, 1u);
            uint _e129 = weight_row(first_2, 6u);
            Part _e133 = load((_e129 * BLOCKS) + block_1_, 1u);
            uint _e135 = weight_row(first_2, 7u);
            Part _e139 = load((_e135 * BLOCKS) + block_1_, 1u);
            uint _e141 = weight_row(first_2, 0u);
            Part _e145 = load((_e141 * BLOCKS) + block_2_, 2u);
            uint _e147 = weight_row(first_2, 1u);
            Part _e151 = load((_e147 * BLOCKS) + block_2_, 2u);
            uint _e153 = weight_row(first_2, 2u);
            Part _e157 = load((_e153 * BLOCKS) + block_2_, 2u);
            uint _e159 = weight_row(first_2, 3u);
            Part _e163 = load((_e159 * BLOCKS) + block_2_, 2u);
            uint _e165 = weight_row(first_2, 4u);
            Part _e169 = load((_e165 * BLOCKS) + block_2_, 2u);
            uint _e171 = weight_row(first_2, 5u);
            Part _e175 = load((_e171 * BLOCKS) + block_2_, 2u);
            uint _e177 = weight_row(first_2, 6u);
            Part _e181 = load((_e177 * BLOCKS) + block_2_, 2u);
            uint _e183 = weight_row(first_2, 7u);
            Part _e187 = load((_e183 * BLOCKS) + block_2_, 2u);
            uint _e189 = weight_row(first_2, 0u);
            Part _e193 = load((_e189 * BLOCKS) + block_3_, 3u);
            uint _e195 = weight_row(first_2, 1u);
            Part _e199 = load((_e195 * BLOCKS) + block_3_, 3u);
            uint _e201 = weight_row(first_2, 2u);
            Part _e205 = load((_e201 * BLOCKS) + block_3_, 3u);
            uint _e207 = weight_row(first_2, 3u);
            Part _e211 = load((_e207 * BLOCKS) + block_3_, 3u);
            uint _e213 = weight_row(first_2, 4u);
            Part _e217 = load((_e213 * BLOCKS) + block_3_, 3u);
            uint _e219 = weight_row(first_2, 5u);
            Part _e223 = load((_e219 * BLOCKS) + block_3_, 3u);
            uint _e225 = weight_row(first_2, 6u);
            Part _e229 = load((_e225 * BLOCKS) + block_3_, 3u);
            uint _e231 = weight_row(first_2, 7u);
            Part _e235 = load((_e231 * BLOCKS) + block_3_, 3u);
            type_6 _e236 = input(block_0_, 0u, 1u, x, _buffer_sizes);
            v_0_ = _e236;
            type_6 _e238 = input(block_1_, 1u, 1u, x, _buffer_sizes);
            v_1_ = _e238;
            type_6 _e240 = input(block_2_, 2u, 1u, x, _buffer_sizes);
            v_2_ = _e240;
            type_6 _e242 = input(block_3_, 3u, 1u, x, _buffer_sizes);
            v_3_ = _e242;
            metal::float4 _e249 = norm[metal::min(unsigned((8u * block_0_) + 0u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e257 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + 0u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_6 norm_0_ = type_6 {{_e249, _e257}};
            metal::float4 _e264 = norm[metal::min(unsigned((8u * block_1_) + 1u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e272 = norm[metal::min(unsigned(((8u * block_1_) + 4u) + 1u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_6 norm_1_ = type_6 {{_e264, _e272}};
            metal::float4 _e279 = norm[metal::min(unsigned((8u * block_2_) + 2u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e287 = norm[metal::min(unsigned(((8u * block_2_) + 4u) + 2u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_6 norm_2_ = type_6 {{_e279, _e287}};
            metal::float4 _e294 = norm[metal::min(unsigned((8u * block_3_) + 3u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e302 = norm[metal::min(unsigned(((8u * block_3_) + 4u) + 3u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_6 norm_3_ = type_6 {{_e294, _e302}};
            float _e304 = squares;
            type_6 _e305 = v_0_;
            type_6 _e306 = v_0_;
            float _e307 = product(_e305, _e306);
            squares = _e304 + _e307;
            metal::float4 _e310 = v_0_.inner[0];
            v_0_.inner[0] = _e310 * norm_0_.inner[0];
            metal::float4 _e314 = v_0_.inner[1];
            v_0_.inner[1] = _e314 * norm_0_.inner[1];
            float _e317 = squares;
            type_6 _e318 = v_1_;
            type_6 _e319 = v_1_;
            float _e320 = product(_e318, _e319);
            squares = _e317 + _e320;
            metal::float4 _e323 = v_1_.inner[0];
            v_1_.inner[0] = _e323 * norm_1_.inner[0];
            metal::float4 _e327 = v_1_.inner[1];
            v_1_.inner[1] = _e327 * norm_1_.inner[1];
            float _e330 = squares;
            type_6 _e331 = v_2_;
            type_6 _e332 = v_2_;
            float _e333 = product(_e331, _e332);
            squares = _e330 + _e333;
            metal::float4 _e336 = v_2_.inner[0];
            v_2_.inner[0] = _e336 * norm_2_.inner[0];
            metal::float4 _e340 = v_2_.inner[1];
            v_2_.inner[1] = _e340 * norm_2_.inner[1];
            float _e343 = squares;
            type_6 _e344 = v_3_;
            type_6 _e345 = v_3_;
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
            metal::float4 _e369 = v_1_.inner[0];
            metal::float4 _e371 = v_1_.inner[1];
            metal::float4 whole_1_ = _e369 + _e371;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float4 _e381 = v_2_.inner[0];
            metal::float4 _e383 = v_2_.inner[1];
            metal::float4 whole_2_ = _e381 + _e383;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float4 _e393 = v_3_.inner[0];
            metal::float4 _e395 = v_3_.inner[1];
            metal::float4 whole_3_ = _e393 + _e395;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            float total = (total_0_ + total_1_) + (total_2_ + total_3_);
            metal::float2 _e407 = affine(_e49);
            type_6 _e408 = unpack(_e49, quants, scales, _buffer_sizes);
            type_6 _e409 = v_0_;
            float _e410 = product(_e408, _e409);
            of_row_0_ = _e410;
            float _e412 = of_row_0_;
            type_6 _e413 = unpack(_e97, quants, scales, _buffer_sizes);
            type_6 _e414 = v_1_;
            float _e415 = product(_e413, _e414);
            of_row_0_ = _e412 + _e415;
            float _e417 = of_row_0_;
            type_6 _e418 = unpack(_e145, quants, scales, _buffer_sizes);
            type_6 _e419 = v_2_;
            float _e420 = product(_e418, _e419);
            of_row_0_ = _e417 + _e420;
            float _e422 = of_row_0_;
            type_6 _e423 = unpack(_e193, quants, scales, _buffer_sizes);
            type_6 _e424 = v_3_;
            float _e425 = product(_e423, _e424);
            of_row_0_ = _e422 + _e425;
            float _e427 = sum_0_;
            float _e429 = of_row_0_;
            sum_0_ = _e427 + ((_e407.x * _e429) + (_e407.y * total));
            metal::float2 _e435 = affine(_e55);
            type_6 _e436 = unpack(_e55, quants, scales, _buffer_sizes);
            type_6 _e437 = v_0_;
            float _e438 = product(_e436, _e437);
            of_row_1_ = _e438;
            float _e440 = of_row_1_;
            type_6 _e441 = unpack(_e103, quants, scales, _buffer_sizes);
            type_6 _e442 = v_1_;
            float _e443 = product(_e441, _e442);
            of_row_1_ = _e440 + _e443;
            float _e445 = of_row_1_;
            type_6 _e446 = unpack(_e151, quants, scales, _buffer_sizes);
            type_6 _e447 = v_2_;
            float _e448 = product(_e446, _e447);
            of_row_1_ = _e445 + _e448;
            float _e450 = of_row_1_;
            type_6 _e451 = unpack(_e199, quants, scales, _buffer_sizes);
            type_6 _e452 = v_3_;
            float _e453 = product(_e451, _e452);
            of_row_1_ = _e450 + _e453;
            float _e455 = sum_1_;
            float _e457 = of_row_1_;
            sum_1_ = _e455 + ((_e435.x * _e457) + (_e435.y * total));
            metal::float2 _e463 = affine(_e61);
            type_6 _e464 = unpack(_e61, quants, scales, _buffer_sizes);
            type_6 _e465 = v_0_;
            float _e466 = product(_e464, _e465);
            of_row_2_ = _e466;
            float _e468 = of_row_2_;
            type_6 _e469 = unpack(_e109, quants, scales, _buffer_sizes);
            type_6 _e470 = v_1_;
            float _e471 = product(_e469, _e470);
            of_row_2_ = _e468 + _e471;
            float _e473 = of_row_2_;
            type_6 _e474 = unpack(_e157, quants, scales, _buffer_sizes);
            type_6 _e475 = v_2_;
            float _e476 = product(_e474, _e475);
            of_row_2_ = _e473 + _e476;
            float _e478 = of_row_2_;
            type_6 _e479 = unpack(_e205, quants, scales, _buffer_sizes);
            type_6 _e480 = v_3_;
            float _e481 = product(_e479, _e480);
            of_row_2_ = _e478 + _e481;
            float _e483 = sum_2_;
            float _e485 = of_row_2_;
            sum_2_ = _e483 + ((_e463.x * _e485) + (_e463.y * total));
            metal::float2 _e491 = affine(_e67);
            type_6 _e492 = unpack(_e67, quants, scales, _buffer_sizes);
            type_6 _e493 = v_0_;
            float _e494 = product(_e492, _e493);
            of_row_3_ = _e494;
            float _e496 = of_row_3_;
            type_6 _e497 = unpack(_e115, quants, scales, _buffer_sizes);
            type_6 _e498 = v_1_;
            float _e499 = product(_e497, _e498);
            of_row_3_ = _e496 + _e499;
            float _e501 = of_row_3_;
            type_6 _e502 = unpack(_e163, quants, scales, _buffer_sizes);
            type_6 _e503 = v_2_;
            float _e504 = product(_e502, _e503);
            of_row_3_ = _e501 + _e504;
            float _e506 = of_row_3_;
            type_6 _e507 = unpack(_e211, quants, scales, _buffer_sizes);
            type_6 _e508 = v_3_;
            float _e509 = product(_e507, _e508);
            of_row_3_ = _e506 + _e509;
            float _e511 = sum_3_;
            float _e513 = of_row_3_;
            sum_3_ = _e511 + ((_e491.x * _e513) + (_e491.y * total));
            metal::float2 _e519 = affine(_e73);
            type_6 _e520 = unpack(_e73, quants, scales, _buffer_sizes);
            type_6 _e521 = v_0_;
            float _e522 = product(_e520, _e521);
            of_row_4_ = _e522;
            float _e524 = of_row_4_;
            type_6 _e525 = unpack(_e121, quants, scales, _buffer_sizes);
            type_6 _e526 = v_1_;
            float _e527 = product(_e525, _e526);
            of_row_4_ = _e524 + _e527;
            float _e529 = of_row_4_;
            type_6 _e530 = unpack(_e169, quants, scales, _buffer_sizes);
            type_6 _e531 = v_2_;
            float _e532 = product(_e530, _e531);
            of_row_4_ = _e529 + _e532;
            float _e534 = of_row_4_;
            type_6 _e535 = unpack(_e217, quants, scales, _buffer_sizes);
            type_6 _e536 = v_3_;
            float _e537 = product(_e535, _e536);
            of_row_4_ = _e534 + _e537;
            float _e539 = sum_4_;
            float _e541 = of_row_4_;
            sum_4_ = _e539 + ((_e519.x * _e541) + (_e519.y * total));
            metal::float2 _e547 = affine(_e79);
            type_6 _e548 = unpack(_e79, quants, scales, _buffer_sizes);
            type_6 _e549 = v_0_;
            float _e550 = product(_e548, _e549);
            of_row_5_ = _e550;
            float _e552 = of_row_5_;
            type_6 _e553 = unpack(_e127, quants, scales, _buffer_sizes);
            type_6 _e554 = v_1_;
            float _e555 = product(_e553, _e554);
            of_row_5_ = _e552 + _e555;
            float _e557 = of_row_5_;
            type_6 _e558 = unpack(_e175, quants, scales, _buffer_sizes);
            type_6 _e559 = v_2_;
            float _e560 = product(_e558, _e559);
            of_row_5_ = _e557 + _e560;
            float _e562 = of_row_5_;
            type_6 _e563 = unpack(_e223, quants, scales, _buffer_sizes);
            type_6 _e564 = v_3_;
            float _e565 = product(_e563, _e564);
            of_row_5_ = _e562 + _e565;
            float _e567 = sum_5_;
            float _e569 = of_row_5_;
            sum_5_ = _e567 + ((_e547.x * _e569) + (_e547.y * total));
            metal::float2 _e575 = affine(_e85);
            type_6 _e576 = unpack(_e85, quants, scales, _buffer_sizes);
            type_6 _e577 = v_0_;
            float _e578 = product(_e576, _e577);
            of_row_6_ = _e578;
            float _e580 = of_row_6_;
            type_6 _e581 = unpack(_e133, quants, scales, _buffer_sizes);
            type_6 _e582 = v_1_;
            float _e583 = product(_e581, _e582);
            of_row_6_ = _e580 + _e583;
            float _e585 = of_row_6_;
            type_6 _e586 = unpack(_e181, quants, scales, _buffer_sizes);
            type_6 _e587 = v_2_;
            float _e588 = product(_e586, _e587);
            of_row_6_ = _e585 + _e588;
            float _e590 = of_row_6_;
            type_6 _e591 = unpack(_e229, quants, scales, _buffer_sizes);
            type_6 _e592 = v_3_;
            float _e593 = product(_e591, _e592);
            of_row_6_ = _e590 + _e593;
            float _e595 = sum_6_;
            float _e597 = of_row_6_;
            sum_6_ = _e595 + ((_e575.x * _e597) + (_e575.y * total));
            metal::float2 _e603 = affine(_e91);
            type_6 _e604 = unpack(_e91, quants, scales, _buffer_sizes);
            type_6 _e605 = v_0_;
            float _e606 = product(_e604, _e605);
            of_row_7_ = _e606;
            float _e608 = of_row_7_;
            type_6 _e609 = unpack(_e139, quants, scales, _buffer_sizes);
            type_6 _e610 = v_1_;
            float _e611 = product(_e609, _e610);
            of_row_7_ = _e608 + _e611;
            float _e613 = of_row_7_;
            type_6 _e614 = unpack(_e187, quants, scales, _buffer_sizes);
            type_6 _e615 = v_2_;
            float _e616 = product(_e614, _e615);
            of_row_7_ = _e613 + _e616;
            float _e618 = of_row_7_;
            type_6 _e619 = unpack(_e235, quants, scales, _buffer_sizes);
            type_6 _e620 = v_3_;
            float _e621 = product(_e619, _e620);
            of_row_7_ = _e618 + _e621;
            float _e623 = sum_7_;
            float _e625 = of_row_7_;
            sum_7_ = _e623 + ((_e603.x * _e625) + (_e603.y * total));
        }
    }
    float _e634 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e634 / 64.0) + EPSILON);
    float _e642 = sum_0_;
    sum_0_ = _e642 * scale_1;
    float _e644 = sum_1_;
    sum_1_ = _e644 * scale_1;
    float _e646 = sum_2_;
    sum_2_ = _e646 * scale_1;
    float _e648 = sum_3_;
    sum_3_ = _e648 * scale_1;
    float _e650 = sum_4_;
    sum_4_ = _e650 * scale_1;
    float _e652 = sum_5_;
    sum_5_ = _e652 * scale_1;
    float _e654 = sum_6_;
    sum_6_ = _e654 * scale_1;
    float _e656 = sum_7_;
    sum_7_ = _e656 * scale_1;
    float _e658 = sum_0_;
    value_0_ = _e658;
    float _e660 = sum_1_;
    value_1_ = _e660;
    float _e662 = sum_2_;
    value_2_ = _e662;
    float _e664 = sum_3_;
    value_3_ = _e664;
    float _e666 = sum_4_;
    value_4_ = _e666;
    float _e668 = sum_5_;
    value_5_ = _e668;
    float _e670 = sum_6_;
    value_6_ = _e670;
    float _e672 = sum_7_;
    value_7_ = _e672;
    if (lane == 0u) {
        if ((first_2 + 0u) < PIECE_ROWS) {
            float _e686 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e686;
        }
        if ((first_2 + 1u) < PIECE_ROWS) {
            float _e697 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e697;
        }
        if ((first_2 + 2u) < PIECE_ROWS) {
            float _e708 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 2u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e708;
        }
        if ((first_2 + 3u) < PIECE_ROWS) {
            float _e719 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 3u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e719;
        }
        if ((first_2 + 4u) < PIECE_ROWS) {
            float _e730 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 4u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e730;
        }
        if ((first_2 + 5u) < PIECE_ROWS) {
            float _e741 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 5u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e741;
        }
        if ((first_2 + 6u) < PIECE_ROWS) {
            float _e752 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 6u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e752;
        }
        if ((first_2 + 7u) < PIECE_ROWS) {
            float _e763 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_2) + 7u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e763;
        }
    }
    if ((first_2 + 0u) < PIECE_ROWS) {
        metal::uint2 _e770 = mine;
        float _e771 = value_0_;
        metal::uint2 _e778 = better(_e770, metal::uint2(as_type<uint>(_e771), (PIECE_FIRST + first_2) + 0u));
        mine = _e778;
    }
    if ((first_2 + 1u) < PIECE_ROWS) {
        metal::uint2 _e783 = mine;
        float _e784 = value_1_;
        metal::uint2 _e791 = better(_e783, metal::uint2(as_type<uint>(_e784), (PIECE_FIRST + first_2) + 1u));
        mine = _e791;
    }
    if ((first_2 + 2u) < PIECE_ROWS) {
        metal::uint2 _e796 = mine;
        float _e797 = value_2_;
        metal::uint2 _e804 = better(_e796, metal::uint2(as_type<uint>(_e797), (PIECE_FIRST + first_2) + 2u));
        mine = _e804;
    }
    if ((first_2 + 3u) < PIECE_ROWS) {
        metal::uint2 _e809 = mine;
        float _e810 = value_3_;
        metal::uint2 _e817 = better(_e809, metal::uint2(as_type<uint>(_e810), (PIECE_FIRST + first_2) + 3u));
        mine = _e817;
    }
    if ((first_2 + 4u) < PIECE_ROWS) {
        metal::uint2 _e822 = mine;
        float _e823 = value_4_;
        metal::uint2 _e830 = better(_e822, metal::uint2(as_type<uint>(_e823), (PIECE_FIRST + first_2) + 4u));
        mine = _e830;
    }
    if ((first_2 + 5u) < PIECE_ROWS) {
        metal::uint2 _e835 = mine;
        float _e836 = value_5_;
        metal::uint2 _e843 = better(_e835, metal::uint2(as_type<uint>(_e836), (PIECE_FIRST + first_2) + 5u));
        mine = _e843;
    }
    if ((first_2 + 6u) < PIECE_ROWS) {
        metal::uint2 _e848 = mine;
        float _e849 = value_6_;
        metal::uint2 _e856 = better(_e848, metal::uint2(as_type<uint>(_e849), (PIECE_FIRST + first_2) + 6u));
        mine = _e856;
    }
    if ((first_2 + 7u) < PIECE_ROWS) {
        metal::uint2 _e861 = mine;
        float _e862 = value_7_;
        metal::uint2 _e869 = better(_e861, metal::uint2(as_type<uint>(_e862), (PIECE_FIRST + first_2) + 7u));
        mine = _e869;
    }
    if (lane == 0u) {
        metal::uint2 _e874 = mine;
        found.inner[metal::min(unsigned(team), 31u)] = _e874;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (team == 0u) {
        local_1 = lane == 0u;
    } else {
        local_1 = false;
    }
    bool _e882 = local_1;
    if (_e882) {
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e895 = i;
                i = _e895 + 1u;
            }
            loop_init_1 = false;
            uint _e885 = i;
            if (_e885 < TEAMS) {
            } else {
                break;
            }
            {
                metal::uint2 _e888 = mine;
                uint _e890 = i;
                metal::uint2 _e892 = found.inner[metal::min(unsigned(_e890), 31u)];
                metal::uint2 _e893 = better(_e888, _e892);
                mine = _e893;
            }
        }
        metal::uint2 _e902 = mine;
        best[metal::min(unsigned(PIECE_GROUP + group.x), (_buffer_sizes.size5 - 0 - 8) / 8)] = _e902;
        return;
    } else {
        return;
    }
}
