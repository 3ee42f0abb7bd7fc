// The CPU backend's kernels. Those declared in moe/<name>.h are defined in <name>.cc or a file of the folder <name>.
#pragma once

#include "core/kernels.h"

namespace moe::cpu {

MOE_KERNELS(MOE_KERNEL_DECLARATION)

}  // namespace moe::cpu
