// How the emulated functions fail: when a test asks for it, when they are misused, and after a kernel has failed.
#pragma once

#include <cuda_runtime.h>

namespace simt {

// What a call of this function has come to: a failure that a test has asked for, or that of an earlier kernel.
cudaError_t outcome(const char* function);
// The calling thread's card.
int current_card();
// A kernel has failed: as on a card, nothing works from then on, but for this thread alone.
cudaError_t lose(const char* failure);

}  // namespace simt

#define SIMT_OUTCOME() \
  if (const cudaError_t error = simt::outcome(__func__); error != cudaSuccess) return error
