// Arguments of the runtime kernels of a custom activation, shared by kernel and host.
#pragma once

#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kActivationThreads = 256;

// The elements of a call: `count`, or only the first *rows rows of `width` if rows is not null.
struct Extent {
  long long count;
  const int* rows;
  long long width;
};

using CustomForward = void(Elements x, Elements saved, Elements y, Extent);
using CustomBackward = void(Elements x, Elements dy, Elements dx, Extent);

}  // namespace moe::cuda::runtime_kernel
