// Sums and maxima over the lanes of a warp and the threads of a block, in one fixed order.
#pragma once

#include <cuda_runtime.h>

namespace moe::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpLanes = 32;
constexpr int kMostWarps = 32;  // of a block: 1024 threads

template <typename Value>
__device__ __forceinline__ Value warp_sum(Value value) {
  for (int other = kWarpLanes / 2; other > 0; other /= 2) value += __shfl_xor_sync(kAllLanes, value, other);
  return value;
}

// Inclusive prefix sum over the lanes.
template <typename Value>
__device__ __forceinline__ Value warp_sum_up_to(Value value) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  for (int delta = 1; delta < kWarpLanes; delta *= 2) {
    const Value below = __shfl_up_sync(kAllLanes, value, delta);
    if (lane >= delta) value += below;
  }
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  for (int other = kWarpLanes / 2; other > 0; other /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, other));
  }
  return value;
}

// The sum over the block's threads (whole warps), in every thread. `table` is shared memory of kMostWarps values; it
// may be reused after the next barrier.
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

// The sums of several values over the threads of a threadIdx.y (whole warps), in every thread, with one barrier for
// all. Each value has a table like block_sum's.
template <int count>
__device__ __forceinline__ void row_sums(float (&sums)[count], float (*table)[kMostWarps]) {
#pragma unroll
  for (float& sum : sums) sum = warp_sum(sum);
  if (blockDim.x == kWarpLanes) return;
  const unsigned lane = threadIdx.x % kWarpLanes, warps = blockDim.x / kWarpLanes, first = threadIdx.y * warps;
  if (lane == 0) {
#pragma unroll
    for (int r = 0; r < count; ++r) table[r][first + threadIdx.x / kWarpLanes] = sums[r];
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < count; ++r) sums[r] = warp_sum(lane < warps ? table[r][first + lane] : 0.0f);
}

// The maximum over the block's threads; `table` like block_sum's.
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
