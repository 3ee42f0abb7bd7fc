// The CPU backend's kernels; each is defined in the file of its header's name, or of its own.
#pragma once

#include "src/kernels.h"

namespace moe::cpu {

MOE_KERNELS(MOE_KERNEL_DECLARATION)

}  // namespace moe::cpu
