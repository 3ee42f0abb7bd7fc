// The CUDA backend's kernels. Those declared in moe/<name>.h are defined in <name>.cu or a file of the folder <name>.
#pragma once

#include "core/kernels.h"

namespace moe::cuda {

MOE_KERNELS(MOE_KERNEL_DECLARATION)

}  // namespace moe::cuda
