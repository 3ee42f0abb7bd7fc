// The last block of a grid to finish continues with what all blocks wrote. No block waits for another. Sources: CUDA
// samples, threadFenceReduction; CUTLASS, split-K with a semaphore.
#pragma once

#include <cuda_runtime.h>

#include "cuda/kernel/shared.h"

namespace moe::cuda {

// True in the last of the `blocks` blocks that call it with this ticket, a counter of CudaStream::tickets(), which it
// resets to 0. Called by all threads of a one-dimensional block. The last block sees all earlier writes of the others.
__device__ inline bool is_last_block(unsigned* ticket, unsigned blocks) {
  MOE_SHARED(bool, last);
  __syncthreads();  // the whole block has written
  if (blocks == 1) return true;
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicInc(ticket, blocks - 1) == blocks - 1;
    __threadfence();
  }
  __syncthreads();
  return last;
}

}  // namespace moe::cuda
