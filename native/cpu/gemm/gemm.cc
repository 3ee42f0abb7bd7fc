// moe_gemm: C[M x N] = activation(op(A) op(B) + bias + addend), one product.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"
#include "cpu/kernels.h"

namespace moe::cpu {
namespace {

// A matrix [outer, k], or [k, outer] if `second`.
Operand operand_of(Tensor matrix, bool second) {
  const int64_t width = matrix.shape[1];
  return {matrix.data,        matrix.dtype,       matrix.layout != MOE_ROW_MAJOR,
          second ? 1 : width, second ? width : 1, matrix.layout == MOE_PACKED_EXACT};
}

}  // namespace

void gemm(Stream& stream, const moe_gemm_config& config, Tensor a, Tensor b, Tensor c, const moe_epilogue& epilogue) {
  const bool transpose_a = config.transpose_a == 1;
  const bool outer_first = config.transpose_b == 1;
  const Product product{.rows = a.shape[transpose_a ? 1 : 0],
                        .columns = b.shape[outer_first ? 0 : 1],
                        .inner = a.shape[transpose_a ? 0 : 1],
                        .a = operand_of(a, transpose_a),
                        .b = operand_of(b, !outer_first)};
  const auto run = b.layout != MOE_ROW_MAJOR && !outer_first ? run_unpacked_products : run_products;
  run(stream, &product, 1,
      {.activation = *epilogue.activation,
       .accumulate = config.accumulate == 1,
       .bias = epilogue.bias,
       .c = &c,
       .preactivation = epilogue.preactivation,
       .addend = epilogue.addend});
}

}  // namespace moe::cpu
