// Elementwise activations and SwiGLU: y = activation(x), dx = dy activation'(x). Formulas and shapes:
// cpu/activation.cc. The kernels stride over a grid of columns and rows.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Elementwise*'.
// Time: ./panamoe bench train-step --device cuda.
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/expert/gating.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBackwardBlocks = 3;  // blocks per multiprocessor: for four the compiler spills
constexpr int64_t kMostGridRows = 65535;

// Bound by the bytes of x and y.
template <bool vectorized, typename X, typename Y>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(int32_t kind, Gating gating, const X* x, int64_t rows, int64_t width, Y* y) {
  constexpr int count = kVectorOf<X>;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * count;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * count;
  const bool gated = gating.gated;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const X* in = x + row * width * (gated ? 2 : 1);
    for (int64_t i = first; i < width; i += stride) {
      float values[count], up[count];
      load_floats<vectorized>(in, i, width, values);
      if (gated) load_floats<vectorized>(in + width, i, width, up);
#pragma unroll
      for (int k = 0; k < count; ++k) {
        values[k] = gated ? gating.value(values[k], up[k]) : activate(kind, values[k]);
      }
      store_floats<vectorized>(y + row * width, i, width, values);
    }
  }
}

// Bound by the bytes of x, dy and dx. dx may alias x.
template <bool vectorized, typename X, typename Dy, typename Dx>
__global__ void __launch_bounds__(kThreads, kBackwardBlocks)
    backward_kernel(int32_t kind, Gating gating, const X* x, const Dy* dy, int64_t rows, int64_t width, Dx* dx) {
  constexpr int count = kVectorOf<X>;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * count;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * count;
  const bool gated = gating.gated;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const X* in = x + row * width * (gated ? 2 : 1);
    Dx* out = dx + row * width * (gated ? 2 : 1);
    for (int64_t i = first; i < width; i += stride) {
      float values[count], upstream[count], up[count];
      load_floats<vectorized>(in, i, width, values);
      load_floats<vectorized>(dy + row * width, i, width, upstream);
      if (gated) {
        load_floats<vectorized>(in + width, i, width, up);
#pragma unroll
        for (int k = 0; k < count; ++k) gating.gradient(upstream[k], values[k], up[k]);
        store_floats<vectorized>(out + width, i, width, up);
      } else {
#pragma unroll
        for (int k = 0; k < count; ++k) values[k] = upstream[k] * activation_slope(kind, values[k]);
      }
      store_floats<vectorized>(out, i, width, values);
    }
  }
}

struct Shape {
  dim3 grid, block;
};

Shape shape(const Launcher& launch, ActivationExtent extent, int count) {
  const unsigned threads = row_threads(extent.width, count, 1, kThreads);
  return {dim3(launch.blocks(ceil_div(extent.width, count), threads),
               static_cast<unsigned>(std::min(extent.rows, kMostGridRows))),
          dim3(threads)};
}

}  // namespace

void activation_forward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor y) {
  Launcher launch(stream);
  const auto [rows, width] = activation_extent(activation, y);
  visit_floating(x, [&](auto from) {
    visit_floating(y, [&](auto to) {
      using X = decltype(from);
      using Y = decltype(to);
      const auto [grid, block] = shape(launch, {rows, width}, kVectorOf<X>);
      const auto run = [&](auto vectorized) {
        launch(forward_kernel<vectorized(), X, Y>, grid, block, 0, activation.kind, Gating(activation), data<X>(x),
               rows, width, data<Y>(y));
      };
      visit_vectorized<kVectorOf<X>>(width, run, data<X>(x), data<Y>(y));
    });
  });
}

void activation_backward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor dy, Tensor dx) {
  Launcher launch(stream);
  const auto [rows, width] = activation_extent(activation, dy);
  visit_floating(x, [&](auto from) {
    visit_floating(dy, [&](auto upstream) {
      visit_floating(dx, [&](auto to) {
        using X = decltype(from);
        using Dy = decltype(upstream);
        using Dx = decltype(to);
        const auto [grid, block] = shape(launch, {rows, width}, kVectorOf<X>);
        const auto run = [&](auto vectorized) {
          launch(backward_kernel<vectorized(), X, Dy, Dx>, grid, block, 0, activation.kind, Gating(activation),
                 data<X>(x), data<Dy>(dy), rows, width, data<Dx>(dx));
        };
        visit_vectorized<kVectorOf<X>>(width, run, data<X>(x), data<Dy>(dy), data<Dx>(dx));
      });
    });
  });
}

}  // namespace moe::cuda
