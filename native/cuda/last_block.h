// How one block of a grid goes on with what the others have written: the one that comes last. No block waits, so
// results do not depend on which it is. Sources: CUDA samples, threadFenceReduction; CUTLASS, split-K with a semaphore.
#pragma once

#include <cuda_runtime.h>

namespace moe::cuda {

// True in the last one of `blocks` blocks that come with this ticket, of CudaStream::tickets(), which it leaves at 0.
// Called by all threads of a block, in one dimension. The last block sees everything that the others wrote before.
__device__ inline bool is_last_block(unsigned* ticket, unsigned blocks) {
  __shared__ bool last;
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
