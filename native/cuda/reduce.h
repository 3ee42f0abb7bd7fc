// Sums and maxima over the lanes of a warp and the threads of a block, in one fixed order.
#pragma once

#include <cuda_runtime.h>

namespace moe::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpLanes = 32;
constexpr int kMostWarps = 32;

template <typename Value>
__device__ __forceinline__ Value warp_sum(Value value) {
  for (int other = kWarpLanes / 2; other > 0; other /= 2) value += __shfl_xor_sync(kAllLanes, value, other);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  for (int other = kWarpLanes / 2; other > 0; other /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, other));
  }
  return value;
}

// The sum over the block's threads (whole warps), returned in every thread. `table` is shared memory of kMostWarps
// values; it may be reused after the next barrier.
template <typename Value>
__device__ Value block_sum(Value value, Value* table) {
  const unsigned lane = threadIdx.x % kWarpLanes, warp = threadIdx.x / kWarpLanes, warps = blockDim.x / kWarpLanes;
  value = warp_sum(value);
  if (lane == 0) table[warp] = value;
  __syncthreads();
  Value sum = table[0];
  for (unsigned w = 1; w < warps; ++w) sum += table[w];
  return sum;
}

// The maximum over the block's threads, as block_sum.
__device__ inline float block_max(float value, float* table) {
  const unsigned lane = threadIdx.x % kWarpLanes, warp = threadIdx.x / kWarpLanes, warps = blockDim.x / kWarpLanes;
  value = warp_max(value);
  if (lane == 0) table[warp] = value;
  __syncthreads();
  float most = table[0];
  for (unsigned w = 1; w < warps; ++w) most = fmaxf(most, table[w]);
  return most;
}

}  // namespace moe::cuda
