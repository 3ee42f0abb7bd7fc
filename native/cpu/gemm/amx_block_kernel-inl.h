// The micro-kernel for B in blocks on Intel AMX: C[16 x nr] += A[16 x k] B[k x nr], A rounded to int8.
//
// tdpbsud sums the products of 32 k, or of 16 that share a scale, for 16 x 16 elements, exactly. Start values, scales
// and the order of blocks are block_kernel-inl.h's, so a row has the same bits with tiles and without. Exact sums go
// through L1, because they are scaled in vector registers. Tested by panamoe_test --gtest_filter='TileGemmTest.*',
// which emulates tiles; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_AMX_BLOCK_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_AMX_BLOCK_KERNEL_INL_H
#undef MOE_CPU_GEMM_AMX_BLOCK_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_AMX_BLOCK_KERNEL_INL_H
#endif

#include <algorithm>

#include "cpu/gemm/amx_tiles.h"
#include "cpu/gemm/block_kernel-inl.h"
#include "hwy/highway.h"

#if MOE_TILES
HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Blocks of 32 k whose exact sums are held in L1 at once: 8 KB, or 16 KB with two parts.
inline constexpr int64_t kTileBlocks = 4;

// Exact sums of 16 rows by nr columns over each part of 32 k.
template <Kernel kKernel>
struct TileSums {
  static constexpr int kParts = parts_of(kKernel);
  alignas(64) int32_t of[kTileBlocks][kParts][kTileRows][kNr];
};

// 32-bit words of 32 k of a packed panel of A.
template <Kernel kKernel>
inline constexpr int64_t kTileWords = kTileRows * block_row_words(kKernel);

template <Kernel kKernel>
MOE_TILE_CODE HWY_NOINLINE void multiply_tiles(int64_t blocks, const float* a, const uint8_t* b,
                                               TileSums<kKernel>& sums) {
  static_assert(kNr == 2 * kTileRows);
  constexpr int kParts = TileSums<kKernel>::kParts;
  // The compiler does not see what tile instructions read and write.
  asm volatile("" ::: "memory");
  for (int64_t i = 0; i < blocks; ++i, a += kTileWords<kKernel>, b += expanded_size(kKernel, 32)) {
    for (int part = 0; part < kParts; ++part) {
      const uint8_t* codes = b + part * 4 * kCodeBytes;
      int32_t* to = sums.of[i][part][0];
      _tile_loadd(4, a + part * 4, 32);
      _tile_loadd(6, codes, kCodeBytes);
      _tile_loadd(7, codes + kCodeBytes / 2, kCodeBytes);
      _tile_zero(0);
      _tile_zero(1);
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_stored(0, to, kNr * 4);
      _tile_stored(1, to + kTileRows, kNr * 4);
    }
  }
  asm volatile("" ::: "memory");
}

// sums += the exact sums of kFoldRows rows from `row` on, scaled.
template <Kernel kKernel>
HWY_INLINE void fold_tiles(int64_t count, int64_t row, const float* a, const uint8_t* b, const TileSums<kKernel>& exact,
                           Sums<kFoldRows, 1>& sums) {
  constexpr Kernel kBase = untiled(kKernel);
  constexpr int kParts = TileSums<kKernel>::kParts;
  const IntTag d;
  ExpandedBlocks<kBase> blocks(b);
  BlockSums<false, kFoldRows> block;
  const float* rest = a + 8 * kTileRows + row * (block_row_words(kBase) - 8);
  for (int64_t i = 0; i < count; ++i, rest += kTileWords<kKernel>) {
    blocks.advance();
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      block.begin(rest + (2 + part) * kFoldRows);
#pragma GCC unroll 4
      for (int r = 0; r < kFoldRows; ++r) {
        const int32_t* from = exact.of[i][part][row + r];
        block.v[r][0] = hn::Add(block.v[r][0], hn::Load(d, from));
        block.v[r][1] = hn::Add(block.v[r][1], hn::Load(d, from + kTileRows));
      }
      block.fold(rest, blocks.scale(part, 0), blocks.scale(part, 1), sums);
      if constexpr (has_mins(kKernel)) {
        const int min = kParts + part;
        subtract_mins(rest + (2 + min) * kFoldRows, blocks.scale(min, 0), blocks.scale(min, 1), sums);
      }
    }
  }
}

// target.sums = A B + target.before, with B expanded. The target has room for whole tiles of rows.
template <Kernel kKernel>
HWY_NOINLINE void amx_block_kernel(int64_t inner, const float* a, const BPanels<uint8_t>& panels,
                                   const Prefetch<uint8_t>& prefetch, const Target& target) {
  const FloatTag d;
  TileSums<kKernel> exact;
  const uint8_t* b = panels.panel[0];
  Prefetch<uint8_t> next = prefetch;
  const float* before = target.before;
  int64_t before_stride = target.before_stride;
  int64_t k = 0;
  do {
    const int64_t blocks = std::min(kTileBlocks, (inner - k) / 32);
    next.advance(blocks);
    multiply_tiles<kKernel>(blocks, a, b, exact);
    for (int64_t row = 0; row < kTileRows; row += kFoldRows) {
      Sums<kFoldRows, 1> sums;
#pragma GCC unroll 4
      for (int r = 0; r < kFoldRows; ++r) {
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          sums.v[r][j] =
              before == nullptr ? hn::Zero(d) : hn::LoadU(d, before + (row + r) * before_stride + j * kLanes);
        }
      }
      fold_tiles<kKernel>(blocks, row, a, b, exact, sums);
#pragma GCC unroll 4
      for (int r = 0; r < kFoldRows; ++r) {
        float* to = target.sums + (row + r) * target.stride;
        hn::StoreU(sums.v[r][0], d, to);
        hn::StoreU(sums.v[r][1], d, to + kLanes);
      }
    }
    before = target.sums;
    before_stride = target.stride;
    k += 32 * blocks;
    a += blocks * kTileWords<kKernel>;
    b += expanded_size(kKernel, 32 * blocks);
  } while (k < inner);
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
