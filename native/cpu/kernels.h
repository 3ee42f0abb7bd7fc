// The CPU backend's kernels: those of a header in the file of its name; gemm_pack and column_sum in their own.
#pragma once

#include "core/kernels.h"

namespace moe::cpu {

MOE_KERNELS(MOE_KERNEL_DECLARATION)

}  // namespace moe::cpu
