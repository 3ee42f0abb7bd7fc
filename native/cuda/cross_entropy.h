// The losses of rows of logits, for the kernels that have the logits themselves.
#pragma once

#include "cuda/launch.h"

namespace moe::cuda {

// As moe_cross_entropy. dlogits + remainder, of the same dtype, is the gradient where remainder is given: two bfloat16
// have 16 of its bits. The host's checks of the targets are the caller's to keep.
void losses_of_rows(Launch& launch, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits,
                    OptionalTensor remainder);

}  // namespace moe::cuda
