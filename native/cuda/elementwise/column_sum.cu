// sums[e, n] += sum of x[s, n] over the rows s of group e: the gradient of a bias, dense (one group) or per expert. x
// [S, N], offsets [E + 1], sums [E, N]. Warp w sums rows w, w + 32, ... of the group, then the 32 sums are added in
// order, whatever the grid. Bound by reading x once.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='GemmTest.ColumnSum*:Expert*'.
// Time: ./panamoe bench train-step --device cuda.
#include "cuda/elementwise/column_sum.h"

#include "cuda/device/kernels.h"
#include "cuda/kernel/floating.h"
#include "cuda/kernel/reduce.h"

namespace moe::cuda {
namespace {

constexpr int kSlices = 32;  // warps of a block; each sums every 32nd row of 32 adjacent columns

template <typename X>
__global__ void __launch_bounds__(kSlices* kWarpLanes)
    column_sum_kernel(const X* x, int64_t rows, int64_t columns, const int32_t* offsets, float* sums, Refusal refusal) {
  MOE_SHARED(float, table, [kSlices][kWarpLanes]);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, slice = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int64_t group = blockIdx.y, column = int64_t{blockIdx.x} * kWarpLanes + lane;
  int64_t begin = 0, end = rows;
  if (offsets != nullptr) {
    begin = offsets[group];
    end = offsets[group + 1];
    if (begin < 0 || end < begin || end > rows || (group == 0 && begin != 0)) {
      refusal.raise();
      return;
    }
  }
  if (begin == end) return;
  float sum = 0;
  if (column < columns) {
#pragma unroll 8
    for (int64_t row = begin + slice; row < end; row += kSlices) sum += to_float(x[row * columns + column]);
  }
  table[slice][lane] = sum;
  __syncthreads();
  if (slice != 0 || column >= columns) return;
  for (int other = 1; other < kSlices; ++other) sum += table[other][lane];
  sums[group * columns + column] += sum;
}

}  // namespace

void add_column_sums(Launcher& launch, Tensor x, const int32_t* offsets, int64_t groups, float* sums) {
  const int64_t columns = x.shape[1];
  const dim3 grid(static_cast<unsigned>(ceil_div(columns, kWarpLanes)), static_cast<unsigned>(groups));
  visit_floating(x, [&](auto from) {
    launch(column_sum_kernel<decltype(from)>, grid, kSlices * kWarpLanes, 0, data<decltype(from)>(x), x.shape[0],
           columns, offsets, sums, launch.refusal());
  });
}

void column_sum(Stream& stream, Tensor x, Tensor y) {
  Launcher launch(stream);
  add_column_sums(launch, x, nullptr, 1, data<float>(y));
}

}  // namespace moe::cuda
