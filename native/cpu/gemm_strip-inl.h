// What a task does: multiplies a block of rows by a strip, a block of k at a time, and finishes the sums.
//
// A strip's weights are read from memory once, by the first block of rows, and from the caches by the others; its
// sums live in a float32 tile until the epilogue rounds them to c.
#include "cpu/gemm_operand.h"

#if defined(MOE_CPU_GEMM_STRIP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_STRIP_INL_H
#undef MOE_CPU_GEMM_STRIP_INL_H
#else
#define MOE_CPU_GEMM_STRIP_INL_H
#endif

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cpu/activation-inl.h"
#include "cpu/gemm_kernel-inl.h"
#include "cpu/gemm_pack-inl.h"
#include "cpu/gemm_plan-inl.h"
#include "cpu/gemm_tile-inl.h"
#include "cpu/processor.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// How many panels of columns before its own c is asked for where the kernels write it.
inline constexpr int64_t kPanelsAhead = 3;

// Asks for the elements of c that a panel's sums are about to be written to.
HWY_INLINE void prefetch_c(const Plan& plan, const Epilogue& epilogue, int64_t row, int64_t column) {
  const int64_t element = (plan.product->c_row + row) * plan.product->columns + column;
  const int64_t bytes = epilogue.c->dtype == MOE_BFLOAT16 ? 2 : 4;
  const char* from = static_cast<const char*>(epilogue.c->data) + element * bytes;
  for (int64_t line = 0; line < kPanelColumns * bytes; line += 64) __builtin_prefetch(from + line, 1, 2);
}

// Steps of k from `k` on of a panel of b.
template <class Weight>
void pack_panel(const Product& product, int64_t panel, int64_t k, int64_t steps, Weight* to,
                const Prefetch<Weight>& next = {}) {
  const int64_t column = panel * kPanelColumns;
  pack_columns(product.b.at(column, k), std::min(kPanelColumns, product.columns - column), steps, to, next);
}

inline void pack_a(Way way, const Operand& rows, int64_t height, int64_t steps, float* to) {
  switch (way) {
    case Way::kFloats:
      return pack_rows(rows, height, steps, to);
    case Way::kPairs:
      return pack_row_pairs(rows, height, steps, to);
    case Way::kTiles:
#if MOE_TILES
      return pack_row_tiles(rows, height, steps, to);
#endif
      break;
  }
}

// `steps` steps of k of a block of rows, panel after panel. Returns where they end.
inline float* pack_block(const Plan& plan, const Block& block, int64_t k, int64_t steps, float* to) {
  for (int64_t panel = 0; panel < block.panels; ++panel) {
    const int64_t height = block.height(panel);
    pack_a(plan.way, plan.product->a.at(block.row[panel], k), height, steps, to);
    to += plan.packed_rows(height) * plan.row_words(steps);
  }
  return to;
}

// Panels of rows up to which reading b's rows where they lie is worth more than having them side by side, or in pairs.
template <class Products>
int64_t few_panels() {
  if (gathers_rows_first()) return 1;
  return std::is_same_v<Products, PairProducts> ? 4 : 8;
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

// A strip's panels: each whole, or packed piece by piece.
template <class Weight>
struct Panels {
  const Weight* whole[kMaxStripPanels];
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
    const bool past_caches = streams_past_caches() && (waits_for_many_lines() || rows <= kMostlyReading ||
                                                       rows >= kMostlyMultiplying);
    if (count == 1) {
      const int64_t ahead = (past_caches ? kStreamAhead : kStreamFarAhead) / kBytes;
      return {panels.whole[p] + k * kPanelColumns, ahead, pace, kOneRun, 0, past_caches};
    }
    const Weight* next = p + 1 < strip.panels ? panels.whole[p + 1] + k * kPanelColumns
                         : k + steps < inner  ? panels.whole[0] + (k + steps) * kPanelColumns
                                              : panels.whole[0] + panels.next_strip * inner;
    return {next, 0, pace, kOneRun, 0, past_caches};
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

// Whether c is the sums, or what was there and the sums, and nothing else: then the kernels themselves write it, but for
// those of tiles, which cannot write past the caches.
inline bool is_sums(const Product& product, const Epilogue& epilogue) {
  constexpr int64_t kVectorBytes = kLanes * int64_t{sizeof(float)};
  return (epilogue.accumulate || epilogue.leaves_caches) && epilogue.activation == MOE_IDENTITY &&
         epilogue.bias == nullptr && epilogue.preactivation == nullptr && epilogue.c->dtype == MOE_FLOAT32 &&
         product.columns % kPanelColumns == 0 && reinterpret_cast<uintptr_t>(epilogue.c->data) % kVectorBytes == 0;
}

// Sums of a block of rows and a strip, into the tile, or into c. `own_rows` is room for those that the task packs itself.
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
      for (abreast = most; p + abreast > strip.panels;) abreast /= 2;
      PanelsOfB<Weight> b{{}, kPanelColumns};
      Prefetch<Weight> next = next_block(plan, strip, panels, p, k, steps, block);
      const bool rows_of_b =
          panels.piece != nullptr && reads_rows<Products>(*plan.product, strip.panel[p], steps, count);
      if (panels.piece == nullptr) {
        for (int64_t j = 0; j < abreast; ++j) b.panel[j] = panels.whole[p + j] + k * kPanelColumns;
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
        if (!kInTiles<Products> && epilogue.activation != MOE_SWIGLU && k == 0 && !epilogue.leaves_caches) {
          const int64_t column = strip.first_column + (p + (writes ? kPanelsAhead : 0)) * kPanelColumns;
          for (int64_t r = row; r < row + height; ++r) prefetch_c(plan, epilogue, r, column);
        }
        float* sums = tile + (row - block.row[0]) * plan.tile_stride() + p * kPanelColumns;
        Target target{k > 0 ? sums : nullptr, plan.tile_stride(), sums, plan.tile_stride(), Write::kStore};
        if (writes && k + steps == inner) {
          target.sums = static_cast<float*>(epilogue.c->data) + (plan.product->c_row + row) * plan.product->columns +
                        strip.panel[p] * kPanelColumns;
          target.stride = plan.product->columns;
          target.write = epilogue.accumulate ? Write::kAdd : Write::kStream;
        }
        const auto kernel =
            rows_of_b ? row_kernel<Products>(height) : kernel_of<Products>(height, static_cast<int>(abreast));
        kernel(steps, a + (row - block.row[0]) * plan.row_words(steps), b, next, target);
      }
    }
    if (!plan.tiling.own_rows) a += plan.packed_rows(block.rows()) * plan.row_words(steps);
    k += steps;
  } while (k < inner);
}

// Takes a block's rows from the tile to a c that is sums.
inline void move_sums(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Block& block,
                      const float* tile) {
  const FloatTag d;
  const int64_t columns = plan.product->columns;
  float* c = static_cast<float*>(epilogue.c->data) + (plan.product->c_row + block.row[0]) * columns + strip.first_column;
  for (int64_t row = block.row[0]; row < block.row[block.panels]; ++row, tile += plan.tile_stride(), c += columns) {
    for (int64_t j = 0; j < strip.columns; j += kLanes) {
      const FloatVector sums = hn::LoadU(d, tile + j);
      epilogue.accumulate ? hn::Store(hn::Add(hn::Load(d, c + j), sums), d, c + j) : hn::Stream(sums, d, c + j);
    }
  }
}

// Rounds a block's rows from the tile to c.
template <moe_activation kActivation>
void finish_strip(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Block& block,
                  const float* tile) {
  const FloatTag d;
  constexpr bool kGated = kActivation == MOE_SWIGLU;
  const Product& product = *plan.product;
  const int64_t c_columns = kGated ? product.columns / 2 : product.columns;
  const float* bias = epilogue.bias == nullptr
                          ? nullptr
                          : static_cast<const float*>(epilogue.bias->data) + product.bias_row * product.columns;
  for (int64_t row = block.row[0]; row < block.row[block.panels]; ++row, tile += plan.tile_stride()) {
    const int64_t c_row = product.c_row + row;
    const Floats c(*epilogue.c, c_row * c_columns);
    // a b + bias of column `column`, whose sums lie at `offset` in the tile; saved for the backward on the way
    const auto preactivation = [&](int64_t offset, int64_t column, size_t n) {
      FloatVector v = hn::LoadU(d, tile + offset);
      if (bias != nullptr) v = hn::Add(v, load(d, bias + column, n));
      if (epilogue.preactivation != nullptr) {
        Floats(*epilogue.preactivation, c_row * product.columns).store(d, v, column, n);
      }
      return v;
    };
    for_each_vector(d, 0, strip.columns, [&](int64_t j, size_t n) {
      const int64_t column = strip.first_column + j;
      FloatVector v = activate<kActivation>(d, preactivation(j, column, n));
      if constexpr (kGated) v = hn::Mul(v, preactivation(strip.up_offset + j, c_columns + column, n));
      if (epilogue.accumulate) v = hn::Add(c.load(d, column, n), v);
      c.store(d, v, column, n);
    });
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
