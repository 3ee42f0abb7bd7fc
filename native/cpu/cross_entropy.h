// Losses of rows of logits that are in memory. Targets are checked copies.
#pragma once

#include "core/kernels.h"

namespace moe::cpu {

// moe_cross_entropy. `more` (float32, the shape of logits), if given, is added to the gradient before dloss multiplies
// it.
void losses_of_rows(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                    OptionalTensor dlogits);
// Sets the unweighted divergences from a teacher whose logits are given. If gradient (float32, the shape of logits) is
// given, it receives weight * d(divergences[s]) / d(logits[s]) where the target is not -1; it may alias the teacher's
// logits.
void divergences_of_rows(Stream& stream, const moe_teacher& teacher, Tensor targets, Tensor logits,
                         OptionalTensor gradient);

}  // namespace moe::cpu
