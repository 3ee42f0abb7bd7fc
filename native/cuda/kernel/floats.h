// Rows of float32 or bfloat16 whose dtype is known only at run time, for kernels bound by bytes.
#pragma once

#include <initializer_list>

#include "cuda/kernel/vector.h"

namespace moe::cuda {

// How a kernel accesses elements: a thread takes `count` adjacent ones, by one access if `vectorized`, else one by one
// because rows are not aligned or end within a vector. Bits do not depend on it. count is 8 if all tensors are
// bfloat16, else 4.
template <int count_, bool vectorized_>
struct Access {
  static constexpr int count = count_;
  static constexpr bool vectorized = vectorized_;
};

class Floats {
 public:
  explicit Floats(Tensor tensor) : data_(tensor.data), bfloat16_(tensor.dtype == MOE_BFLOAT16) {}
  explicit Floats(OptionalTensor tensor) : Floats(tensor == nullptr ? moe_tensor{} : *tensor) {}  // never read if null

  // Loads elements i .. i + count - 1 of a row of `width`; 0 past its end.
  template <typename Access>
  __device__ __forceinline__ void load(int64_t row, int64_t i, int64_t width, float (&to)[Access::count]) const {
    if (Access::count == 8 || bfloat16_) {
      load_floats<Access::vectorized>(static_cast<const Bfloat16*>(data_) + row * width, i, width, to);
    } else {
      load_floats<Access::vectorized>(static_cast<const float*>(data_) + row * width, i, width, to);
    }
  }

  template <typename Access>
  __device__ __forceinline__ void store(int64_t row, int64_t i, int64_t width,
                                        const float (&from)[Access::count]) const {
    if (Access::count == 8 || bfloat16_) {
      store_as<Access>(static_cast<Bfloat16*>(data_) + row * width, i, width, from);
    } else {
      store_as<Access>(static_cast<float*>(data_) + row * width, i, width, from);
    }
  }

 private:
  // A plain store, unlike store_floats: the compiler does not split it here, and __stwb takes more registers (twice as
  // many on sm_100).
  template <typename Access, typename Value>
  static __device__ __forceinline__ void store_as(Value* row, int64_t i, int64_t width,
                                                  const float (&from)[Access::count]) {
    if constexpr (Access::vectorized) {
      Vector<Value, Access::count> vector;
#pragma unroll
      for (int k = 0; k < Access::count; ++k) vector.values[k] = from_float<Value>(from[k]);
      *reinterpret_cast<Vector<Value, Access::count>*>(row + i) = vector;
    } else {
#pragma unroll
      for (int k = 0; k < Access::count; ++k) {
        if (i + k < width) row[i + k] = from_float<Value>(from[k]);
      }
    }
  }

  void* data_;
  bool bfloat16_;
};

// Calls visit with the Access for rows of `width` of these tensors; null tensors are ignored.
template <typename Visit>
void visit_access(int64_t width, std::initializer_list<OptionalTensor> tensors, Visit&& visit) {
  bool vectorized = true, bfloat16 = true;
  for (OptionalTensor tensor : tensors) {
    if (tensor == nullptr) continue;
    vectorized &= in_vectors(*tensor, width);
    bfloat16 &= tensor->dtype == MOE_BFLOAT16;
  }
  if (bfloat16) {
    vectorized ? visit(Access<8, true>{}) : visit(Access<8, false>{});
  } else {
    vectorized ? visit(Access<4, true>{}) : visit(Access<4, false>{});
  }
}

}  // namespace moe::cuda
