// What products are cut into: panels of rows of a and of columns of b, packed or as they lie.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PANEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PANEL_INL_H
#undef MOE_CPU_GEMM_PANEL_INL_H
#else
#define MOE_CPU_GEMM_PANEL_INL_H
#endif

#include "cpu/simd/floating-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kLanes = hn::MaxLanes(FloatTag());
// Sums of kPanelRows x kPanelColumns stay in registers: 12 of 16, or 24 of 32 with AVX-512.
inline constexpr int kPanelRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
inline constexpr int64_t kPanelColumns = 2 * kLanes;
// A tile of a is kTileRows rows by kTileSteps steps of k, a tile of b as many steps by kTileRows columns.
inline constexpr int64_t kTileRows = 16, kTileSteps = 32;
// A panel of a for tiles: sums of two tiles of rows by two of columns stay in registers.
inline constexpr int64_t kTilePanelRows = 2 * kTileRows;
// A panel's rows fit a vector, of which AVX-512 loads and stores a part as fast as the whole.
inline constexpr bool kMasked = HWY_TARGET <= HWY_AVX3;

// The most panels of b that one kernel walks side by side.
inline constexpr int kMaxSideBySide = kLanes < 16 ? 2 : 1;

// How many panels side by side give `rows` rows enough independent sums to hide the latency of the multiply-add from
// memory's speed. One panel is one run of memory, which is read fastest; AVX-512 multiplies a line of it at once.
inline int side_by_side(int64_t rows) { return rows <= 3 ? kMaxSideBySide : 1; }

// Elements from one panel of b to the next.
inline int64_t panel_size(int32_t dtype, int64_t inner) {
  return kPanelColumns * (dtype == MOE_BFLOAT16 ? (inner + 1) / 2 * 2 : inner);
}

// How the elements of two packed operands become products, and what a panel of b consists of.
struct FloatProducts {  // of float32
  using Weight = float;
};
struct WidenedProducts {  // of a in float32, and b in bfloat16
  using Weight = hwy::bfloat16_t;
};
struct PairProducts {  // of bfloat16, two of k in one instruction
  using Weight = hwy::bfloat16_t;
};
struct PairRowProducts {  // the same, of rows of b where they lie
  using Weight = hwy::bfloat16_t;
};
struct TileProducts {  // the same in tiles, 32 of k in one instruction
  using Weight = hwy::bfloat16_t;
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
