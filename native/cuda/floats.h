// Rows of float32 or bfloat16 whose type is known at run time, for kernels that are bound by memory.
#pragma once

#include <initializer_list>

#include "cuda/packed.h"

namespace moe::cuda {

// How a kernel reaches elements: `count` neighbours at a time, which is what a thread holds, either by one access
// (`packed`) or one by one, where rows are not aligned or end within a pack. Results are the same bits either way.
// 8 neighbours are bfloat16 in every tensor, 4 may be of any type.
template <int count_, bool packed_>
struct Access {
  static constexpr int count = count_;
  static constexpr bool packed = packed_;
};

class Floats {
 public:
  explicit Floats(Tensor tensor) : data_(tensor.data), bfloat16_(tensor.dtype == MOE_BFLOAT16) {}
  explicit Floats(OptionalTensor tensor) : Floats(tensor == nullptr ? moe_tensor{} : *tensor) {}  // never read

  // Elements `i` and following of a row of `width`; 0 past its end.
  template <typename Access>
  __device__ __forceinline__ void load(int64_t row, int64_t i, int64_t width, float (&to)[Access::count]) const {
    if (Access::count == 8 || bfloat16_) {
      load_floats<Access::packed>(static_cast<const Bfloat16*>(data_) + row * width, i, width, to);
    } else {
      load_floats<Access::packed>(static_cast<const float*>(data_) + row * width, i, width, to);
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
  // Not store_floats: the compiler splits no store here, and __stwb would cost it registers, on sm_100 twice as many.
  template <typename Access, typename Value>
  static __device__ __forceinline__ void store_as(Value* row, int64_t i, int64_t width,
                                                  const float (&from)[Access::count]) {
    if constexpr (Access::packed) {
      Pack<Value, Access::count> pack;
#pragma unroll
      for (int k = 0; k < Access::count; ++k) pack.values[k] = from_float<Value>(from[k]);
      *reinterpret_cast<Pack<Value, Access::count>*>(row + i) = pack;
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

// Calls visit with the Access for rows of `width` of these tensors, null ones aside.
template <typename Visit>
void visit_access(int64_t width, std::initializer_list<OptionalTensor> tensors, Visit&& visit) {
  bool packed = true, bfloat16 = true;
  for (OptionalTensor tensor : tensors) {
    if (tensor == nullptr) continue;
    packed &= in_packs(*tensor, width);
    bfloat16 &= tensor->dtype == MOE_BFLOAT16;
  }
  if (bfloat16) {
    packed ? visit(Access<8, true>{}) : visit(Access<8, false>{});
  } else {
    packed ? visit(Access<4, true>{}) : visit(Access<4, false>{});
  }
}

}  // namespace moe::cuda
