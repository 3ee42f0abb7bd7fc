// Arguments of the runtime kernel `expert`, shared by kernel and host.
#pragma once

#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kExpertThreads = 256;
constexpr int kWarpColumns = 4;  // columns of the preactivation per warp

struct ExpertArguments {
  const void* x;        // [R, K]
  const int* offsets;   // [E + 1]
  const void* weights;  // [E, N, K]
  const float* bias;    // [E, N] or null
  void* y;              // [R, N], for a gated activation [R, N / 2]
  void* preactivation;  // [R, N] with y's elements, or null
  Elements addend;      // [R, N] or null
  int rows, columns;    // R, N
  int experts;          // E
  int* refused;         // set to 1 for illegal offsets; that expert writes nothing
};

using Expert = void(ExpertArguments);

}  // namespace moe::cuda::runtime_kernel
