// The gate's work on one token: scores and choice of experts (rules 1 to 4 of docs/gating.md). Also used by runtime
// kernels.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "cuda/gate/lanes.h"
#include "moe/gate.h"

namespace moe::cuda {

struct GateTokens {
  moe_gate_config config;
  int64_t tokens;
  int experts;
  const float* logits;
  const uint8_t* used;    // [S], or null
  const float* bias;      // [E], or null
  const float* noise;     // [S, E], or null
  const float* priority;  // [S, E], or null

  __device__ bool is_used(int64_t s) const { return s < tokens && (used == nullptr || used[s] != 0); }
};

// Maps finite floats to unsigned numbers in the same order, -0 like 0; all are above kClosed.
constexpr unsigned kClosed = 0;
__device__ __forceinline__ unsigned ordered(float value) {
  const unsigned bits = __float_as_uint(value + 0.0f);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

// Returns the expert with the largest key, the lowest of equal ones, in all lanes of the token, and closes it.
template <typename Lanes>
__device__ __forceinline__ int take_best(unsigned (&keys)[Lanes::each]) {
  unsigned best = keys[0];
  int e = Lanes::expert(0);
#pragma unroll
  for (int i = 1; i < Lanes::each; ++i) {
    if (keys[i] > best) best = keys[i], e = Lanes::expert(i);
  }
  e = Lanes::minimum(best == Lanes::maximum(best) ? e : INT_MAX);
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    if (Lanes::expert(i) == e) keys[i] = kClosed;
  }
  return e;
}

// Loads row s of rows [S, E]; `outside` past its end.
template <typename Lanes>
__device__ __forceinline__ void load_row(const float* rows, int64_t s, int experts, float outside,
                                         float (&x)[Lanes::each]) {
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    x[i] = Lanes::expert(i) < experts ? rows[s * experts + Lanes::expert(i)] : outside;
  }
}

template <typename Lanes>
__device__ __forceinline__ float largest_of(const float (&x)[Lanes::each]) {
  float largest = x[0];
#pragma unroll
  for (int i = 1; i < Lanes::each; ++i) largest = fmaxf(largest, x[i]);
  return Lanes::maximum(largest);
}

// True if all logits `x` (not NaN or +inf), noise and priorities of the token are legal. Padding is always legal.
template <typename Lanes>
__device__ __forceinline__ bool is_legal(const GateTokens& tokens, bool used, int64_t s,
                                         const float (&x)[Lanes::each]) {
  bool legal = true;
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    if (!used || Lanes::expert(i) >= tokens.experts) continue;
    legal &= x[i] <= FLT_MAX;
    const int64_t at = s * tokens.experts + Lanes::expert(i);
    if (tokens.noise != nullptr) legal &= fabsf(tokens.noise[at]) <= FLT_MAX;
    if (tokens.priority != nullptr) legal &= fabsf(tokens.priority[at]) <= FLT_MAX;
  }
  return Lanes::minimum(legal ? 1 : 0) == 1;
}

// The gate's scores and their derivatives, the functions of cpu/gate/score-inl.h.
__device__ __forceinline__ bool is_softmax(int32_t score) { return score == MOE_SOFTMAX; }

__device__ __forceinline__ float score_of(int32_t score, float logit) {
  switch (score) {
    case MOE_SIGMOID: return 1 / (1 + expf(-logit));
    default: return logit;  // not reached: GateContractTest tries every score
  }
}

__device__ __forceinline__ float log_slope(int32_t score, float value) {
  switch (score) {
    case MOE_SIGMOID: return 1 - value;
    default: return 1;
  }
}

// Replaces a token's logits by scores and returns the logits' logsumexp.
template <typename Lanes>
__device__ __forceinline__ float score_token(int32_t score, float largest, float (&x)[Lanes::each]) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    const float share = expf(x[i] - largest);
    sum += share;
    x[i] = is_softmax(score) ? share : score_of(score, x[i]);
  }
  sum = Lanes::sum(sum);
  if (is_softmax(score)) {
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) x[i] /= sum;
  }
  return largest + logf(sum);
}

// The experts of the best groups: bit i is set if Lanes::expert(i) is open. The lane of expert g scores group g and
// reads the group's keys from memory. The lowest group wins a tie.
template <typename Lanes>
__device__ __forceinline__ unsigned choose_groups(const GateTokens& tokens, bool used, const float* scores) {
  const moe_gate_config& config = tokens.config;
  const int size = tokens.experts / config.groups;
  unsigned keys[Lanes::each];
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    const int g = Lanes::expert(i);
    keys[i] = kClosed;
    if (!used || g >= config.groups) continue;
    float first = -INFINITY, second = -INFINITY;
    for (int e = g * size; e < (g + 1) * size; ++e) {
      const float key = tokens.bias == nullptr ? scores[e] : scores[e] + tokens.bias[e];
      second = fmaxf(second, fminf(first, key));
      first = fmaxf(first, key);
    }
    keys[i] = ordered(config.group_score == MOE_GROUP_TOP2_SUM && size > 1 ? first + second : first);
  }
  unsigned open = 0;
  for (int chosen = 0; chosen < config.chosen_groups; ++chosen) {
    const int begin = take_best<Lanes>(keys) * size;
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      if (Lanes::expert(i) >= begin && Lanes::expert(i) < begin + size) open |= 1u << i;
    }
  }
  return open;
}

// Chooses the experts of token s, best first; lane c returns choice c. `x` are its scores, which are also in memory at
// `scores`. Reads nothing for an unused token and returns an undefined result.
template <typename Lanes>
__device__ __forceinline__ int choose(const GateTokens& tokens, bool used, int64_t s, const float (&x)[Lanes::each],
                                      const float* scores) {
  const moe_gate_config& config = tokens.config;
  const unsigned open = config.groups > config.chosen_groups ? choose_groups<Lanes>(tokens, used, scores) : ~0u;
  unsigned keys[Lanes::each];
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    const int e = Lanes::expert(i);
    keys[i] = kClosed;
    if (!used || e >= tokens.experts || (open >> i & 1) == 0) continue;
    const float bias = tokens.bias == nullptr ? 0 : tokens.bias[e];
    keys[i] = ordered(fabsf(bias) <= FLT_MAX ? x[i] + bias
                                             : x[i]);  // an illegal bias is refused later and must not become a key
  }
  const int clean = tokens.noise == nullptr ? config.top_k : config.noise_first_choice;
  int mine = 0;
  for (int c = 0; c < clean; ++c) {
    const int e = take_best<Lanes>(keys);
    if (Lanes::lane() == c) mine = e;
  }
  if (clean == config.top_k) return mine;
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    if (keys[i] == kClosed) continue;
    const int64_t at = s * tokens.experts + Lanes::expert(i);
    keys[i] = ordered(fminf(fmaxf(tokens.logits[at] + tokens.noise[at], -FLT_MAX), FLT_MAX));
  }
  for (int c = clean; c < config.top_k; ++c) {
    const int e = take_best<Lanes>(keys);
    if (Lanes::lane() == c) mine = e;
  }
  return mine;
}

}  // namespace moe::cuda
