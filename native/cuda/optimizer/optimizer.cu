// AdamW and the sum of squares. Formulas: cpu/optimizer.cc. A thread takes four adjacent elements. Bound by bytes:
// reads four arrays, writes three and the copy.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Optimizer*'.
// Time: ./panamoe bench train-step --device cuda.
#include <cmath>

#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/reduce.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTogether = kVectorOf<float>;
constexpr int kSumBlock = 4096;  // elements of a partial sum; fixed, so that results do not depend on the GPU
constexpr int kTotalThreads = 1024;

struct Adamw {
  float beta1, beta2, rest1, rest2;  // rest: 1 - beta
  float epsilon, decay, rate, root, gradient_scale;
};

template <bool vectorized, bool copied>
__global__ void __launch_bounds__(kThreads) adamw_kernel(Adamw c, int64_t size, float* parameter, const float* gradient,
                                                         float* first_moment, float* second_moment, Bfloat16* copy) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * kTogether;
  for (int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kTogether; i < size; i += stride) {
    float w[kTogether], g[kTogether], m[kTogether], v[kTogether];
    load_floats<vectorized>(parameter, i, size, w);
    load_floats<vectorized>(gradient, i, size, g);
    load_floats<vectorized>(first_moment, i, size, m);
    load_floats<vectorized>(second_moment, i, size, v);
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const float slope = g[k] * c.gradient_scale;
      m[k] = fmaf(c.beta1, m[k], c.rest1 * slope);
      v[k] = fmaf(c.beta2, v[k], c.rest2 * slope * slope);
      const float bound = fmaf(sqrtf(v[k]), c.root, c.epsilon);
      w[k] = fmaf(-c.rate, m[k] / bound, w[k] * c.decay);
    }
    store_floats<vectorized>(first_moment, i, size, m);
    store_floats<vectorized>(second_moment, i, size, v);
    store_floats<vectorized>(parameter, i, size, w);
    if constexpr (copied) store_floats<vectorized>(copy, i, size, w);
  }
}

// A block sums kSumBlock elements. Bound by the bytes of x.
template <bool vectorized, typename X>
__global__ void __launch_bounds__(kThreads) square_sum_kernel(const X* x, int64_t size, double* sums) {
  constexpr int count = kVectorOf<X>;
  MOE_SHARED(double, table, [kMostWarps]);
  const int64_t begin = int64_t{blockIdx.x} * kSumBlock;
  const int64_t end = begin + kSumBlock < size ? begin + kSumBlock : size;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x * count; i < end; i += kThreads * count) {
    float values[count];
    load_floats<vectorized>(x, i, end, values);
#pragma unroll
    for (int k = 0; k < count; ++k) sum = fma(double{values[k]}, double{values[k]}, sum);
  }
  sum = block_sum(sum, table);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block sums the partial sums.
__global__ void __launch_bounds__(kTotalThreads) total_kernel(const double* sums, int64_t count, float* total) {
  MOE_SHARED(double, table, [kMostWarps]);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kTotalThreads) sum += sums[i];
  sum = block_sum(sum, table);
  if (threadIdx.x == 0) *total = static_cast<float>(sum);
}

}  // namespace

void adamw_step(Stream& stream, const moe_adamw_config& config, Tensor parameter, Tensor gradient, Tensor first_moment,
                Tensor second_moment, OptionalTensor copy) {
  Launcher launch(stream);
  const int64_t size = element_count(parameter);
  const double correction1 = 1 - std::pow(double{config.beta1}, static_cast<double>(config.step));
  const double correction2 = 1 - std::pow(double{config.beta2}, static_cast<double>(config.step));
  const Adamw constants{config.beta1,
                        config.beta2,
                        1 - config.beta1,
                        1 - config.beta2,
                        config.epsilon,
                        static_cast<float>(1 - double{config.learning_rate} * config.weight_decay),
                        static_cast<float>(config.learning_rate / correction1),
                        static_cast<float>(1 / std::sqrt(correction2)),
                        config.gradient_scale};
  auto* w = data<float>(parameter);
  const auto* g = data<float>(gradient);
  auto* m = data<float>(first_moment);
  auto* v = data<float>(second_moment);
  auto* rounded = data<Bfloat16>(copy);
  const auto run = [&](auto vectorized) {
    launch(rounded == nullptr ? adamw_kernel<vectorized(), false> : adamw_kernel<vectorized(), true>,
           launch.blocks(ceil_div(size, kTogether), kThreads), kThreads, 0, constants, size, w, g, m, v, rounded);
  };
  visit_vectorized<kTogether>(size, run, w, g, m, v, rounded);
}

void square_sum(Stream& stream, Tensor x, Tensor sum) {
  Launcher launch(stream);
  const int64_t size = element_count(x), blocks = ceil_div(size, kSumBlock);
  auto* sums = launch.take<double>(blocks);
  visit_floating(x, [&](auto from) {
    using X = decltype(from);
    const auto run = [&](auto vectorized) {
      launch(square_sum_kernel<vectorized(), X>, static_cast<unsigned>(blocks), kThreads, 0, data<X>(x), size, sums);
    };
    visit_vectorized<kVectorOf<X>>(size, run, data<X>(x));
  });
  launch(total_kernel, 1, kTotalThreads, 0, sums, blocks, data<float>(sum));
}

}  // namespace moe::cuda
