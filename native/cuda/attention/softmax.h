// The softmax of attention over tiles of scores, one after the other. In powers of two: log2(e) is multiplied into the
// scale of the scores.
#pragma once

#include <limits>

#include "cuda/attention/products.h"

namespace moe::cuda {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// The score of a key that is not seen.
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// What is subtracted from scores whose maximum this is.
__device__ __forceinline__ float softmax_base(float maximum) {
  return maximum == kUnseen ? 0.0f : maximum;  // no key yet: every weight is 0
}

// Over the four lanes that share a row of a product.
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ __forceinline__ float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

// Of the two rows of a product that a lane has elements of. Products and sums that a compiler might fuse in one kernel
// and not in another are spelled out.
template <int kTiles>
struct RowSums {
  float maximum[2], total[2], values[kTiles][4];

  __device__ __forceinline__ void reset() {
    for (int i = 0; i < 2; ++i) {
      maximum[i] = kUnseen;
      total[i] = 0;
    }
    clear(values);
  }

  __device__ __forceinline__ void begin_with(int i, float sink) {
    maximum[i] = sink;
    total[i] = 1;
  }

  // Replaces scores by weights 2^(score - maximum) under the new maximum.
  template <int kScores>
  __device__ __forceinline__ void weigh(float (&scores)[kScores][4]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float highest = maximum[i];
#pragma unroll
      for (int j = 0; j < kScores; ++j) highest = fmaxf(highest, fmaxf(scores[j][2 * i], scores[j][2 * i + 1]));
      highest = row_max(highest);
      const float base = softmax_base(highest), decay = power_of_two(maximum[i] - base);
      maximum[i] = highest;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kScores; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) {
          scores[j][n] = power_of_two(scores[j][n] - base);
          sum = __fadd_rn(sum, scores[j][n]);
        }
      }
      total[i] = fmaf(total[i], decay, sum);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) values[j][n] *= decay;
      }
    }
  }

  // Takes in the sums over the keys of the next chunk. merge_chunks_kernel does the same arithmetic.
  __device__ __forceinline__ void merge(const RowSums& chunk) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float highest = fmaxf(maximum[i], chunk.maximum[i]), base = softmax_base(highest);
      const float before = power_of_two(maximum[i] - base), now = power_of_two(chunk.maximum[i] - base);
      maximum[i] = highest;
      total[i] = fmaf(total[i], before, row_sum(chunk.total[i]) * now);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) values[j][n] = fmaf(values[j][n], before, chunk.values[j][n] * now);
      }
    }
  }
};

// Scales scores, and hides the keys from `key` on that a row must not see: those after `last`, those before its window.
template <int kScores>
__device__ __forceinline__ void scale_and_mask(float (&scores)[kScores][4], float scale, int key, const int (&last)[2],
                                               int window) {
  const int column = key + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int n = 2 * i; n < 2 * i + 2; ++n) scores[j][n] = __fmul_rn(scores[j][n], scale);
    }
    if (key + kScores * 8 - 1 <= last[i] && key > last[i] - window) continue;
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const int at = column + j * 8 + n;
        if (at > last[i] || at <= last[i] - window) scores[j][2 * i + n] = kUnseen;
      }
    }
  }
}

}  // namespace moe::cuda
