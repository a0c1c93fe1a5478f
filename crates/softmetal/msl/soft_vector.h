// 2.2 Vectors are clang's own, so that swizzles and operators are the compiler's. Their constructors are macros, which a plain use of the type's name does not expand.
#pragma once

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef _Float16 half;

namespace metal {
using ::half; using ::int16_t; using ::int32_t; using ::int64_t; using ::int8_t; using ::ptrdiff_t; using ::size_t;
using ::uchar; using ::uint; using ::uint16_t; using ::uint32_t; using ::uint64_t; using ::uint8_t; using ::ulong; using ::ushort;
}

template <class T, int N> using soft_vec = T __attribute__((ext_vector_type(N)));

// 2.3 A packed vector has its element's alignment. Only those of three differ from plain ones here.
template <class T> struct soft_packed3 {
    T x, y, z;
    soft_packed3() = default;
    soft_packed3(T v) : x(v), y(v), z(v) {}
    soft_packed3(T a, T b, T c) : x(a), y(b), z(c) {}
    soft_packed3(soft_vec<T, 3> v) : x(v.x), y(v.y), z(v.z) {}
    operator soft_vec<T, 3>() const { soft_vec<T, 3> v; v.x = x; v.y = y; v.z = z; return v; }
    T& operator[](int i) { return (&x)[i]; }
    const T& operator[](int i) const { return (&x)[i]; }
};

template <class T> struct soft_shape { using element = T; static constexpr int count = 1; };
template <class T> struct soft_shape<const T> : soft_shape<T> {};
template <class T, int N> struct soft_shape<T __attribute__((ext_vector_type(N)))> { using element = T; static constexpr int count = N; };
template <class T> struct soft_shape<soft_packed3<T>> { using element = T; static constexpr int count = 3; };
template <class T> using soft_element = typename soft_shape<T>::element;
template <class T> constexpr int soft_count = soft_shape<T>::count;
template <class T> struct soft_same_ { using type = T; };
// A parameter that converts to the type deduced from another one.
template <class T> using soft_same = typename soft_same_<T>::type;

// Component i of a vector, or the scalar.
template <class T> inline auto soft_at(const T& v, int i) { if constexpr (soft_count<T> == 1) return v; else return v[i]; }

// Appends the components of one argument.
template <class T, int N, class A> inline void soft_put(soft_vec<T, N>& r, int& k, const A& a) {
    for (int i = 0; i < soft_count<A>; i++) r[k++] = (T)soft_at(a, i);
}

// 2.2.3 A scalar fills every component; otherwise the components of the arguments follow one another, and must be as many.
template <class T, int N, class... A> inline soft_vec<T, N> soft_make(const A&... a) {
    constexpr int total = (soft_count<A> + ... + 0);
    static_assert(sizeof...(A) > 0 && ((sizeof...(A) == 1 && total == 1) || total == N), "wrong number of vector components");
    soft_vec<T, N> r;
    int k = 0;
    (soft_put<T, N>(r, k, a), ...);
    if constexpr (total == 1) for (int i = 1; i < N; i++) r[i] = r[0];
    return r;
}
template <class T, int N> inline soft_vec<T, N> soft_make() { return soft_vec<T, N>(T(0)); }

// 2.18 as_type
template <class To, class From> inline To as_type(const From& from) {
    static_assert(sizeof(To) == sizeof(From), "as_type between types of different sizes");
    return __builtin_bit_cast(To, from);
}

// 2.19 static_cast converts vectors by component, and to integers as clang saturates: not at all.
template <class To, class From> inline To soft_cast(const From& from) {
    if constexpr (soft_count<To> > 1 && soft_count<From> > 1) {
        static_assert(soft_count<To> == soft_count<From>, "conversion between vectors of different widths");
        To r;
        for (int i = 0; i < soft_count<To>; i++) r[i] = (soft_element<To>)from[i];
        return r;
    } else if constexpr (soft_count<To> > 1) return soft_make<soft_element<To>, soft_count<To>>(from);
    else return (To)from;
}
#define static_cast soft_cast

#define SOFT_VECTOR(name, T) \
    typedef soft_vec<T, 2> name##2; typedef soft_vec<T, 3> name##3; typedef soft_vec<T, 4> name##4; \
    typedef soft_vec<T, 2> packed_##name##2; typedef soft_packed3<T> packed_##name##3; typedef soft_vec<T, 4> packed_##name##4; \
    namespace metal { using ::name##2; using ::name##3; using ::name##4; using ::packed_##name##2; using ::packed_##name##3; using ::packed_##name##4; }
SOFT_VECTOR(float, float) SOFT_VECTOR(half, half)
SOFT_VECTOR(char, signed char) SOFT_VECTOR(uchar, uchar) SOFT_VECTOR(short, short) SOFT_VECTOR(ushort, ushort)
SOFT_VECTOR(int, int) SOFT_VECTOR(uint, uint) SOFT_VECTOR(long, long) SOFT_VECTOR(ulong, ulong)
// A comparison's result: true is -1 in a vector, where Metal has a vector of bool.
SOFT_VECTOR(bool, int)

#define float2(...) soft_make<float, 2>(__VA_ARGS__)
#define float3(...) soft_make<float, 3>(__VA_ARGS__)
#define float4(...) soft_make<float, 4>(__VA_ARGS__)
#define half2(...) soft_make<half, 2>(__VA_ARGS__)
#define half3(...) soft_make<half, 3>(__VA_ARGS__)
#define half4(...) soft_make<half, 4>(__VA_ARGS__)
#define char2(...) soft_make<signed char, 2>(__VA_ARGS__)
#define char3(...) soft_make<signed char, 3>(__VA_ARGS__)
#define char4(...) soft_make<signed char, 4>(__VA_ARGS__)
#define uchar2(...) soft_make<uchar, 2>(__VA_ARGS__)
#define uchar3(...) soft_make<uchar, 3>(__VA_ARGS__)
#define uchar4(...) soft_make<uchar, 4>(__VA_ARGS__)
#define short2(...) soft_make<short, 2>(__VA_ARGS__)
#define short3(...) soft_make<short, 3>(__VA_ARGS__)
#define short4(...) soft_make<short, 4>(__VA_ARGS__)
#define ushort2(...) soft_make<ushort, 2>(__VA_ARGS__)
#define ushort3(...) soft_make<ushort, 3>(__VA_ARGS__)
#define ushort4(...) soft_make<ushort, 4>(__VA_ARGS__)
#define int2(...) soft_make<int, 2>(__VA_ARGS__)
#define int3(...) soft_make<int, 3>(__VA_ARGS__)
#define int4(...) soft_make<int, 4>(__VA_ARGS__)
#define uint2(...) soft_make<uint, 2>(__VA_ARGS__)
#define uint3(...) soft_make<uint, 3>(__VA_ARGS__)
#define uint4(...) soft_make<uint, 4>(__VA_ARGS__)
#define long2(...) soft_make<long, 2>(__VA_ARGS__)
#define long3(...) soft_make<long, 3>(__VA_ARGS__)
#define long4(...) soft_make<long, 4>(__VA_ARGS__)
#define ulong2(...) soft_make<ulong, 2>(__VA_ARGS__)
#define ulong3(...) soft_make<ulong, 3>(__VA_ARGS__)
#define ulong4(...) soft_make<ulong, 4>(__VA_ARGS__)
#define bool2(...) soft_make<int, 2>(__VA_ARGS__)
#define bool3(...) soft_make<int, 3>(__VA_ARGS__)
#define bool4(...) soft_make<int, 4>(__VA_ARGS__)
namespace metal { using ::soft_make; using ::as_type; using ::soft_cast; }

// 2.4 Matrices: columns.
template <class T, int C, int R> struct soft_matrix {
    using column = soft_vec<T, R>;
    column c[C];
    soft_matrix() = default;
    template <class... A> soft_matrix(const A&... a) {
        static_assert(sizeof...(A) == C || sizeof...(A) == 1, "wrong number of matrix columns");
        if constexpr (sizeof...(A) == C) { int k = 0; ((c[k++] = a), ...); }
        else for (int i = 0; i < C; i++) { c[i] = column(T(0)); if (i < R) c[i][i] = (T(a), ...); }
    }
    column& operator[](int i) { return c[i]; }
    const column& operator[](int i) const { return c[i]; }
};
#define SOFT_MATRIX_OPERATOR(op) \
    template <class T, int C, int R> inline soft_matrix<T, C, R> operator op(const soft_matrix<T, C, R>& a, const soft_matrix<T, C, R>& b) { \
        soft_matrix<T, C, R> r; for (int i = 0; i < C; i++) r.c[i] = a.c[i] op b.c[i]; return r; }
SOFT_MATRIX_OPERATOR(+) SOFT_MATRIX_OPERATOR(-)
template <class T, int C, int R> inline soft_matrix<T, C, R> operator*(const soft_matrix<T, C, R>& a, soft_same<T> b) { soft_matrix<T, C, R> r; for (int i = 0; i < C; i++) r.c[i] = a.c[i] * b; return r; }
template <class T, int C, int R> inline soft_matrix<T, C, R> operator*(soft_same<T> b, const soft_matrix<T, C, R>& a) { return a * b; }
template <class T, int C, int R> inline soft_vec<T, R> operator*(const soft_matrix<T, C, R>& m, soft_vec<T, C> v) { soft_vec<T, R> r = T(0); for (int i = 0; i < C; i++) r += m.c[i] * v[i]; return r; }
template <class T, int C, int R> inline soft_vec<T, C> operator*(soft_vec<T, R> v, const soft_matrix<T, C, R>& m) { soft_vec<T, C> r; for (int i = 0; i < C; i++) { T s = 0; for (int k = 0; k < R; k++) s += v[k] * m.c[i][k]; r[i] = s; } return r; }
template <class T, int C, int R, int K> inline soft_matrix<T, K, R> operator*(const soft_matrix<T, C, R>& a, const soft_matrix<T, K, C>& b) { soft_matrix<T, K, R> r; for (int i = 0; i < K; i++) r.c[i] = a * b.c[i]; return r; }
namespace metal {
template <class T, int C, int R> inline soft_matrix<T, R, C> transpose(const soft_matrix<T, C, R>& m) { soft_matrix<T, R, C> r; for (int i = 0; i < R; i++) for (int k = 0; k < C; k++) r.c[i][k] = m.c[k][i]; return r; }
#define SOFT_MATRIX(C, R) using float##C##x##R = soft_matrix<float, C, R>; using half##C##x##R = soft_matrix<half, C, R>;
SOFT_MATRIX(2, 2) SOFT_MATRIX(2, 3) SOFT_MATRIX(2, 4) SOFT_MATRIX(3, 2) SOFT_MATRIX(3, 3) SOFT_MATRIX(3, 4) SOFT_MATRIX(4, 2) SOFT_MATRIX(4, 3) SOFT_MATRIX(4, 4)
}
