#include "core/check.h"
#include "cuda/floating.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Y>
__global__ void __launch_bounds__(kThreads) fill_kernel(float value, int64_t count, Y* y) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) y[i] = from_float<Y>(value);
}

template <typename X, typename Y>
__global__ void __launch_bounds__(kThreads) cast_kernel(const X* x, int64_t count, Y* y) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    y[i] = from_float<Y>(to_float(x[i]));
  }
}

template <typename A, typename B, typename Y>
__global__ void __launch_bounds__(kThreads)
    add_kernel(float alpha, const A* a, float beta, const B* b, int64_t count, Y* y) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    y[i] = from_float<Y>(alpha * to_float(a[i]) + beta * to_float(b[i]));
  }
}

// NaN stays NaN.
template <typename X, typename Y>
__global__ void __launch_bounds__(kThreads) clamp_kernel(float bound, const X* x, int64_t count, Y* y) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const float value = to_float(x[i]);
    y[i] = from_float<Y>(fabsf(value) > bound ? copysignf(bound, value) : value);
  }
}

template <typename X, typename Dy, typename Dx>
__global__ void __launch_bounds__(kThreads)
    clamp_gradient_kernel(float bound, const X* x, const Dy* dy, int64_t count, Dx* dx) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    dx[i] = from_float<Dx>(fabsf(to_float(x[i])) <= bound ? to_float(dy[i]) : 0.0f);
  }
}

}  // namespace

void fill(Stream& stream, float value, Tensor y) {
  Launch launch(stream);
  const int64_t count = element_count(y);
  visit_floating(y, [&](auto to) {
    launch(fill_kernel<decltype(to)>, launch.blocks(count, kThreads), kThreads, 0, value, count, data<decltype(to)>(y));
  });
}

void cast(Stream& stream, Tensor x, Tensor y) {
  Launch launch(stream);
  const int64_t count = element_count(y);
  visit_floating(x, [&](auto from) {
    visit_floating(y, [&](auto to) {
      launch(cast_kernel<decltype(from), decltype(to)>, launch.blocks(count, kThreads), kThreads, 0,
             data<decltype(from)>(x), count, data<decltype(to)>(y));
    });
  });
}

void clamp_forward(Stream& stream, float bound, Tensor x, Tensor y) {
  Launch launch(stream);
  const int64_t count = element_count(y);
  visit_floating(x, [&](auto from) {
    visit_floating(y, [&](auto to) {
      launch(clamp_kernel<decltype(from), decltype(to)>, launch.blocks(count, kThreads), kThreads, 0, bound,
             data<decltype(from)>(x), count, data<decltype(to)>(y));
    });
  });
}

void clamp_backward(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  Launch launch(stream);
  const int64_t count = element_count(dx);
  visit_floating(x, [&](auto from) {
    visit_floating(dy, [&](auto upstream) {
      visit_floating(dx, [&](auto to) {
        launch(clamp_gradient_kernel<decltype(from), decltype(upstream), decltype(to)>, launch.blocks(count, kThreads),
               kThreads, 0, bound, data<decltype(from)>(x), data<decltype(upstream)>(dy), count,
               data<decltype(to)>(dx));
      });
    });
  });
}

void copy(Stream& stream, const void* x, int64_t bytes, void* y) {
  Launch launch(stream);
  if (bytes == 0) return;
  require(cudaMemcpyAsync(y, x, static_cast<size_t>(bytes), cudaMemcpyDefault, launch.handle()), "copy");
}

void add(Stream& stream, float alpha, Tensor a, float beta, Tensor b, Tensor y) {
  Launch launch(stream);
  const int64_t count = element_count(y);
  visit_floating(a, [&](auto left) {
    visit_floating(b, [&](auto right) {
      visit_floating(y, [&](auto to) {
        launch(add_kernel<decltype(left), decltype(right), decltype(to)>, launch.blocks(count, kThreads), kThreads, 0,
               alpha, data<decltype(left)>(a), beta, data<decltype(right)>(b), count, data<decltype(to)>(y));
      });
    });
  });
}

}  // namespace moe::cuda
