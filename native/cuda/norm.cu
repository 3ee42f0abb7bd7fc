// LayerNorm (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019). RMSNorm is the same kernel without mean and beta.
// A row is a warp's, or where it is long a block's, and is read once: it stays in registers but for what lies behind
// the first 64 KB or so, which is read again. Its sums depend on its width alone.
#include "core/check.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/packed.h"
#include "cuda/reduce.h"

namespace moe::cuda {
namespace {

constexpr unsigned kBlockThreads = 128;  // at least; rows of a warp share a block
constexpr unsigned kForwardThreads = 512, kBackwardThreads = 512;
constexpr int kForwardHeld = 4, kBackwardHeld = 2;  // packs of a row that a thread keeps in registers
// Rows whose gradients of gamma and beta are summed as one; fixed, so that the sum does not depend on the card.
constexpr int kRowBlock = 16;
constexpr int kTotalGroups = 16;

// The sum over the threads of a row: a warp, or the whole block.
__device__ __forceinline__ float row_sum(float value, float* table) {
  return blockDim.x == kWarpLanes ? warp_sum(value) : block_sum(value, table);
}

// Bound by the bytes of x and y.
template <bool packed, typename X, typename Y>
__global__ void __launch_bounds__(kForwardThreads, 1)
    forward_kernel(bool centered, const X* x, int64_t rows, int64_t width, const float* gamma, const float* beta,
                   float epsilon, Y* y, float* mean, float* rstd) {
  constexpr int count = kPackOf<X>;
  __shared__ float tables[2][kMostWarps];
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (row >= rows) return;  // whole warps, and only where rows are a warp's
  const X* in = x + row * width;
  Y* out = y + row * width;
  const int64_t first = int64_t{threadIdx.x} * count, stride = int64_t{blockDim.x} * count;
  const int64_t rest = first + kForwardHeld * stride;

  float held[kForwardHeld][count];
  float sum = 0;
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) load_floats<packed>(in, first + h * stride, width, held[h]);
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
      load_floats<packed>(in, i, width, values);
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
      const float deviation = packed || i + k < width ? values[k] - row_mean : 0.0f;
      square = fmaf(deviation, deviation, square);
    }
  };
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) add_squares(held[h], first + h * stride);
  }
  for (int64_t i = rest; i < width; i += stride) {
    float values[count];
    load_floats<packed>(in, i, width, values);
    add_squares(values, i);
  }
  square = row_sum(square, tables[1]);
  const float row_rstd = 1.0f / sqrtf(square / static_cast<float>(width) + epsilon);

  const auto write = [&](const float(&values)[count], int64_t i) {
    float scale[count], shift[count] = {}, normal[count];
    load_floats<packed>(gamma, i, width, scale);
    if (centered) load_floats<packed>(beta, i, width, shift);
#pragma unroll
    for (int k = 0; k < count; ++k) normal[k] = fmaf((values[k] - row_mean) * row_rstd, scale[k], shift[k]);
    store_floats<packed>(out, i, width, normal);
  };
#pragma unroll
  for (int h = 0; h < kForwardHeld; ++h) {
    if (first + h * stride < width) write(held[h], first + h * stride);
  }
  for (int64_t i = rest; i < width; i += stride) {
    float values[count];
    load_floats<packed>(in, i, width, values);
    write(values, i);
  }
  if (threadIdx.x == 0) {
    if (mean != nullptr) mean[row] = row_mean;
    if (rstd != nullptr) rstd[row] = row_rstd;
  }
}

// With n = (x - mean) * rstd and g = dy * gamma:
//   dx = rstd * (g - mean(g) - n * mean(g * n)), dgamma = sum_s dy * n, dbeta = sum_s dy; RMSNorm without mean(g).
// Sums of kRowBlock rows' dgamma and dbeta go to partial[block]. Bound by the bytes of x, dy and dx.
template <bool packed, typename Dy, typename X, typename Dx>
__global__ void __launch_bounds__(kBackwardThreads)
    backward_kernel(const Dy* dy, const X* x, int64_t rows, int64_t width, const float* gamma, const float* mean,
                    const float* rstd, Dx* dx, float* partial) {
  constexpr int count = kPackOf<X>;
  __shared__ float tables[2][2][kMostWarps];  // in turn for odd and even rows, so that a sum is read before the next
  const bool centered = mean != nullptr;
  const int64_t block = int64_t{blockIdx.x} * blockDim.y + threadIdx.y, begin = block * kRowBlock;
  if (begin >= rows) return;  // whole warps, and only where rows are a warp's
  const int64_t end = begin + kRowBlock < rows ? begin + kRowBlock : rows;
  const int64_t first = int64_t{threadIdx.x} * count, stride = int64_t{blockDim.x} * count;
  const int64_t rest = first + kBackwardHeld * stride;
  float* block_dgamma = partial + block * 2 * width;
  float* block_dbeta = block_dgamma + width;

  float dgamma[kBackwardHeld][count] = {}, dbeta[kBackwardHeld][count] = {};
  for (int64_t i = rest; i < width; i += stride) {
    const float zeros[count] = {};
    store_floats<packed>(block_dgamma, i, width, zeros);
    store_floats<packed>(block_dbeta, i, width, zeros);
  }
  for (int64_t row = begin; row < end; ++row) {
    const Dy* upstream = dy + row * width;
    const X* in = x + row * width;
    Dx* out = dx + row * width;
    const float row_mean = centered ? mean[row] : 0.0f, row_rstd = rstd[row];
    float u[kBackwardHeld][count], n[kBackwardHeld][count];
    float g_sum = 0, gn_sum = 0;
    const auto read = [&](int64_t i, float(&up)[count], float(&normal)[count]) {
      float scale[count];
      load_floats<packed>(upstream, i, width, up);
      load_floats<packed>(in, i, width, normal);
      load_floats<packed>(gamma, i, width, scale);  // 0 past the end
#pragma unroll
      for (int k = 0; k < count; ++k) {
        normal[k] = (normal[k] - row_mean) * row_rstd;
        const float g = up[k] * scale[k];
        g_sum += g;
        gn_sum = fmaf(g, normal[k], gn_sum);
      }
    };
#pragma unroll
    for (int h = 0; h < kBackwardHeld; ++h) {
      if (first + h * stride < width) read(first + h * stride, u[h], n[h]);
    }
    for (int64_t i = rest; i < width; i += stride) {
      float up[count], normal[count];
      read(i, up, normal);
    }
    float g_mean = 0;
    if (centered) g_mean = row_sum(g_sum, tables[row & 1][0]) / static_cast<float>(width);
    const float gn_mean = row_sum(gn_sum, tables[row & 1][1]) / static_cast<float>(width);
    const auto write = [&](int64_t i, const float(&up)[count], const float(&normal)[count]) {
      float scale[count], gradient[count];
      load_floats<packed>(gamma, i, width, scale);
#pragma unroll
      for (int k = 0; k < count; ++k) {
        gradient[k] = row_rstd * fmaf(-normal[k], gn_mean, fmaf(up[k], scale[k], -g_mean));
      }
      store_floats<packed>(out, i, width, gradient);
    };
#pragma unroll
    for (int h = 0; h < kBackwardHeld; ++h) {
      if (first + h * stride >= width) continue;
      write(first + h * stride, u[h], n[h]);
#pragma unroll
      for (int k = 0; k < count; ++k) {
        dgamma[h][k] = fmaf(u[h][k], n[h][k], dgamma[h][k]);
        dbeta[h][k] += u[h][k];
      }
    }
    for (int64_t i = rest; i < width; i += stride) {
      float up[count], normal[count], total[count];
      read(i, up, normal);
      write(i, up, normal);
      load_floats<packed>(block_dgamma, i, width, total);
#pragma unroll
      for (int k = 0; k < count; ++k) total[k] = fmaf(up[k], normal[k], total[k]);
      store_floats<packed>(block_dgamma, i, width, total);
      load_floats<packed>(block_dbeta, i, width, total);
#pragma unroll
      for (int k = 0; k < count; ++k) total[k] += up[k];
      store_floats<packed>(block_dbeta, i, width, total);
    }
  }
#pragma unroll
  for (int h = 0; h < kBackwardHeld; ++h) {
    if (first + h * stride >= width) continue;
    store_floats<packed>(block_dgamma, first + h * stride, width, dgamma[h]);
    if (centered) store_floats<packed>(block_dbeta, first + h * stride, width, dbeta[h]);
  }
}

// Adds the row blocks' sums, blockIdx.y of each, in kTotalGroups groups and those in order.
__global__ void __launch_bounds__(kWarpLanes* kTotalGroups)
    total_kernel(const float* partial, int64_t blocks, int64_t width, float* dgamma, float* dbeta) {
  __shared__ float groups[kTotalGroups][kWarpLanes];
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

struct Shape {
  dim3 block;
  unsigned blocks;
};

// Blocks of whole rows, or of whole blocks of rows.
Shape shape(int64_t rows, int64_t width, int count, int held, unsigned most) {
  const unsigned threads = row_threads(width, count, held, most);
  const unsigned together = threads == kWarpLanes ? kBlockThreads / kWarpLanes : 1;
  return {dim3(threads, together), static_cast<unsigned>(ceil_div(rows, together))};
}

void norm_forward(Launch& launch, bool centered, Tensor x, Tensor gamma, OptionalTensor beta, float epsilon, Tensor y,
                  OptionalTensor mean, OptionalTensor rstd) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  visit_floating(x, [&](auto from) {
    visit_floating(y, [&](auto to) {
      using X = decltype(from);
      using Y = decltype(to);
      const auto [block, blocks] = shape(rows, width, kPackOf<X>, kForwardHeld, kForwardThreads);
      const auto run = [&, block = block, blocks = blocks](auto packed) {
        launch(forward_kernel<packed(), X, Y>, blocks, block, 0, centered, data<X>(x), rows, width, data<float>(gamma),
               data<float>(beta), epsilon, data<Y>(y), data<float>(mean), data<float>(rstd));
      };
      visit_packed<kPackOf<X>>(width, run, data<X>(x), data<Y>(y), data<float>(gamma), data<float>(beta));
    });
  });
}

void norm_backward(Launch& launch, Tensor dy, Tensor x, Tensor gamma, OptionalTensor mean, Tensor rstd, Tensor dx,
                   Tensor dgamma, OptionalTensor dbeta) {
  const int64_t rows = x.shape[0], width = x.shape[1], row_blocks = ceil_div(rows, kRowBlock);
  if (rows == 0) return;
  auto* partial = launch.take<float>(row_blocks * 2 * width);
  visit_floating(dy, [&](auto upstream) {
    visit_floating(x, [&](auto from) {
      visit_floating(dx, [&](auto to) {
        using Dy = decltype(upstream);
        using X = decltype(from);
        using Dx = decltype(to);
        const auto [block, blocks] = shape(row_blocks, width, kPackOf<X>, kBackwardHeld, kBackwardThreads);
        const auto run = [&, block = block, blocks = blocks](auto packed) {
          launch(backward_kernel<packed(), Dy, X, Dx>, blocks, block, 0, data<Dy>(dy), data<X>(x), rows, width,
                 data<float>(gamma), data<float>(mean), data<float>(rstd), data<Dx>(dx), partial);
        };
        visit_packed<kPackOf<X>>(width, run, data<Dy>(dy), data<X>(x), data<Dx>(dx), data<float>(gamma));
      });
    });
  });
  launch(total_kernel, dim3(static_cast<unsigned>(ceil_div(width, kWarpLanes)), dbeta == nullptr ? 1 : 2),
         dim3(kWarpLanes, kTotalGroups), 0, static_cast<const float*>(partial), row_blocks, width, data<float>(dgamma),
         data<float>(dbeta));
}

}  // namespace

void layer_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  Launch launch(stream);
  norm_forward(launch, true, x, *norm.gamma, norm.beta, norm.epsilon, y, norm.mean, norm.rstd);
}

void layer_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma,
                         Tensor dbeta) {
  Launch launch(stream);
  norm_backward(launch, dy, x, *norm.gamma, norm.mean, *norm.rstd, dx, dgamma, &dbeta);
}

void rms_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  Launch launch(stream);
  norm_forward(launch, false, x, *norm.gamma, nullptr, norm.epsilon, y, nullptr, norm.rstd);
}

void rms_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
  Launch launch(stream);
  norm_backward(launch, dy, x, *norm.gamma, nullptr, *norm.rstd, dx, dgamma, nullptr);
}

}  // namespace moe::cuda
