// Losses of rows of logits, for the kernels that have the logits in memory. Targets are copies, checked.
#pragma once

#include "core/kernels.h"

namespace moe::cpu {

// moe_cross_entropy. If `more` (float32, the shape of logits) is given, it is added to the gradient before dloss
// multiplies it.
void losses_of_rows(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                    OptionalTensor dlogits);
// Sets the divergences from a teacher whose logits are given: without weights. If gradient (float32, the shape of
// logits) is given, it receives weight * d(divergences[s]) / d(logits[s]) where the target is not -1, and may be the
// teacher's logits' own memory.
void divergences_of_rows(Stream& stream, const moe_teacher& teacher, Tensor targets, Tensor logits,
                         OptionalTensor gradient);

}  // namespace moe::cpu
