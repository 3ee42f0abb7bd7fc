#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/routes.h"

namespace moe::cuda {
namespace {

// Copies rows of `width` packs. Bound by bytes: reads each token once, writes it once a route.
template <typename Pack>
__global__ void __launch_bounds__(kRowThreads)
    dispatch_kernel(const Pack* x, int64_t tokens, int64_t width, Routes routes, Pack* rows, Refusal refusal) {
  __shared__ int row_of[kMostTokens * kMostChoices];
  routes.check_offsets(refusal);
  load_routes(routes, tokens, row_of, refusal, [](int, int64_t) {});
  __syncthreads();
  const int64_t s = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (s >= tokens) return;
  const int* targets = row_of + threadIdx.y * routes.choices;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const Pack pack = x[s * width + i];
    for (int c = 0; c < routes.choices; ++c) {
      if (targets[c] >= 0) rows[targets[c] * width + i] = pack;
    }
  }
}

// dx[s] = the sum of the token's rows, in choice order, in float32. Bound by bytes: reads routes, writes tokens.
template <typename Access>
__global__ void __launch_bounds__(kRowThreads)
    gather_kernel(Floats drows, int64_t tokens, int64_t width, Routes routes, Floats dx, Refusal refusal) {
  constexpr int count = Access::count, together = count == 8 ? 4 : 2;  // loads under way
  __shared__ int row_of[kMostTokens * kMostChoices];
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
  Launch launch(stream);
  keep_route_checks(launch.stream(), routes, rows);
  const int64_t tokens = x.shape[0], width = x.shape[1];
  const auto run = [&](auto pack, int64_t packs) {
    using Pack = decltype(pack);
    const dim3 block = row_block(packs);
    launch(dispatch_kernel<Pack>, token_blocks(tokens, block), block, 0, data<Pack>(x), tokens, packs,
           Routes(routes, rows), data<Pack>(rows), launch.refusal());
  };
  if (in_packs(x, width) && in_packs(rows, width)) {
    run(uint4{}, width * dtype_bytes(x.dtype) / 16);
  } else if (x.dtype == MOE_BFLOAT16) {
    run(uint16_t{}, width);
  } else {
    run(uint32_t{}, width);
  }
}

void dispatch_backward(Stream& stream, Tensor drows, const moe_routes& routes, Tensor dx) {
  Launch launch(stream);
  keep_route_checks(launch.stream(), routes, drows);
  const int64_t tokens = dx.shape[0], width = dx.shape[1];
  visit_access(width, {&drows, &dx}, [&](auto access) {
    const dim3 block = row_block(ceil_div(width, access.count));
    launch(gather_kernel<decltype(access)>, token_blocks(tokens, block), block, 0, Floats(drows), tokens, width,
           Routes(routes, drows), Floats(dx), launch.refusal());
  });
}

}  // namespace moe::cuda
