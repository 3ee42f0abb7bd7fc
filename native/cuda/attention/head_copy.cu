// Copies columns of heads between tensors. Formula and shapes: cpu/attention/head_copy.cc. A thread takes 16 adjacent
// bytes, or one element if a tensor is not aligned, then strides by the grid. Bound by bytes.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='HeadCopy*'.
#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 8;  // blocks per multiprocessor: as many as it holds

// Widths, `from` and `to` are in units.
template <typename Unit>
__global__ void __launch_bounds__(kThreads, kBlocks)
    head_copy_kernel(const Unit* x, int64_t x_width, int64_t from, int64_t outer, int64_t inner, bool transpose,
                     int64_t count, int64_t to, int64_t y_width, Unit* y) {
  const int64_t units = outer * inner * count, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < units; i += stride) {
    const int64_t row = i / count, column = i % count;
    const int64_t source = transpose ? row % inner * outer + row / inner : row;
    y[row * y_width + to + column] = x[source * x_width + from + column];
  }
}

}  // namespace

void head_copy(Stream& stream, const moe_head_columns& columns, Tensor x, Tensor y) {
  Launcher launch(stream);
  const auto copy = [&](auto unit, int64_t elements) {
    using Unit = decltype(unit);
    const int64_t count = columns.count / elements, units = y.shape[0] * y.shape[1] * count;
    if (units == 0) return;
    launch(head_copy_kernel<Unit>, launch.blocks(units, kThreads, kBlocks), kThreads, 0, data<Unit>(x),
           x.shape[2] / elements, columns.from / elements, y.shape[0], y.shape[1], columns.transpose == 1, count,
           columns.to / elements, y.shape[2] / elements, data<Unit>(y));
  };
  const bool aligned = in_vectors(x, x.shape[2]) && in_vectors(y, y.shape[2]) && in_vectors(x, columns.from) &&
                       in_vectors(y, columns.to) && in_vectors(x, columns.count);
  if (aligned) {
    copy(Vector<uint32_t, 4>{}, 16 / dtype_bytes(x.dtype));
  } else if (x.dtype == MOE_BFLOAT16) {
    copy(uint16_t{}, 1);
  } else {
    copy(uint32_t{}, 1);
  }
}

}  // namespace moe::cuda
