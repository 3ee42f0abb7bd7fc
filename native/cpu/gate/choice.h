// The gate's work on one token: scores, choice of experts, and its terms of the losses.
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

// The first used token of [begin, end) with an illegal value, or `end`.
int64_t find_refused_token(const GateTokens& tokens, int64_t begin, int64_t end);
// Writes scores and choice of tokens begin .. end - 1, and their sums.
void choose_experts(const GateTokens& tokens, int64_t begin, int64_t end, GateSums& sums);

}  // namespace moe::cpu
