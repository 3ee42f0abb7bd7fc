// The epilogue of one mc x nc block: C = activation(sums + bias + addend), or C += sums, rounded to C's dtype.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_EPILOGUE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_EPILOGUE_INL_H
#undef MOE_CPU_GEMM_EPILOGUE_INL_H
#else
#define MOE_CPU_GEMM_EPILOGUE_INL_H
#endif

#include "cpu/gemm/blocking-inl.h"
#include "cpu/gemm/micro_kernel-inl.h"
#include "cpu/simd/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether micro-kernels write C from their registers: C is the plain sums, written past the caches or added to. Tile
// kernels can do neither.
template <Kernel kKernel>
bool writes_sums(const Product& product, const Epilogue& epilogue) {
  constexpr int64_t kVectorBytes = kLanes * int64_t{sizeof(float)};
  return !in_tiles(kKernel) && (epilogue.accumulate || epilogue.streams_c) &&
         epilogue.activation.kind == MOE_IDENTITY && epilogue.bias == nullptr && epilogue.addend == nullptr &&
         epilogue.preactivation == nullptr && epilogue.c->dtype == MOE_FLOAT32 && product.columns % kNr == 0 &&
         epilogue.c_stride() % kNr == 0 && reinterpret_cast<uintptr_t>(epilogue.c->data) % kVectorBytes == 0;
}

// Points the micro-kernel at element (row, column) of C.
inline void aim_at_c(const Plan& plan, const Epilogue& epilogue, int64_t row, int64_t column, Target& target) {
  target.stride = epilogue.c_stride();
  target.sums = static_cast<float*>(epilogue.c->data) + (plan.product.c_row + row) * target.stride + column;
  target.write = epilogue.accumulate ? Write::kAdd : Write::kStream;
}

// Panels ahead that C is prefetched if micro-kernels write it.
inline constexpr int64_t kPanelsAhead = 3;

// Whether C is prefetched before it is written. Not for a gated activation, whose sums have other columns than C.
template <Kernel kKernel>
bool prefetches(const Epilogue& epilogue) {
  return !in_tiles(kKernel) && !epilogue.gated() && !epilogue.streams_c;
}

// Prefetches nr columns of C for writing.
HWY_INLINE void prefetch_c(const Plan& plan, const Epilogue& epilogue, int64_t row, int64_t height, int64_t column) {
  const int64_t bytes = dtype_bytes(epilogue.c->dtype), stride = epilogue.c_stride();
  const char* from =
      static_cast<const char*>(epilogue.c->data) + ((plan.product.c_row + row) * stride + column) * bytes;
  for (; height > 0; --height, from += stride * bytes) {
    for (int64_t line = 0; line < kNr * bytes; line += 64) __builtin_prefetch(from + line, 1, 2);
  }
}

// Applies the epilogue to a block's sums [rows, plan.sums_stride()].
template <class Activation>
void finish_block(const Plan& plan, const Epilogue& epilogue, const ColumnBlock& columns, const RowBlock& rows,
                  const float* sums, const Activation& activation) {
  const FloatTag d;
  const Product& product = plan.product;
  const int64_t c_columns = Activation::kGated ? product.columns / 2 : product.columns;
  const float* bias = epilogue.bias == nullptr
                          ? nullptr
                          : static_cast<const float*>(epilogue.bias->data) + product.bias_row * product.columns;
  for (int64_t row = rows.row(0); row < rows.row(rows.panels); ++row, sums += plan.sums_stride()) {
    const int64_t c_row = product.c_row + row;
    const Floats c(*epilogue.c, c_row * epilogue.c_stride());
    // A B + bias + addend of column `column`, whose sums are at `offset`; also saved for the backward if asked for.
    const auto preactivation = [&](int64_t offset, int64_t column, size_t n) {
      FloatVector v = hn::LoadU(d, sums + offset);
      if (bias != nullptr) v = hn::Add(v, load(d, bias + column, n));
      if (epilogue.addend != nullptr) {
        v = hn::Add(v, Floats(*epilogue.addend, c_row * product.columns).load(d, column, n));
      }
      if (epilogue.preactivation != nullptr) {
        Floats(*epilogue.preactivation, c_row * product.columns).store(d, v, column, n);
      }
      return v;
    };
    for_each_vector(d, 0, columns.columns, [&](int64_t j, size_t n) {
      const int64_t column = columns.first + j;
      FloatVector v = preactivation(j, column, n);
      if constexpr (Activation::kGated) {
        v = activation.value(d, v, preactivation(columns.up_offset + j, c_columns + column, n));
      } else {
        v = activation.value(d, v);
      }
      if (epilogue.accumulate) v = hn::Add(c.load(d, column, n), v);
      c.store(d, v, column, n);
    });
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
