// How a product is cut: strips of a few panels of b, blocks of rows of a, and chunks of blocks where strips are few.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PLAN_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PLAN_INL_H
#undef MOE_CPU_GEMM_PLAN_INL_H
#else
#define MOE_CPU_GEMM_PLAN_INL_H
#endif

#include <algorithm>
#include <optional>
#include <type_traits>

#include "core/check.h"
#include "cpu/gemm/panel-inl.h"
#include "cpu/processor.h"
#include "cpu/simd/target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// How a product's operands become products.
enum class Way {
  kFloats,  // WidenedProducts where b is bfloat16
  kPairs,
  kTiles,
};

inline Way way_of(const Product& product) {
  if (product.a.dtype != MOE_BFLOAT16 || product.b.dtype != MOE_BFLOAT16) return Way::kFloats;
  if (MOE_TILES && multiplies_in_tiles()) return Way::kTiles;
  return MOE_NATIVE_DOT ? Way::kPairs : Way::kFloats;
}

inline constexpr int64_t kMaxStripPanels = 64;

struct Tiling {
  int64_t strip;          // panels of b, at most
  int64_t block;          // panels of a in a block of rows, at most
  int64_t block_bytes;    // of a panel of b, by as much of k: they stay in the L1 cache
  bool own_rows = false;  // whether tasks pack rows, a block of k at a time; else all are packed before
  bool in_place = false;  // whether the kernels read rows of b where they lie
};
// So many rows of a, a block of k at a time, stay in the L2 cache.
inline constexpr Tiling kDeep{4, 96 / kPanelRows, 16384};
// The same where a strip has all columns: each block's rows are packed by its own task and never leave the caches.
inline constexpr Tiling kWhole{256 / kPanelColumns, 96 / kPanelRows, 16384, true};
inline constexpr int64_t kRowsByColumns = 4;  // and a thread has at least so many times as many rows
// The same without packing b. The sums, 96 rows of 1024 columns, still stay in the L2 cache.
inline constexpr Tiling kWholeInPlace{std::min(1024 / kPanelColumns, kMaxStripPanels), 96 / kPanelRows, 16384, true,
                                      true};
// So many rows are one block where that is what lets b be packed piece by piece.
inline constexpr Tiling kTall{4, 288 / kPanelRows, 16384};
// The same, one panel after the other: memory is read in order. Rows are read for each panel, from the L2 cache.
inline constexpr Tiling kTallNarrow{1, 288 / kPanelRows, 16384};
inline constexpr int64_t kNarrowRowBytes = 3 << 19;  // of them packed, at most
// The same where columns of b lie side by side: memory gives the more the longer the rows of a piece are, and the L2
// cache has few places for rows a power of two apart.
inline constexpr Tiling kTallAcross{8, 288 / kPanelRows, 8192};
// Most where whole rows of b are read as they lie, one after the other: of few rows of a, whose sums still stay in the
// L2 cache, and where there are strips enough.
inline constexpr int64_t kWholeRowBytes = 4096, kWholeRowSums = 131072;
// Short products spend their time on c: wide strips write it along its rows.
inline constexpr Tiling kWide{64, 24 / kPanelRows, 16384};
// The longest inner dimension at which their strip of b stays in the L2 cache.
inline constexpr int64_t kWideInner = 128;
static_assert(kWide.block_bytes >= kWideInner * kPanelColumns * int64_t{sizeof(float)});  // all of their k is one block
inline constexpr int64_t kMaxBlockPanels = kTall.block;
// The same with tiles. Their sums go to memory and come back between blocks of k, which takes as long as some steps of
// k do: where b is packed, blocks are longer. They multiply so fast that reading rows again costs more than a wider
// strip.
inline constexpr Tiling kDeepTiles{8, 288 / kTilePanelRows, 32768};
inline constexpr Tiling kTallNarrowTiles{1, 288 / kTilePanelRows, 16384};
inline constexpr Tiling kTallAcrossTiles{8, 288 / kTilePanelRows, 8192};
inline constexpr Tiling kWideTiles{64, 1, 32768};
static_assert(kDeep.block <= kMaxBlockPanels && kWide.block <= kMaxBlockPanels && kDeepTiles.block <= kMaxBlockPanels);
static_assert(kWhole.block <= kMaxBlockPanels && kWideTiles.strip <= kMaxStripPanels);
static_assert(kWhole.strip <= kMaxStripPanels && kWide.strip <= kMaxStripPanels);
inline constexpr int64_t kProductsPerThread = 8;  // that are enough for each thread to have some for itself
inline constexpr int64_t kTasksPerThread = 32;    // of a call: its threads end together but for a task
// The longest inner dimension of which a strip of b is packed as a whole whatever the rows.
inline constexpr int64_t kHeldInner = 512;

// b that is not packed is packed by the tasks: a strip at once, for all blocks of rows; or, where one block is all, a
// block of k of a panel right before its use, while the kernels ask memory for what follows.
inline bool packs_pieces(const Product& product) {
  return !product.b.packed && product.inner > kHeldInner && product.rows <= kTall.block * kPanelRows;
}

// What a call asks for together.
struct Call {
  bool gated;
  int threads;
  int64_t threads_a_product;  // that share its rows
  int64_t panels = 0;         // of b, each as often as there are blocks of rows

  Call(const Product* products, int64_t count, bool gated, int threads) : gated(gated), threads(threads) {
    const auto has_work = [](const Product& p) { return p.rows > 0 && p.columns > 0 && p.inner > 0; };
    const int64_t busy = std::max<int64_t>(std::count_if(products, products + count, has_work), 1);
    threads_a_product = std::min<int64_t>(threads, ceil_div(kProductsPerThread * threads, busy));
    for (const Product* product = products; product < products + count; ++product) {
      const bool tall = packs_pieces(*product) || way_of(*product) == Way::kTiles;
      const int64_t block = kPanelRows * (tall ? kTall.block : kDeep.block);
      panels += ceil_div(product->columns, kPanelColumns) * ceil_div(product->rows, block);
    }
  }
};

// Panels of rows up to which reading b's rows where they lie is worth more than having them side by side, or in pairs.
template <class Products>
int64_t few_panels() {
  if (gathers_rows_first()) return 1;
  return std::is_same_v<Products, PairProducts> ? 4 : 8;
}

// Whether rows of b are panels side by side, of the kernels' dtype, and a block's panels of rows few.
inline bool has_panels_in_rows(const Product& product, Way way) {
  return kWholeInPlace.block <= few_panels<FloatProducts>() && way == Way::kFloats && product.b.dtype == MOE_FLOAT32 &&
         !product.b.packed && product.b.line_stride == 1 && product.columns % kPanelColumns == 0;
}

// How tasks pack blocks of rows and multiply them by all columns, unless they had better not. Threads are to have a
// whole block each, and packing b, which then each of them does, is to be little work.
inline std::optional<Tiling> whole_tiling(const Product& product, Way way, const Call& call) {
  if (call.gated || way == Way::kTiles || product.inner <= kWideInner) return std::nullopt;
  const int64_t share = product.rows / call.threads_a_product;
  if (has_panels_in_rows(product, way) && product.columns <= kWholeInPlace.strip * kPanelColumns) {
    return share >= kWhole.block * kPanelRows ? std::optional(kWholeInPlace) : std::nullopt;
  }
  if (product.columns > kWhole.strip * kPanelColumns || product.rows <= kTall.block * kPanelRows) return std::nullopt;
  const int64_t packing = product.b.packed ? 0 : kRowsByColumns * product.columns;
  return share >= std::max(kWhole.block * kPanelRows, packing) ? std::optional(kWhole) : std::nullopt;
}

inline Tiling widest_tiling(const Product& product, Way way, const Call& call) {
  const bool tiles = way == Way::kTiles;
  if (!call.gated && product.inner <= kWideInner) return tiles ? kWideTiles : kWide;
  if (const std::optional<Tiling> whole = whole_tiling(product, way, call)) return *whole;
  if (!packs_pieces(product)) return tiles ? kDeepTiles : kDeep;
  if (product.b.inner_stride != 1) {
    if (tiles) return kTallAcrossTiles;
    const int64_t panels = ceil_div(product.columns, kPanelColumns);
    const bool whole = !call.gated && product.columns == product.b.inner_stride && panels <= kMaxStripPanels &&
                       product.rows * product.columns * int64_t{sizeof(float)} <= kWholeRowSums;
    const bool as_they_lie = product.rows <= kPanelRows || waits_for_many_lines();
    if (!whole || !as_they_lie || panels * call.threads * 2 > call.panels) return kTallAcross;
    return {panels, std::max<int64_t>(ceil_div(product.rows, kPanelRows), 1), kWholeRowBytes};
  }
  // SwiGLU's halves share a panel where the second begins within one: narrow strips would read it twice.
  const bool shares = call.gated && product.columns / 2 % kPanelColumns != 0;
  if (shares || product.rows * product.inner * (way == Way::kFloats ? 4 : 2) > kNarrowRowBytes) {
    return tiles ? kDeepTiles : kTall;
  }
  Tiling narrow = tiles ? kTallNarrowTiles : kTallNarrow;
  if (call.gated) narrow.strip = 2;
  return narrow;
}

// Strips of blocks with rows of their own have all columns; others are no wider than a thread's share of all panels,
// but for those that few rows walk side by side.
inline Tiling tiling_of(const Product& product, Way way, const Call& call) {
  Tiling tiling = widest_tiling(product, way, call);
  if (tiling.own_rows) {
    tiling.strip = std::clamp<int64_t>(ceil_div(product.columns, kPanelColumns), 1, tiling.strip);
    return tiling;
  }
  int64_t share = std::max<int64_t>(ceil_div(call.panels, call.threads), 1);
  if (!packs_pieces(product)) share = std::max<int64_t>(share, side_by_side(product.rows));
  tiling.strip = std::min(tiling.strip, call.gated ? ceil_div(share, 2) * 2 : share);
  return tiling;
}

// A product's share of the call's tasks and scratch.
struct Plan {
  const Product* product;
  Way way;
  float* packed_a;  // but for own rows
  Tiling tiling;
  int64_t panels;  // of rows
  int64_t blocks;  // of row panels
  int64_t strips;
  int64_t chunks;  // of blocks, each with every strip a task
  int64_t first_pack_task;
  int64_t first_task;

  // Elements of a row of the tile; SwiGLU may need one panel more than a strip has.
  int64_t tile_stride() const { return (tiling.strip + 1) * kPanelColumns; }
  // Panels of b that a strip begins with: with SwiGLU half of them, of gates, and then those that hold the same columns
  // of the up half, which need not begin where a panel does.
  int64_t strip_panels(bool gated) const { return gated ? tiling.strip / 2 : tiling.strip; }
  // 32-bit words that `steps` steps of k take of a row of packed a, and the rows that `rows` of a product's first are.
  int64_t row_words(int64_t steps) const {
    if (way == Way::kTiles) return ceil_div(steps, kTileSteps) * kTileSteps / 2;
    return way == Way::kPairs ? ceil_div(steps, 2) : steps;
  }
  int64_t packed_rows(int64_t rows) const { return way == Way::kTiles ? ceil_div(rows, kTileRows) * kTileRows : rows; }
  int64_t panel_rows() const { return way == Way::kTiles ? kTilePanelRows : kPanelRows; }
  int64_t first_panel(int64_t block) const { return panels * block / blocks; }
  // Panels are of equal height but for one row, because a low panel costs as much as a full one; with tiles half a one.
  int64_t first_row(int64_t panel) const {
    if (way == Way::kTiles) return std::min(panel * kTilePanelRows, product->rows);
    return product->rows * panel / panels;
  }

  // Steps of k in a panel of b's share of the L1 cache, a power of two.
  int64_t short_inner() const { return tiling.block_bytes / (kPanelColumns * dtype_bytes(product->b.dtype)); }
  bool packs_pieces() const { return !tiling.own_rows && HWY_NAMESPACE::packs_pieces(*product); }

  // Words of packed_a.
  int64_t packed_words() const { return tiling.own_rows ? 0 : packed_rows(product->rows) * row_words(product->inner); }

  // A task's scratch: what it packs of b and of a, and the tile of sums, which SwiGLU's last load may overrun by less
  // than a vector.
  int64_t packed_bytes() const {
    if (product->b.packed || tiling.in_place) return 0;
    if (packs_pieces()) return tiling.block_bytes;
    // SwiGLU may take the panel in which the gates end and the up half begins twice.
    const int64_t most = std::min(tiling.strip, ceil_div(product->columns, kPanelColumns)) + 1;
    return ceil_div(most * panel_size(product->b.dtype, product->inner) * dtype_bytes(product->b.dtype), 64) * 64;
  }
  int64_t own_row_words() const { return tiling.own_rows ? tiling.block * panel_rows() * row_words(short_inner()) : 0; }
  int64_t scratch_bytes() const {
    const int64_t tile = tiling.block * panel_rows() * tile_stride() + kLanes;
    return packed_bytes() + (own_row_words() + tile) * int64_t{sizeof(float)};
  }
};

// Rows and panels of a of one block. They are packed block after block of k, so that the kernels read them in order.
struct Block {
  Block(const Plan& plan, int64_t index) {
    const int64_t begin = plan.first_panel(index), end = plan.first_panel(index + 1);
    for (int64_t panel = begin; panel <= end; ++panel) row[panel - begin] = plan.first_row(panel);
    panels = end - begin;
    const bool in_parts = panels > 1 || plan.tiling.own_rows || plan.packs_pieces();
    inner = in_parts ? plan.short_inner() : std::max<int64_t>(plan.product->inner, 1);
  }
  int64_t rows() const { return row[panels] - row[0]; }
  int64_t height(int64_t panel) const { return row[panel + 1] - row[panel]; }

  int64_t panels;
  int64_t row[kMaxBlockPanels + 1];  // each panel's first, and where the last one ends
  int64_t inner;  // steps of k before the next panel's turn; all of them for a panel that is alone, if b is there
};

// Columns of c and the panels of b that they need.
struct Strip {
  int64_t first_column;  // of c
  int64_t columns;       // of c
  int64_t panels = 0;
  int64_t panel[kMaxStripPanels];
  int64_t up_offset = 0;  // where in the tile SwiGLU's up half begins
};

inline Strip make_strip(const Plan& plan, bool gated, int64_t index) {
  Strip strip;
  const Product& product = *plan.product;
  const int64_t width = plan.strip_panels(gated) * kPanelColumns;
  const int64_t c_columns = gated ? product.columns / 2 : product.columns;
  strip.first_column = index * width;
  strip.columns = std::min(width, c_columns - strip.first_column);
  const auto add_panels = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin / kPanelColumns; p < ceil_div(end, kPanelColumns); ++p) strip.panel[strip.panels++] = p;
  };
  add_panels(strip.first_column, strip.first_column + strip.columns);
  if (gated) {
    const int64_t up = c_columns + strip.first_column;
    strip.up_offset = strip.panels * kPanelColumns + up % kPanelColumns;
    add_panels(up, up + strip.columns);
  }
  return strip;
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
