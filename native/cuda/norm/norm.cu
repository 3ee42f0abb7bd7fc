// LayerNorm and RMSNorm. Formulas and shapes: cpu/norm.cc. A warp takes a row, several warps a long row. A row is read
// once: at least its first 8 KB stay in registers, and only the rest is read again. Its sums depend on its width alone.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Norm*'. Time: ./panamoe bench train-step --device cuda.
#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/reduce.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr unsigned kBlockThreads = 128;  // least threads of a block, which takes several rows if a warp takes one
constexpr unsigned kForwardThreads = 512, kBackwardThreads = 512;
constexpr int kForwardHeld = 4;    // vectors of a row that a thread keeps in registers
constexpr int kBackwardCount = 8;  // adjacent elements of a row that a thread keeps
// Rows whose terms of dgamma and dbeta form one partial sum; fixed, so that results do not depend on the GPU.
constexpr int kRowBlock = 16;
constexpr int kMostAtOnce = 4;  // rows that a threadIdx.y takes at once in the backward
constexpr int kTotalGroups = 16;

// The sum over a row's threads: a warp or the whole block.
__device__ __forceinline__ float row_sum(float value, float* table) {
  return blockDim.x == kWarpLanes ? warp_sum(value) : block_sum(value, table);
}

// Bound by the bytes of x and y.
template <bool vectorized, typename X, typename Y>
__global__ void __launch_bounds__(kForwardThreads, 1)
    forward_kernel(bool centered, const X* x, int64_t rows, int64_t width, const float* gamma, float offset,
                   const float* beta, float epsilon, Y* y, float* mean, float* rstd) {
  constexpr int count = kVectorOf<X>;
  MOE_SHARED(float, tables, [2][kMostWarps]);
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (row >= rows) return;  // only with a warp per row: whole warps return, and no barrier follows
  const X* in = x + row * width;
  Y* out = y + row * width;
  const int64_t first = int64_t{threadIdx.x} * count, stride = int64_t{blockDim.x} * count;
  const int64_t rest = first + kForwardHeld * stride;

  float held[kForwardHeld][count];
  float sum = 0;
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) load_floats<vectorized>(in, first + h * stride, width, held[h]);
  }
  if (centered) {
#pragma unroll
    for (int h = 0; h < kForwardHeld; ++h) {
      if (first + h * stride >= width) continue;
#pragma unroll
      for (int k = 0; k < count; ++k) sum += held[h][k];
    }
    for (int64_t i = rest; i < width; i += stride) {
      float values[count];
      load_floats<vectorized>(in, i, width, values);
#pragma unroll
      for (int k = 0; k < count; ++k) sum += values[k];
    }
    sum = row_sum(sum, tables[0]);
  }
  const float row_mean = sum / static_cast<float>(width);

  float square = 0;
  const auto add_squares = [&](const float(&values)[count], int64_t i) {
#pragma unroll
    for (int k = 0; k < count; ++k) {
      const float deviation = vectorized || i + k < width ? values[k] - row_mean : 0.0f;
      square = fmaf(deviation, deviation, square);
    }
  };
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) add_squares(held[h], first + h * stride);
  }
  for (int64_t i = rest; i < width; i += stride) {
    float values[count];
    load_floats<vectorized>(in, i, width, values);
    add_squares(values, i);
  }
  square = row_sum(square, tables[1]);
  const float row_rstd = 1.0f / sqrtf(square / static_cast<float>(width) + epsilon);

  const auto write = [&](const float(&values)[count], int64_t i) {
    float scale[count], shift[count] = {}, normal[count];
    load_floats<vectorized>(gamma, i, width, scale);
    if (centered) load_floats<vectorized>(beta, i, width, shift);
#pragma unroll
    for (int k = 0; k < count; ++k) normal[k] = fmaf((values[k] - row_mean) * row_rstd, scale[k] + offset, shift[k]);
    store_floats<vectorized>(out, i, width, normal);
  };
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) write(held[h], first + h * stride);
  }
  for (int64_t i = rest; i < width; i += stride) {
    float values[count];
    load_floats<vectorized>(in, i, width, values);
    write(values, i);
  }
  if (threadIdx.x == 0) {
    if (mean != nullptr) mean[row] = row_mean;
    if (rstd != nullptr) rstd[row] = row_rstd;
  }
}

// The backward's view of a row: n = (x - mean) rstd, g = dy (gamma + offset), and
//   dx = rstd (g - mean(g) - n mean(g n)), dgamma += dy n, dbeta += dy; RMSNorm has no mean(g) and no dbeta.
template <bool vectorized, typename Dy, typename X, typename Dx>
struct RowGradient {
  // Adjacent elements of a row from column i on: dy, and n.
  struct Elements {
    float up[kBackwardCount], normal[kBackwardCount];
  };
  const Dy* dy;
  const X* x;
  int64_t width;
  const float* gamma;
  float offset;
  const float *mean, *rstd;  // mean: null for RMSNorm
  Dx* dx;

  __device__ __forceinline__ Elements read(int64_t row, int64_t i) const {
    Elements e;
    load_floats<vectorized>(dy + row * width, i, width, e.up);
    load_floats<vectorized>(x + row * width, i, width, e.normal);
    const float row_mean = mean != nullptr ? mean[row] : 0.0f, row_rstd = rstd[row];
#pragma unroll
    for (int k = 0; k < kBackwardCount; ++k) e.normal[k] = (e.normal[k] - row_mean) * row_rstd;
    return e;
  }

  // Adds g to g_sum and g n to gn_sum.
  __device__ __forceinline__ void add(const Elements& e, int64_t i, float& g_sum, float& gn_sum) const {
    float scale[kBackwardCount];
    load_floats<vectorized>(gamma, i, width, scale);  // 0 past the end
#pragma unroll
    for (int k = 0; k < kBackwardCount; ++k) {
      const float g = e.up[k] * (scale[k] + offset);
      g_sum += g;
      gn_sum = fmaf(g, e.normal[k], gn_sum);
    }
  }

  // Writes dx and adds to dgamma and dbeta.
  __device__ __forceinline__ void write(const Elements& e, int64_t row, int64_t i, float g_mean, float gn_mean,
                                        float (&dgamma)[kBackwardCount], float (&dbeta)[kBackwardCount]) const {
    float scale[kBackwardCount], gradient[kBackwardCount];
    load_floats<vectorized>(gamma, i, width, scale);
#pragma unroll
    for (int k = 0; k < kBackwardCount; ++k) {
      gradient[k] = rstd[row] * fmaf(-e.normal[k], gn_mean, fmaf(e.up[k], scale[k] + offset, -g_mean));
      dgamma[k] = fmaf(e.up[k], e.normal[k], dgamma[k]);
      dbeta[k] += e.up[k];
    }
    store_floats<vectorized>(dx + row * width, i, width, gradient);
  }
};

// A block takes kRowBlock rows and writes the sums of their dgamma and dbeta to partial[block]. A threadIdx.y takes
// adjacent rows, at_once of them together, so that their loads are in flight together.
//
//   columns       held in registers (covered)            read again (rest)
//   y = 0   rows 0 .. each - 1   | thread x has 8 |  ...  | thread x again, 8 by 8
//   y = 1   rows each ..         | adjacent ones  |       | 1. sums of each row   -> means
//   ...                          |                |       | 3. dx, partial        <- means
//                                  1., 2. dx, dgamma, dbeta -> totals, summed over y -> partial
//
// Shared memory: tables, a sum of each warp for each row at once, twice by turns; means [row][g, g n]; totals, the 8
// column sums of each thread. Bound by the bytes of x, dy and dx.
template <bool vectorized, typename Dy, typename X, typename Dx>
__global__ void __launch_bounds__(kBackwardThreads)
    backward_kernel(const RowGradient<vectorized, Dy, X, Dx> gradient, int64_t rows, float* partial) {
  // Rows at once: up to 64 KB per block are in flight. With more the compiler spills registers.
  constexpr int at_once = vectorized ? 16 / static_cast<int>(sizeof(Dy) + sizeof(X)) : 2;
  static_assert(at_once <= kMostAtOnce);
  MOE_SHARED(float, tables, [2][2][at_once][kMostWarps]);  // two turns' tables save a barrier after each sum
  MOE_SHARED(float, means, [kRowBlock][2]);
  alignas(16) MOE_SHARED(float, totals, [kBackwardThreads * kBackwardCount]);
  const int64_t width = gradient.width;
  const bool centered = gradient.mean != nullptr;
  const int64_t begin = int64_t{blockIdx.x} * kRowBlock;
  const auto count = static_cast<unsigned>(rows - begin < kRowBlock ? rows - begin : kRowBlock);
  const int64_t first = int64_t{threadIdx.x} * kBackwardCount, covered = int64_t{blockDim.x} * kBackwardCount;
  float* block_dgamma = partial + blockIdx.x * 2 * width;

  float dgamma[kBackwardCount] = {}, dbeta[kBackwardCount] = {};
  const unsigned each = kRowBlock / blockDim.y;
#pragma unroll 1
  for (unsigned turn = 0; turn < each; turn += at_once) {
    const unsigned here = threadIdx.y * each + turn;                                // index within the block
    const auto row = [&](unsigned r) { return begin + min(here + r, count - 1); };  // nothing is read past the last row
    typename RowGradient<vectorized, Dy, X, Dx>::Elements e[at_once];
    float g[at_once] = {}, gn[at_once] = {};
#pragma unroll
    for (int r = 0; r < at_once; ++r) {
#pragma unroll 1
      for (int64_t i = first + covered; i < width; i += covered) {
        gradient.add(gradient.read(row(r), i), i, g[r], gn[r]);
      }
    }
    if (first < width) {
#pragma unroll
      for (int r = 0; r < at_once; ++r) e[r] = gradient.read(row(r), first);
#pragma unroll
      for (int r = 0; r < at_once; ++r) gradient.add(e[r], first, g[r], gn[r]);
    }
    auto& table = tables[turn / at_once & 1];
    if (centered) row_sums(g, table[0]);
    row_sums(gn, table[1]);
#pragma unroll
    for (int r = 0; r < at_once; ++r) {
      if (here + r >= count) continue;
      const float g_mean = centered ? g[r] / static_cast<float>(width) : 0.0f;
      const float gn_mean = gn[r] / static_cast<float>(width);
      if (first < width) gradient.write(e[r], begin + here + r, first, g_mean, gn_mean, dgamma, dbeta);
      if (threadIdx.x != 0) continue;
      means[here + r][0] = g_mean;
      means[here + r][1] = gn_mean;
    }
  }

  // Sums the results of all threadIdx.y.
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  const auto total = [&](const float(&sums)[kBackwardCount], float* to) {
    __syncthreads();
    store_floats<true>(totals, int64_t{thread} * kBackwardCount, 0, sums);
    __syncthreads();
    for (int64_t i = thread; i < covered && i < width; i += blockDim.x * blockDim.y) {
      float sum = totals[i];
      for (unsigned y = 1; y < blockDim.y; ++y) sum += totals[y * covered + i];
      to[i] = sum;
    }
  };
  total(dgamma, block_dgamma);
  if (centered) total(dbeta, block_dgamma + width);

  // Columns of long rows that no thread kept in registers are read again.
  for (int64_t i = first + covered; i < width; i += covered) {
    float rest_dgamma[kBackwardCount] = {}, rest_dbeta[kBackwardCount] = {};
#pragma unroll 1
    for (unsigned r = 0; r < count; ++r) {
      gradient.write(gradient.read(begin + r, i), begin + r, i, means[r][0], means[r][1], rest_dgamma, rest_dbeta);
    }
    store_floats<vectorized>(block_dgamma, i, width, rest_dgamma);
    if (centered) store_floats<vectorized>(block_dgamma + width, i, width, rest_dbeta);
  }
}

// Sums the partial sums: dgamma if blockIdx.y is 0, else dbeta. kTotalGroups sums over every 16th block each, which are
// then added in order.
__global__ void __launch_bounds__(kWarpLanes* kTotalGroups)
    total_kernel(const float* partial, int64_t blocks, int64_t width, float* dgamma, float* dbeta) {
  MOE_SHARED(float, groups, [kTotalGroups][kWarpLanes]);
  const int64_t column = int64_t{blockIdx.x} * kWarpLanes + threadIdx.x;
  float sum = 0;
  if (column < width) {
#pragma unroll 4
    for (int64_t block = threadIdx.y; block < blocks; block += kTotalGroups) {
      sum += partial[(block * 2 + blockIdx.y) * width + column];
    }
  }
  groups[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= width) return;
  for (int group = 1; group < kTotalGroups; ++group) sum += groups[group][threadIdx.x];
  (blockIdx.y == 0 ? dgamma : dbeta)[column] += sum;
}

void norm_forward(Launcher&& launch, bool centered, const moe_norm& norm, Tensor x, Tensor y) {
  const OptionalTensor beta = centered ? norm.beta : nullptr, mean = centered ? norm.mean : nullptr;
  const int64_t rows = x.shape[0], width = x.shape[1];
  visit_floating(x, [&](auto from) {
    visit_floating(y, [&](auto to) {
      using X = decltype(from);
      using Y = decltype(to);
      const unsigned threads = row_threads(width, kVectorOf<X>, kForwardHeld, kForwardThreads);
      const dim3 block(threads, threads == kWarpLanes ? kBlockThreads / kWarpLanes : 1);
      const auto blocks = static_cast<unsigned>(ceil_div(rows, block.y));
      const auto run = [&](auto vectorized) {
        launch(forward_kernel<vectorized(), X, Y>, blocks, block, 0, centered, data<X>(x), rows, width,
               data<float>(norm.gamma), norm.gamma_offset, data<float>(beta), norm.epsilon, data<Y>(y),
               data<float>(mean), data<float>(norm.rstd));
      };
      visit_vectorized<kVectorOf<X>>(width, run, data<X>(x), data<Y>(y), data<float>(norm.gamma), data<float>(beta));
    });
  });
}

void norm_backward(Launcher&& launch, const moe_norm& norm, OptionalTensor mean, Tensor x, Tensor dy, Tensor dx,
                   Tensor dgamma, OptionalTensor dbeta) {
  const int64_t rows = x.shape[0], width = x.shape[1], row_blocks = ceil_div(rows, kRowBlock);
  if (rows == 0) return;
  auto* partial = launch.take<float>(row_blocks * 2 * width);
  const unsigned threads = row_threads(width, kBackwardCount, 1, kBackwardThreads);
  const dim3 block(threads, std::min<unsigned>(kRowBlock / kMostAtOnce, kBackwardThreads / threads));
  visit_floating(dy, [&](auto upstream) {
    visit_floating(x, [&](auto from) {
      visit_floating(dx, [&](auto to) {
        using Dy = decltype(upstream);
        using X = decltype(from);
        using Dx = decltype(to);
        const auto run = [&](auto vectorized) {
          const RowGradient<vectorized(), Dy, X, Dx> gradient{
              data<Dy>(dy),           data<X>(x),  width, data<float>(norm.gamma), norm.gamma_offset, data<float>(mean),
              data<float>(norm.rstd), data<Dx>(dx)};
          launch(backward_kernel<vectorized(), Dy, X, Dx>, static_cast<unsigned>(row_blocks), block, 0, gradient, rows,
                 partial);
        };
        visit_vectorized<kBackwardCount>(width, run, data<Dy>(dy), data<X>(x), data<Dx>(dx), data<float>(norm.gamma));
      });
    });
  });
  launch(total_kernel, dim3(static_cast<unsigned>(ceil_div(width, kWarpLanes)), dbeta == nullptr ? 1 : 2),
         dim3(kWarpLanes, kTotalGroups), 0, static_cast<const float*>(partial), row_blocks, width, data<float>(dgamma),
         data<float>(dbeta));
}

}  // namespace

void layer_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  norm_forward(Launcher(stream), true, norm, x, y);
}

void layer_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma,
                         Tensor dbeta) {
  norm_backward(Launcher(stream), norm, norm.mean, x, dy, dx, dgamma, &dbeta);
}

void rms_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  norm_forward(Launcher(stream), false, norm, x, y);
}

void rms_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
  norm_backward(Launcher(stream), norm, nullptr, x, dy, dx, dgamma, nullptr);
}

}  // namespace moe::cuda
