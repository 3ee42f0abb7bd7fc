// Combine: weighted sums of expert rows in token order, with residual branch and skip connection. Formulas and shapes:
// cpu/combine.cc. Forward: a block takes several tokens, a thread several columns. Backward: a warp per token.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Combine*'. Time: ./panamoe bench combine --device cuda.
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/dispatch/routes.h"
#include "cuda/kernel/reduce.h"

namespace moe::cuda {
namespace {

// (c0, c1) = softmax(coefficient[s]): the shares of the experts and of the residual MLP.
struct Shares {
  float experts = 1, mlp = 0;

  __device__ __forceinline__ Shares(const float* coefficient, int64_t s) {
    if (coefficient == nullptr) return;
    const float raw0 = coefficient[2 * s], raw1 = coefficient[2 * s + 1], largest = fmaxf(raw0, raw1);
    const float e0 = expf(raw0 - largest), e1 = expf(raw1 - largest);
    experts = e0 / (e0 + e1);
    mlp = e1 / (e0 + e1);
  }
};

// Bound by bytes: reads each route's row, mlp and skip; writes each token. mlp and coefficient are null together.
template <typename Access>
__global__ void __launch_bounds__(kRowThreads)
    combine_kernel(Floats rows, int64_t tokens, int64_t width, Routes routes, const float* weight, Floats mlp,
                   const float* coefficient, Floats skip, bool skips, Floats y, Refusal refusal) {
  constexpr int count = Access::count, together = 4;  // rows whose loads are in flight at once
  MOE_SHARED(int, row_of, [kMostTokens * kMostChoices]);
  MOE_SHARED(float, weight_of, [kMostTokens * kMostChoices]);
  routes.check_offsets(refusal);
  load_routes(routes, tokens, row_of, refusal, [&](int here, int64_t route) { weight_of[here] = weight[route]; });
  __syncthreads();
  const int64_t s = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (s >= tokens) return;
  const int* sources = row_of + threadIdx.y * routes.choices;
  const float* weights = weight_of + threadIdx.y * routes.choices;
  const Shares share(coefficient, s);
  for (int64_t i = threadIdx.x * count; i < width; i += blockDim.x * count) {
    float sum[count] = {};
    visit_rows<Access, together>(rows, sources, routes.choices, i, width, [&](int c, const float(&x)[count]) {
      const float w = c < routes.choices && sources[c] >= 0 ? weights[c] : 0;
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] = fmaf(w, x[k], sum[k]);
    });
    float other[count];
    if (coefficient != nullptr) {
      mlp.load<Access>(s, i, width, other);
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] = fmaf(share.mlp, other[k], share.experts * sum[k]);
    }
    if (skips) {
      skip.load<Access>(s, i, width, other);
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] += other[k];
    }
    y.store<Access>(s, i, width, sum);
  }
}

// A warp per token. Bound by bytes: reads dy, reads and writes each route's row.
template <typename Access>
__global__ void __launch_bounds__(kRowThreads)
    combine_backward_kernel(Floats dy, Floats rows, int64_t tokens, int64_t width, Routes routes, const float* weight,
                            Floats mlp, const float* coefficient, Floats drows, float* dweight, Floats dmlp,
                            float* dcoefficient, Refusal refusal) {
  constexpr int count = Access::count;
  constexpr int together = Access::vectorized ? 4 : 2;  // rows whose loads are in flight at once
  routes.check_offsets(refusal);
  const int64_t s = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (s >= tokens) return;
  const int lane = threadIdx.x;
  const int64_t route = s * routes.choices + lane;
  const int row = lane < routes.choices ? routes.row(route, refusal) : -1;
  const float w = row >= 0 ? weight[route] : 0;
  const Shares share(coefficient, s);
  float dshare = 0;
  for (int first = 0; first < routes.choices; first += together) {
    int row_of[together];
    float scale[together], product[together] = {};
#pragma unroll
    for (int j = 0; j < together; ++j) {
      row_of[j] = __shfl_sync(kAllLanes, row, first + j);
      scale[j] = share.experts * __shfl_sync(kAllLanes, w, first + j);
    }
    for (int64_t i = lane * count; i < width; i += kWarpLanes * count) {
      float d[count], x[together][count];
      dy.load<Access>(s, i, width, d);
#pragma unroll
      for (int j = 0; j < together; ++j) {
        if (row_of[j] >= 0) rows.load<Access>(row_of[j], i, width, x[j]);
      }
#pragma unroll
      for (int j = 0; j < together; ++j) {
        if (row_of[j] < 0) continue;
        float drow[count];
#pragma unroll
        for (int k = 0; k < count; ++k) {
          product[j] = fmaf(d[k], x[j][k], product[j]);
          drow[k] = scale[j] * d[k];
        }
        drows.store<Access>(row_of[j], i, width, drow);
      }
    }
#pragma unroll
    for (int j = 0; j < together; ++j) {
      const float sum = warp_sum(product[j]);
      dshare = fmaf(__shfl_sync(kAllLanes, w, first + j), sum, dshare);
      if (lane == first + j && lane < routes.choices) dweight[route] = share.experts * sum;
    }
  }
  if (coefficient == nullptr) return;
  float product = 0;
  for (int64_t i = lane * count; i < width; i += kWarpLanes * count) {
    float d[count], x[count];
    dy.load<Access>(s, i, width, d);
    mlp.load<Access>(s, i, width, x);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      product = fmaf(d[k], x[k], product);
      d[k] *= share.mlp;
    }
    dmlp.store<Access>(s, i, width, d);
  }
  dshare -= warp_sum(product);
  if (lane != 0) return;
  dcoefficient[2 * s] = share.experts * share.mlp * dshare;
  dcoefficient[2 * s + 1] = -dcoefficient[2 * s];
}

}  // namespace

void combine_forward(Stream& stream, const moe_combine_inputs& in, const moe_routes& routes, Tensor y) {
  Launcher launch(stream);
  keep_route_checks(launch.stream(), routes, *in.rows);
  const int64_t tokens = y.shape[0], width = y.shape[1];
  visit_access(width, {in.rows, in.mlp, in.skip, &y}, [&](auto access) {
    const dim3 block = row_block(ceil_div(width, access.count));
    launch(combine_kernel<decltype(access)>, token_blocks(tokens, block), block, 0, Floats(in.rows), tokens, width,
           Routes(routes, *in.rows), data<float>(routes.weight), Floats(in.mlp), data<float>(in.coefficient),
           Floats(in.skip), in.skip != nullptr, Floats(y), launch.refusal());
  });
}

void combine_backward(Stream& stream, Tensor dy, const moe_combine_inputs& in, const moe_routes& routes,
                      const moe_combine_gradients& out) {
  Launcher launch(stream);
  keep_route_checks(launch.stream(), routes, *in.rows);
  const int64_t tokens = dy.shape[0], width = dy.shape[1];
  const dim3 block(kWarpLanes, kRowThreads / kWarpLanes);
  visit_access(width, {&dy, in.rows, in.mlp, out.drows, out.dmlp}, [&](auto access) {
    launch(combine_backward_kernel<decltype(access)>, token_blocks(tokens, block), block, 0, Floats(dy),
           Floats(in.rows), tokens, width, Routes(routes, *in.rows), data<float>(routes.weight), Floats(in.mlp),
           data<float>(in.coefficient), Floats(out.drows), data<float>(out.dweight), Floats(out.dmlp),
           data<float>(out.dcoefficient), launch.refusal());
  });
}

}  // namespace moe::cuda
