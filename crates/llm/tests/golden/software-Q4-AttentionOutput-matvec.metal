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

typedef metal::uint4 type_3[1];
typedef uint type_4[1];
struct type_7 {
    metal::float4 inner[2];
};
struct Part {
    uint q;
    uint scale;
};
typedef metal::float4 type_9[1];
typedef float type_10[1];
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
constant uint PIECE_ROWS = 64u;
constant uint PIECE_GROUP = 0u;
constant uint HEAD = 16u;
constant uint HEADS = 4u;
constant uint SPLIT = 1u;
constant float EPSILON = 0.00001;
constant metal::uint2 NONE = metal::uint2(4286578688u, 4294967295u);

Part load(
    uint block_1,
    uint i,
    device type_3 const& quants,
    device type_4 const& scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = quants[metal::min(unsigned(block_1), (_buffer_sizes.size0 - 0 - 16) / 16)][metal::min(unsigned(i), 3u)];
    uint _e8 = scales[metal::min(unsigned(block_1), (_buffer_sizes.size1 - 0 - 4) / 4)];
    return Part {_e5, _e8};
}

type_7 unpack(
    Part p
) {
    metal::uint4 low = metal::uint4(p.q << 19u, p.q << 11u, p.q << 3u, p.q >> 5u);
    metal::uint4 high = metal::uint4(p.q << 15u, p.q << 7u, p.q >> 1u, p.q >> 9u);
    return type_7 {{as_type<metal::float4>((low & metal::uint4(7864320u)) | metal::uint4(1098907648u)), as_type<metal::float4>((high & metal::uint4(7864320u)) | metal::uint4(1098907648u))}};
}

metal::float2 affine(
    Part p_1
) {
    metal::float2 scale = float2(as_type<half2>(p_1.scale));
    return metal::float2(scale.x, scale.y - (16.0 * scale.x));
}

uint weight_row(
    uint first,
    uint r
) {
    return metal::min(first + r, 63u);
}

type_7 input(
    uint block_2,
    uint i_1,
    uint parts,
    device type_9 const& x,
    constant _mslBufferSizes& _buffer_sizes
) {
    type_7 v = {};
    metal::float4 _e8 = x[metal::min(unsigned((8u * block_2) + i_1), (_buffer_sizes.size2 - 0 - 16) / 16)];
    metal::float4 _e16 = x[metal::min(unsigned(((8u * block_2) + 4u) + i_1), (_buffer_sizes.size2 - 0 - 16) / 16)];
    v = type_7 {{_e8, _e16}};
    type_7 _e19 = v;
    return _e19;
}

float product(
    type_7 w,
    type_7 v_1
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
, device type_4 const& scales [[buffer(1)]]
, device type_9 const& x [[buffer(2)]]
, device type_10& y [[buffer(3)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(4)]]
) {
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
    type_7 v_0_ = {};
    type_7 v_1_ = {};
    type_7 v_2_ = {};
    type_7 v_3_ = {};
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
    uint lane = naga_mod(local, LANES);
    uint team = naga_div(local, LANES);
    uint first_1 = ((group.x * TEAMS) + team) * OUTPUTS;
    float old_0_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 0u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_1_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 1u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_2_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 2u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_3_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 3u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_4_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 4u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_5_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 5u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_6_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 6u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    float old_7_ = y[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 7u, 63u)), (_buffer_sizes.size3 - 0 - 4) / 4)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e591 = block;
            block = _e591 + 1u;
        }
        loop_init = false;
        uint _e104 = block;
        if (_e104 < BLOCKS) {
        } else {
            break;
        }
        {
            uint block_0_ = block;
            uint block_1_ = block;
            uint block_2_ = block;
            uint block_3_ = block;
            uint _e116 = weight_row(first_1, 0u);
            Part _e120 = load((_e116 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e122 = weight_row(first_1, 1u);
            Part _e126 = load((_e122 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e128 = weight_row(first_1, 2u);
            Part _e132 = load((_e128 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e134 = weight_row(first_1, 3u);
            Part _e138 = load((_e134 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e140 = weight_row(first_1, 4u);
            Part _e144 = load((_e140 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e146 = weight_row(first_1, 5u);
            Part _e150 = load((_e146 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e152 = weight_row(first_1, 6u);
            Part _e156 = load((_e152 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e158 = weight_row(first_1, 7u);
            Part _e162 = load((_e158 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e164 = weight_row(first_1, 0u);
            Part _e168 = load((_e164 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e170 = weight_row(first_1, 1u);
            Part _e174 = load((_e170 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e176 = weight_row(first_1, 2u);
            Part _e180 = load((_e176 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e182 = weight_row(first_1, 3u);
            Part _e186 = load((_e182 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e188 = weight_row(first_1, 4u);
            Part _e192 = load((_e188 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e194 = weight_row(first_1, 5u);
            Part _e198 = load((_e194 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e200 = weight_row(first_1, 6u);
            Part _e204 = load((_e200 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e206 = weight_row(first_1, 7u);
            Part _e210 = load((_e206 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e212 = weight_row(first_1, 0u);
            Part _e216 = load((_e212 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e218 = weight_row(first_1, 1u);
            Part _e222 = load((_e218 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e224 = weight_row(first_1, 2u);
            Part _e228 = load((_e224 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e230 = weight_row(first_1, 3u);
            Part _e234 = load((_e230 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e236 = weight_row(first_1, 4u);
            Part _e240 = load((_e236 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e242 = weight_row(first_1, 5u);
            Part _e246 = load((_e242 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e248 = weight_row(first_1, 6u);
            Part _e252 = load((_e248 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e254 = weight_row(first_1, 7u);
            Part _e258 = load((_e254 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e260 = weight_row(first_1, 0u);
            Part _e264 = load((_e260 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e266 = weight_row(first_1, 1u);
            Part _e270 = load((_e266 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e272 = weight_row(first_1, 2u);
            Part _e276 = load((_e272 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e278 = weight_row(first_1, 3u);
            Part _e282 = load((_e278 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e284 = weight_row(first_1, 4u);
            Part _e288 = load((_e284 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e290 = weight_row(first_1, 5u);
            Part _e294 = load((_e290 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e296 = weight_row(first_1, 6u);
            Part _e300 = load((_e296 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e302 = weight_row(first_1, 7u);
            Part _e306 = load((_e302 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            type_7 _e307 = input(block_0_, 0u, 1u, x, _buffer_sizes);
            v_0_ = _e307;
            type_7 _e309 = input(block_1_, 1u, 1u, x, _buffer_sizes);
            v_1_ = _e309;
            type_7 _e311 = input(block_2_, 2u, 1u, x, _buffer_sizes);
            v_2_ = _e311;
            type_7 _e313 = input(block_3_, 3u, 1u, x, _buffer_sizes);
            v_3_ = _e313;
            metal::float4 _e316 = v_0_.inner[0];
            metal::float4 _e318 = v_0_.inner[1];
            metal::float4 whole_0_ = _e316 + _e318;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float4 _e328 = v_1_.inner[0];
            metal::float4 _e330 = v_1_.inner[1];
            metal::float4 whole_1_ = _e328 + _e330;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float4 _e340 = v_2_.inner[0];
            metal::float4 _e342 = v_2_.inner[1];
            metal::float4 whole_2_ = _e340 + _e342;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float4 _e352 = v_3_.inner[0];
            metal::float4 _e354 = v_3_.inner[1];
            metal::float4 whole_3_ = _e352 + _e354;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            float total = (total_0_ + total_1_) + (total_2_ + total_3_);
            metal::float2 _e366 = affine(_e120);
            type_7 _e367 = unpack(_e120);
            type_7 _e368 = v_0_;
            float _e369 = product(_e367, _e368);
            of_row_0_ = _e369;
            float _e371 = of_row_0_;
            type_7 _e372 = unpack(_e168);
            type_7 _e373 = v_1_;
            float _e374 = product(_e372, _e373);
            of_row_0_ = _e371 + _e374;
            float _e376 = of_row_0_;
            type_7 _e377 = unpack(_e216);
            type_7 _e378 = v_2_;
            float _e379 = product(_e377, _e378);
            of_row_0_ = _e376 + _e379;
            float _e381 = of_row_0_;
            type_7 _e382 = unpack(_e264);
            type_7 _e383 = v_3_;
            float _e384 = product(_e382, _e383);
            of_row_0_ = _e381 + _e384;
            float _e386 = sum_0_;
            float _e388 = of_row_0_;
            sum_0_ = _e386 + ((_e366.x * _e388) + (_e366.y * total));
            metal::float2 _e394 = affine(_e126);
            type_7 _e395 = unpack(_e126);
            type_7 _e396 = v_0_;
            float _e397 = product(_e395, _e396);
            of_row_1_ = _e397;
            float _e399 = of_row_1_;
            type_7 _e400 = unpack(_e174);
            type_7 _e401 = v_1_;
            float _e402 = product(_e400, _e401);
            of_row_1_ = _e399 + _e402;
            float _e404 = of_row_1_;
            type_7 _e405 = unpack(_e222);
            type_7 _e406 = v_2_;
            float _e407 = product(_e405, _e406);
            of_row_1_ = _e404 + _e407;
            float _e409 = of_row_1_;
            type_7 _e410 = unpack(_e270);
            type_7 _e411 = v_3_;
            float _e412 = product(_e410, _e411);
            of_row_1_ = _e409 + _e412;
            float _e414 = sum_1_;
            float _e416 = of_row_1_;
            sum_1_ = _e414 + ((_e394.x * _e416) + (_e394.y * total));
            metal::float2 _e422 = affine(_e132);
            type_7 _e423 = unpack(_e132);
            type_7 _e424 = v_0_;
            float _e425 = product(_e423, _e424);
            of_row_2_ = _e425;
            float _e427 = of_row_2_;
            type_7 _e428 = unpack(_e180);
            type_7 _e429 = v_1_;
            float _e430 = product(_e428, _e429);
            of_row_2_ = _e427 + _e430;
            float _e432 = of_row_2_;
            type_7 _e433 = unpack(_e228);
            type_7 _e434 = v_2_;
            float _e435 = product(_e433, _e434);
            of_row_2_ = _e432 + _e435;
            float _e437 = of_row_2_;
            type_7 _e438 = unpack(_e276);
            type_7 _e439 = v_3_;
            float _e440 = product(_e438, _e439);
            of_row_2_ = _e437 + _e440;
            float _e442 = sum_2_;
            float _e444 = of_row_2_;
            sum_2_ = _e442 + ((_e422.x * _e444) + (_e422.y * total));
            metal::float2 _e450 = affine(_e138);
            type_7 _e451 = unpack(_e138);
            type_7 _e452 = v_0_;
            float _e453 = product(_e451, _e452);
            of_row_3_ = _e453;
            float _e455 = of_row_3_;
            type_7 _e456 = unpack(_e186);
            type_7 _e457 = v_1_;
            float _e458 = product(_e456, _e457);
            of_row_3_ = _e455 + _e458;
            float _e460 = of_row_3_;
            type_7 _e461 = unpack(_e234);
            type_7 _e462 = v_2_;
            float _e463 = product(_e461, _e462);
            of_row_3_ = _e460 + _e463;
            float _e465 = of_row_3_;
            type_7 _e466 = unpack(_e282);
            type_7 _e467 = v_3_;
            float _e468 = product(_e466, _e467);
            of_row_3_ = _e465 + _e468;
            float _e470 = sum_3_;
            float _e472 = of_row_3_;
            sum_3_ = _e470 + ((_e450.x * _e472) + (_e450.y * total));
            metal::float2 _e478 = affine(_e144);
            type_7 _e479 = unpack(_e144);
            type_7 _e480 = v_0_;
            float _e481 = product(_e479, _e480);
            of_row_4_ = _e481;
            float _e483 = of_row_4_;
            type_7 _e484 = unpack(_e192);
            type_7 _e485 = v_1_;
            float _e486 = product(_e484, _e485);
            of_row_4_ = _e483 + _e486;
            float _e488 = of_row_4_;
            type_7 _e489 = unpack(_e240);
            type_7 _e490 = v_2_;
            float _e491 = product(_e489, _e490);
            of_row_4_ = _e488 + _e491;
            float _e493 = of_row_4_;
            type_7 _e494 = unpack(_e288);
            type_7 _e495 = v_3_;
            float _e496 = product(_e494, _e495);
            of_row_4_ = _e493 + _e496;
            float _e498 = sum_4_;
            float _e500 = of_row_4_;
            sum_4_ = _e498 + ((_e478.x * _e500) + (_e478.y * total));
            metal::float2 _e506 = affine(_e150);
            type_7 _e507 = unpack(_e150);
            type_7 _e508 = v_0_;
            float _e509 = product(_e507, _e508);
            of_row_5_ = _e509;
            float _e511 = of_row_5_;
            type_7 _e512 = unpack(_e198);
            type_7 _e513 = v_1_;
            float _e514 = product(_e512, _e513);
            of_row_5_ = _e511 + _e514;
            float _e516 = of_row_5_;
            type_7 _e517 = unpack(_e246);
            type_7 _e518 = v_2_;
            float _e519 = product(_e517, _e518);
            of_row_5_ = _e516 + _e519;
            float _e521 = of_row_5_;
            type_7 _e522 = unpack(_e294);
            type_7 _e523 = v_3_;
            float _e524 = product(_e522, _e523);
            of_row_5_ = _e521 + _e524;
            float _e526 = sum_5_;
            float _e528 = of_row_5_;
            sum_5_ = _e526 + ((_e506.x * _e528) + (_e506.y * total));
            metal::float2 _e534 = affine(_e156);
            type_7 _e535 = unpack(_e156);
            type_7 _e536 = v_0_;
            float _e537 = product(_e535, _e536);
            of_row_6_ = _e537;
            float _e539 = of_row_6_;
            type_7 _e540 = unpack(_e204);
            type_7 _e541 = v_1_;
            float _e542 = product(_e540, _e541);
            of_row_6_ = _e539 + _e542;
            float _e544 = of_row_6_;
            type_7 _e545 = unpack(_e252);
            type_7 _e546 = v_2_;
            float _e547 = product(_e545, _e546);
            of_row_6_ = _e544 + _e547;
            float _e549 = of_row_6_;
            type_7 _e550 = unpack(_e300);
            type_7 _e551 = v_3_;
            float _e552 = product(_e550, _e551);
            of_row_6_ = _e549 + _e552;
            float _e554 = sum_6_;
            float _e556 = of_row_6_;
            sum_6_ = _e554 + ((_e534.x * _e556) + (_e534.y * total));
            metal::float2 _e562 = affine(_e162);
            type_7 _e563 = unpack(_e162);
            type_7 _e564 = v_0_;
            float _e565 = product(_e563, _e564);
            of_row_7_ = _e565;
            float _e567 = of_row_7_;
            type_7 _e568 = unpack(_e210);
            type_7 _e569 = v_1_;
            float _e570 = product(_e568, _e569);
            of_row_7_ = _e567 + _e570;
            float _e572 = of_row_7_;
            type_7 _e573 = unpack(_e258);
            type_7 _e574 = v_2_;
            float _e575 = product(_e573, _e574);
            of_row_7_ = _e572 + _e575;
            float _e577 = of_row_7_;
            type_7 _e578 = unpack(_e306);
            type_7 _e579 = v_3_;
            float _e580 = product(_e578, _e579);
            of_row_7_ = _e577 + _e580;
            float _e582 = sum_7_;
            float _e584 = of_row_7_;
            sum_7_ = _e582 + ((_e562.x * _e584) + (_e562.y * total));
        }
    }
    float _e593 = sum_0_;
    value_0_ = _e593;
    float _e595 = value_0_;
    value_0_ = _e595 + old_0_;
    float _e597 = sum_1_;
    value_1_ = _e597;
    float _e599 = value_1_;
    value_1_ = _e599 + old_1_;
    float _e601 = sum_2_;
    value_2_ = _e601;
    float _e603 = value_2_;
    value_2_ = _e603 + old_2_;
    float _e605 = sum_3_;
    value_3_ = _e605;
    float _e607 = value_3_;
    value_3_ = _e607 + old_3_;
    float _e609 = sum_4_;
    value_4_ = _e609;
    float _e611 = value_4_;
    value_4_ = _e611 + old_4_;
    float _e613 = sum_5_;
    value_5_ = _e613;
    float _e615 = value_5_;
    value_5_ = _e615 + old_5_;
    float _e617 = sum_6_;
    value_6_ = _e617;
    float _e619 = value_6_;
    value_6_ = _e619 + old_6_;
    float _e621 = sum_7_;
    value_7_ = _e621;
    float _e623 = value_7_;
    value_7_ = _e623 + old_7_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e637 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e637;
        }
        if ((first_1 + 1u) < PIECE_ROWS) {
            float _e648 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e648;
        }
        if ((first_1 + 2u) < PIECE_ROWS) {
            float _e659 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 2u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e659;
        }
        if ((first_1 + 3u) < PIECE_ROWS) {
            float _e670 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 3u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e670;
        }
        if ((first_1 + 4u) < PIECE_ROWS) {
            float _e681 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 4u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e681;
        }
        if ((first_1 + 5u) < PIECE_ROWS) {
            float _e692 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 5u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e692;
        }
        if ((first_1 + 6u) < PIECE_ROWS) {
            float _e703 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 6u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e703;
        }
        if ((first_1 + 7u) < PIECE_ROWS) {
            float _e714 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 7u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e714;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
