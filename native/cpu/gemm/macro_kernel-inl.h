// The macro-kernel: C[mc x nc] = A[mc x K] B[K x nc], the three loops around the micro-kernel with the packing of B.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_MACRO_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_MACRO_KERNEL_INL_H
#undef MOE_CPU_GEMM_MACRO_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_MACRO_KERNEL_INL_H
#endif

#include <algorithm>
#include <bit>

#include "cpu/gemm/amx_block_kernel-inl.h"
#include "cpu/gemm/amx_kernel-inl.h"
#include "cpu/gemm/block_kernel-inl.h"
#include "cpu/gemm/blocking-inl.h"
#include "cpu/gemm/expand_blocks-inl.h"
#include "cpu/gemm/epilogue-inl.h"
#include "cpu/gemm/micro_kernel-inl.h"
#include "cpu/gemm/pack-inl.h"
#include "cpu/gemm/round_rows-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Packs `steps` k of a block of A, panel by panel.
inline void pack_a_block(const Plan& plan, const RowBlock& rows, int64_t k, int64_t steps, float* to) {
  for (int64_t i = 0; i < rows.panels; ++i) {
    const Operand a = plan.product.a.at(rows.row(i), k);
    const int64_t height = rows.height(i);
    switch (plan.kernel) {
      case Kernel::kFloat:
      case Kernel::kWiden: pack_rows(a, height, steps, to); break;
      case Kernel::kDot: pack_row_pairs(a, height, steps, to); break;
      case Kernel::kAmx:
#if MOE_TILES
        pack_row_tiles(a, height, steps, to);
#endif
        break;
      default: round_rows(plan.kernel, plan.product.b.dtype, a, height, steps, to);
    }
    to += plan.packed_rows(height) * plan.row_words(steps);
  }
}

// Packs `steps` k of a panel of B.
template <class Weight>
void pack_b_panel(const Product& product, int64_t panel, int64_t k, int64_t steps, Weight* to,
                  const Prefetch<Weight>& next = {}) {
  const int64_t column = panel * kNr;
  pack_columns(product.b.at(column, k), std::min(kNr, product.columns - column), steps, to, next);
}

// The micro-kernel for `rows` rows by one or two panels of B. kDtype: the dtype of B if the kernel reads packed blocks.
template <Kernel kKernel, int32_t kDtype = 0>
MicroKernel<kKernel>* micro_kernel_of(int64_t rows, int64_t panels) {
  if constexpr (kKernel == Kernel::kAmx) {
#if MOE_TILES
    return rows > kTileRows ? amx_kernel<2> : amx_kernel<1>;
#endif
  } else if constexpr (in_tiles(kKernel)) {
#if MOE_TILES
    return amx_block_kernel<kKernel>;
#endif
  } else {
    constexpr int kMost = multiplies_blocks(kKernel) ? kBlockMr : kMr;
    static constexpr auto kOne = micro_kernels<kKernel, 1, kDtype>(std::make_integer_sequence<int, kMost>());
    if constexpr (kSideBySide && !multiplies_blocks(kKernel)) {
      static constexpr auto kTwo = micro_kernels<kKernel, 2, kDtype>(std::make_integer_sequence<int, kLatencyRows>());
      if (panels == 2) return kTwo[static_cast<size_t>(rows - 1)];
    }
    return kOne[static_cast<size_t>(rows - 1)];
  }
}

// Distance in bytes at which packed B is prefetched if a single panel of rows reads it once. Found by measurement.
inline constexpr int64_t kStreamBytes = 8192;
// The largest nc x K block of B, in bytes, whose successor is prefetched: both stay in L2.
inline constexpr int64_t kColumnBlockBytes = 524288;

// What to prefetch while panel p is multiplied by k .. k + steps - 1: the same amount of B, for later use. Each panel
// of rows prefetches its share.
template <class Weight>
Prefetch<Weight> prefetch_b(const Plan& plan, const ColumnBlock& columns, int64_t p, int64_t k, int64_t steps,
                            int64_t row_panels) {
  constexpr int64_t kBytes = sizeof(Weight);
  const Operand& b = plan.product.b;
  const int64_t inner = plan.product.inner;
  // B in blocks: a step is 32 k, or one k if blocks are decoded.
  int64_t step = kStepBytes / kBytes;
  if (in_blocks(b.dtype)) {
    step = ceil_div(panel_elements<Weight>(b.dtype, kBlockSteps), decodes(b) ? kBlockSteps : kBlockSteps / 32);
  }
  const int64_t pace = ceil_div(step, row_panels);
  if (b.packed) {
    const auto at = [&](int64_t panel, int64_t k) {
      return static_cast<const Weight*>(b.data) + panel * panel_elements<Weight>(b.dtype, inner) +
             panel_elements<Weight>(b.dtype, k);
    };
    if (row_panels == 1) return {at(columns.panel(p), k), kStreamBytes / kBytes, pace};
    if (p + 1 < columns.panels) return {at(columns.panel(p + 1), k), 0, pace};
    if (k + steps < inner) return {at(columns.panel(0), k + steps), 0, pace};
    return {at(columns.panel(0) + columns.width / kNr, 0), 0, pace};
  }
  const bool k_adjacent = b.k_stride == 1;
  int64_t column = columns.panel(k_adjacent ? p : 0) * kNr;
  if (k_adjacent && columns.panels * kNr * inner * kBytes <= kColumnBlockBytes) {
    // The next column block's panel, in address order.
    return {static_cast<const Weight*>(b.at(column + columns.width, 0).data), k * kNr, pace};
  }
  // K adjacent: the next kc of this panel. N adjacent: panel p's share of the next kc rows of all panels.
  k += steps;
  if (k >= inner) {
    k = 0;
    if (column + columns.width < plan.product.columns) column += columns.width;
  }
  const uint64_t run =
      k_adjacent ? static_cast<uint64_t>(plan.blocking.kc) : std::bit_ceil(static_cast<uint64_t>(columns.panels * kNr));
  const int64_t gap = (k_adjacent ? b.outer_stride : b.k_stride) - static_cast<int64_t>(run);
  return {static_cast<const Weight*>(b.at(column, k).data), k_adjacent ? 0 : p * steps * kNr, pace,
          std::countr_zero(run), gap};
}

// What to prefetch of row-major A while a block is multiplied by k .. k + steps - 1 in `calls` calls of the
// micro-kernel: the block that its task packs next.
template <class Weight>
Prefetch<Weight> prefetch_a(const Plan& plan, const RowBlock& rows, int64_t k, int64_t steps, int64_t calls) {
  const Operand& a = plan.product.a;
  if (dtype_bytes(a.dtype) != int64_t{sizeof(Weight)}) return {};
  const bool last = k + steps == plan.product.inner, k_adjacent = a.k_stride == 1;
  const Operand next = a.at(rows.row(last ? rows.panels : 0), last ? 0 : k + steps);
  const auto run = std::bit_ceil(static_cast<uint64_t>(k_adjacent ? steps : rows.rows()));
  const int64_t elements = static_cast<int64_t>(run) * (k_adjacent ? rows.rows() : steps);
  const int64_t gap = (k_adjacent ? a.outer_stride : a.k_stride) - static_cast<int64_t>(run);
  return {static_cast<const Weight*>(next.data), 0, ceil_div(elements, calls * micro_steps<Weight>(steps)),
          std::countr_zero(run), gap};
}

// Whether B is read from row-major memory: a single panel of rows would pack it for one use only.
template <Kernel kKernel>
bool reads_in_place(const Product& product, int64_t panel, const RowBlock& rows) {
  return kKernel == Kernel::kFloat && rows.panels == 1 && product.b.dtype == MOE_FLOAT32 &&
         product.b.outer_stride == 1 && (panel + 1) * kNr <= product.columns;
}

// Sums of a block of rows by a block of columns, to `sums` [rows, plan.sums_stride()], or to C if the epilogue is
// empty. Scratch: a_buffer for a block of A if tasks pack it, b_buffer for a kc x nr panel of B.
template <Kernel kKernel>
void macro_kernel(const Plan& plan, const Epilogue& epilogue, const ColumnBlock& columns, const RowBlock& rows,
                  float* a_buffer, Weight<kKernel>* b_buffer, float* sums) {
  const Product& product = plan.product;
  const int64_t inner = product.inner, stride = plan.sums_stride();
  const bool writes_c = writes_sums<kKernel>(product, epilogue), prefetches_c = prefetches<kKernel>(epilogue);
  const float* a = plan.blocking.packs_a ? a_buffer : plan.packed_a + rows.row(0) * plan.row_words(inner);
  const bool in_panels = product.b.packed && !decodes(product.b);  // packed B is what the micro-kernel reads
  // A single panel of rows reads packed blocks directly; expanding them would serve one use only.
  const bool expands = multiplies_blocks(kKernel) && (in_tiles(kKernel) || rows.panels > 1);
  auto* kernel_of_height = micro_kernel_of<kKernel>;
  void (*expand)(const uint8_t*, int64_t, uint8_t*) = nullptr;
  if constexpr (multiplies_blocks(kKernel)) {
    with_block_dtype(product.b.dtype, [&](auto dtype) {
      if constexpr (kernel_of(BlockTraits<dtype.value>::kFormat) == untiled(kKernel)) {
        expand = expand_panel<dtype.value>;
        if (!expands) kernel_of_height = micro_kernel_of<kKernel, dtype.value>;
      }
    });
  }
  // A single panel of rows uses packed B once, so B is not cut along K for L1.
  const int64_t kc = rows.panels == 1 && in_panels && !expands ? std::max<int64_t>(inner, 1) : plan.blocking.kc;
  const int64_t most_side_by_side =
      kSideBySide && kKernel <= Kernel::kDot && rows.panels == 1 && rows.rows() <= kLatencyRows ? 2 : 1;
  int64_t k = 0;
  do {
    const int64_t steps = std::min(kc, inner - k);
    // Every second panel of rows prefetches A instead of B.
    const int64_t a_turns = plan.blocking.packs_a ? rows.panels / 2 : 0;
    Prefetch<Weight<kKernel>> next_a;
    if (plan.blocking.packs_a) pack_a_block(plan, rows, k, steps, a_buffer);
    if (a_turns > 0) next_a = prefetch_a<Weight<kKernel>>(plan, rows, k, steps, columns.panels * a_turns);
    for (int64_t p = 0, side_by_side; p < columns.panels; p += side_by_side) {
      side_by_side = in_panels ? std::min(most_side_by_side, columns.panels - p) : 1;
      const int64_t panel = columns.panel(p);
      Prefetch next = prefetch_b<Weight<kKernel>>(plan, columns, p, k, steps, rows.panels - a_turns);
      BPanels<Weight<kKernel>> b{{b_buffer}};
      if (in_panels) {
        for (int64_t j = 0; j < side_by_side; ++j) {
          b.panel[j] = static_cast<const Weight<kKernel>*>(product.b.data) +
                       columns.panel(p + j) * panel_size(product.b.dtype, inner) + panel_size(product.b.dtype, k);
        }
      } else if (decodes(product.b)) {
        if constexpr (kKernel == Kernel::kFloat) {
          decode_panel(product.b.dtype,
                       static_cast<const uint8_t*>(product.b.data) + panel * panel_size(product.b.dtype, inner) +
                           panel_size(product.b.dtype, k),
                       steps, b_buffer);
        }
      } else if (reads_in_place<kKernel>(product, panel, rows)) {
        b = {{static_cast<const Weight<kKernel>*>(product.b.at(panel * kNr, k).data)}, product.b.k_stride};
      } else if constexpr (!multiplies_blocks(kKernel)) {
        Prefetch<Weight<kKernel>> while_packing;
        if (rows.panels == 1 && kKernel != Kernel::kAmx) {
          // Packing takes as long as multiplying by one panel of rows, so it prefetches half.
          next.pace /= 2;
          while_packing = next;
          next.position += steps * kNr / 2;
        }
        pack_b_panel(product, panel, k, steps, b_buffer, while_packing);
      }
      if constexpr (multiplies_blocks(kKernel)) {
        if (expands) {
          expand(b.panel[0], steps, b_buffer);
          b.panel[0] = b_buffer;
        }
      }
      const int64_t share = panel_elements<Weight<kKernel>>(product.b.dtype, steps) / rows.panels;
      const float* a_panel = a;
      for (int64_t i = 0, row = rows.row(0); i < rows.panels; ++i, next.position += share) {
        const int64_t end = rows.row(i + 1), height = end - row;
        if (prefetches_c && k == 0) {
          prefetch_c(plan, epilogue, row, height, columns.first + (p + (writes_c ? kPanelsAhead : 0)) * kNr);
        }
        float* to = sums + (row - rows.row(0)) * stride + p * kNr;
        Target target{k > 0 ? to : nullptr, stride, to, stride, Write::kStore};
        if (writes_c && k + steps == inner) aim_at_c(plan, epilogue, row, panel * kNr, target);
        const bool a_turn = a_turns > 0 && i % 2 == 1;
        kernel_of_height(height, side_by_side)(steps, a_panel, b, a_turn ? next_a : next, target);
        if (a_turn) next_a.position += next_a.pace * micro_steps<Weight<kKernel>>(steps);
        a_panel += plan.packed_rows(height) * plan.row_words(steps);
        row = end;
      }
    }
    if (!plan.blocking.packs_a) a += plan.packed_rows(rows.rows()) * plan.row_words(steps);
    k += steps;
  } while (k < inner);
}

// The macro-kernel of a rank-k update (K <= kc): one panel of rows by the packed panels b. C is most of the traffic and
// is written row by row. Separate, because the general loop's decisions cost a tenth of such short calls.
template <Kernel kKernel>
void rank_k_kernel(const Plan& plan, const Epilogue& epilogue, const ColumnBlock& columns, const RowBlock& rows,
                   const Weight<kKernel>* b, float* sums) {
  const Product& product = plan.product;
  const int64_t row = rows.row(0), height = rows.rows(), size = panel_size(product.b.dtype, product.inner);
  const bool writes_c = writes_sums<kKernel>(product, epilogue), prefetches_c = prefetches<kKernel>(epilogue);
  const float* a = plan.packed_a + row * plan.row_words(product.inner);
  Target target{nullptr, 0, sums, plan.sums_stride(), Write::kStore};
  if (writes_c) aim_at_c(plan, epilogue, row, columns.first, target);
  const auto kernel = micro_kernel_of<kKernel>(height, 1);
  for (int64_t p = 0; p < columns.panels; ++p, b += size, target.sums += kNr) {
    if (prefetches_c) {
      prefetch_c(plan, epilogue, row, height, columns.first + (p + (writes_c ? kPanelsAhead : 0)) * kNr);
    }
    kernel(product.inner, a, {{b}}, {}, target);
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
