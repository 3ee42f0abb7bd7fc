// Token embedding plus learned position embedding.
//
//   forward   y[s] = table[ids[s]] + position_table[positions[s]]
//   backward  dtable[ids[s]] += dy[s],  dposition_table[positions[s]] += dy[s], in token order
//
// ids, positions [S]; table [V, M], in the forward perhaps packed as the operand of a tied head; position_table [P, M]
// or null; y, dy [S, M]. Bound by bytes.
// Test: panamoe_test --gtest_filter='Embedding*'. Time: ./panamoe bench train-step.
#include <algorithm>

#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/embedding.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gemm/expand_blocks-inl.h"
#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

void look_up(Stream& stream, Tensor ids, Tensor table, OptionalTensor positions, OptionalTensor position_table,
             Tensor y) {
  const int64_t width = table.shape[1];
  const bool packed = table.layout != MOE_ROW_MAJOR;
  const auto* id = static_cast<const int32_t*>(ids.data);
  parallel_blocks(stream, ids.shape[0], kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    alignas(64) float unpacked[kBlockSteps];
    for (int64_t s = begin; s < end; ++s) {
      // `steps` columns of y from column `first` on.
      const auto write = [&](const Floats& row, int64_t first, int64_t steps) {
        const Floats out(y, s * width + first);
        if (positions == nullptr) {
          for_each_vector(d, 0, steps, [&](int64_t i, size_t n) { out.store(d, row.load(d, i, n), i, n); });
          return;
        }
        const Floats added(*position_table, static_cast<const int32_t*>(positions->data)[s] * width + first);
        for_each_vector(d, 0, steps, [&](int64_t i, size_t n) {
          out.store(d, hn::Add(row.load(d, i, n), added.load(d, i, n)), i, n);
        });
      };
      if (!packed) write(Floats(table, id[s] * width), 0, width);
      for (int64_t k = 0; packed && k < width; k += kBlockSteps) {
        const int64_t steps = std::min(kBlockSteps, width - k);
        unpack_row(table, id[s], k, steps, unpacked);
        write(Floats(unpacked), k, steps);
      }
    }
  });
}

// A task owns a range of columns and walks all tokens, so equal ids are added in token order for every number of
// threads.
void scatter_add(Stream& stream, Tensor ids, Tensor dy, Tensor dtable) {
  const int64_t count = ids.shape[0], width = dtable.shape[1];
  const auto* id = static_cast<const int32_t*>(ids.data);
  parallel_blocks(stream, width, kGrain / (count + 1) + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t s = 0; s < count; ++s) {
      const Floats row(dy, s * width), total(dtable, id[s] * width);
      for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
        total.store(d, hn::Add(total.load(d, i, n), row.load(d, i, n)), i, n);
      });
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(look_up);
HWY_EXPORT(scatter_add);

void embedding_forward(Stream& stream, Tensor ids, Tensor table, OptionalTensor positions,
                       OptionalTensor position_table, Tensor y) {
  const moe_tensor rows = checked_indices(stream, "ids", ids, 0, table.shape[0]);
  if (positions == nullptr) return HWY_DYNAMIC_DISPATCH(look_up)(stream, rows, table, nullptr, nullptr, y);
  const moe_tensor checked = checked_indices(stream, "positions", *positions, 0, position_table->shape[0]);
  HWY_DYNAMIC_DISPATCH(look_up)(stream, rows, table, &checked, position_table, y);
}

void embedding_backward(Stream& stream, Tensor ids, OptionalTensor positions, Tensor dy, Tensor dtable,
                        OptionalTensor dposition_table) {
  const moe_tensor rows = checked_indices(stream, "ids", ids, 0, dtable.shape[0]);
  if (positions == nullptr) return HWY_DYNAMIC_DISPATCH(scatter_add)(stream, rows, dy, dtable);
  const moe_tensor checked = checked_indices(stream, "positions", *positions, 0, dposition_table->shape[0]);
  HWY_DYNAMIC_DISPATCH(scatter_add)(stream, rows, dy, dtable);
  HWY_DYNAMIC_DISPATCH(scatter_add)(stream, checked, dy, *dposition_table);
}

}  // namespace moe::cpu
#endif
