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
constant uint PIECE_ROWS = 128u;
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
    return metal::min(first + r, 127u);
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
, device type_9 const& norm [[buffer(4)]]
, device type_10 const& bias [[buffer(5)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
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
    float bias_0_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 0u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_1_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 1u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_2_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 2u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_3_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 3u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_4_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 4u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_5_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 5u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_6_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 6u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    float bias_7_ = bias[metal::min(unsigned(PIECE_FIRST + metal::min(first_1 + 7u, 127u)), (_buffer_sizes.size5 - 0 - 4) / 4)];
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e704 = block;
            block = _e704 + 1u;
        }
        loop_init = false;
        uint _e105 = block;
        if (_e105 < BLOCKS) {
        } else {
            break;
        }
        {
            uint block_0_ = block;
            uint block_1_ = block;
            uint block_2_ = block;
            uint block_3_ = block;
            uint _e117 = weight_row(first_1, 0u);
            Part _e121 = load((_e117 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e123 = weight_row(first_1, 1u);
            Part _e127 = load((_e123 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e129 = weight_row(first_1, 2u);
            Part _e133 = load((_e129 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e135 = weight_row(first_1, 3u);
            Part _e139 = load((_e135 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e141 = weight_row(first_1, 4u);
            Part _e145 = load((_e141 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e147 = weight_row(first_1, 5u);
            Part _e151 = load((_e147 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e153 = weight_row(first_1, 6u);
            Part _e157 = load((_e153 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e159 = weight_row(first_1, 7u);
            Part _e163 = load((_e159 * BLOCKS) + block_0_, 0u, quants, scales, _buffer_sizes);
            uint _e165 = weight_row(first_1, 0u);
            Part _e169 = load((_e165 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e171 = weight_row(first_1, 1u);
            Part _e175 = load((_e171 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e177 = weight_row(first_1, 2u);
            Part _e181 = load((_e177 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e183 = weight_row(first_1, 3u);
            Part _e187 = load((_e183 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e189 = weight_row(first_1, 4u);
            Part _e193 = load((_e189 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e195 = weight_row(first_1, 5u);
            Part _e199 = load((_e195 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e201 = weight_row(first_1, 6u);
            Part _e205 = load((_e201 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e207 = weight_row(first_1, 7u);
            Part _e211 = load((_e207 * BLOCKS) + block_1_, 1u, quants, scales, _buffer_sizes);
            uint _e213 = weight_row(first_1, 0u);
            Part _e217 = load((_e213 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e219 = weight_row(first_1, 1u);
            Part _e223 = load((_e219 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e225 = weight_row(first_1, 2u);
            Part _e229 = load((_e225 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e231 = weight_row(first_1, 3u);
            Part _e235 = load((_e231 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e237 = weight_row(first_1, 4u);
            Part _e241 = load((_e237 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e243 = weight_row(first_1, 5u);
            Part _e247 = load((_e243 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e249 = weight_row(first_1, 6u);
            Part _e253 = load((_e249 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e255 = weight_row(first_1, 7u);
            Part _e259 = load((_e255 * BLOCKS) + block_2_, 2u, quants, scales, _buffer_sizes);
            uint _e261 = weight_row(first_1, 0u);
            Part _e265 = load((_e261 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e267 = weight_row(first_1, 1u);
            Part _e271 = load((_e267 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e273 = weight_row(first_1, 2u);
            Part _e277 = load((_e273 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e279 = weight_row(first_1, 3u);
            Part _e283 = load((_e279 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e285 = weight_row(first_1, 4u);
            Part _e289 = load((_e285 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e291 = weight_row(first_1, 5u);
            Part _e295 = load((_e291 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e297 = weight_row(first_1, 6u);
            Part _e301 = load((_e297 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            uint _e303 = weight_row(first_1, 7u);
            Part _e307 = load((_e303 * BLOCKS) + block_3_, 3u, quants, scales, _buffer_sizes);
            type_7 _e308 = input(block_0_, 0u, 1u, x, _buffer_sizes);
            v_0_ = _e308;
            type_7 _e310 = input(block_1_, 1u, 1u, x, _buffer_sizes);
            v_1_ = _e310;
            type_7 _e312 = input(block_2_, 2u, 1u, x, _buffer_sizes);
            v_2_ = _e312;
            type_7 _e314 = input(block_3_, 3u, 1u, x, _buffer_sizes);
            v_3_ = _e314;
            metal::float4 _e321 = norm[metal::min(unsigned((8u * block_0_) + 0u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e329 = norm[metal::min(unsigned(((8u * block_0_) + 4u) + 0u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_0_ = type_7 {{_e321, _e329}};
            metal::float4 _e336 = norm[metal::min(unsigned((8u * block_1_) + 1u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e344 = norm[metal::min(unsigned(((8u * block_1_) + 4u) + 1u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_1_ = type_7 {{_e336, _e344}};
            metal::float4 _e351 = norm[metal::min(unsigned((8u * block_2_) + 2u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e359 = norm[metal::min(unsigned(((8u * block_2_) + 4u) + 2u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_2_ = type_7 {{_e351, _e359}};
            metal::float4 _e366 = norm[metal::min(unsigned((8u * block_3_) + 3u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            metal::float4 _e374 = norm[metal::min(unsigned(((8u * block_3_) + 4u) + 3u), (_buffer_sizes.size4 - 0 - 16) / 16)];
            type_7 norm_3_ = type_7 {{_e366, _e374}};
            float _e376 = squares;
            type_7 _e377 = v_0_;
            type_7 _e378 = v_0_;
            float _e379 = product(_e377, _e378);
            squares = _e376 + _e379;
            metal::float4 _e382 = v_0_.inner[0];
            v_0_.inner[0] = _e382 * norm_0_.inner[0];
            metal::float4 _e386 = v_0_.inner[1];
            v_0_.inner[1] = _e386 * norm_0_.inner[1];
            float _e389 = squares;
            type_7 _e390 = v_1_;
            type_7 _e391 = v_1_;
            float _e392 = product(_e390, _e391);
            squares = _e389 + _e392;
            metal::float4 _e395 = v_1_.inner[0];
            v_1_.inner[0] = _e395 * norm_1_.inner[0];
            metal::float4 _e399 = v_1_.inner[1];
            v_1_.inner[1] = _e399 * norm_1_.inner[1];
            float _e402 = squares;
            type_7 _e403 = v_2_;
            type_7 _e404 = v_2_;
            float _e405 = product(_e403, _e404);
            squares = _e402 + _e405;
            metal::float4 _e408 = v_2_.inner[0];
            v_2_.inner[0] = _e408 * norm_2_.inner[0];
            metal::float4 _e412 = v_2_.inner[1];
            v_2_.inner[1] = _e412 * norm_2_.inner[1];
            float _e415 = squares;
            type_7 _e416 = v_3_;
            type_7 _e417 = v_3_;
            float _e418 = product(_e416, _e417);
            squares = _e415 + _e418;
            metal::float4 _e421 = v_3_.inner[0];
            v_3_.inner[0] = _e421 * norm_3_.inner[0];
            metal::float4 _e425 = v_3_.inner[1];
            v_3_.inner[1] = _e425 * norm_3_.inner[1];
            metal::float4 _e429 = v_0_.inner[0];
            metal::float4 _e431 = v_0_.inner[1];
            metal::float4 whole_0_ = _e429 + _e431;
            float total_0_ = (whole_0_.x + whole_0_.y) + (whole_0_.z + whole_0_.w);
            metal::float4 _e441 = v_1_.inner[0];
            metal::float4 _e443 = v_1_.inner[1];
            metal::float4 whole_1_ = _e441 + _e443;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float4 _e453 = v_2_.inner[0];
            metal::float4 _e455 = v_2_.inner[1];
            metal::float4 whole_2_ = _e453 + _e455;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float4 _e465 = v_3_.inner[0];
            metal::float4 _e467 = v_3_.inner[1];
            metal::float4 whole_3_ = _e465 + _e467;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            float total = (total_0_ + total_1_) + (total_2_ + total_3_);
            metal::float2 _e479 = affine(_e121);
            type_7 _e480 = unpack(_e121);
            type_7 _e481 = v_0_;
            float _e482 = product(_e480, _e481);
            of_row_0_ = _e482;
            float _e484 = of_row_0_;
            type_7 _e485 = unpack(_e169);
            type_7 _e486 = v_1_;
            float _e487 = product(_e485, _e486);
            of_row_0_ = _e484 + _e487;
            float _e489 = of_row_0_;
            type_7 _e490 = unpack(_e217);
            type_7 _e491 = v_2_;
            float _e492 = product(_e490, _e491);
            of_row_0_ = _e489 + _e492;
            float _e494 = of_row_0_;
            type_7 _e495 = unpack(_e265);
            type_7 _e496 = v_3_;
            float _e497 = product(_e495, _e496);
            of_row_0_ = _e494 + _e497;
            float _e499 = sum_0_;
            float _e501 = of_row_0_;
            sum_0_ = _e499 + ((_e479.x * _e501) + (_e479.y * total));
            metal::float2 _e507 = affine(_e127);
            type_7 _e508 = unpack(_e127);
            type_7 _e509 = v_0_;
            float _e510 = product(_e508, _e509);
            of_row_1_ = _e510;
            float _e512 = of_row_1_;
            type_7 _e513 = unpack(_e175);
            type_7 _e514 = v_1_;
            float _e515 = product(_e513, _e514);
            of_row_1_ = _e512 + _e515;
            float _e517 = of_row_1_;
            type_7 _e518 = unpack(_e223);
            type_7 _e519 = v_2_;
            float _e520 = product(_e518, _e519);
            of_row_1_ = _e517 + _e520;
            float _e522 = of_row_1_;
            type_7 _e523 = unpack(_e271);
            type_7 _e524 = v_3_;
            float _e525 = product(_e523, _e524);
            of_row_1_ = _e522 + _e525;
            float _e527 = sum_1_;
            float _e529 = of_row_1_;
            sum_1_ = _e527 + ((_e507.x * _e529) + (_e507.y * total));
            metal::float2 _e535 = affine(_e133);
            type_7 _e536 = unpack(_e133);
            type_7 _e537 = v_0_;
            float _e538 = product(_e536, _e537);
            of_row_2_ = _e538;
            float _e540 = of_row_2_;
            type_7 _e541 = unpack(_e181);
            type_7 _e542 = v_1_;
            float _e543 = product(_e541, _e542);
            of_row_2_ = _e540 + _e543;
            float _e545 = of_row_2_;
            type_7 _e546 = unpack(_e229);
            type_7 _e547 = v_2_;
            float _e548 = product(_e546, _e547);
            of_row_2_ = _e545 + _e548;
            float _e550 = of_row_2_;
            type_7 _e551 = unpack(_e277);
            type_7 _e552 = v_3_;
            float _e553 = product(_e551, _e552);
            of_row_2_ = _e550 + _e553;
            float _e555 = sum_2_;
            float _e557 = of_row_2_;
            sum_2_ = _e555 + ((_e535.x * _e557) + (_e535.y * total));
            metal::float2 _e563 = affine(_e139);
            type_7 _e564 = unpack(_e139);
            type_7 _e565 = v_0_;
            float _e566 = product(_e564, _e565);
            of_row_3_ = _e566;
            float _e568 = of_row_3_;
            type_7 _e569 = unpack(_e187);
            type_7 _e570 = v_1_;
            float _e571 = product(_e569, _e570);
            of_row_3_ = _e568 + _e571;
            float _e573 = of_row_3_;
            type_7 _e574 = unpack(_e235);
            type_7 _e575 = v_2_;
            float _e576 = product(_e574, _e575);
            of_row_3_ = _e573 + _e576;
            float _e578 = of_row_3_;
            type_7 _e579 = unpack(_e283);
            type_7 _e580 = v_3_;
            float _e581 = product(_e579, _e580);
            of_row_3_ = _e578 + _e581;
            float _e583 = sum_3_;
            float _e585 = of_row_3_;
            sum_3_ = _e583 + ((_e563.x * _e585) + (_e563.y * total));
            metal::float2 _e591 = affine(_e145);
            type_7 _e592 = unpack(_e145);
            type_7 _e593 = v_0_;
            float _e594 = product(_e592, _e593);
            of_row_4_ = _e594;
            float _e596 = of_row_4_;
            type_7 _e597 = unpack(_e193);
            type_7 _e598 = v_1_;
            float _e599 = product(_e597, _e598);
            of_row_4_ = _e596 + _e599;
            float _e601 = of_row_4_;
            type_7 _e602 = unpack(_e241);
            type_7 _e603 = v_2_;
            float _e604 = product(_e602, _e603);
            of_row_4_ = _e601 + _e604;
            float _e606 = of_row_4_;
            type_7 _e607 = unpack(_e289);
            type_7 _e608 = v_3_;
            float _e609 = product(_e607, _e608);
            of_row_4_ = _e606 + _e609;
            float _e611 = sum_4_;
            float _e613 = of_row_4_;
            sum_4_ = _e611 + ((_e591.x * _e613) + (_e591.y * total));
            metal::float2 _e619 = affine(_e151);
            type_7 _e620 = unpack(_e151);
            type_7 _e621 = v_0_;
            float _e622 = product(_e620, _e621);
            of_row_5_ = _e622;
            float _e624 = of_row_5_;
            type_7 _e625 = unpack(_e199);
            type_7 _e626 = v_1_;
            float _e627 = product(_e625, _e626);
            of_row_5_ = _e624 + _e627;
            float _e629 = of_row_5_;
            type_7 _e630 = unpack(_e247);
            type_7 _e631 = v_2_;
            float _e632 = product(_e630, _e631);
            of_row_5_ = _e629 + _e632;
            float _e634 = of_row_5_;
            type_7 _e635 = unpack(_e295);
            type_7 _e636 = v_3_;
            float _e637 = product(_e635, _e636);
            of_row_5_ = _e634 + _e637;
            float _e639 = sum_5_;
            float _e641 = of_row_5_;
            sum_5_ = _e639 + ((_e619.x * _e641) + (_e619.y * total));
            metal::float2 _e647 = affine(_e157);
            type_7 _e648 = unpack(_e157);
            type_7 _e649 = v_0_;
            float _e650 = product(_e648, _e649);
            of_row_6_ = _e650;
            float _e652 = of_row_6_;
            type_7 _e653 = unpack(_e205);
            type_7 _e654 = v_1_;
            float _e655 = product(_e653, _e654);
            of_row_6_ = _e652 + _e655;
            float _e657 = of_row_6_;
            type_7 _e658 = unpack(_e253);
            type_7 _e659 = v_2_;
            float _e660 = product(_e658, _e659);
            of_row_6_ = _e657 + _e660;
            float _e662 = of_row_6_;
            type_7 _e663 = unpack(_e301);
            type_7 _e664 = v_3_;
            float _e665 = product(_e663, _e664);
            of_row_6_ = _e662 + _e665;
            float _e667 = sum_6_;
            float _e669 = of_row_6_;
            sum_6_ = _e667 + ((_e647.x * _e669) + (_e647.y * total));
            metal::float2 _e675 = affine(_e163);
            type_7 _e676 = unpack(_e163);
            type_7 _e677 = v_0_;
            float _e678 = product(_e676, _e677);
            of_row_7_ = _e678;
            float _e680 = of_row_7_;
            type_7 _e681 = unpack(_e211);
            type_7 _e682 = v_1_;
            float _e683 = product(_e681, _e682);
            of_row_7_ = _e680 + _e683;
            float _e685 = of_row_7_;
            type_7 _e686 = unpack(_e259);
            type_7 _e687 = v_2_;
            float _e688 = product(_e686, _e687);
            of_row_7_ = _e685 + _e688;
            float _e690 = of_row_7_;
            type_7 _e691 = unpack(_e307);
            type_7 _e692 = v_3_;
            float _e693 = product(_e691, _e692);
            of_row_7_ = _e690 + _e693;
            float _e695 = sum_7_;
            float _e697 = of_row_7_;
            sum_7_ = _e695 + ((_e675.x * _e697) + (_e675.y * total));
        }
    }
    float _e706 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e706 / 64.0) + EPSILON);
    float _e714 = sum_0_;
    sum_0_ = _e714 * scale_1;
    float _e716 = sum_1_;
    sum_1_ = _e716 * scale_1;
    float _e718 = sum_2_;
    sum_2_ = _e718 * scale_1;
    float _e720 = sum_3_;
    sum_3_ = _e720 * scale_1;
    float _e722 = sum_4_;
    sum_4_ = _e722 * scale_1;
    float _e724 = sum_5_;
    sum_5_ = _e724 * scale_1;
    float _e726 = sum_6_;
    sum_6_ = _e726 * scale_1;
    float _e728 = sum_7_;
    sum_7_ = _e728 * scale_1;
    float _e730 = sum_0_;
    value_0_ = _e730;
    float _e732 = value_0_;
    value_0_ = _e732 + bias_0_;
    float _e734 = sum_1_;
    value_1_ = _e734;
    float _e736 = value_1_;
    value_1_ = _e736 + bias_1_;
    float _e738 = sum_2_;
    value_2_ = _e738;
    float _e740 = value_2_;
    value_2_ = _e740 + bias_2_;
    float _e742 = sum_3_;
    value_3_ = _e742;
    float _e744 = value_3_;
    value_3_ = _e744 + bias_3_;
    float _e746 = sum_4_;
    value_4_ = _e746;
    float _e748 = value_4_;
    value_4_ = _e748 + bias_4_;
    float _e750 = sum_5_;
    value_5_ = _e750;
    float _e752 = value_5_;
    value_5_ = _e752 + bias_5_;
    float _e754 = sum_6_;
    value_6_ = _e754;
    float _e756 = value_6_;
    value_6_ = _e756 + bias_6_;
    float _e758 = sum_7_;
    value_7_ = _e758;
    float _e760 = value_7_;
    value_7_ = _e760 + bias_7_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e774 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e774;
        }
        if ((first_1 + 1u) < PIECE_ROWS) {
            float _e785 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e785;
        }
        if ((first_1 + 2u) < PIECE_ROWS) {
            float _e796 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 2u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e796;
        }
        if ((first_1 + 3u) < PIECE_ROWS) {
            float _e807 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 3u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e807;
        }
        if ((first_1 + 4u) < PIECE_ROWS) {
            float _e818 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 4u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e818;
        }
        if ((first_1 + 5u) < PIECE_ROWS) {
            float _e829 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 5u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e829;
        }
        if ((first_1 + 6u) < PIECE_ROWS) {
            float _e840 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 6u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e840;
        }
        if ((first_1 + 7u) < PIECE_ROWS) {
            float _e851 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 7u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e851;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
