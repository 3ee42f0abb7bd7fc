// Checks of GEMM operands that may be packed, shared by the dense and the experts' entry points.
#pragma once

#include <initializer_list>

#include "core/check.h"

namespace moe {

// The product of sizes that are not negative, or -1 if it overflows.
inline int64_t product_or_overflow(std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) {
    if (size == 0) return 0;
  }
  for (const int64_t size : sizes) {
    if (__builtin_mul_overflow(product, size, &product)) return -1;
  }
  return product;
}

// Bytes that weights of this shape take when packed for the device; refuses shapes that are not weights.
int64_t packed_bytes(const Device& device, int32_t dtype, int32_t rank, const int64_t* shape);

// Floating weights of this rank, row-major or packed with enough memory.
const moe_tensor& check_weights(const char* name, const moe_tensor* weights, int32_t rank, const Device& device);

}  // namespace moe
