// Losses of rows of logits that are in memory.
#pragma once

#include "cuda/device/launcher.h"

namespace moe::cuda {

// moe_cross_entropy. `more` (float32, the shape of logits), if given, is added to the gradient before dloss multiplies
// it. If remainder (dtype of dlogits) is given, the gradient is dlogits + remainder: two bfloat16 numbers hold 16 bits
// of its significand. The caller keeps the check of the targets (CudaStream::keep_checks).
void losses_of_rows(Launcher& launch, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                    OptionalTensor dlogits, OptionalTensor remainder);
// Sets the unweighted divergences of float32 logits from a teacher whose logits are given. If gradient (float32, the
// shape of logits) is given, it receives weight * d(divergences[s]) / d(logits[s]) where the target is not -1; it may
// alias the teacher's logits.
void divergences_of_rows(Launcher& launch, const moe_teacher& teacher, Tensor targets, Tensor logits,
                         OptionalTensor gradient);

}  // namespace moe::cuda
