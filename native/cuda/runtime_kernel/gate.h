// The run-time gate's launch, as the kernel and the host see it.
#pragma once

#include "cuda/gate/choice.h"
#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kGateTokens = 64;
constexpr int kGateThreads = 512;

struct GateOutputs {
  float* scores;  // [S, E]
  int* expert;    // [S, K], as are the next three
  int* position;
  float* weight;
  int* choice;
  int* counts;    // [E]
  int* offsets;   // [E + 1]
  float* losses;  // [2]
  int* refused;   // raised where a number cannot be ranked; that token is routed nowhere
};

using Gate = void(GateTokens, GateOutputs);

}  // namespace moe::cuda::runtime_kernel
