// Products of random panels by wgmma, as fast as a GPU of sm_90a computes them. Random, because a GPU that multiplies
// zeros takes less power and clocks higher than usual.
#pragma once

#include "cuda/device/launcher.h"
#include "cuda/kernel/ptx_hopper.h"

namespace moe::bench {

// A block's operands: two warpgroups with rows of their own, and one panel of columns; panels of 64 k.
struct Panels {
  static constexpr int kGroups = 2, kThreads = kGroups * 128, kDepth = 64, kRows = 64, kColumns = 128;
  static constexpr int kValues = (kGroups * kRows + kColumns) * kDepth;
  static constexpr int kSums = 64;         // per thread
  static constexpr int kAlignment = 1024;  // bytes: the period of the swizzle
  static constexpr size_t kSharedBytes = kValues * 2 + kAlignment;
  static constexpr double kOperations = 2.0 * kGroups * kRows * kColumns * kDepth;  // per block and step
};

// sums [blocks, kThreads, kSums] of `steps` products of the same panels; values [kValues], two bfloat16 each of kValues
// / 2. Empty on other architectures.
__global__ void __launch_bounds__(Panels::kThreads, 2) multiply_panels(int steps, const uint32_t* values, float* sums) {
#if defined(MOE_HOPPER)
  using namespace moe::cuda;
  MOE_DYNAMIC_SHARED(char, shared);
  char* panels = shared + (Panels::kAlignment - shared_address(shared) % Panels::kAlignment) % Panels::kAlignment;
  for (int i = static_cast<int>(threadIdx.x); i < Panels::kValues / 2; i += Panels::kThreads) {
    reinterpret_cast<uint32_t*>(panels)[i] = values[i];
  }
  fence_async_proxy();
  __syncthreads();
  const int group = static_cast<int>(threadIdx.x) / 128;
  const uint64_t a = describe_panel(panels + group * Panels::kRows * Panels::kDepth * 2);
  const uint64_t b = describe_panel(panels + Panels::kGroups * Panels::kRows * Panels::kDepth * 2);
  float sum[16][4] = {};
  for (int step = 0; step < steps; ++step) {
    begin_products();
#pragma unroll
    for (uint64_t k = 0; k < Panels::kDepth * 2; k += 32) {
      multiply_m64k16<Panels::kColumns, false>(sum, a + (k >> 4), b + (k >> 4));
    }
    commit_products();
    wait_products<0, Panels::kColumns>(sum);
  }
  float* mine = sums + (int64_t{blockIdx.x} * Panels::kThreads + threadIdx.x) * Panels::kSums;
  for (int i = 0; i < Panels::kSums; ++i) mine[i] = sum[i / 4][i % 4];
#endif
}

}  // namespace moe::bench
