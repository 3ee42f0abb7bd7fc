// The innermost loop on a tile unit (Intel AMX): a panel of rows times a panel of columns, sums in tile registers.
//
// An instruction adds 32 steps of k to 16 x 16 sums, products of even and of odd k apart; every sum is one chain of
// them over k = 0, 32, 64, ..., whichever rows are beside it: that is what makes a row's bits its own.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_TILE_INL_H
#undef MOE_CPU_GEMM_TILE_INL_H
#else
#define MOE_CPU_GEMM_TILE_INL_H
#endif

#include <cstring>

#include "cpu/gemm/kernel-inl.h"
#include "cpu/gemm/tile_registers.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
#if MOE_TILES

// Registers: 0 to 3 sums, [tile of rows][tile of columns]; 4 and 5 a tile of rows each; 6 and 7 of columns.
// Rows are read once, weights by all panels of rows: the former leave the L1 cache to the latter.
template <int kRowTiles>
MOE_TILE_CODE HWY_INLINE void add_tiles(const char* a, const char* b) {
  constexpr int64_t kPairBytes = kPanelColumns * 4;
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

// a b and the target's sums before. The target has room for whole tiles of rows.
template <int kRowTiles>
MOE_TILE_CODE HWY_NOINLINE void multiply_tiles(int64_t inner, const float* packed_a,
                                               const PanelsOfB<hwy::bfloat16_t>& panel,
                                               const Prefetch<hwy::bfloat16_t>& prefetch, const Target& target) {
  static_assert(kPanelColumns == 2 * kTileRows);
  constexpr int64_t kStepBytes = kTileSteps * kPanelColumns * 2;
  constexpr int kRowsAtOnce = 2;  // of the next panel's sums, asked for at each step: tiles are stored line by line
  const auto* a = reinterpret_cast<const char*>(packed_a);
  const auto* b = reinterpret_cast<const char*>(panel.panel[0]);
  // The compiler knows nothing of what tiles read and write.
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
  const float* next_sums = target.sums + kTilePanelRows * target.stride;
  int64_t k = 0;
  for (; k + kTileSteps <= inner; k += kTileSteps, a += kRowTiles * kTileRows * 64, b += kStepBytes) {
    add_tiles<kRowTiles>(a, b);
    next.ask(kStepBytes / kTurnBytes);
    if (kRowTiles == 2 && k < kTilePanelRows / kRowsAtOnce * kTileSteps) {
      for (int row = 0; row < kRowsAtOnce; ++row, next_sums += target.stride) {
        __builtin_prefetch(next_sums, 1, 3);
        __builtin_prefetch(next_sums + kTileRows, 1, 3);
      }
    }
  }
  if (k < inner) {
    // The panel ends with its last pair, beyond which there may be anything; a has zeros there.
    alignas(64) char last[kStepBytes] = {};
    std::memcpy(last, b, static_cast<size_t>(ceil_div(inner - k, 2) * kPanelColumns * 4));
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

#endif
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
