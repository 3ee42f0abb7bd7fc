// Dispatch: tokens to rows grouped by expert; its backward sums a token's rows. Formulas and shapes: cpu/dispatch.cc. A
// block takes several tokens, a thread several columns.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Dispatch*'.
// Time: ./panamoe bench dispatch --device cuda.
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/dispatch/routes.h"

namespace moe::cuda {
namespace {

// Copies rows of `width` vectors. Bound by bytes: reads a token once, writes it once per route.
template <typename Vector>
__global__ void __launch_bounds__(kRowThreads)
    dispatch_kernel(const Vector* x, int64_t tokens, int64_t width, Routes routes, Vector* rows, Refusal refusal) {
  MOE_SHARED(int, row_of, [kMostTokens * kMostChoices]);
  routes.check_offsets(refusal);
  load_routes(routes, tokens, row_of, refusal, [](int, int64_t) {});
  __syncthreads();
  const int64_t s = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (s >= tokens) return;
  const int* targets = row_of + threadIdx.y * routes.choices;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const Vector vector = x[s * width + i];
    for (int c = 0; c < routes.choices; ++c) {
      if (targets[c] >= 0) rows[targets[c] * width + i] = vector;
    }
  }
}

// dx[s] = sum of the token's rows, in choice order, in float32. Bound by bytes: reads each route's row, writes each
// token.
template <typename Access>
__global__ void __launch_bounds__(kRowThreads)
    gather_kernel(Floats drows, int64_t tokens, int64_t width, Routes routes, Floats dx, Refusal refusal) {
  constexpr int count = Access::count, together = count == 8 ? 4 : 2;  // rows whose loads are in flight at once
  MOE_SHARED(int, row_of, [kMostTokens * kMostChoices]);
  routes.check_offsets(refusal);
  load_routes(routes, tokens, row_of, refusal, [](int, int64_t) {});
  __syncthreads();
  const int64_t s = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (s >= tokens) return;
  const int* sources = row_of + threadIdx.y * routes.choices;
  for (int64_t i = threadIdx.x * count; i < width; i += blockDim.x * count) {
    float sum[count] = {};
    visit_rows<Access, together>(drows, sources, routes.choices, i, width, [&](int, const float(&x)[count]) {
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] += x[k];
    });
    dx.store<Access>(s, i, width, sum);
  }
}

}  // namespace

void dispatch_forward(Stream& stream, Tensor x, const moe_routes& routes, Tensor rows) {
  Launcher launch(stream);
  keep_route_checks(launch.stream(), routes, rows);
  const int64_t tokens = x.shape[0], width = x.shape[1];
  const auto run = [&](auto vector, int64_t vectors) {
    using Vector = decltype(vector);
    const dim3 block = row_block(vectors);
    launch(dispatch_kernel<Vector>, token_blocks(tokens, block), block, 0, data<Vector>(x), tokens, vectors,
           Routes(routes, rows), data<Vector>(rows), launch.refusal());
  };
  if (in_vectors(x, width) && in_vectors(rows, width)) {
    run(uint4{}, width * dtype_bytes(x.dtype) / 16);
  } else if (x.dtype == MOE_BFLOAT16) {
    run(uint16_t{}, width);
  } else {
    run(uint32_t{}, width);
  }
}

void dispatch_backward(Stream& stream, Tensor drows, const moe_routes& routes, Tensor dx) {
  Launcher launch(stream);
  keep_route_checks(launch.stream(), routes, drows);
  const int64_t tokens = dx.shape[0], width = dx.shape[1];
  visit_access(width, {&drows, &dx}, [&](auto access) {
    const dim3 block = row_block(ceil_div(width, access.count));
    launch(gather_kernel<decltype(access)>, token_blocks(tokens, block), block, 0, Floats(drows), tokens, width,
           Routes(routes, drows), Floats(dx), launch.refusal());
  });
}

}  // namespace moe::cuda
