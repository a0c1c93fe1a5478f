// How the host calls a kernel. The host writes one SOFT_KERNEL for each, with a line for each parameter.
#pragma once

struct soft_call {
    char* const* buffers;
    char* const* threadgroups;
    uint size[3];
    uint groups[3];
};
struct soft_ids {
    uint grid[3], local[3], group[3], size[3], groups[3], grid_size[3];
    uint index, lane, simdgroup, width, simdgroups;
};
struct soft_argument { uint kind, index, bytes, align, writable; };

template <class F> struct soft_parameters;
template <class R, class... A> struct soft_parameters<R(A...)> { template <int I> using at = __type_pack_element<I, A...>; };

template <class T> struct soft_bind;
template <class T> struct soft_bind<T&> {
    static T& at(char* p) { return *(T*)p; }
    static constexpr soft_argument argument(uint kind, uint index) { return {kind, index, sizeof(T), alignof(T), !__is_const(__remove_all_extents(T))}; }
};
template <class T> struct soft_bind<T*> {
    static T* at(char* p) { return (T*)p; }
    static constexpr soft_argument argument(uint kind, uint index) { return {kind, index, sizeof(T), alignof(T), !__is_const(T)}; }
};
template <class T> inline T soft_builtin(const uint* v) {
    if constexpr (soft_count<T> == 1) return (T)v[0];
    else { T r; for (int i = 0; i < soft_count<T>; i++) r[i] = (soft_element<T>)v[i]; return r; }
}

// Threads one after another, for a kernel in which none waits for another.
template <class F> inline void soft_loop(const soft_call* c, const uint* g, F f) {
    soft_ids i = {};
    for (int k = 0; k < 3; k++) { i.group[k] = g[k]; i.size[k] = c->size[k]; i.groups[k] = c->groups[k]; i.grid_size[k] = c->size[k] * c->groups[k]; }
    i.width = 32; i.simdgroups = (c->size[0] * c->size[1] * c->size[2] + 31) / 32;
    for (uint z = 0; z < c->size[2]; z++) for (uint y = 0; y < c->size[1]; y++) for (uint x = 0; x < c->size[0]; x++) {
        i.local[0] = x; i.local[1] = y; i.local[2] = z;
        for (int k = 0; k < 3; k++) i.grid[k] = g[k] * c->size[k] + i.local[k];
        i.index = x + c->size[0] * (y + c->size[1] * z); i.lane = i.index % 32; i.simdgroup = i.index / 32;
        f(i);
    }
}
extern "C" { __attribute__((visibility("default"))) soft_host soft_functions; }
#define SOFT_EXPORT extern "C" __attribute__((visibility("default")))
