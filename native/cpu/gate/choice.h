// What the gate does to a token by itself: scores, the choice of experts, and the token's share of the losses.
#pragma once

#include "cpu/kernels.h"

namespace moe::cpu {

struct GateTokens {
  const moe_gate_config& config;
  const moe_gate_inputs& in;
  Tensor scores, choice;

  int64_t experts() const { return in.logits->shape[1]; }
  bool is_used(int64_t s) const { return in.used == nullptr || static_cast<const uint8_t*>(in.used->data)[s] != 0; }
};

// Sums over the used tokens of one block.
struct GateSums {
  double* scores;  // [E]
  double square_logsumexp;
  int64_t used;
};

// The first used token of [begin, end) with a value that the gate refuses, or `end`.
int64_t find_refused_token(const GateTokens& tokens, int64_t begin, int64_t end);
// Writes scores and choice of the tokens [begin, end) and fills `sums`.
void choose_experts(const GateTokens& tokens, int64_t begin, int64_t end, GateSums& sums);

}  // namespace moe::cpu
