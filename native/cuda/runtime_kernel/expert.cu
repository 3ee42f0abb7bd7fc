// y_e = activation(x_e W_e^T + b_e + addend_e) without tensor cores, made for groups of few rows (a decode step); it
// computes all calls of its layer, so that prefill and decode have the same bits. NVRTC compiles it with these
// definitions:
//   KERNEL_INNER       K, a multiple of 8
//   KERNEL_ACTIVATION  a moe_activation without parameters, or MOE_CUSTOM_ACTIVATION: then custom_activation.h
//                      has float custom(float x)
//   KERNEL_X, KERNEL_W, KERNEL_Y  float or bfloat16: elements of x, of W, and of y and the preactivation
// x [R, K], W [E, N, K], b [E, N], addend [R, N], y [R, N], for a gated activation [R, N / 2]. A warp takes four
// columns; its lanes share K. Bound by reading W once per 8 rows.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='EmulatedExpert*'; CompilationTest (Java) for NVRTC.
#include "cuda/runtime_kernel/expert.h"
#include "cuda/expert/activation.h"
#include "cuda/kernel/reduce.h"
#include "cuda/runtime_kernel/element.h"
#if KERNEL_ACTIVATION == 7
#include "custom_activation.h"
#endif

namespace {

using moe::cuda::kWarpLanes;
using moe::cuda::runtime_kernel::Elements;
using moe::cuda::runtime_kernel::ExpertArguments;
using moe::cuda::runtime_kernel::kExpertThreads;
using moe::cuda::runtime_kernel::kWarpColumns;

constexpr int kInner = KERNEL_INNER;
constexpr bool kGeglu = KERNEL_ACTIVATION == MOE_GEGLU_TANH;
constexpr bool kGated = KERNEL_ACTIVATION == MOE_SWIGLU || kGeglu;
constexpr int kOutputs = kGated ? kWarpColumns / 2 : kWarpColumns;  // columns of y per warp
constexpr int kTile = kGated ? 4 : 8;  // rows whose sums a warp holds: as many as fit 128 registers

__device__ __forceinline__ float activated(float x) {
#if KERNEL_ACTIVATION == 7
  return custom(x);
#else
  return moe::cuda::activate(kGeglu ? MOE_GELU_TANH : kGated ? MOE_SILU : KERNEL_ACTIVATION, x);
#endif
}

// An expert's operands, and a warp's kWarpColumns adjacent columns; if gated, half of them are in the up half.
struct Expert {
  const KERNEL_X* x;
  const KERNEL_W* weights;
  const float* bias;
  KERNEL_Y* y;
  KERNEL_Y* preactivation;
  Elements addend;
  int columns;  // N
  int first;    // first column of y

  __device__ int outputs() const { return kGated ? columns / 2 : columns; }
  __device__ bool has(int c) const { return first + c % kOutputs < outputs(); }
  __device__ int column(int c) const { return first + c % kOutputs + c / kOutputs * outputs(); }
};

// Computes `tile` rows from `begin` on. A lane sums every 32nd vector of 8 in ascending order, then the lanes are added
// in a fixed order, so a row's bits do not depend on the other rows.
template <int tile>
__device__ __forceinline__ void rows_of_tile(const Expert& expert, int begin, int lane) {
  float sums[tile][kWarpColumns] = {};
  // A single row leaves registers for two vectors of weights in flight.
#pragma unroll(tile == 1 ? 2 : 1)
  for (int k = lane * kEight; k < kInner; k += kWarpLanes * kEight) {
    float w[kWarpColumns][kEight];
#pragma unroll
    for (int c = 0; c < kWarpColumns; ++c) {
      load_eight(expert.weights + static_cast<long long>(expert.has(c) ? expert.column(c) : 0) * kInner + k, w[c]);
    }
#pragma unroll
    for (int r = 0; r < tile; ++r) {
      float x[kEight];
      load_eight(expert.x + static_cast<long long>(begin + r) * kInner + k, x);
#pragma unroll
      for (int c = 0; c < kWarpColumns; ++c) {
#pragma unroll
        for (int i = 0; i < kEight; ++i) sums[r][c] = fmaf(x[i], w[c][i], sums[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < tile; ++r) {
    const long long row = begin + r;
#pragma unroll
    for (int c = 0; c < kWarpColumns; ++c) {
      sums[r][c] = moe::cuda::warp_sum(sums[r][c]);
      if (!expert.has(c)) continue;
      if (expert.bias != nullptr) sums[r][c] += expert.bias[expert.column(c)];
      if (expert.addend.data != nullptr) sums[r][c] += read(expert.addend, row * expert.columns + expert.column(c));
      if (expert.preactivation != nullptr && lane == c) {
        store_float(sums[r][c], expert.preactivation + row * expert.columns + expert.column(c));
      }
    }
#pragma unroll
    for (int c = 0; c < kOutputs; ++c) {
      if (!expert.has(c) || lane != c) continue;
      const float out = activated(sums[r][c]);
      store_float(kGated ? out * sums[r][c + kOutputs] : out, expert.y + row * expert.outputs() + expert.first + c);
    }
  }
}

// The expert of this block: the blockIdx.y-th one with rows, or -1. Refuses illegal offsets, which have no rows; the
// first block looks at all of them. Called by whole warps.
__device__ __forceinline__ int find_expert(const ExpertArguments& in, int lane) {
  int skip = static_cast<int>(blockIdx.y), found = -1;
  for (int first = 0; first < in.experts && (found < 0 || (blockIdx.x | blockIdx.y) == 0); first += kWarpLanes) {
    const int e = first + lane;
    bool has_rows = false;
    if (e < in.experts) {
      const int begin = in.offsets[e], end = in.offsets[e + 1];
      const bool legal = begin >= 0 && end >= begin && end <= in.rows && (e > 0 || begin == 0);
      if (!legal) *in.refused = 1;
      has_rows = legal && end > begin;
    }
    unsigned with_rows = __ballot_sync(moe::cuda::kAllLanes, has_rows);
    if (skip >= 0 && skip < __popc(with_rows)) {
      for (int i = 0; i < skip; ++i) with_rows &= with_rows - 1;
      found = first + __ffs(static_cast<int>(with_rows)) - 1;
      skip = -1;
    } else if (skip >= 0) {
      skip -= __popc(with_rows);
    }
  }
  return found;
}

}  // namespace

// Grid: x over columns, y over experts with rows, of which there are at most R.
RUNTIME_KERNEL void __launch_bounds__(kExpertThreads) expert(ExpertArguments in) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, e = find_expert(in, lane);
  const int thread = static_cast<int>(blockIdx.x) * kExpertThreads + static_cast<int>(threadIdx.x);
  if (e < 0) return;
  int begin = in.offsets[e];
  const int end = in.offsets[e + 1];
  const Expert mine{static_cast<const KERNEL_X*>(in.x),
                    static_cast<const KERNEL_W*>(in.weights) + static_cast<long long>(e) * in.columns * kInner,
                    in.bias == nullptr ? nullptr : in.bias + static_cast<long long>(e) * in.columns,
                    static_cast<KERNEL_Y*>(in.y),
                    static_cast<KERNEL_Y*>(in.preactivation),
                    in.addend,
                    in.columns,
                    thread / kWarpLanes * kOutputs};
  if (!mine.has(0)) return;
  for (; end - begin >= kTile; begin += kTile) rows_of_tile<kTile>(mine, begin, lane);
  if (kTile > 4 && end - begin >= 4) {
    rows_of_tile<4>(mine, begin, lane);
    begin += 4;
  }
  if (end - begin >= 2) {
    rows_of_tile<2>(mine, begin, lane);
    begin += 2;
  }
  if (end > begin) rows_of_tile<1>(mine, begin, lane);
}
