// moe_gemm_pack: packs weights [N, K] or [E, N, K] once for all later calls. Layouts: pack-inl.h, block_traits-inl.h.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include <algorithm>

#include "core/weights.h"
#include "cpu/gemm/product.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gemm/pack.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gemm/pack-inl.h"
#include "cpu/gemm/block_traits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

int64_t packed_bytes_kernel(moe_dtype dtype, int rank, const int64_t* shape) {
  constexpr int64_t kMostInner = int64_t{1} << 56;  // so that a panel's elements can be counted
  const int64_t columns = shape[rank - 2], inner = shape[rank - 1], matrices = rank == 3 ? shape[0] : 1;
  if (inner > kMostInner) return matrices == 0 || columns == 0 ? 0 : -1;
  const int64_t panels = columns / kNr + (columns % kNr == 0 ? 0 : 1);
  return product_or_overflow({matrices, panels, panel_size(dtype, inner), packed_element_bytes(dtype)});
}

// Callers pack a matrix in blocks of 64 rows, one by one.
static_assert(64 % kNr == 0);

// k of a panel that are packed at a time, so that they stay in L1: 32 KB of float32.
constexpr int64_t kStep = kBlockSteps;

// By ordinary stores: a load packs into fresh memory, which the system has just zeroed in the caches, and streaming
// stores would write it to memory once more.
void pack_kernel(Stream& stream, Tensor weights, Tensor packed) {
  const int32_t rank = weights.rank;
  const int64_t columns = weights.shape[rank - 2], inner = weights.shape[rank - 1];
  const int64_t panels = ceil_div(columns, kNr), matrices = rank == 3 ? weights.shape[0] : 1;
  const int64_t size = panel_size(packed.dtype, inner), bytes = packed_element_bytes(packed.dtype);
  const Operand rows{weights.data, weights.dtype, false, inner, 1};
  parallel_tasks(stream, matrices * panels, matrices * panels * size / kPackedPerNanosecond, [&](int64_t task, int) {
    const int64_t column = task % panels * kNr, row = task / panels * columns + column;
    const int64_t width = std::min(kNr, columns - column);
    for (int64_t k = 0; k < inner; k += kStep) {
      const int64_t steps = std::min(kStep, inner - k);
      uint8_t* to = static_cast<uint8_t*>(packed.data) + (task * size + panel_size(packed.dtype, k)) * bytes;
      if (packed.dtype == MOE_BFLOAT16) {
        pack_columns(rows.at(row, k), width, steps, reinterpret_cast<hwy::bfloat16_t*>(to));
      } else if (packed.dtype == MOE_FLOAT32) {
        pack_columns(rows.at(row, k), width, steps, reinterpret_cast<float*>(to));
      } else {
        with_block_dtype(packed.dtype, [&](auto dtype) {
          const BlockFormat& of = *block_format(dtype.value);
          const auto* from = static_cast<const uint8_t*>(weights.data) + (row * inner + k) / of.elements * of.bytes;
          pack_blocks<dtype.value>(from, inner / of.elements * of.bytes, width, steps, to);
        });
      }
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(packed_bytes_kernel);
HWY_EXPORT(pack_kernel);

int64_t gemm_packed_bytes(moe_dtype dtype, int rank, const int64_t* shape) {
  return HWY_DYNAMIC_DISPATCH(packed_bytes_kernel)(dtype, rank, shape);
}

void gemm_pack(Stream& stream, Tensor weights, Tensor packed) {
  HWY_DYNAMIC_DISPATCH(pack_kernel)(stream, weights, packed);
}

}  // namespace moe::cpu
#endif
