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
            uint _e829 = block;
            block = _e829 + 1u;
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
            metal::float2 _e440 = affine(_e121);
            float _e441 = sum_0_;
            type_7 _e443 = unpack(_e121);
            type_7 _e444 = v_0_;
            float _e445 = product(_e443, _e444);
            sum_0_ = _e441 + ((_e440.x * _e445) + (_e440.y * total_0_));
            metal::float2 _e451 = affine(_e127);
            float _e452 = sum_1_;
            type_7 _e454 = unpack(_e127);
            type_7 _e455 = v_0_;
            float _e456 = product(_e454, _e455);
            sum_1_ = _e452 + ((_e451.x * _e456) + (_e451.y * total_0_));
            metal::float2 _e462 = affine(_e133);
            float _e463 = sum_2_;
            type_7 _e465 = unpack(_e133);
            type_7 _e466 = v_0_;
            float _e467 = product(_e465, _e466);
            sum_2_ = _e463 + ((_e462.x * _e467) + (_e462.y * total_0_));
            metal::float2 _e473 = affine(_e139);
            float _e474 = sum_3_;
            type_7 _e476 = unpack(_e139);
            type_7 _e477 = v_0_;
            float _e478 = product(_e476, _e477);
            sum_3_ = _e474 + ((_e473.x * _e478) + (_e473.y * total_0_));
            metal::float2 _e484 = affine(_e145);
            float _e485 = sum_4_;
            type_7 _e487 = unpack(_e145);
            type_7 _e488 = v_0_;
            float _e489 = product(_e487, _e488);
            sum_4_ = _e485 + ((_e484.x * _e489) + (_e484.y * total_0_));
            metal::float2 _e495 = affine(_e151);
            float _e496 = sum_5_;
            type_7 _e498 = unpack(_e151);
            type_7 _e499 = v_0_;
            float _e500 = product(_e498, _e499);
            sum_5_ = _e496 + ((_e495.x * _e500) + (_e495.y * total_0_));
            metal::float2 _e506 = affine(_e157);
            float _e507 = sum_6_;
            type_7 _e509 = unpack(_e157);
            type_7 _e510 = v_0_;
            float _e511 = product(_e509, _e510);
            sum_6_ = _e507 + ((_e506.x * _e511) + (_e506.y * total_0_));
            metal::float2 _e517 = affine(_e163);
            float _e518 = sum_7_;
            type_7 _e520 = unpack(_e163);
            type_7 _e521 = v_0_;
            float _e522 = product(_e520, _e521);
            sum_7_ = _e518 + ((_e517.x * _e522) + (_e517.y * total_0_));
            metal::float4 _e529 = v_1_.inner[0];
            metal::float4 _e531 = v_1_.inner[1];
            metal::float4 whole_1_ = _e529 + _e531;
            float total_1_ = (whole_1_.x + whole_1_.y) + (whole_1_.z + whole_1_.w);
            metal::float2 _e540 = affine(_e169);
            float _e541 = sum_0_;
            type_7 _e543 = unpack(_e169);
            type_7 _e544 = v_1_;
            float _e545 = product(_e543, _e544);
            sum_0_ = _e541 + ((_e540.x * _e545) + (_e540.y * total_1_));
            metal::float2 _e551 = affine(_e175);
            float _e552 = sum_1_;
            type_7 _e554 = unpack(_e175);
            type_7 _e555 = v_1_;
            float _e556 = product(_e554, _e555);
            sum_1_ = _e552 + ((_e551.x * _e556) + (_e551.y * total_1_));
            metal::float2 _e562 = affine(_e181);
            float _e563 = sum_2_;
            type_7 _e565 = unpack(_e181);
            type_7 _e566 = v_1_;
            float _e567 = product(_e565, _e566);
            sum_2_ = _e563 + ((_e562.x * _e567) + (_e562.y * total_1_));
            metal::float2 _e573 = affine(_e187);
            float _e574 = sum_3_;
            type_7 _e576 = unpack(_e187);
            type_7 _e577 = v_1_;
            float _e578 = product(_e576, _e577);
            sum_3_ = _e574 + ((_e573.x * _e578) + (_e573.y * total_1_));
            metal::float2 _e584 = affine(_e193);
            float _e585 = sum_4_;
            type_7 _e587 = unpack(_e193);
            type_7 _e588 = v_1_;
            float _e589 = product(_e587, _e588);
            sum_4_ = _e585 + ((_e584.x * _e589) + (_e584.y * total_1_));
            metal::float2 _e595 = affine(_e199);
            float _e596 = sum_5_;
            type_7 _e598 = unpack(_e199);
            type_7 _e599 = v_1_;
            float _e600 = product(_e598, _e599);
            sum_5_ = _e596 + ((_e595.x * _e600) + (_e595.y * total_1_));
            metal::float2 _e606 = affine(_e205);
            float _e607 = sum_6_;
            type_7 _e609 = unpack(_e205);
            type_7 _e610 = v_1_;
            float _e611 = product(_e609, _e610);
            sum_6_ = _e607 + ((_e606.x * _e611) + (_e606.y * total_1_));
            metal::float2 _e617 = affine(_e211);
            float _e618 = sum_7_;
            type_7 _e620 = unpack(_e211);
            type_7 _e621 = v_1_;
            float _e622 = product(_e620, _e621);
            sum_7_ = _e618 + ((_e617.x * _e622) + (_e617.y * total_1_));
            metal::float4 _e629 = v_2_.inner[0];
            metal::float4 _e631 = v_2_.inner[1];
            metal::float4 whole_2_ = _e629 + _e631;
            float total_2_ = (whole_2_.x + whole_2_.y) + (whole_2_.z + whole_2_.w);
            metal::float2 _e640 = affine(_e217);
            float _e641 = sum_0_;
            type_7 _e643 = unpack(_e217);
            type_7 _e644 = v_2_;
            float _e645 = product(_e643, _e644);
            sum_0_ = _e641 + ((_e640.x * _e645) + (_e640.y * total_2_));
            metal::float2 _e651 = affine(_e223);
            float _e652 = sum_1_;
            type_7 _e654 = unpack(_e223);
            type_7 _e655 = v_2_;
            float _e656 = product(_e654, _e655);
            sum_1_ = _e652 + ((_e651.x * _e656) + (_e651.y * total_2_));
            metal::float2 _e662 = affine(_e229);
            float _e663 = sum_2_;
            type_7 _e665 = unpack(_e229);
            type_7 _e666 = v_2_;
            float _e667 = product(_e665, _e666);
            sum_2_ = _e663 + ((_e662.x * _e667) + (_e662.y * total_2_));
            metal::float2 _e673 = affine(_e235);
            float _e674 = sum_3_;
            type_7 _e676 = unpack(_e235);
            type_7 _e677 = v_2_;
            float _e678 = product(_e676, _e677);
            sum_3_ = _e674 + ((_e673.x * _e678) + (_e673.y * total_2_));
            metal::float2 _e684 = affine(_e241);
            float _e685 = sum_4_;
            type_7 _e687 = unpack(_e241);
            type_7 _e688 = v_2_;
            float _e689 = product(_e687, _e688);
            sum_4_ = _e685 + ((_e684.x * _e689) + (_e684.y * total_2_));
            metal::float2 _e695 = affine(_e247);
            float _e696 = sum_5_;
            type_7 _e698 = unpack(_e247);
            type_7 _e699 = v_2_;
            float _e700 = product(_e698, _e699);
            sum_5_ = _e696 + ((_e695.x * _e700) + (_e695.y * total_2_));
            metal::float2 _e706 = affine(_e253);
            float _e707 = sum_6_;
            type_7 _e709 = unpack(_e253);
            type_7 _e710 = v_2_;
            float _e711 = product(_e709, _e710);
            sum_6_ = _e707 + ((_e706.x * _e711) + (_e706.y * total_2_));
            metal::float2 _e717 = affine(_e259);
            float _e718 = sum_7_;
            type_7 _e720 = unpack(_e259);
            type_7 _e721 = v_2_;
            float _e722 = product(_e720, _e721);
            sum_7_ = _e718 + ((_e717.x * _e722) + (_e717.y * total_2_));
            metal::float4 _e729 = v_3_.inner[0];
            metal::float4 _e731 = v_3_.inner[1];
            metal::float4 whole_3_ = _e729 + _e731;
            float total_3_ = (whole_3_.x + whole_3_.y) + (whole_3_.z + whole_3_.w);
            metal::float2 _e740 = affine(_e265);
            float _e741 = sum_0_;
            type_7 _e743 = unpack(_e265);
            type_7 _e744 = v_3_;
            float _e745 = product(_e743, _e744);
            sum_0_ = _e741 + ((_e740.x * _e745) + (_e740.y * total_3_));
            metal::float2 _e751 = affine(_e271);
            float _e752 = sum_1_;
            type_7 _e754 = unpack(_e271);
            type_7 _e755 = v_3_;
            float _e756 = product(_e754, _e755);
            sum_1_ = _e752 + ((_e751.x * _e756) + (_e751.y * total_3_));
            metal::float2 _e762 = affine(_e277);
            float _e763 = sum_2_;
            type_7 _e765 = unpack(_e277);
            type_7 _e766 = v_3_;
            float _e767 = product(_e765, _e766);
            sum_2_ = _e763 + ((_e762.x * _e767) + (_e762.y * total_3_));
            metal::float2 _e773 = affine(_e283);
            float _e774 = sum_3_;
            type_7 _e776 = unpack(_e283);
            type_7 _e777 = v_3_;
            float _e778 = product(_e776, _e777);
            sum_3_ = _e774 + ((_e773.x * _e778) + (_e773.y * total_3_));
            metal::float2 _e784 = affine(_e289);
            float _e785 = sum_4_;
            type_7 _e787 = unpack(_e289);
            type_7 _e788 = v_3_;
            float _e789 = product(_e787, _e788);
            sum_4_ = _e785 + ((_e784.x * _e789) + (_e784.y * total_3_));
            metal::float2 _e795 = affine(_e295);
            float _e796 = sum_5_;
            type_7 _e798 = unpack(_e295);
            type_7 _e799 = v_3_;
            float _e800 = product(_e798, _e799);
            sum_5_ = _e796 + ((_e795.x * _e800) + (_e795.y * total_3_));
            metal::float2 _e806 = affine(_e301);
            float _e807 = sum_6_;
            type_7 _e809 = unpack(_e301);
            type_7 _e810 = v_3_;
            float _e811 = product(_e809, _e810);
            sum_6_ = _e807 + ((_e806.x * _e811) + (_e806.y * total_3_));
            metal::float2 _e817 = affine(_e307);
            float _e818 = sum_7_;
            type_7 _e820 = unpack(_e307);
            type_7 _e821 = v_3_;
            float _e822 = product(_e820, _e821);
            sum_7_ = _e818 + ((_e817.x * _e822) + (_e817.y * total_3_));
        }
    }
    float _e831 = squares;
    float scale_1 = 1.0 / metal::sqrt((_e831 / 64.0) + EPSILON);
    float _e839 = sum_0_;
    sum_0_ = _e839 * scale_1;
    float _e841 = sum_1_;
    sum_1_ = _e841 * scale_1;
    float _e843 = sum_2_;
    sum_2_ = _e843 * scale_1;
    float _e845 = sum_3_;
    sum_3_ = _e845 * scale_1;
    float _e847 = sum_4_;
    sum_4_ = _e847 * scale_1;
    float _e849 = sum_5_;
    sum_5_ = _e849 * scale_1;
    float _e851 = sum_6_;
    sum_6_ = _e851 * scale_1;
    float _e853 = sum_7_;
    sum_7_ = _e853 * scale_1;
    float _e855 = sum_0_;
    value_0_ = _e855;
    float _e857 = value_0_;
    value_0_ = _e857 + bias_0_;
    float _e859 = sum_1_;
    value_1_ = _e859;
    float _e861 = value_1_;
    value_1_ = _e861 + bias_1_;
    float _e863 = sum_2_;
    value_2_ = _e863;
    float _e865 = value_2_;
    value_2_ = _e865 + bias_2_;
    float _e867 = sum_3_;
    value_3_ = _e867;
    float _e869 = value_3_;
    value_3_ = _e869 + bias_3_;
    float _e871 = sum_4_;
    value_4_ = _e871;
    float _e873 = value_4_;
    value_4_ = _e873 + bias_4_;
    float _e875 = sum_5_;
    value_5_ = _e875;
    float _e877 = value_5_;
    value_5_ = _e877 + bias_5_;
    float _e879 = sum_6_;
    value_6_ = _e879;
    float _e881 = value_6_;
    value_6_ = _e881 + bias_6_;
    float _e883 = sum_7_;
    value_7_ = _e883;
    float _e885 = value_7_;
    value_7_ = _e885 + bias_7_;
    if (lane == 0u) {
        if ((first_1 + 0u) < PIECE_ROWS) {
            float _e899 = value_0_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 0u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e899;
        }
        if ((first_1 + 1u) < PIECE_ROWS) {
            float _e910 = value_1_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 1u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e910;
        }
        if ((first_1 + 2u) < PIECE_ROWS) {
            float _e921 = value_2_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 2u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e921;
        }
        if ((first_1 + 3u) < PIECE_ROWS) {
            float _e932 = value_3_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 3u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e932;
        }
        if ((first_1 + 4u) < PIECE_ROWS) {
            float _e943 = value_4_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 4u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e943;
        }
        if ((first_1 + 5u) < PIECE_ROWS) {
            float _e954 = value_5_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 5u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e954;
        }
        if ((first_1 + 6u) < PIECE_ROWS) {
            float _e965 = value_6_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 6u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e965;
        }
        if ((first_1 + 7u) < PIECE_ROWS) {
            float _e976 = value_7_;
            y[metal::min(unsigned((PIECE_FIRST + first_1) + 7u), (_buffer_sizes.size3 - 0 - 4) / 4)] = _e976;
            return;
        } else {
            return;
        }
    } else {
        return;
    }
}
