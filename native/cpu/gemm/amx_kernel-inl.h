// The micro-kernel on Intel AMX: C[32 x nr] += A[32 x k] B[k x nr] in bfloat16, the sums in tile registers.
//
// tdpbf16ps adds 32 k to 16 x 16 sums, products of even and odd k separately. Each sum is one chain over k = 0, 32, 64,
// ..., so the bits of a row of C do not depend on the other rows.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_AMX_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_AMX_KERNEL_INL_H
#undef MOE_CPU_GEMM_AMX_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_AMX_KERNEL_INL_H
#endif

#include <cstring>

#include "cpu/gemm/amx_tiles.h"
#include "cpu/gemm/micro_kernel-inl.h"
#include "hwy/highway.h"

#if MOE_TILES
HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Tile registers: 0 to 3 sums, [tile of rows][tile of columns]; 4 and 5 A; 6 and 7 B. A is used once and loaded past
// L1; B is used by all panels of A and stays in L1.
template <int kRowTiles>
MOE_TILE_AND_VECTOR_CODE HWY_INLINE void add_tiles(const char* a, const char* b) {
  constexpr int64_t kPairBytes = kNr * 4;
  _tile_loadd(6, b, kPairBytes);
  _tile_stream_loadd(4, a, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, b + 64, kPairBytes);
  _tile_dpbf16ps(1, 4, 7);
  if (kRowTiles == 2) {
    _tile_stream_loadd(5, a + kTileRows * 64, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// target.sums = A B + target.before. The target has room for whole tiles of rows.
template <int kRowTiles>
MOE_TILE_AND_VECTOR_CODE HWY_NOINLINE void amx_kernel(int64_t inner, const float* packed_a,
                                                      const BPanels<hwy::bfloat16_t>& panels,
                                                      const Prefetch<hwy::bfloat16_t>& prefetch, const Target& target) {
  static_assert(kNr == 2 * kTileRows);
  constexpr int64_t kTileBytes = kTileSteps * kNr * 2;  // a tile of B
  constexpr int kRowsAtOnce =
      2;  // rows of the next panel's sums that a step prefetches: a tile store touches a cache line per row
  const auto* a = reinterpret_cast<const char*>(packed_a);
  const auto* b = reinterpret_cast<const char*>(panels.panel[0]);
  // The compiler does not see what tile instructions read and write.
  asm volatile("" ::: "memory");
  if (target.before == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    const int64_t stride = target.before_stride * int64_t{sizeof(float)};
    const float* below = target.before + kTileRows * target.before_stride;
    _tile_loadd(0, target.before, stride);
    _tile_loadd(1, target.before + kTileRows, stride);
    if (kRowTiles == 2) {
      _tile_loadd(2, below, stride);
      _tile_loadd(3, below + kTileRows, stride);
    }
  }
  Prefetch<hwy::bfloat16_t> next = prefetch;
  const float* next_sums = target.sums + kAmxMr * target.stride;
  int64_t k = 0;
  for (; k + kTileSteps <= inner; k += kTileSteps, a += kRowTiles * kTileRows * 64, b += kTileBytes) {
    add_tiles<kRowTiles>(a, b);
    next.advance(kTileBytes / kStepBytes);
    if (kRowTiles == 2 && k < kAmxMr / kRowsAtOnce * kTileSteps) {
      for (int row = 0; row < kRowsAtOnce; ++row, next_sums += target.stride) {
        __builtin_prefetch(next_sums, 1, 3);
        __builtin_prefetch(next_sums + kTileRows, 1, 3);
      }
    }
  }
  if (k < inner) {
    // B ends with its last pair of k and memory behind it is undefined; A has zeros there.
    alignas(64) char last[kTileBytes] = {};
    std::memcpy(last, b, static_cast<size_t>(ceil_div(inner - k, 2) * kNr * 4));
    asm volatile("" ::: "memory");
    add_tiles<kRowTiles>(a, last);
  }
  const int64_t stride = target.stride * int64_t{sizeof(float)};
  float* below = target.sums + kTileRows * target.stride;
  _tile_stored(0, target.sums, stride);
  _tile_stored(1, target.sums + kTileRows, stride);
  if (kRowTiles == 2) {
    _tile_stored(2, below, stride);
    _tile_stored(3, below + kTileRows, stride);
  }
  asm volatile("" ::: "memory");
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
