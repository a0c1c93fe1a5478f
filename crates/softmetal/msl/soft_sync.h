// 6.9, 6.12, 6.13 and 6.15: barriers, SIMD-groups and atomics.
//
// Threads of a threadgroup are fibers of one thread of the host; a barrier, or a function of a SIMD-group, goes to the host, which runs the others first.
#pragma once

// The host's functions. It sets them once the kernel is loaded.
struct soft_host {
    void (*barrier)();
    // Hands over a value of this lane, and gives back those of the lanes of its SIMD-group that came to the same place; the result says which those are.
    ulong (*exchange)(const void* site, const void* value, uint bytes, void* values, uint* lane);
};
extern "C" __attribute__((visibility("default"))) soft_host soft_functions;

namespace metal {
enum class mem_flags : uint { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4, mem_threadgroup_imageblock = 8, mem_object_data = 16 };
inline mem_flags operator|(mem_flags a, mem_flags b) { return (mem_flags)((uint)a | (uint)b); }
enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release, memory_order_acq_rel, memory_order_seq_cst };
enum thread_scope { thread_scope_thread, thread_scope_simdgroup, thread_scope_threadgroup, thread_scope_device, thread_scope_system };
inline void threadgroup_barrier(mem_flags) { soft_functions.barrier(); }
inline void atomic_thread_fence(mem_flags, memory_order, thread_scope = thread_scope_device) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Values of the lanes that take part.
template <class T> struct soft_lanes {
    T value[32]; ulong active; uint lane;
    bool has(uint i) const { return i < 32 && (active >> i & 1); }
};
// Never inlined: its return address is the place in the kernel, as near as a CPU has to a program counter that lanes share.
template <class T> __attribute__((noinline)) soft_lanes<T> soft_exchange(T v) {
    soft_lanes<T> r;
    r.active = soft_functions.exchange(__builtin_return_address(0), &v, sizeof v, r.value, &r.lane);
    return r;
}
#define SOFT_SIMD __attribute__((always_inline)) inline
#define SOFT_LANES(T, v) auto l = soft_exchange<T>(v)
SOFT_SIMD void simdgroup_barrier(mem_flags) { SOFT_LANES(uint, 0u); (void)l; }

#define SOFT_FOLD(name, ...) template <class T> SOFT_SIMD T simd_##name(T v) { SOFT_LANES(T, v); T a; bool first = true; \
    for (uint i = 0; i < 32; i++) if (l.has(i)) { T b = l.value[i]; if (first) a = b; else a = (T)(__VA_ARGS__); first = false; } return a; }
SOFT_FOLD(sum, a + b) SOFT_FOLD(product, a * b) SOFT_FOLD(min, metal::min(a, b)) SOFT_FOLD(max, metal::max(a, b))
SOFT_FOLD(and, a & b) SOFT_FOLD(or, a | b) SOFT_FOLD(xor, a ^ b)
#define SOFT_SCAN(name, zero, op) \
    template <class T> SOFT_SIMD T simd_prefix_inclusive_##name(T v) { SOFT_LANES(T, v); T a = T(zero); for (uint i = 0; i <= l.lane; i++) if (l.has(i)) a = (T)(a op l.value[i]); return a; } \
    template <class T> SOFT_SIMD T simd_prefix_exclusive_##name(T v) { SOFT_LANES(T, v); T a = T(zero); for (uint i = 0; i < l.lane; i++) if (l.has(i)) a = (T)(a op l.value[i]); return a; }
SOFT_SCAN(sum, 0, +) SOFT_SCAN(product, 1, *)
// What an inactive lane, or one outside, gives is undefined: here the bytes of a lane that never wrote.
template <class T> inline T soft_lane(const soft_lanes<T>& l, uint i) { if (l.has(i)) return l.value[i]; T r; __builtin_memset(&r, 0xa5, sizeof r); return r; }
template <class T> SOFT_SIMD T simd_broadcast(T v, ushort i) { SOFT_LANES(T, v); return soft_lane(l, i); }
template <class T> SOFT_SIMD T simd_broadcast_first(T v) { SOFT_LANES(T, v); return soft_lane(l, (uint)__builtin_ctzl(l.active)); }
template <class T> SOFT_SIMD T simd_shuffle(T v, ushort i) { SOFT_LANES(T, v); return soft_lane(l, i); }
template <class T> SOFT_SIMD T simd_shuffle_xor(T v, ushort m) { SOFT_LANES(T, v); return soft_lane(l, l.lane ^ m); }
template <class T> SOFT_SIMD T simd_shuffle_up(T v, ushort d) { SOFT_LANES(T, v); return l.lane < d ? v : soft_lane(l, l.lane - d); }
template <class T> SOFT_SIMD T simd_shuffle_down(T v, ushort d) { SOFT_LANES(T, v); return l.lane + d > 31 ? v : soft_lane(l, l.lane + d); }
template <class T> SOFT_SIMD T quad_broadcast(T v, ushort i) { SOFT_LANES(T, v); return soft_lane(l, (l.lane & ~3u) + i); }
template <class T> SOFT_SIMD T quad_shuffle(T v, ushort i) { SOFT_LANES(T, v); return soft_lane(l, (l.lane & ~3u) + i); }
template <class T> SOFT_SIMD T quad_shuffle_xor(T v, ushort m) { SOFT_LANES(T, v); return soft_lane(l, l.lane ^ m); }
SOFT_SIMD bool simd_all(bool v) { SOFT_LANES(uint, (uint)v); for (uint i = 0; i < 32; i++) if (l.has(i) && !l.value[i]) return false; return true; }
SOFT_SIMD bool simd_any(bool v) { SOFT_LANES(uint, (uint)v); for (uint i = 0; i < 32; i++) if (l.has(i) && l.value[i]) return true; return false; }
SOFT_SIMD bool simd_is_first() { SOFT_LANES(uint, 0u); return l.lane == (uint)__builtin_ctzl(l.active); }
struct simd_vote {
    using vote_t = ulong; vote_t bits;
    simd_vote(vote_t b = 0) : bits(b) {}
    explicit operator vote_t() const { return bits; }
    bool all() const { return bits == 0xffffffff; }
    bool any() const { return bits != 0; }
};
SOFT_SIMD simd_vote simd_ballot(bool v) { SOFT_LANES(uint, (uint)v); ulong r = 0; for (uint i = 0; i < 32; i++) if (l.has(i) && l.value[i]) r |= 1ul << i; return simd_vote(r); }
SOFT_SIMD simd_vote simd_active_threads_mask() { SOFT_LANES(uint, 0u); return simd_vote(l.active); }

template <class T> struct atomic { T value; };
typedef atomic<int> atomic_int; typedef atomic<uint> atomic_uint; typedef atomic<bool> atomic_bool; typedef atomic<float> atomic_float;
typedef atomic<ulong> atomic_ulong; typedef atomic<long> atomic_long;
template <class T> inline T* soft_word(const volatile atomic<T>* p) { return const_cast<T*>(&p->value); }
// Changes the word by comparing and exchanging, for what a CPU has no instruction for.
template <class T, class F> inline T soft_change(const volatile atomic<T>* p, F f) {
    T old, next; __atomic_load(soft_word(p), &old, __ATOMIC_RELAXED);
    do next = f(old); while (!__atomic_compare_exchange(soft_word(p), &old, &next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
#define SOFT_ATOMIC(name, ...) template <class T> inline T atomic_fetch_##name##_explicit(volatile atomic<T>* p, soft_same<T> b, memory_order) { return soft_change(p, [=](T a) { return (T)(__VA_ARGS__); }); }
SOFT_ATOMIC(add, a + b) SOFT_ATOMIC(sub, a - b) SOFT_ATOMIC(and, a & b) SOFT_ATOMIC(or, a | b) SOFT_ATOMIC(xor, a ^ b) SOFT_ATOMIC(min, b < a ? b : a) SOFT_ATOMIC(max, a < b ? b : a)
template <class T> inline void atomic_max_explicit(volatile atomic<T>* p, soft_same<T> b, memory_order o) { atomic_fetch_max_explicit(p, b, o); }
template <class T> inline void atomic_min_explicit(volatile atomic<T>* p, soft_same<T> b, memory_order o) { atomic_fetch_min_explicit(p, b, o); }
template <class T> inline T atomic_exchange_explicit(volatile atomic<T>* p, soft_same<T> b, memory_order) { return soft_change(p, [=](T) { return b; }); }
template <class T> inline T atomic_load_explicit(const volatile atomic<T>* p, memory_order) { T r; __atomic_load(soft_word(p), &r, __ATOMIC_RELAXED); return r; }
template <class T> inline void atomic_store_explicit(volatile atomic<T>* p, soft_same<T> b, memory_order) { __atomic_store(soft_word(p), &b, __ATOMIC_RELAXED); }
template <class T> inline bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* p, T* expected, soft_same<T> b, memory_order, memory_order) {
    return __atomic_compare_exchange(soft_word(p), expected, &b, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
}
