// Uniform, normal and Gumbel numbers and jitter from Philox 4x32-10; formulas: cpu/random.cc. Uniform numbers and
// jitter have the CPU's bits; the others are computed in float64 and rounded once, so they differ only if two float64
// libraries round differently. A thread takes a Philox block of four numbers.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Random*'.
// Time: ./panamoe bench train-step --device cuda.
#include <cfloat>

#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 4;  // numbers of a Philox block

struct Words {
  uint32_t w[kLanes];
};

__device__ __forceinline__ Words philox(uint64_t seed, uint64_t block) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

__device__ __forceinline__ float uniform_of(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

// Functors that make the numbers of a Philox block, whose first one is element `first` of y.

struct Uniform {
  uint32_t mask;  // keeps all bits, or those of a bfloat16
  __device__ void operator()(const Words& words, int64_t, float (&values)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      values[lane] = __uint_as_float(__float_as_uint(uniform_of(words.w[lane])) & mask);
    }
  }
};

struct Normal {
  double mean, deviation;
  __device__ void operator()(const Words& words, int64_t, float (&values)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; lane += 2) {
      const double radius = sqrt(-2.0 * log((words.w[lane] + 1.0) * 0x1p-32));
      double sine, cosine;
      sincospi(words.w[lane + 1] * 0x1p-31, &sine, &cosine);
      values[lane] = static_cast<float>(mean + deviation * (radius * cosine));
      values[lane + 1] = static_cast<float>(mean + deviation * (radius * sine));
    }
  }
};

struct Gumbel {
  __device__ void operator()(const Words& words, int64_t, float (&values)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      values[lane] = static_cast<float>(-log(-log(static_cast<double>(fmaxf(uniform_of(words.w[lane]), FLT_MIN)))));
    }
  }
};

template <typename X>
struct Jitter {
  float low, width;
  const X* x;
  int64_t count;
  __device__ void operator()(const Words& words, int64_t first, float (&values)[kLanes]) const {
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t i = first + lane;
      if (i < 0 || i >= count) continue;
      values[lane] = to_float(x[i]) * (low + width * uniform_of(words.w[lane]));
    }
  }
};

// A thread takes a Philox block; thread 0's begins `skipped` numbers before y. Bound by integer (uniform) or float64
// (normal) arithmetic.
template <bool vectorized, typename Y, typename Numbers>
__global__ void __launch_bounds__(kThreads)
    random_kernel(uint64_t seed, uint64_t first_block, int skipped, Numbers numbers, int64_t count, Y* y) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; j * kLanes - skipped < count; j += stride) {
    const int64_t i = j * kLanes - skipped;
    float values[kLanes];
    numbers(philox(seed, (first_block + static_cast<uint64_t>(j)) & (~uint64_t{0} >> 2)), i, values);
    if (i >= 0) {
      store_floats<vectorized>(y, i, count, values);
    } else {
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) {
        if (i + lane >= 0 && i + lane < count) y[i + lane] = from_float<Y>(values[lane]);
      }
    }
  }
}

template <typename Numbers>
void generate(Launcher& launch, uint64_t seed, uint64_t offset, Numbers numbers, Tensor y) {
  const int64_t count = element_count(y);
  if (count == 0) return;
  const int skipped = static_cast<int>(offset % kLanes);
  const unsigned blocks = launch.blocks(ceil_div(count + skipped, kLanes), kThreads);
  visit_floating(y, [&](auto to) {
    using Y = decltype(to);
    const auto run = [&](auto vectorized) {
      launch(random_kernel<vectorized(), Y, Numbers>, blocks, kThreads, 0, seed, offset / kLanes, skipped, numbers,
             count, data<Y>(y));
    };
    visit_vectorized<kLanes>(count + skipped, run, data<Y>(y) - skipped);
  });
}

}  // namespace

void random_uniform(Stream& stream, uint64_t seed, uint64_t offset, Tensor y) {
  Launcher launch(stream);
  generate(launch, seed, offset, Uniform{y.dtype == MOE_BFLOAT16 ? 0xffff0000u : 0xffffffffu}, y);
}

void random_normal(Stream& stream, uint64_t seed, uint64_t offset, float mean, float deviation, Tensor y) {
  Launcher launch(stream);
  generate(launch, seed, offset, Normal{mean, deviation}, y);
}

void random_gumbel(Stream& stream, uint64_t seed, uint64_t offset, Tensor y) {
  Launcher launch(stream);
  generate(launch, seed, offset, Gumbel{}, y);
}

void jitter(Stream& stream, uint64_t seed, uint64_t offset, float epsilon, Tensor x, Tensor y) {
  Launcher launch(stream);
  visit_floating(x, [&](auto from) {
    using X = decltype(from);
    generate(launch, seed, offset, Jitter<X>{1 - epsilon, 2 * epsilon, data<X>(x), element_count(x)}, y);
  });
}

}  // namespace moe::cuda
