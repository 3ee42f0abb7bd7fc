// Failures of emulated functions: if a test asks for one, on misuse, and after a kernel has failed.
#pragma once

#include <cuda_runtime.h>

namespace simt {

// The result of calling this function: cudaSuccess, a failure that a test asked for, or an earlier kernel's.
cudaError_t outcome(const char* function);
// Records that a kernel has failed: all later calls fail, like on a GPU, but only on this thread.
cudaError_t lose(const char* failure);

}  // namespace simt

#define SIMT_OUTCOME() \
  if (const cudaError_t error = simt::outcome(__func__); error != cudaSuccess) return error
