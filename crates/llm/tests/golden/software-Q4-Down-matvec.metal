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
constant uint BLOCKS = 3u;
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
            uint _e716 = block;
            block = _e716 + 1u;
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
            metal::float2 _e327 = affine(_e120);
            float _e328 = sum_0_;
            type_7 _e330 = unpack(_e120);
            type_7 _e331 = v_0_;
            float _e332 = product(_e330, _e331);
            sum_0_ = _e328 + ((_e327.x * _e332) + (_e327.y * total_0_));
            metal::float2 _e338 = affine(_e126);
            float _e339 = sum_1_;
            type_7 _e341 = unpack(_e126);
            type_7 _e342 = v_0_;
            float _e343 = product(_e341, _e342);
            sum_1_ = _e339 + ((_e338.x * _e343) + (_e338.y * total_0_));
            metal::float2 _e349 = affine(_e132);
            float _e350 = sum_2_;
            type_7 _e352 = unpack(_e132);
            type_7 _e353 = v_0_;
            float _e354 = product(_e352, _e353);
            sum_2_ = _e350 + ((_e349.x * _e354) + (_e349.y * total_0_));
            metal::float2 _e360 = affine(_e138);
            float _e361 = sum_3_;
            type_7 _e363 = unpack(_e138);
            type_7 _e364 = v_0_;
            float _e365 = product(_e363, _e364);
            sum_3_ = _e361 + ((_e360.x * _e365) + (_e360.y * total_0_));
            metal::float2 _e371 = affine(_e144);
            float _e372 = sum_4_;
            type_7 _e374 = unpack(_e144);
            type_7 _e375 = v_0_;
            float _e376 = product(_e374, _e375);
            sum_4_ = _e372 + ((_e371.x * _e376) + (_e371.y * total_0_));
            metal::float2 _e382 = affine(_e150);
            float _e383 = sum_5_;
            type_7 _e385 = unpack(_e150);
            type_7 _e386 = v_0_;
            float _e387 = product(_e385, _e386);
            sum_5_ = _e383 + ((_e382.x * _e387) + (_e382.y * total_0_));
            metal::float2 _e393 = affine(_e156);
            float _e394 = sum_6_;
            type_7 _e396 = unpack(_e156);
            type_7 _e397 = v_0_;
            float _e398 = product(_e396, _e397);
            sum_6_ = _e394 + ((_e393.x * _e398) + (_e393.y * total_0_));
            metal::float2 _e404 = affine(_e162);
            float _e405 = sum_7_;
            type_7 _e407 = unpack(_e162);
            type_7 _e408 = v_0_;
            float _e409 = product(_e407, _e408);
            sum_7_ = _e405 + ((_e404.x * _e409) + (_e404.y * total_0_));
            metal::float4 _e416 = v_1_.inner[0];
            metal::float4 _e418 = v_1_.inner[1];
            metal::float4 whole_1_ = _e416 + _e418;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float2 _e427 = affine(_e168);
            float _e428 = sum_0_;
            type_7 _e430 = unpack(_e168);
            type_7 _e431 = v_1_;
            float _e432 = product(_e430, _e431);
            sum_0_ = _e428 + ((_e427.x * _e432) + (_e427.y * total_1_));
            metal::float2 _e438 = affine(_e174);
            float _e439 = sum_1_;
            type_7 _e441 = unpack(_e174);
            type_7 _e442 = v_1_;
            float _e443 = product(_e441, _e442);
            sum_1_ = _e439 + ((_e438.x * _e443) + (_e438.y * total_1_));
            metal::float2 _e449 = affine(_e180);
            float _e450 = sum_2_;
            type_7 _e452 = unpack(_e180);
            type_7 _e453 = v_1_;
            float _e454 = product(_e452, _e453);
            sum_2_ = _e450 + ((_e449.x * _e454) + (_e449.y * total_1_));
            metal::float2 _e460 = affine(_e186);
            float _e461 = sum_3_;
            type_7 _e463 = unpack(_e186);
            type_7 _e464 = v_1_;
            float _e465 = product(_e463, _e464);
            sum_3_ = _e461 + ((_e460.x * _e465) + (_e460.y * total_1_));
            metal::float2 _e471 = affine(_e192);
            float _e472 = sum_4_;
            type_7 _e474 = unpack(_e192);
            type_7 _e475 = v_1_;
            float _e476 = product(_e474, _e475);
            sum_4_ = _e472 + ((_e471.x * _e476) + (_e471.y * total_1_));
            metal::float2 _e482 = affine(_e198);
            float _e483 = sum_5_;
            type_7 _e485 = unpack(_e198);
            type_7 _e486 = v_1_;
            float _e487 = product(_e485, _e486);
            sum_5_ = _e483 + ((_e482.x * _e487) + (_e482.y * total_1_));
            metal::float2 _e493 = affine(_e204);
            float _e494 = sum_6_;
            type_7 _e496 = unpack(_e204);
            type_7 _e497 = v_1_;
            float _e498 = product(_e496, _e497);
            sum_6_ = _e494 + ((_e493.x * _e498) + (_e493.y * total_1_));
            metal::float2 _e504 = affine(_e210);
            float _e505 = sum_7_;
            type_7 _e507 = unpack(_e210);
            type_7 _e508 = v_1_;
            float _e509 = product(_e507, _e508);
            sum_7_ = _e505 + ((_e504.x * _e509) + (_e504.y * total_1_));
            metal::float4 _e516 = v_2_.inner[0];
            metal::float4 _e518 = v_2_.inner[1];
            metal::float4 whole_2_ = _e516 + _e518;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float2 _e527 = affine(_e216);
            float _e528 = sum_0_;
            type_7 _e530 = unpack(_e216);
            type_7 _e531 = v_2_;
            float _e532 = product(_e530, _e531);
            sum_0_ = _e528 + ((_e527.x * _e532) + (_e527.y * total_2_));
            metal::float2 _e538 = affine(_e222);
            float _e539 = sum_1_;
            type_7 _e541 = unpack(_e222);
            type_7 _e542 = v_2_;
            float _e543 = product(_e541, _e542);
            sum_1_ = _e539 + ((_e538.x * _e543) + (_e538.y * total_2_));
            metal::float2 _e549 = affine(_e228);
            float _e550 = sum_2_;
            type_7 _e552 = unpack(_e228);
            type_7 _e553 = v_2_;
            float _e554 = product(_e552, _e553);
            sum_2_ = _e550 + ((_e549.x * _e554) + (_e549.y * total_2_));
            metal::float2 _e560 = affine(_e234);
            float _e561 = sum_3_;
            type_7 _e563 = unpack(_e234);
            type_7 _e564 = v_2_;
            float _e565 = product(_e563, _e564);
            sum_3_ = _e561 + ((_e560.x * _e565) + (_e560.y * total_2_));
            metal::float2 _e571 = affine(_e240);
            float _e572 = sum_4_;
            type_7 _e574 = unpack(_e240);
            type_7 _e575 = v_2_;
            float _e576 = product(_e574, _e575);
            sum_4_ = _e572 + ((_e571.x * _e576) + (_e571.y * total_2_));
            metal::float2 _e582 = affine(_e246);
            float _e583 = sum_5_;
            type_7 _e585 = unpack(_e246);
            type_7 _e586 = v_2_;
            float _e587 = product(_e585, _e586);
            sum_5_ = _e583 + ((_e582.x * _e587) + (_e582.y * total_2_));
            metal::float2 _e593 = affine(_e252);
            float _e594 = sum_6_;
            type_7 _e596 = unpack(_e252);
            type_7 _e597 = v_2_;
            float _e598 = product(_e596, _e597);
            sum_6_ = _e594 + ((_e593.x * _e598) + (_e593.y * total_2_));
            metal::float2 _e604 = affine(_e258);
            float _e605 = sum_7_;
            type_7 _e607 = unpack(_e258);
            type_7 _e608 = v_2_;
            float _e609 = product(_e607, _e608);
            sum_7_ = _e605 + ((_e604.x * _e609) + (_e604.y * total_2_));
            metal::float4 _e616 = v_3_.inner[0];
            metal::float4 _e618 = v_3_.inner[1];
            metal::float4 whole_3_ = _e616 + _e618;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            metal::float2 _e627 = affine(_e264);
            float _e628 = sum_0_;
            type_7 _e630 = unpack(_e264);
            type_7 _e631 = v_3_;
            float _e632 = product(_e630, _e631);
            sum_0_ = _e628 + ((_e627.x * _e632) + (_e627.y * total_3_));
            metal::float2 _e638 = affine(_e270);
            float _e639 = sum_1_;
            type_7 _e641 = unpack(_e270);
            type_7 _e642 = v_3_;
            float _e643 = product(_e641, _e642);
            sum_1_ = _e639 + ((_e638.x * _e643) + (_e638.y * total_3_));
            metal::float2 _e649 = affine(_e276);
            float _e650 = sum_2_;
            type_7 _e652 = unpack(_e276);
            type_7 _e653 = v_3_;
            float _e654 = product(_e652, _e653);
            sum_2_ = _e650 + ((_e649.x * _e654) + (_e649.y * total_3_));
            metal::float2 _e660 = affine(_e282);
            float _e661 = sum_3_;
            type_7 _e663 = unpack(_e282);
            type_7 _e664 = v_3_;
            float _e665 = product(_e663, _e664);
            sum_3_ = _e661 + ((_e660.x * _e665) + (_e660.y * total_3_));
            metal::float2 _e671 = affine(_e288);
            float _e672 = sum_4_;
            type_7 _e674 = unpack(_e288);
            type_7 _e675 = v_3_;
            float _e676 = product(_e674, _e675);
            sum_4_ = _e672 + ((_e671.x * _e676) + (_e671.y * total_3_));
            metal::float2 _e682 = affine(_e294);
            float _e683 = sum_5_;
            type_7 _e685 = unpack(_e294);
            type_7 _e686 = v_3_;
            float _e687 = product(_e685, _e686);
            sum_5_ = _e683 + ((_e682.x * _e687) + (_e682.y * total_3_));
            metal::float2 _e693 = affine(_e300);
            float _e694 = sum_6_;
            type_7 _e696 = unpack(_e300);
            type_7 _e697 = v_3_;
            float _e698 = product(_e696, _e697);
            sum_6_ = _e694 + ((_e693.x * _e698) + (_e693.y * total_3_));
            metal::float2 _e704 = affine(_e306);
            float _e705 = sum_7_;
            type_7 _e707 = unpack(_e306);
            type_7 _e708 = v_3_;
            float _e709 = product(_e707, _e708);
            sum_7_ = _e705 + ((_e704.x * _e709) + (_e704.y * total_3_));
        }
    }
    float _e718 = sum_0_;
    value_0_ = _e718;
    float _e720 = value_0_;
    value_0_ = _e720 + old_0_;
    float _e722 = sum_1_;
    value_1_ = _e722;
    float _e724 = value_1_;
    value_1_ = _e724 + old_1_;
    float _e726 = sum_2_;
    value_2_ = _e726;
    float _e728 = value_2_;
    value_2_ = _e728 + old_2_;
    float _e730 = sum_3_;
    value_3_ = _e730;
    float _e732 = value_3_;
    value_3_ = _e732 + old_3_;
    float _e734 = sum_4_;
    value_4_ = _e734;
    float _e736 = value_4_;
    value_4_ = _e736 + old_4_;
    float _e738 = sum_5_;
    value_5_ = _e738;
    float _e740 = value_5_;
    value_5_ = _e740 + old_5_;
    float _e742 = sum_6_;
    value_6_ = _e742;
    float _e744 = value_6_;
    value_6_ = _e744 + old_6_;
    float _e746 = sum_7_;
    value_7_ = _e746;
    float _e748 = value_7_;
    value_7_ = _e748 + old_7_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e762 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e762;
        }
        if ((first_1 + 1u) < PIECE_ROWS) {
            float _e773 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e773;
        }
        if ((first_1 + 2u) < PIECE_ROWS) {
            float _e784 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 2u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e784;
        }
        if ((first_1 + 3u) < PIECE_ROWS) {
            float _e795 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 3u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e795;
        }
        if ((first_1 + 4u) < PIECE_ROWS) {
            float _e806 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 4u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e806;
        }
        if ((first_1 + 5u) < PIECE_ROWS) {
            float _e817 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 5u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e817;
        }
        if ((first_1 + 6u) < PIECE_ROWS) {
            float _e828 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 6u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e828;
        }
        if ((first_1 + 7u) < PIECE_ROWS) {
            float _e839 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 7u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e839;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
