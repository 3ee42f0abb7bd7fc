// Checks of the gate's inputs. Each throws one sentence that names the first refused value.
#pragma once

#include "core/kernels.h"

namespace moe {

// Refuses a bias that is not finite; accepts null.
void check_bias_values(OptionalTensor bias);
// Throws for token s, which has a NaN, an illegal infinity, or logits that are all -inf.
[[noreturn]] void refuse_token(const moe_gate_inputs& inputs, int64_t s);
// Checks all values of a gate's inputs. The host calls it once a kernel has found an illegal value.
void check_gate_values(const moe_gate_inputs& inputs);
// Refuses a choice outside [-1, experts), and an expert that is neither -1 (dropped) nor the choice. The copies, if
// given, receive the checked values.
void check_choice_values(Tensor expert, Tensor choice, int64_t experts, int32_t* expert_copy = nullptr,
                         int32_t* choice_copy = nullptr);

}  // namespace moe
