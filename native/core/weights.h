// Checks of GEMM operands that may be packed, shared by the dense and the experts' entry points.
#pragma once

#include "core/check.h"

namespace moe {

// Bytes that weights of this shape take when packed for the device; refuses shapes that are not weights.
int64_t packed_bytes(const Device& device, int32_t dtype, int32_t rank, const int64_t* shape);

// Floating weights of this rank, row-major or packed with enough memory.
const moe_tensor& check_weights(const char* name, const moe_tensor* weights, int32_t rank, const Device& device);

// Columns of activation(x) for x of `columns` columns; SwiGLU halves them.
inline int64_t activated_columns(moe_activation activation, int64_t columns) {
  if (activation != MOE_SWIGLU) return columns;
  if (columns % 2 != 0) invalid("swiglu needs an even number of columns, got ", columns);
  return columns / 2;
}

}  // namespace moe
