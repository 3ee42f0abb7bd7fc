// moe_gemm_pack: packs weights [N, K] or [E, N, K] once for all later calls. Layouts: pack-inl.h, block_traits-inl.h.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include <algorithm>

#include "core/weights.h"
#include "cpu/gemm/product.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "hwy/cache_control.h"

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

// k packed into L1 at a time: 32 KB of a float32 panel of 32 columns.
constexpr int64_t kStreamedSteps = 256;

// Packed weights exceed the caches and are read later, so they go to memory by streaming stores: ordinary stores would
// first read each cache line.
bool streams_to(const void* to) { return reinterpret_cast<uintptr_t>(to) % hn::Lanes(hn::ScalableTag<uint8_t>()) == 0; }
void stream_bytes(const uint8_t* from, int64_t bytes, uint8_t* to) {
  const hn::ScalableTag<uint8_t> d;
  for (int64_t i = 0; i < bytes; i += static_cast<int64_t>(hn::Lanes(d))) hn::Stream(hn::Load(d, from + i), d, to + i);
}

// Packs a panel of `width` columns.
template <class Weight>
void pack_panel(const Operand& from, int64_t width, int64_t inner, int32_t dtype, Weight* to) {
  if (!streams_to(to)) {
    pack_columns(from, width, inner, to);
    return;
  }
  alignas(64) Weight block[kStreamedSteps * kNr];
  auto* target = reinterpret_cast<uint8_t*>(to);
  for (int64_t k = 0; k < inner; k += kStreamedSteps) {
    const int64_t steps = std::min(kStreamedSteps, inner - k);
    pack_columns(from.at(0, k), width, steps, block);
    const int64_t size = panel_size(dtype, steps) * int64_t{sizeof(Weight)};
    stream_bytes(reinterpret_cast<const uint8_t*>(block), size, target);
    target += size;
  }
  hwy::FlushStream();
}

// Packs a panel of blocks whose rows are `stride` bytes apart. Sizes of packed blocks are multiples of a vector's.
template <int32_t kDtype>
void pack_panel_of_blocks(const uint8_t* rows, int64_t stride, int64_t width, int64_t inner, uint8_t* to) {
  const BlockFormat of = block_of(kDtype);
  alignas(64) uint8_t block[kBlockSteps * kNr * 2];  // the longest is Q8_0: 34 bytes per 32 k of a column
  for (int64_t k = 0; k < inner; k += kBlockSteps) {
    const int64_t steps = std::min(kBlockSteps, inner - k), size = panel_size(kDtype, steps);
    const uint8_t* from = rows + k / of.elements * of.bytes;
    pack_blocks<kDtype>(from, stride, width, steps, streams_to(to) ? block : to);
    if (streams_to(to)) stream_bytes(block, size, to);
    to += size;
  }
  hwy::FlushStream();
}

void pack_kernel(Stream& stream, Tensor weights, Tensor packed) {
  const int32_t rank = weights.rank;
  const int64_t columns = weights.shape[rank - 2], inner = weights.shape[rank - 1];
  const int64_t panels = ceil_div(columns, kNr), matrices = rank == 3 ? weights.shape[0] : 1;
  const int64_t size = panel_size(packed.dtype, inner);
  const Operand rows{weights.data, weights.dtype, false, inner, 1};
  parallel_tasks(stream, matrices * panels, matrices * panels * size / kPackedPerNanosecond, [&](int64_t task, int) {
    const int64_t column = task % panels * kNr;
    if (in_blocks(packed.dtype)) {
      const int64_t stride = inner / block_of(packed.dtype).elements * block_of(packed.dtype).bytes;
      const auto* rows_of = static_cast<const uint8_t*>(weights.data) + (task / panels * columns + column) * stride;
      with_block_dtype(packed.dtype, [&](auto dtype) {
        pack_panel_of_blocks<dtype.value>(rows_of, stride, std::min(kNr, columns - column), inner,
                                          static_cast<uint8_t*>(packed.data) + task * size);
      });
      return;
    }
    const Operand from = rows.at(task / panels * columns + column, 0);
    const int64_t width = std::min(kNr, columns - column);
    if (packed.dtype == MOE_BFLOAT16) {
      pack_panel(from, width, inner, packed.dtype, static_cast<hwy::bfloat16_t*>(packed.data) + task * size);
    } else {
      pack_panel(from, width, inner, packed.dtype, static_cast<float*>(packed.data) + task * size);
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
