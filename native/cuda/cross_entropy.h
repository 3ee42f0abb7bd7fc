// Losses of rows of logits, for the kernels that have the logits in memory.
#pragma once

#include "cuda/launch.h"

namespace moe::cuda {

// moe_cross_entropy. If remainder (dtype of dlogits) is given, dlogits + remainder is the gradient: two bfloat16
// numbers hold 16 bits of its significand. The caller keeps the check of the targets (CudaStream::keep_checks).
void losses_of_rows(Launch& launch, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits,
                    OptionalTensor remainder);

}  // namespace moe::cuda
