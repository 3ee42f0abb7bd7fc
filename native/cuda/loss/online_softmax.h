// The maximum of a row of logits and the sum of its exponentials, in one pass (online softmax: Milakov and Gimelshein
// 2018, arXiv 1805.02867).
#pragma once

#include "cuda/kernel/reduce.h"

namespace moe::cuda {

// For a thread's values x at temperature T = 1 / inverse: their peak, and the sum of exp((x - peak) inverse).
struct OnlineSoftmax {
  float peak = -3.402823466e38f, sum = 0;

  template <int count>
  __device__ __forceinline__ void add(const float (&values)[count], float inverse) {
    float most = peak;
#pragma unroll
    for (int k = 0; k < count; ++k) most = fmaxf(most, values[k]);
    if (most > peak) {
      sum *= expf((peak - most) * inverse);
      peak = most;
    }
#pragma unroll
    for (int k = 0; k < count; ++k) sum += expf((values[k] - peak) * inverse);
  }
  // Combines the threads of the block. Both tables are shared memory of kMostWarps values.
  __device__ __forceinline__ void combine_block(float inverse, float* peaks, float* sums) {
    const float own_peak = peak;
    peak = block_max(own_peak, peaks);
    sum = block_sum(sum * expf((own_peak - peak) * inverse), sums);
  }
};

}  // namespace moe::cuda
