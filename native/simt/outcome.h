// When emulated functions fail: if a test asks for it, if they are misused, and after a kernel has failed.
#pragma once

#include <cuda_runtime.h>

namespace simt {

// The result of a call of this function: cudaSuccess, a failure that a test asked for, or that of an earlier kernel.
cudaError_t outcome(const char* function);
// Records that a kernel has failed: as on a GPU all later calls fail, but only those of this thread.
cudaError_t lose(const char* failure);

}  // namespace simt

#define SIMT_OUTCOME() \
  if (const cudaError_t error = simt::outcome(__func__); error != cudaSuccess) return error
