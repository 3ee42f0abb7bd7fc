// Arguments of the runtime kernel `gate`, shared by kernel and host.
#pragma once

#include "cuda/gate/choice.h"
#include "cuda/runtime_kernel/kernel.h"

namespace moe::cuda::runtime_kernel {

constexpr int kGateTokens = 64;  // most tokens of a call
constexpr int kGateThreads = 512;

struct GateOutputs {
  float* scores;  // [S, E]
  int* expert;    // [S, K]
  int* position;  // [S, K]
  float* weight;  // [S, K]
  int* choice;    // [S, K]
  int* counts;    // [E]
  int* offsets;   // [E + 1]
  float* losses;  // [2]
  int* refused;   // set to 1 for an illegal value; that token gets no route
};

using Gate = void(GateTokens, GateOutputs);

}  // namespace moe::cuda::runtime_kernel
