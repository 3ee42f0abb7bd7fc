// The part of CUDA's language that native/cuda uses, for the host's compiler: keywords, indices, warp collectives,
// atomics and intrinsics. Test only.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <type_traits>

#include "simt/block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__
#define __shared__ static_assert(false, "shared variables are declared by MOE_SHARED")
#define __cluster_dims__(...) static_assert(false, "the emulation has no clusters")

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace simt {

inline std::atomic<uint64_t> bytes_loaded{0};  // by __ldg

template <typename Value>
const Value& of_lane(const Deposits& table, int lane) {
  return *reinterpret_cast<const Value*>(table[lane]);
}

// The block's variable in shared memory that is declared at this site.
template <typename Value>
Value& shared_variable(const void* site, const char* name) {
  return *static_cast<Value*>(Block::current().shared().variable(site, name, sizeof(Value), alignof(Value)));
}

inline int this_lane() { return Block::current().thread().lane; }

// A shuffle: the value of lane source(lane) of the caller's segment of `width` lanes; the caller's own value if that
// lane is outside.
template <typename Value, typename Source>
Value shuffle(unsigned mask, Value value, int width, const char* operation, Source source) {
  const int lane = this_lane(), first = lane & ~(width - 1);
  const Deposits& table = Block::current().meet(mask, &value, sizeof(Value), operation);
  const int from = source(lane, first);
  return from >= first && from < first + width ? of_lane<Value>(table, from) : value;
}

template <typename Value, typename Operation>
Value reduce(unsigned mask, Value value, const char* name, Operation operation) {
  const Deposits& table = Block::current().meet(mask, &value, sizeof(Value), name);
  int lane = std::countr_zero(mask);
  Value result = of_lane<Value>(table, lane);
  while (++lane < kWarp) {
    if (mask >> lane & 1) result = operation(result, of_lane<Value>(table, lane));
  }
  return result;
}

}  // namespace simt

inline void __syncthreads() { ::simt::Block::current().barrier(0); }
inline int __syncthreads_or(int predicate) { return ::simt::Block::current().barrier(predicate) > 0; }
inline void __syncwarp(unsigned mask = ~0u) {
  const char nothing = 0;
  ::simt::Block::current().meet(mask, &nothing, 1, "__syncwarp");
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return ::simt::shuffle(mask, value, width, "__shfl_sync",
                         [&](int, int first) { return first + (source & (width - 1)); });
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
  return ::simt::shuffle(mask, value, width, "__shfl_xor_sync", [&](int lane, int) { return lane ^ other; });
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return ::simt::shuffle(mask, value, width, "__shfl_up_sync",
                         [&](int lane, int) { return lane - static_cast<int>(delta); });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned bit = predicate != 0 ? 1u << ::simt::this_lane() : 0;
  return ::simt::reduce(mask, bit, "__ballot_sync", [](unsigned a, unsigned b) { return a | b; });
}
template <typename T>
T __reduce_max_sync(unsigned mask, T value) {
  return ::simt::reduce(mask, value, "__reduce_max_sync", [](T a, T b) { return std::max(a, b); });
}
template <typename T>
T __reduce_min_sync(unsigned mask, T value) {
  return ::simt::reduce(mask, value, "__reduce_min_sync", [](T a, T b) { return std::min(a, b); });
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T value) {
  const ::simt::Deposits& table = ::simt::Block::current().meet(mask, &value, sizeof(T), "__match_any_sync");
  unsigned same = 0;
  for (int lane = 0; lane < ::simt::kWarp; ++lane) {
    if ((mask >> lane & 1) && ::simt::of_lane<T>(table, lane) == value) same |= 1u << lane;
  }
  return same;
}

// Threads of a grid run on one OS thread, so plain additions are atomic; two streams never share counters.
template <typename T, typename V>
T atomicAdd(T* address, V value) {
  ::simt::Block::current().access(address);
  const T old = *address;
  *address = old + static_cast<T>(value);
  return old;
}
template <typename T, typename V>
T atomicOr(T* address, V value) {
  ::simt::Block::current().access(address);
  const T old = *address;
  *address = old | static_cast<T>(value);
  return old;
}
inline unsigned atomicInc(unsigned* address, unsigned most) {
  ::simt::Block::current().take_ticket(address);
  const unsigned old = *address;
  *address = old >= most ? 0 : old + 1;
  return old;
}
inline void __threadfence() { ::simt::Block::current().fence(); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned chosen) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned made = 0;
  for (int i = 0; i < 32; i += 8) made |= static_cast<unsigned>(bytes >> 8 * (chosen >> i / 2 & 7) & 255) << i;
  return made;
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline void sincospi(double x, double* sine, double* cosine) {
  *sine = std::sin(std::numbers::pi * x);
  *cosine = std::cos(std::numbers::pi * x);
}
// Counted, so that tests see how often a kernel reads an input.
template <typename T>
T __ldg(const T* address) {
  ::simt::bytes_loaded += sizeof(T);
  return *address;
}
template <typename T>
void __stwb(T* address, T value) {
  *address = value;
}

using std::max;
using std::min;
