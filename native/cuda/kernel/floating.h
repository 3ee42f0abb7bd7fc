// float32 and bfloat16 elements. Arithmetic is in float32; rows that are aligned to 16 bytes are accessed in vectors of
// 16 bytes.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>

#include "core/kernels.h"

namespace moe::cuda {

using Bfloat16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(Bfloat16 value) { return __bfloat162float(value); }

template <typename Value>
__device__ __forceinline__ Value from_float(float value);
template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ Bfloat16 from_float<Bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

// Two adjacent bfloat16 in one word.
__device__ __forceinline__ uint32_t bfloat16_pair(float first, float second) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

// `count` adjacent elements, read or written by one access.
template <typename Value, int count>
struct alignas(sizeof(Value) * count) Vector {
  Value values[count];
};

// Elements of a vector of 16 bytes.
template <typename Value>
inline constexpr int kVectorOf = 16 / static_cast<int>(sizeof(Value));

// True if rows of `width` elements of this tensor start at multiples of 16 bytes and are whole vectors.
inline bool in_vectors(Tensor tensor, int64_t width) {
  const int64_t bytes = tensor.dtype == MOE_BFLOAT16 ? 2 : 4;
  return reinterpret_cast<uintptr_t>(tensor.data) % 16 == 0 && width * bytes % 16 == 0;
}

// Calls visit with a value of the tensor's element type: float or Bfloat16.
template <typename Visit>
void visit_floating(Tensor tensor, Visit&& visit) {
  if (tensor.dtype == MOE_BFLOAT16) {
    visit(Bfloat16{});
  } else {
    visit(float{});
  }
}

template <typename Value>
Value* data(Tensor tensor) {
  return static_cast<Value*>(tensor.data);
}
template <typename Value>
Value* data(OptionalTensor tensor) {
  return tensor == nullptr ? nullptr : static_cast<Value*>(tensor->data);
}

}  // namespace moe::cuda
