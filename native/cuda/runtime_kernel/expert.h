// The run-time expert kernel's launch, as the kernel and the host see it.
#pragma once

#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kExpertRows = 64;  // most rows that a launch is meant for; any number is right
constexpr int kExpertThreads = 256;
constexpr int kWarpColumns = 4;  // of the preactivation

struct ExpertArguments {
  const void* x;        // [R, K]
  const int* offsets;   // [E + 1]
  const void* weights;  // [E, N, K]
  const float* bias;    // [E, N] or null
  void* y;              // [R, N], for SwiGLU [R, N / 2]
  void* preactivation;  // [R, N] or null, elements as y
  int rows, columns;    // R, N
  int* refused;         // raised where offsets are not legal; that expert writes nothing
};

using Expert = void(ExpertArguments);

}  // namespace moe::cuda::runtime_kernel
