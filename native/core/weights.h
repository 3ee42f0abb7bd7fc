// Checks of weights that may be packed, for the entry points of dense and grouped GEMM.
#pragma once

#include <initializer_list>

#include "core/check.h"

namespace moe {

// The product of non-negative sizes, or -1 if it overflows.
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

// Bytes of weights [N, K] or [E, N, K] packed for the device; refuses other ranks and sizes that overflow.
int64_t packed_bytes(const Device& device, int32_t dtype, int32_t rank, const int64_t* shape);

// Refuses weights of another rank or dtype, in blocks but not packed, or packed with too little memory.
const moe_tensor& check_weights(const char* name, const moe_tensor* weights, int32_t rank, const Device& device);

// Weights [E, N, K], which may also be MOE_PACKED_EACH.
const moe_tensor& check_expert_weights(const char* name, const moe_tensor* weights, const Device& device);

// The matrices of weights that are MOE_PACKED_EACH.
inline const moe_tensor* matrices_of(const moe_tensor& weights) { return static_cast<const moe_tensor*>(weights.data); }

}  // namespace moe
