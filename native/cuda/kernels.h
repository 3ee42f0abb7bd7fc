// The CUDA backend's kernels; each is defined in the file of its header's name.
#pragma once

#include "core/kernels.h"

namespace moe::cuda {

MOE_KERNELS(MOE_KERNEL_DECLARATION)

}  // namespace moe::cuda
