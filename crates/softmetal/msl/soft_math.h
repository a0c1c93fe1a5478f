// 6.3 to 6.10: functions on scalars, and on vectors by component.
#pragma once

namespace metal {
// Calls f for each component.
template <class R, class F, class... A> inline R soft_each(F f, const A&... a) {
    if constexpr (soft_count<R> == 1) return f(a...);
    else { R r; for (int i = 0; i < soft_count<R>; i++) r[i] = f(soft_at(a, i)...); return r; }
}
#define SOFT_1(name, ...) template <class T> inline T name(T v) { return soft_each<T>([](auto x) { using E = decltype(x); return (E)(__VA_ARGS__); }, v); }
#define SOFT_2(name, ...) template <class T> inline T name(T v, soft_same<T> w) { return soft_each<T>([](auto x, auto y) { using E = decltype(x); return (E)(__VA_ARGS__); }, v, w); }
#define SOFT_3(name, ...) template <class T> inline T name(T v, soft_same<T> w, soft_same<T> u) { return soft_each<T>([](auto x, auto y, auto z) { using E = decltype(x); return (E)(__VA_ARGS__); }, v, w, u); }
SOFT_1(cos, __builtin_cosf(x)) SOFT_1(sin, __builtin_sinf(x)) SOFT_1(tan, __builtin_tanf(x))
SOFT_1(cosh, __builtin_coshf(x)) SOFT_1(sinh, __builtin_sinhf(x)) SOFT_1(tanh, __builtin_tanhf(x))
SOFT_1(acos, __builtin_acosf(x)) SOFT_1(asin, __builtin_asinf(x)) SOFT_1(atan, __builtin_atanf(x))
SOFT_1(acosh, __builtin_acoshf(x)) SOFT_1(asinh, __builtin_asinhf(x)) SOFT_1(atanh, __builtin_atanhf(x))
SOFT_1(exp, __builtin_expf(x)) SOFT_1(exp2, __builtin_exp2f(x)) SOFT_1(exp10, __builtin_exp10f(x))
SOFT_1(log, __builtin_logf(x)) SOFT_1(log2, __builtin_log2f(x)) SOFT_1(log10, __builtin_log10f(x))
SOFT_1(sqrt, __builtin_sqrtf(x)) SOFT_1(rsqrt, 1.0f / __builtin_sqrtf(x))
SOFT_1(ceil, __builtin_ceilf(x)) SOFT_1(floor, __builtin_floorf(x)) SOFT_1(trunc, __builtin_truncf(x))
SOFT_1(rint, __builtin_rintf(x)) SOFT_1(round, __builtin_roundf(x)) SOFT_1(fract, x - (E)__builtin_floorf(x))
SOFT_1(sign, x > 0 ? 1 : x < 0 ? -1 : 0) SOFT_1(abs, x < 0 ? -x : x) SOFT_1(fabs, __builtin_fabsf(x)) SOFT_1(saturate, x < 0 ? 0 : x > 1 ? 1 : x)
SOFT_1(popcount, __builtin_popcountl((ulong)x & (~0ul >> (64 - 8 * sizeof(E)))))
SOFT_1(clz, x ? __builtin_clzl((ulong)x << (64 - 8 * sizeof(E))) : 8 * sizeof(E)) SOFT_1(ctz, x ? __builtin_ctzl((ulong)x) : 8 * sizeof(E))
SOFT_1(reverse_bits, __builtin_bitreverse64((ulong)x) >> (64 - 8 * sizeof(E)))
SOFT_1(isnan, x != x) SOFT_1(isinf, x == __builtin_inff() || x == -__builtin_inff())
SOFT_2(max, x < y || x != x ? y : x) SOFT_2(min, y < x || x != x ? y : x) SOFT_2(fmax, x < y || x != x ? y : x) SOFT_2(fmin, y < x || x != x ? y : x)
SOFT_2(pow, __builtin_powf(x, y)) SOFT_2(powr, __builtin_powf(x, y)) SOFT_2(atan2, __builtin_atan2f(x, y)) SOFT_2(fmod, __builtin_fmodf(x, y))
SOFT_2(copysign, __builtin_copysignf(x, y)) SOFT_2(step, y < x ? 0 : 1)
SOFT_2(mulhi, ((__int128)x * (__int128)y) >> (8 * sizeof(E))) SOFT_2(absdiff, x < y ? y - x : x - y)
SOFT_3(clamp, x < y ? y : z < x ? z : x) SOFT_3(fma, __builtin_fmaf(x, y, z)) SOFT_3(mix, x + (y - x) * z) SOFT_3(mad, x * y + z)
SOFT_3(smoothstep, ({ E t = (z - x) / (y - x); t = t < 0 ? 0 : t > 1 ? 1 : t; t * t * (3 - 2 * t); }))
template <class T, class I> inline T ldexp(T v, I e) { return soft_each<T>([](auto x, auto k) { return (decltype(x))__builtin_ldexpf(x, k); }, v, e); }
template <class T, class B> inline T select(T a, soft_same<T> b, B c) { return soft_each<T>([](auto x, auto y, auto k) { return k ? y : x; }, a, b, c); }
template <class T> inline bool all(T v) { bool r = true; for (int i = 0; i < soft_count<T>; i++) r = r && soft_at(v, i); return r; }
template <class T> inline bool any(T v) { bool r = false; for (int i = 0; i < soft_count<T>; i++) r = r || soft_at(v, i); return r; }
template <class T> inline soft_element<T> dot(T a, soft_same<T> b) { soft_element<T> s = 0; for (int i = 0; i < soft_count<T>; i++) s += a[i] * b[i]; return s; }
template <class T> inline soft_element<T> length(T a) { if constexpr (soft_count<T> == 1) return abs(a); else return (soft_element<T>)__builtin_sqrtf(dot(a, a)); }
template <class T> inline soft_element<T> length_squared(T a) { return dot(a, a); }
template <class T> inline soft_element<T> distance(T a, soft_same<T> b) { return length(a - b); }
template <class T> inline T normalize(T a) { return a / length(a); }
template <class T> inline T cross(T a, soft_same<T> b) { return a.yzx * b.zxy - a.zxy * b.yzx; }
template <class T> inline T reflect(T i, soft_same<T> n) { return i - 2 * dot(n, i) * n; }
template <class T> inline T faceforward(T n, soft_same<T> i, soft_same<T> r) { return dot(r, i) < 0 ? n : -n; }
template <class T> inline T extract_bits(T v, uint o, uint n) { return soft_each<T>([=](auto x) { using E = decltype(x); return n ? (E)((E)(x << (32 - o - n)) >> (32 - n)) : (E)0; }, v); }
template <class T> inline T insert_bits(T v, T w, uint o, uint n) {
    uint m = (n >= 32 ? ~0u : (1u << n) - 1) << o;
    return soft_each<T>([=](auto x, auto y) { using E = decltype(x); return n ? (E)((x & ~m) | ((y << o) & m)) : x; }, v, w);
}
template <class T> inline T rotate(T v, T by) { return soft_each<T>([](auto x, auto k) { uint s = k & 31; return (decltype(x))((x << s) | ((uint)x >> ((32 - s) & 31))); }, v, by); }
namespace fast { using metal::cos; using metal::sin; using metal::exp; using metal::log; using metal::exp2; using metal::log2; using metal::pow; using metal::rsqrt; using metal::sqrt; using metal::tanh; using metal::min; using metal::max; using metal::clamp; using metal::fmod; using metal::normalize; using metal::length; }
namespace precise { using metal::cos; using metal::sin; using metal::exp; using metal::log; using metal::exp2; using metal::log2; using metal::pow; using metal::rsqrt; using metal::sqrt; using metal::tanh; using metal::min; using metal::max; using metal::clamp; using metal::fmod; using metal::normalize; using metal::length; }

// 6.11 Packing.
template <int N, class V> inline uint soft_pack(V v, float low, float scale) {
    constexpr int bits = 32 / N; uint r = 0;
    for (int i = 0; i < N; i++) { float x = v[i] < low ? low : v[i] > 1 ? 1 : v[i]; r |= ((uint)(int)__builtin_rintf(x * scale) & (~0u >> (32 - bits))) << (bits * i); }
    return r;
}
inline uint pack_float_to_unorm4x8(::float4 v) { return soft_pack<4>(v, 0, 255); }
inline uint pack_float_to_snorm4x8(::float4 v) { return soft_pack<4>(v, -1, 127); }
inline uint pack_float_to_unorm2x16(::float2 v) { return soft_pack<2>(v, 0, 65535); }
inline uint pack_float_to_snorm2x16(::float2 v) { return soft_pack<2>(v, -1, 32767); }
inline ::float4 unpack_unorm4x8_to_float(uint v) { ::float4 r; for (int i = 0; i < 4; i++) r[i] = ((v >> 8 * i) & 255) / 255.0f; return r; }
inline ::float4 unpack_snorm4x8_to_float(uint v) { ::float4 r; for (int i = 0; i < 4; i++) r[i] = max((signed char)(v >> 8 * i) / 127.0f, -1.0f); return r; }
inline ::float2 unpack_unorm2x16_to_float(uint v) { ::float2 r; for (int i = 0; i < 2; i++) r[i] = ((v >> 16 * i) & 65535) / 65535.0f; return r; }
inline ::float2 unpack_snorm2x16_to_float(uint v) { ::float2 r; for (int i = 0; i < 2; i++) r[i] = max((short)(v >> 16 * i) / 32767.0f, -1.0f); return r; }

template <class A, class B> struct is_same { static constexpr bool value = __is_same(A, B); };
template <class A, class B> constexpr bool is_same_v = __is_same(A, B);
template <bool B, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { using type = T; };
template <bool B, class T = void> using enable_if_t = typename enable_if<B, T>::type;
}
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define M_PI_F 3.14159265358979323846f
#define FLT_MAX 3.402823466e+38f
#define FLT_MIN 1.175494351e-38f
