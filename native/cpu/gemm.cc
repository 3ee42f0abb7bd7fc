// Dense GEMM: one product; the packing of weights; and column sums.
#include "cpu/gemm_operand.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "src/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gemm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/column_sum-inl.h"
#include "cpu/gemm_driver-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

// op(matrix) with lines down its first dimension, or its second when `second`.
Operand operand_of(T matrix, bool second) {
  const int64_t width = matrix.shape[1];
  return {matrix.data, matrix.dtype, matrix.layout == MOE_PACKED, second ? 1 : width, second ? width : 1};
}

void gemm_kernel(Stream& stream, bool transpose_a, bool transpose_b, moe_activation activation, bool accumulate, T a,
                 T b, N bias, T c, N preactivation) {
  const bool lines_first = transpose_b || b.layout == MOE_PACKED;
  auto* product = stream.shared<Product>(0, 1);
  *product = {.rows = a.shape[transpose_a ? 1 : 0],
              .columns = b.shape[lines_first ? 0 : 1],
              .inner = a.shape[transpose_a ? 0 : 1],
              .a = operand_of(a, transpose_a),
              .b = operand_of(b, !lines_first)};
  const Epilogue epilogue{
      .activation = activation, .accumulate = accumulate, .bias = bias, .c = &c, .preactivation = preactivation};
  run_products(stream, product, 1, epilogue);
}

void column_sum_kernel(Stream& stream, T x, T y) {
  parallel_blocks(stream, x.shape[1], kGrain / (x.shape[0] + 1) + 1, [&](int64_t begin, int64_t end) {
    add_column_sums(x, 0, x.shape[0], begin, end, static_cast<float*>(y.data));
  });
}

int64_t packed_matrix_bytes(int32_t dtype, int64_t columns, int64_t inner) {
  return ceil_div(columns, kPanelColumns) * panel_size(dtype, inner) * dtype_bytes(dtype);
}

int64_t packed_bytes_kernel(moe_dtype dtype, int rank, const int64_t* shape) {
  return (rank == 3 ? shape[0] : 1) * packed_matrix_bytes(dtype, shape[rank - 2], shape[rank - 1]);
}

void pack_kernel(Stream& stream, T weights, T packed) {
  const int32_t rank = weights.rank;
  const int64_t columns = weights.shape[rank - 2], inner = weights.shape[rank - 1];
  const int64_t panels = ceil_div(columns, kPanelColumns), matrices = rank == 3 ? weights.shape[0] : 1;
  const int64_t size = panel_size(packed.dtype, inner);
  const Operand rows{weights.data, weights.dtype, false, inner, 1};
  parallel_tasks(stream, matrices * panels, matrices * panels * size / kPackedPerNanosecond, [&](int64_t task, int) {
    const int64_t column = task % panels * kPanelColumns;
    const Operand from = rows.at(task / panels * columns + column, 0);
    const int64_t width = std::min(kPanelColumns, columns - column);
    if (packed.dtype == MOE_BFLOAT16) {
      pack_columns(from, width, inner, static_cast<hwy::bfloat16_t*>(packed.data) + task * size);
    } else {
      pack_columns(from, width, inner, static_cast<float*>(packed.data) + task * size);
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(gemm_kernel);
HWY_EXPORT(column_sum_kernel);
HWY_EXPORT(packed_bytes_kernel);
HWY_EXPORT(pack_kernel);

void gemm(Stream& stream, bool transpose_a, bool transpose_b, moe_activation activation, bool accumulate, T a, T b,
          N bias, T c, N preactivation) {
  HWY_DYNAMIC_DISPATCH(gemm_kernel)
  (stream, transpose_a, transpose_b, activation, accumulate, a, b, bias, c, preactivation);
}

void column_sum(Stream& stream, T x, T y) { HWY_DYNAMIC_DISPATCH(column_sum_kernel)(stream, x, y); }

int64_t gemm_packed_bytes(moe_dtype dtype, int rank, const int64_t* shape) {
  return HWY_DYNAMIC_DISPATCH(packed_bytes_kernel)(dtype, rank, shape);
}

void gemm_pack(Stream& stream, T weights, T packed) { HWY_DYNAMIC_DISPATCH(pack_kernel)(stream, weights, packed); }

}  // namespace moe::cpu
#endif
