// The values that a gate refuses, and the words for them. Each throws one sentence that names the first of them.
#pragma once

#include "core/kernels.h"

namespace moe {

// A bias is absent, or finite.
void check_bias_values(OptionalTensor bias);
// Refuses token s, which holds a value that cannot be ranked.
[[noreturn]] void refuse_token(const moe_gate_inputs& inputs, int64_t s);
// All of a gate's input, value by value: for a backend that has seen that one is illegal.
void check_gate_values(const moe_gate_inputs& inputs);
// A choice is -1 or an expert, and a route was kept where it was chosen, or dropped. The copies of the two, where
// given, are of what was checked.
void check_choice_values(Tensor expert, Tensor choice, int64_t experts, int32_t* expert_copy = nullptr,
                         int32_t* choice_copy = nullptr);

}  // namespace moe
