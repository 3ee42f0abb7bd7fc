// The launch of a user's activation, as the kernels and the host see it.
#pragma once

#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kActivationThreads = 256;

// Elements in memory: float32, or bfloat16 where narrow is 1.
struct Elements {
  void* data;
  int narrow;
};

// The elements of a call: `count`, of which only the first *rows rows of `width` are there where rows is not null.
struct Extent {
  long long count;
  const int* rows;
  long long width;
};

using CustomForward = void(Elements x, Elements saved, Elements y, Extent);
using CustomBackward = void(Elements x, Elements dy, Elements dx, Extent);

}  // namespace moe::cuda::runtime_kernel
