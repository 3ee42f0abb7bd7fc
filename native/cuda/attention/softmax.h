// The softmax of attention over consecutive tiles of scores, in powers of two: the scale of the scores includes
// log2(e).
#pragma once

#include <limits>

#include "cuda/attention/products.h"

namespace moe::cuda {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// The score of a masked key.
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// The number subtracted from scores with this maximum.
__device__ __forceinline__ float softmax_base(float maximum) {
  return maximum == kUnseen ? 0.0f : maximum;  // no key yet: every weight is 0
}

// The sum over the four lanes that share a row of a product.
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ __forceinline__ float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

// Softmax of the two rows of a product of which a lane holds elements. Multiply-adds are explicit, because a compiler
// might fuse them in one kernel and not in another.
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

  // Adds the sums over the keys of the next chunk. merge_chunks_kernel has the same arithmetic.
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

// A score softly capped. cap includes log2(e) like the score; 0: no cap.
__device__ __forceinline__ float soft_cap(float score, float cap) {
  return cap == 0 ? score : __fmul_rn(cap, tanhf(score / cap));
}

// The weight of a score, given the product of its query and key, and with a soft cap its slope as a factor of
// `gradient`.
__device__ __forceinline__ float weight_of(float product, float scale, float cap, float logsumexp, float& gradient) {
  if (cap == 0) return power_of_two(fmaf(product, scale, -logsumexp));
  const float score = soft_cap(__fmul_rn(product, scale), cap), share = score / cap;
  gradient *= fmaf(-share, share, 1.0f);
  return power_of_two(score - logsumexp);
}

// Scales and caps scores, and masks keys, counted from `key`, that a row whose last key is `last` must not see.
template <int kScores>
__device__ __forceinline__ void scale_and_mask(float (&scores)[kScores][4], float scale, float cap, int key,
                                               const int (&last)[2], const SeenKeys& seen) {
  const int column = key + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int n = 2 * i; n < 2 * i + 2; ++n) scores[j][n] = soft_cap(__fmul_rn(scores[j][n], scale), cap);
    }
    const int first = seen.first(last[i]);
    if (key + kScores * 8 - 1 <= last[i] && key >= first) continue;
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const int at = column + j * 8 + n;
        if (at > last[i] || at < first) scores[j][2 * i + n] = kUnseen;
      }
    }
  }
}

}  // namespace moe::cuda
