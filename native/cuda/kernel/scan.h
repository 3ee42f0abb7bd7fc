// Exclusive prefix sums over the threads of a block.
#pragma once

#include "cuda/kernel/reduce.h"

namespace moe::cuda {

// The sum over the threads before this one; `total` receives the sum over the block (whole warps). `table` is shared
// memory of kMostWarps values; it may be reused after the next barrier.
template <typename Value>
__device__ Value block_scan(Value value, Value* table, Value& total) {
  const unsigned lane = threadIdx.x % kWarpLanes, warp = threadIdx.x / kWarpLanes, warps = blockDim.x / kWarpLanes;
  const Value sum = warp_sum_up_to(value);
  if (lane == kWarpLanes - 1) table[warp] = sum;
  __syncthreads();
  Value before = 0;
  total = 0;
  for (unsigned w = 0; w < warps; ++w) {
    if (w == warp) before = total;
    total += table[w];
  }
  return before + sum - value;
}

}  // namespace moe::cuda
