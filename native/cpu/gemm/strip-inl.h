// What a task does: multiplies a block of rows by a strip, a block of k at a time, and finishes the sums.
//
// A strip's weights are read from memory once, by the first block of rows, and from the caches by the others; its
// sums live in a float32 tile until the epilogue rounds them to c.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_STRIP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_STRIP_INL_H
#undef MOE_CPU_GEMM_STRIP_INL_H
#else
#define MOE_CPU_GEMM_STRIP_INL_H
#endif

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cpu/gemm/epilogue-inl.h"
#include "cpu/gemm/kernel-inl.h"
#include "cpu/gemm/pack-inl.h"
#include "cpu/gemm/plan-inl.h"
#include "cpu/gemm/rows-inl.h"
#include "cpu/gemm/tile-inl.h"
#include "cpu/processor.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Steps of k from `k` on of a panel of b.
template <class Weight>
void pack_panel(const Product& product, int64_t panel, int64_t k, int64_t steps, Weight* to,
                const Prefetch<Weight>& next = {}) {
  const int64_t column = panel * kPanelColumns;
  pack_columns(product.b.at(column, k), std::min(kPanelColumns, product.columns - column), steps, to, next);
}

// Whether the kernels read a piece of b, `steps` of k, where it lies: its columns are side by side, and no dtype is to
// be turned into another.
template <class Products>
bool reads_rows(const Product& product, int64_t panel, int64_t steps, int64_t row_panels) {
  const bool whole = product.b.line_stride == 1 && (panel + 1) * kPanelColumns <= product.columns;
  if (!whole || row_panels > few_panels<Products>()) return false;
  if (std::is_same_v<Products, PairProducts>) return steps % 2 == 0;
  return std::is_same_v<Products, FloatProducts>;
}

// Whether packing a piece asks for half of what comes next: it takes about as long as multiplying by one panel of rows,
// but much longer than tiles, and less than multiplying what is widened.
template <class Products>
bool asks_while_packing(const Product& product, int64_t panel) {
  const int64_t column = panel * kPanelColumns;
  return (std::is_same_v<Products, FloatProducts> || std::is_same_v<Products, PairProducts>) &&
         turns_columns<typename Products::Weight>(product.b, std::min(kPanelColumns, product.columns - column));
}

template <class Products>
inline constexpr bool kInTiles = std::is_same_v<Products, TileProducts>;

// What multiplies `rows` rows by panels side by side.
template <class Products>
PanelKernel<Products>* kernel_of(int64_t rows, int panels) {
#if MOE_TILES
  if constexpr (kInTiles<Products>) return rows > kTileRows ? multiply_tiles<2> : multiply_tiles<1>;
#endif
  if constexpr (!kInTiles<Products>) return panel_kernel<Products>(rows, panels);
}

// What multiplies by a piece that it reads where it lies.
template <class Products>
PanelKernel<Products>* row_kernel(int64_t rows) {
#if MOE_NATIVE_DOT
  if constexpr (std::is_same_v<Products, PairProducts>) return panel_kernel<PairRowProducts>(rows, 1);
#endif
  return kernel_of<Products>(rows, 1);
}

// A strip's panels: each whole, packed or where it lies, or packed piece by piece.
template <class Weight>
struct Panels {
  const Weight* whole[kMaxStripPanels];
  int64_t stride;      // elements from one step of k of a whole panel to the next
  Weight* piece;       // null where panels are whole
  int64_t next_strip;  // columns from this strip to the next, which its thread will probably take
};

// Rows up to which most of the work is to wait for memory, and from which on it is to multiply.
inline constexpr int64_t kMostlyReading = 4, kMostlyMultiplying = 25;

// The largest strip of columns along k that is asked for whole before its turn: two of them stay in the L2 cache.
inline constexpr int64_t kMostAheadBytes = 524288;

// What the kernels ask memory for while they multiply panel p by steps k .. k + steps - 1: a block of b that comes
// later, of which each of the block's panels of rows asks for a part. Whole panels go past the L2 and L3 caches, which
// then have less to write back, where the L1 cache has the means; pieces never, which are packed from the L2 cache.
template <class Weight>
Prefetch<Weight> next_block(const Plan& plan, const Strip& strip, const Panels<Weight>& panels, int64_t p, int64_t k,
                            int64_t steps, const Block& block) {
  constexpr int kOneRun = 62;
  constexpr int64_t kBytes = sizeof(Weight);
  const int64_t inner = plan.product->inner, count = block.panels;
  const int64_t pace = ceil_div(kTurnBytes / kBytes, count);
  if (panels.piece == nullptr) {
    const int64_t rows = block.rows();
    const bool past_caches =
        streams_past_caches() && (waits_for_many_lines() || rows <= kMostlyReading || rows >= kMostlyMultiplying);
    if (count == 1) {
      const int64_t ahead = (past_caches ? kStreamAhead : kStreamFarAhead) / kBytes;
      return {panels.whole[p] + k * kPanelColumns, ahead, pace, kOneRun, 0, past_caches};
    }
    // Blocks of rows of their own go on with the same strip.
    const Weight* next = p + 1 < strip.panels   ? panels.whole[p + 1] + k * panels.stride
                         : k + steps < inner    ? panels.whole[0] + (k + steps) * panels.stride
                         : plan.tiling.own_rows ? panels.whole[0]
                                                : panels.whole[0] + panels.next_strip * inner;
    constexpr int kPanelRun = std::countr_zero(static_cast<uint64_t>(kPanelColumns));
    return {next, 0, pace, kPanelRun, panels.stride - kPanelColumns, past_caches && !plan.tiling.own_rows};
  }
  const Operand& b = plan.product->b;
  const bool along_k = b.inner_stride == 1;
  int64_t column = strip.panel[along_k ? p : 0] * kPanelColumns;
  if (along_k && strip.panels * kPanelColumns * inner * kBytes <= kMostAheadBytes) {
    // As much of the next strip's panel, whose lines of k follow each other: memory is read in the order it has.
    const Operand panel = b.at(column + panels.next_strip, 0);
    return {static_cast<const Weight*>(panel.data), k * kPanelColumns, pace, kOneRun, 0, false};
  }
  // The next piece, of lines along k; or, where columns lie side by side, its share of the next pieces of all panels.
  k += steps;
  const int64_t share = along_k ? 0 : p * steps * kPanelColumns;
  if (!along_k && strip.columns == b.inner_stride) {
    // Whole rows are one run, which after the last goes on with the next expert's weights.
    return {static_cast<const Weight*>(b.at(0, k).data), share, pace, kOneRun, 0, false};
  }
  if (k >= inner) {
    k = 0;
    if (column + panels.next_strip < plan.product->columns) column += panels.next_strip;
  }
  const uint64_t run = along_k ? static_cast<uint64_t>(plan.short_inner())
                               : std::bit_ceil(static_cast<uint64_t>(strip.panels * kPanelColumns));
  const int64_t gap = (along_k ? b.line_stride : b.inner_stride) - static_cast<int64_t>(run);
  return {static_cast<const Weight*>(b.at(column, k).data), share, pace, std::countr_zero(run), gap, false};
}

// Whether all of k is multiplied at once by panels that the task has packed: little work, of which deciding what to ask
// memory for, and where to go on, would be a tenth.
template <class Products>
bool is_short(const Product& product, const Epilogue& epilogue) {
  return !kInTiles<Products> && !epilogue.gated() && !product.b.packed && product.inner <= kWideInner;
}

// Sums of a block of rows and a strip of a short product, into the tile, or along the rows of c.
template <class Products, class Weight = typename Products::Weight>
void multiply_short(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Panels<Weight>& panels,
                    const Block& block, float* tile) {
  const Product& product = *plan.product;
  const bool writes = is_sums(product, epilogue);
  const float* a = plan.packed_a + block.row[0] * plan.row_words(product.inner);
  const Prefetch<Weight> nothing;
  for (int64_t i = 0; i < block.panels; ++i) {
    const int64_t row = block.row[i], height = block.height(i);
    const auto kernel = kernel_of<Products>(height, 1);
    PanelsOfB<Weight> b{{}, kPanelColumns};
    Target target{nullptr, 0, tile + (row - block.row[0]) * plan.tile_stride(), plan.tile_stride(), Write::kStore};
    if (writes) aim_at_c(plan, epilogue, row, strip.first_column, target);
    for (int64_t p = 0; p < strip.panels; ++p, target.sums += kPanelColumns) {
      if (!epilogue.leaves_caches) {
        const int64_t column = strip.first_column + (p + (writes ? kPanelsAhead : 0)) * kPanelColumns;
        prefetch_c(plan, epilogue, row, height, column);
      }
      b.panel[0] = panels.whole[p];
      kernel(product.inner, a, b, nothing, target);
    }
    a += height * plan.row_words(product.inner);
  }
}

// Sums of a block of rows and a strip, into the tile, or into c. `own_rows` is room for those that the task packs
// itself.
template <class Products, class Weight = typename Products::Weight>
void multiply_strip(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Panels<Weight>& panels,
                    const Block& block, float* own_rows, float* tile) {
  const int64_t inner = plan.product->inner, count = block.panels;
  const bool one_pass = count == 1 && panels.piece == nullptr && !kInTiles<Products>;
  const int64_t most = one_pass ? side_by_side(block.rows()) : 1;
  const bool writes = is_sums(*plan.product, epilogue) && !kInTiles<Products>;
  const float* a = plan.tiling.own_rows ? own_rows : plan.packed_a + block.row[0] * plan.row_words(inner);
  int64_t k = 0;
  do {
    const int64_t steps = std::min(block.inner, inner - k);
    if (plan.tiling.own_rows) pack_block(plan, block, k, steps, own_rows);
    for (int64_t p = 0, abreast; p < strip.panels; p += abreast) {
      abreast = std::min<int64_t>(most, strip.panels - p);
      PanelsOfB<Weight> b{{}, panels.stride};
      Prefetch<Weight> next = next_block(plan, strip, panels, p, k, steps, block);
      const bool rows_of_b =
          panels.piece != nullptr && reads_rows<Products>(*plan.product, strip.panel[p], steps, count);
      if (panels.piece == nullptr) {
        for (int64_t j = 0; j < abreast; ++j) b.panel[j] = panels.whole[p + j] + k * panels.stride;
      } else if (rows_of_b) {
        const Operand& rows = plan.product->b;
        b = {{static_cast<const Weight*>(rows.at(strip.panel[p] * kPanelColumns, k).data)}, rows.inner_stride};
      } else {
        Prefetch<Weight> meanwhile;
        if (count == 1 && asks_while_packing<Products>(*plan.product, strip.panel[p])) {
          next.pace /= 2;
          meanwhile = next;
          next.position += steps * kPanelColumns / 2;
        }
        pack_panel(*plan.product, strip.panel[p], k, steps, panels.piece, meanwhile);
        b.panel[0] = panels.piece;
      }
      const int64_t share = steps * kPanelColumns / count;
      for (int64_t i = 0; i < count; ++i, next.position += share) {
        const int64_t row = block.row[i], height = block.height(i);
        if (plan.tiling.own_rows) {
          prefetch_next_rows(plan, block, k, steps, p * count + i, strip.panels * count);
        }
        if (!kInTiles<Products> && !epilogue.gated() && k == 0 && !epilogue.leaves_caches) {
          const int64_t column = strip.first_column + (p + (writes ? kPanelsAhead : 0)) * kPanelColumns;
          prefetch_c(plan, epilogue, row, height, column);
        }
        float* sums = tile + (row - block.row[0]) * plan.tile_stride() + p * kPanelColumns;
        Target target{k > 0 ? sums : nullptr, plan.tile_stride(), sums, plan.tile_stride(), Write::kStore};
        if (writes && k + steps == inner) aim_at_c(plan, epilogue, row, strip.panel[p] * kPanelColumns, target);
        const auto kernel =
            rows_of_b ? row_kernel<Products>(height) : kernel_of<Products>(height, static_cast<int>(abreast));
        kernel(steps, a + (row - block.row[0]) * plan.row_words(steps), b, next, target);
      }
    }
    if (!plan.tiling.own_rows) a += plan.packed_rows(block.rows()) * plan.row_words(steps);
    k += steps;
  } while (k < inner);
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
