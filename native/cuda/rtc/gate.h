// The run-time gate's launch, as the kernel and the host see it.
#pragma once

#include "cuda/gate/choice.h"
#include "cuda/rtc/kernel.h"

namespace moe::cuda::rtc {

constexpr int kGateTokens = 64;
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
  int* refused;   // raised where a number cannot be ranked; that token is routed nowhere
};

using Gate = void(GateTokens, GateOutputs);

}  // namespace moe::cuda::rtc
