#include "core/gate_values.h"

#include <cmath>

#include "core/check.h"

namespace moe {
namespace {

// An input's name, and its value for one expert that cannot be ranked; name is null if all values are legal.
struct Illegal {
  const char* name = nullptr;
  int64_t expert = 0;
  float value = 0;
};

Illegal find_illegal(const moe_gate_inputs& inputs, int64_t s) {
  const int64_t experts = inputs.logits->shape[1];
  const Named ranked[] = {{"logits", inputs.logits}, {"noise", inputs.noise}, {"priority", inputs.priority}};
  for (const auto& [name, values] : ranked) {
    if (values == nullptr) continue;
    const float* row = static_cast<const float*>(values->data) + s * experts;
    for (int64_t e = 0; e < experts; ++e) {
      const bool legal = std::isfinite(row[e]) || (values == inputs.logits && row[e] < 0);
      if (!legal) return {name, e, row[e]};
    }
  }
  return {};
}

bool is_closed(Tensor logits, int64_t s) {
  const float* row = static_cast<const float*>(logits.data) + s * logits.shape[1];
  for (int64_t e = 0; e < logits.shape[1]; ++e) {
    if (row[e] != -INFINITY) return false;
  }
  return true;
}

}  // namespace

void check_bias_values(OptionalTensor bias) {
  if (bias == nullptr) return;
  const auto* values = static_cast<const float*>(bias->data);
  for (int64_t e = 0; e < bias->shape[0]; ++e) {
    if (!std::isfinite(values[e])) invalid("bias[", e, "] is ", values[e], ", expected a finite number");
  }
}

void refuse_token(const moe_gate_inputs& inputs, int64_t s) {
  const auto [name, e, value] = find_illegal(inputs, s);
  if (name != nullptr) {
    invalid(name, "[", s, ", ", e, "] is ", std::isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf");
  }
  invalid("every logit of token ", s, " is -inf, there is no expert to choose");
}

void check_gate_values(const moe_gate_inputs& inputs) {
  check_bias_values(inputs.bias);
  for (int64_t s = 0; s < inputs.logits->shape[0]; ++s) {
    if (inputs.used != nullptr && static_cast<const uint8_t*>(inputs.used->data)[s] == 0) continue;
    if (find_illegal(inputs, s).name != nullptr || is_closed(*inputs.logits, s)) refuse_token(inputs, s);
  }
}

void check_choice_values(Tensor expert, Tensor choice, int64_t experts, int32_t* expert_copy, int32_t* choice_copy) {
  check_range_values("choice", choice, -1, experts, choice_copy);
  const auto* kept = static_cast<const int32_t*>(expert.data);
  const auto* chosen = choice_copy != nullptr ? choice_copy : static_cast<const int32_t*>(choice.data);
  for (int64_t i = 0, count = element_count(expert), choices = expert.shape[1]; i < count; ++i) {
    const int32_t e = read_once(kept + i), chosen_here = read_once(chosen + i);
    if (e != -1 && e != chosen_here) {
      invalid("expert[", i / choices, ", ", i % choices, "] is ", e, ", expected -1 or the choice ", chosen_here);
    }
    if (expert_copy != nullptr) expert_copy[i] = e;
  }
}

}  // namespace moe
