// moe_gemm: C[M x N] = activation(op(A) op(B) + bias), one product.
#include "cpu/gemm/product.h"
#include "cpu/kernels.h"

namespace moe::cpu {
namespace {

// A matrix whose outer dimension is its first, or its second.
Operand operand_of(T matrix, bool second) {
  const int64_t width = matrix.shape[1];
  return {matrix.data, matrix.dtype, matrix.layout == MOE_PACKED, second ? 1 : width, second ? width : 1};
}

}  // namespace

void gemm(Stream& stream, bool transpose_a, bool transpose_b, moe_activation activation, bool accumulate, T a, T b,
          N bias, T c, N preactivation) {
  const bool outer_first = transpose_b || b.layout == MOE_PACKED;
  const Product product{.rows = a.shape[transpose_a ? 1 : 0],
                        .columns = b.shape[outer_first ? 0 : 1],
                        .inner = a.shape[transpose_a ? 0 : 1],
                        .a = operand_of(a, transpose_a),
                        .b = operand_of(b, !outer_first)};
  run_products(
      stream, &product, 1,
      {.activation = activation, .accumulate = accumulate, .bias = bias, .c = &c, .preactivation = preactivation});
}

}  // namespace moe::cpu
