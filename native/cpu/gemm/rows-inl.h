// A block of rows of a on its way to the kernels: packing it, a block of k at a time, and asking for the next one.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_ROWS_INL_H
#undef MOE_CPU_GEMM_ROWS_INL_H
#else
#define MOE_CPU_GEMM_ROWS_INL_H
#endif

#include <algorithm>

#include "cpu/gemm/pack-inl.h"
#include "cpu/gemm/plan-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline void pack_a(Way way, const Operand& rows, int64_t height, int64_t steps, float* to) {
  switch (way) {
    case Way::kFloats: return pack_rows(rows, height, steps, to);
    case Way::kPairs: return pack_row_pairs(rows, height, steps, to);
    case Way::kTiles:
#if MOE_TILES
      return pack_row_tiles(rows, height, steps, to);
#endif
      break;
  }
}

// From so many bytes between two steps of k on, rows that lie side by side are packed kStepsAcross steps at a time.
inline constexpr int64_t kFarBytes = 8192, kStepsAcross = 8;

// `steps` steps of k of a block of rows, panel after panel. Returns where they end. Steps far apart share few places in
// the caches, where a line would not wait for the next panel: of those each panel takes a few in its turn, and asks
// memory for as many.
inline float* pack_block(const Plan& plan, const Block& block, int64_t k, int64_t steps, float* to) {
  const Operand& a = plan.product->a;
  const bool far = plan.tiling.own_rows && a.line_stride == 1 && a.inner_stride * dtype_bytes(a.dtype) >= kFarBytes;
  const int64_t most = far ? kStepsAcross : steps;
  for (int64_t done = 0; done < steps; done += most) {
    float* panel_start = to;
    for (int64_t panel = 0; panel < block.panels; ++panel) {
      const int64_t row = block.row[panel], height = block.height(panel);
      for (int64_t step = done + most; far && step < done + 2 * most; ++step) {
        __builtin_prefetch(a.at(row, k + step).data);
      }
      pack_a(plan.way, a.at(row, k + done), height, std::min(most, steps - done),
             panel_start + height * plan.row_words(done));
      panel_start += plan.packed_rows(height) * plan.row_words(steps);
    }
  }
  return to + plan.packed_rows(block.rows()) * plan.row_words(steps);
}

// Asks memory, while `steps` steps of k from `k` on are multiplied, for part `part` of `parts` of what pack_block takes
// next: as many steps of the same rows, or the first ones of the next block's.
inline void prefetch_next_rows(const Plan& plan, const Block& block, int64_t k, int64_t steps, int64_t part,
                               int64_t parts) {
  const Product& product = *plan.product;
  int64_t first = block.row[0], rows = block.rows();
  k += steps;
  if (k >= product.inner) {
    k = 0;
    first += rows;
    steps = block.inner;
  }
  rows = std::min(rows, product.rows - first);
  steps = std::min(steps, product.inner - k);
  const bool across = product.a.line_stride == 1;
  const int64_t runs = across ? steps : rows, length = (across ? rows : steps) * dtype_bytes(product.a.dtype);
  for (int64_t run = runs * part / parts; run < runs * (part + 1) / parts; ++run) {
    const Operand from = across ? product.a.at(first, k + run) : product.a.at(first + run, k);
    for (int64_t byte = 0; byte < length; byte += 64) {
      __builtin_prefetch(static_cast<const char*>(from.data) + byte, 0, 2);
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
