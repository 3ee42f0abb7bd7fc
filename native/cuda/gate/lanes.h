// Lanes of a warp that share a token of the gate: all 32, or 8 or 16 adjacent ones if there are few experts.
#pragma once

#include <climits>

#include "cuda/kernel/reduce.h"

namespace moe::cuda {

// Lane l holds `each` experts l, l + lanes, .... All lanes of the warp take part in every collective.
template <int lanes_, int each_>
struct TokenLanes {
  static constexpr int lanes = lanes_;
  static constexpr int each = each_;

  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % lanes; }
  static __device__ __forceinline__ int expert(int i) { return lane() + i * lanes; }
  // Distributes the tokens [0, count) over the block's groups of lanes and calls visit(t). It also calls visit(t) for
  // some t >= count, so that the lanes of a warp stay converged.
  template <typename Visit>
  static __device__ __forceinline__ void for_each_token(int count, Visit&& visit) {
    constexpr int together = kWarpLanes / lanes;
    const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, warps = static_cast<int>(blockDim.x) / kWarpLanes;
    const int of_warp = static_cast<int>(threadIdx.x) % kWarpLanes / lanes;
    for (int first = warp * together; first < count; first += warps * together) visit(first + of_warp);
  }

  // The value of another lane of the token.
  template <typename Value>
  static __device__ __forceinline__ Value of(Value value, int lane) {
    return __shfl_sync(kAllLanes, value, lane, lanes);
  }
  static __device__ __forceinline__ float sum(float value) {
    for (int other = lanes / 2; other > 0; other /= 2) value += __shfl_xor_sync(kAllLanes, value, other);
    return value;
  }
  static __device__ __forceinline__ float maximum(float value) {
    for (int other = lanes / 2; other > 0; other /= 2) {
      value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, other));
    }
    return value;
  }
  static __device__ __forceinline__ unsigned maximum(unsigned value) {
    if constexpr (lanes == kWarpLanes) {
      return __reduce_max_sync(kAllLanes, value);
    } else {
      for (int other = lanes / 2; other > 0; other /= 2) {
        value = max(value, __shfl_xor_sync(kAllLanes, value, other));
      }
      return value;
    }
  }
  static __device__ __forceinline__ int minimum(int value) {
    if constexpr (lanes == kWarpLanes) {
      return __reduce_min_sync(kAllLanes, value);
    } else {
      for (int other = lanes / 2; other > 0; other /= 2) {
        value = min(value, __shfl_xor_sync(kAllLanes, value, other));
      }
      return value;
    }
  }
};

// Calls visit with the TokenLanes for this number of experts.
template <typename Visit>
void visit_token_lanes(int64_t experts, Visit&& visit) {
  if (experts <= 8) {
    visit(TokenLanes<8, 1>{});
  } else if (experts <= 16) {
    visit(TokenLanes<16, 1>{});
  } else if (experts <= 32) {
    visit(TokenLanes<32, 1>{});
  } else if (experts <= 64) {
    visit(TokenLanes<32, 2>{});
  } else if (experts <= 128) {
    visit(TokenLanes<32, 4>{});
  } else if (experts <= 256) {
    visit(TokenLanes<32, 8>{});
  } else if (experts <= 512) {
    visit(TokenLanes<32, 16>{});
  } else {
    visit(TokenLanes<32, 32>{});
  }
}

}  // namespace moe::cuda
