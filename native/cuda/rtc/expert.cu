// y = activation(x W_e^T + b_e) for groups of few rows. Compiled at run time for one layer of experts:
//   RTC_INNER       K, a multiple of 8
//   RTC_ACTIVATION  a moe_activation without parameters, or MOE_CUSTOM_ACTIVATION: then custom_activation.h has float
//   custom(float x) RTC_X, RTC_W, RTC_Y  float or bfloat16: elements of x, of the weights, and of y and the
//   preactivation
#include "cuda/activation.h"
#include "cuda/reduce.h"
#include "cuda/rtc/element.h"
#include "cuda/rtc/expert.h"
#if RTC_ACTIVATION == 6
#include "custom_activation.h"
#endif

namespace {

using moe::cuda::kWarpLanes;
using moe::cuda::rtc::ExpertArguments;
using moe::cuda::rtc::kExpertThreads;
using moe::cuda::rtc::kWarpColumns;

constexpr int kInner = RTC_INNER;
constexpr bool kGated = RTC_ACTIVATION == MOE_SWIGLU;
constexpr int kOutputs = kGated ? kWarpColumns / 2 : kWarpColumns;  // of y, for a warp
constexpr int kTile = kGated ? 4 : 8;  // rows whose sums a warp holds at once, of what 128 registers have room for

__device__ __forceinline__ float activated(float x) {
#if RTC_ACTIVATION == 6
  return custom(x);
#else
  return moe::cuda::activate(kGated ? MOE_SILU : RTC_ACTIVATION, x);
#endif
}

// One expert's matrix and the columns of a warp: neighbours, or, gated, neighbours of the gate and of the other half.
struct Expert {
  const RTC_X* x;
  const RTC_W* weights;
  const float* bias;
  RTC_Y* y;
  RTC_Y* preactivation;
  int columns;  // N
  int first;    // column of y

  __device__ int outputs() const { return kGated ? columns / 2 : columns; }
  __device__ bool has(int c) const { return first + c % kOutputs < outputs(); }
  __device__ int column(int c) const { return first + c % kOutputs + c / kOutputs * outputs(); }
};

// `tile` rows from `begin`. A lane sums every 32nd pack of 8 in ascending order, then the lanes are added up in one
// fixed order: a row's bits depend on nothing but the row.
template <int tile>
__device__ __forceinline__ void rows_of_tile(const Expert& expert, int begin, int lane) {
  float sums[tile][kWarpColumns] = {};
  // A single row leaves registers for two packs of the weights under way at once.
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

}  // namespace

// Grid: x the columns, y the experts. Bound by the bytes of the weights, which are read once for kTile rows.
RTC_KERNEL void __launch_bounds__(kExpertThreads) expert(ExpertArguments in) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, e = static_cast<int>(blockIdx.y);
  const int thread = static_cast<int>(blockIdx.x) * kExpertThreads + static_cast<int>(threadIdx.x);
  int begin = in.offsets[e];
  const int end = in.offsets[e + 1];
  if (begin < 0 || end < begin || end > in.rows || (e == 0 && begin != 0)) {
    if (threadIdx.x == 0) *in.refused = 1;
    return;
  }
  const Expert mine{static_cast<const RTC_X*>(in.x),
                    static_cast<const RTC_W*>(in.weights) + static_cast<long long>(e) * in.columns * kInner,
                    in.bias == nullptr ? nullptr : in.bias + static_cast<long long>(e) * in.columns,
                    static_cast<RTC_Y*>(in.y),
                    static_cast<RTC_Y*>(in.preactivation),
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
