// fill: y = value;  cast: y = x;  copy: bytes;  add: y = alpha a + beta b;  clamp;  soft cap;  exp. Formulas and
// dtypes: cpu/elementwise.cc. One kernel for all: a thread takes 16 bytes of adjacent elements, or one element if a
// tensor is not aligned, then strides by the grid. Bound by bytes.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Elementwise*'.
// Time: ./panamoe bench train-step --device cuda.
#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/floats.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 8;  // blocks per multiprocessor: as many as it holds

// Formulas: an element of y from the elements of its inputs, of which the first `inputs` are read.
struct Constant {
  static constexpr int inputs = 0;
  float value;
  __device__ float operator()(float, float) const { return value; }
};
struct Same {
  static constexpr int inputs = 1;
  __device__ float operator()(float x, float) const { return x; }
};
struct Sum {
  static constexpr int inputs = 2;
  float alpha, beta;
  __device__ float operator()(float a, float b) const { return alpha * a + beta * b; }
};
struct Clamp {  // NaN stays NaN
  static constexpr int inputs = 1;
  float bound;
  __device__ float operator()(float x, float) const { return fabsf(x) > bound ? copysignf(bound, x) : x; }
};
struct ClampGradient {
  static constexpr int inputs = 2;
  float bound;
  __device__ float operator()(float x, float dy) const { return fabsf(x) <= bound ? dy : 0.0f; }
};
struct SoftCap {
  static constexpr int inputs = 1;
  float cap;
  __device__ float operator()(float x, float) const { return cap * tanhf(x / cap); }
};
struct Exp {  // NaN stays NaN
  static constexpr int inputs = 1;
  float bound;
  __device__ float operator()(float x, float) const { return expf(x > bound ? bound : x); }
};
struct ExpGradient {
  static constexpr int inputs = 2;
  float bound;
  __device__ float operator()(float x, float dy) const { return x <= bound ? dy * expf(x) : 0.0f; }
};

template <typename Access, typename Formula>
__device__ __forceinline__ void map_at(const Formula& formula, const Floats& a, const Floats& b, int64_t i,
                                       int64_t count, const Floats& y) {
  float first[Access::count] = {}, second[Access::count] = {};
  if constexpr (Formula::inputs > 0) a.load<Access>(0, i, count, first);
  if constexpr (Formula::inputs > 1) b.load<Access>(0, i, count, second);
#pragma unroll
  for (int k = 0; k < Access::count; ++k) first[k] = formula(first[k], second[k]);
  y.store<Access>(0, i, count, first);
}

// y may alias a or b.
template <typename Access, typename Formula>
__global__ void __launch_bounds__(kThreads, kBlocks)
    map_kernel(Formula formula, Floats a, Floats b, int64_t count, Floats y) {
  constexpr int each = Access::count;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * each;
  for (int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * each; i < count; i += stride) {
    if (i + each <= count) {
      map_at<Access>(formula, a, b, i, count, y);
    } else {
      map_at<moe::cuda::Access<each, false>>(formula, a, b, i, count, y);
    }
  }
}

// Sets y to the formula of a and b; inputs that the formula does not read are null.
template <typename Formula>
void map(Launcher&& launch, Formula formula, OptionalTensor a, OptionalTensor b, Tensor y) {
  const int64_t count = element_count(y);
  constexpr int64_t whole = 0;  // only starts must be aligned; the tail need not be a vector
  visit_access(whole, {a, b, &y}, [&](auto access) {
    using Taken = std::conditional_t<access.vectorized, decltype(access), Access<1, false>>;
    launch(map_kernel<Taken, Formula>, launch.blocks(ceil_div(count, Taken::count), kThreads, kBlocks), kThreads, 0,
           formula, Floats(a), Floats(b), count, Floats(y));
  });
}

}  // namespace

void fill(Stream& stream, float value, Tensor y) { map(Launcher(stream), Constant{value}, nullptr, nullptr, y); }

void cast(Stream& stream, Tensor x, Tensor y) { map(Launcher(stream), Same{}, &x, nullptr, y); }

void clamp_forward(Stream& stream, float bound, Tensor x, Tensor y) {
  map(Launcher(stream), Clamp{bound}, &x, nullptr, y);
}

void clamp_backward(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  map(Launcher(stream), ClampGradient{bound}, &x, &dy, dx);
}

void soft_cap(Stream& stream, float cap, Tensor x, Tensor y) { map(Launcher(stream), SoftCap{cap}, &x, nullptr, y); }

void exp_forward(Stream& stream, float bound, Tensor x, Tensor y) { map(Launcher(stream), Exp{bound}, &x, nullptr, y); }

void exp_backward(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  map(Launcher(stream), ExpGradient{bound}, &x, &dy, dx);
}

void add(Stream& stream, float alpha, Tensor a, float beta, Tensor b, Tensor y) {
  map(Launcher(stream), Sum{alpha, beta}, &a, &b, y);
}

void copy(Stream& stream, const void* x, int64_t bytes, void* y) {
  Launcher launch(stream);
  if (bytes == 0) return;
  require(cudaMemcpyAsync(y, x, static_cast<size_t>(bytes), cudaMemcpyDefault, launch.handle()), "copy");
}

}  // namespace moe::cuda
