// The gate's backward. Formulas and shapes: cpu/gate/backward.cc. One launch counts choices for the auxiliary loss, the
// next one computes dlogits; lanes of a warp share a token.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='GateBackward*'.
// Time: ./panamoe bench train-step --device cuda.
#include <algorithm>

#include "core/gate_values.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/gate/choice.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTokenBlock = 32;  // tokens of a block of threads

// The forward's outputs, and dL/dweight.
struct GateTable {
  moe_gate_config config;
  int64_t tokens;
  int experts;
  const float* logits;
  const uint8_t* used;  // or null
  const float* scores;
  const int* expert;
  const int* choice;
  const float* dweight;

  __device__ bool is_used(int64_t s) const { return s < tokens && (used == nullptr || used[s] != 0); }
};

// auxiliary: dL/d(auxiliary loss) E / (counted choices); z: dL/d(z loss). chosen [E]: counted choices per expert;
// used [1]: the number of used tokens; both null if both derivatives are 0.
struct Losses {
  double auxiliary, z;
  const int* chosen;
  const int* used;
};

// Counts choices in integers, so the order of additions does not matter. Bound by reading S K choices.
__global__ void __launch_bounds__(kThreads) count_kernel(GateTable table, int* counts) {
  MOE_DYNAMIC_SHARED(int, here);  // [E + 1]
  for (int e = threadIdx.x; e <= table.experts; e += kThreads) here[e] = 0;
  __syncthreads();
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t s = int64_t{blockIdx.x} * kThreads + threadIdx.x; s < table.tokens; s += stride) {
    if (table.is_used(s)) atomicAdd(&here[table.experts], 1);
    for (int c = 0; c < table.config.auxiliary_choices; ++c) {
      const int e = table.choice[s * table.config.top_k + c];
      if (e >= 0 && e < table.experts) atomicAdd(&here[e], 1);  // gate_backward_kernel refuses others
    }
  }
  __syncthreads();
  for (int e = threadIdx.x; e <= table.experts; e += kThreads) {
    if (here[e] != 0) atomicAdd(&counts[e], here[e]);
  }
}

// A lane's route: choice `lane` of a token.
struct GateRoute {
  int chosen = -1;
  bool kept = false;
  float score = 0, dweight = 0;
};

template <typename Lanes>
__device__ __forceinline__ GateRoute load_route(const GateTable& table, int64_t s, Refusal refusal) {
  GateRoute route;
  if (s >= table.tokens || Lanes::lane() >= table.config.top_k) return route;
  const int64_t at = s * table.config.top_k + Lanes::lane();
  const int chosen = table.choice[at], expert = table.expert[at];
  if (chosen < -1 || chosen >= table.experts || (expert != -1 && expert != chosen)) {
    refusal.raise();
    return route;
  }
  route.chosen = chosen;
  route.kept = expert != -1;
  if (chosen != -1) route.score = table.scores[s * table.experts + chosen];
  if (route.kept) route.dweight = table.dweight[at];
  return route;
}

// dL/dscore of the lane's route, from dL/dweight.
template <typename Lanes>
__device__ __forceinline__ float weigh_backward(const moe_gate_config& config, const GateRoute& route) {
  const bool counted = route.kept || (config.normalization == MOE_CHOSEN && route.chosen >= 0);
  float denominator = 1, through_sum = 0;
  if (config.normalization != MOE_RAW) {
    float sum = config.denominator_offset, product = 0;
    for (int c = 0; c < config.top_k; ++c) {
      sum += Lanes::of(counted ? route.score : 0.0f, c);
      product += Lanes::of(route.dweight * route.score, c);
    }
    denominator = fmaxf(sum, config.normalization_epsilon);
    if (sum >= config.normalization_epsilon && sum > 0) through_sum = -product / (denominator * denominator);
  }
  const float direct = denominator > 0 ? route.dweight / denominator : 0;
  return config.weight_scale * (direct + (counted ? through_sum : 0));
}

// z * exp(logit - largest) for the lane's experts: 2 dz logsumexp softmax.
template <typename Lanes>
__device__ __forceinline__ void z_backward(const GateTable& table, int64_t s, bool used, float dz,
                                           float (&x)[Lanes::each]) {
  load_row<Lanes>(table.logits, s, used ? table.experts : 0, -INFINITY, x);
  const float largest = largest_of<Lanes>(x);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) {
    x[i] = expf(x[i] - largest);
    sum += x[i];
  }
  sum = Lanes::sum(sum);
  const float z = 2 * dz * (largest + logf(sum)) / sum;
#pragma unroll
  for (int i = 0; i < Lanes::each; ++i) x[i] *= z;
}

// Bound by bytes: reads S E scores and, with a z loss, S E logits; writes S E gradients.
template <typename Lanes>
__global__ void __launch_bounds__(kThreads)
    gate_backward_kernel(GateTable table, Losses losses, float* dlogits, Refusal refusal) {
  MOE_DYNAMIC_SHARED(float, auxiliary);  // [E]: dL/dscore through the auxiliary loss, equal for all tokens
  const moe_gate_config& config = table.config;
  const double used_tokens = losses.used == nullptr ? 1 : max(*losses.used, 1);
  const double auxiliary_of_choice = losses.auxiliary / (used_tokens * used_tokens);
  const auto dz = static_cast<float>(losses.z / used_tokens);
  for (int e = threadIdx.x; e < table.experts; e += kThreads) {
    auxiliary[e] = losses.chosen == nullptr ? 0 : static_cast<float>(auxiliary_of_choice * losses.chosen[e]);
  }
  __syncthreads();
  const auto slope = [&](float score) { return score * log_slope(config.score, score); };
  const int64_t block = int64_t{blockIdx.x} * kTokenBlock;
  Lanes::for_each_token(static_cast<int>(min(int64_t{kTokenBlock}, table.tokens - block)), [&](int t) {
    const int64_t s = block + t;
    const bool used = table.is_used(s);
    const GateRoute route = load_route<Lanes>(table, s, refusal);
    const float dscore = weigh_backward<Lanes>(config, route);
    float score[Lanes::each], gradient[Lanes::each];
    load_row<Lanes>(table.scores, s, used ? table.experts : 0, 0, score);
    load_row<Lanes>(auxiliary, 0, table.experts, 0, gradient);
    float mean = 0;
    if (is_softmax(config.score)) {
#pragma unroll
      for (int i = 0; i < Lanes::each; ++i) mean = fmaf(gradient[i], score[i], mean);
      mean = Lanes::sum(mean);
      for (int c = 0; c < config.top_k; ++c) mean += Lanes::of(dscore * route.score, c);
    }
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) gradient[i] = slope(score[i]) * (gradient[i] - mean);
    if (losses.z != 0) {
      float by_z[Lanes::each];
      z_backward<Lanes>(table, s, used, dz, by_z);
#pragma unroll
      for (int i = 0; i < Lanes::each; ++i) gradient[i] += by_z[i];
    }
    const float through_choice = dscore * slope(route.score);
    for (int c = 0; c < config.top_k; ++c) {
      const int chosen = Lanes::of(route.chosen, c);
      const float by_choice = Lanes::of(through_choice, c);
#pragma unroll
      for (int i = 0; i < Lanes::each; ++i) {
        if (Lanes::expert(i) == chosen) gradient[i] += by_choice;
      }
    }
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      if (s < table.tokens && Lanes::expert(i) < table.experts) {
        dlogits[s * table.experts + Lanes::expert(i)] = used ? gradient[i] : 0;
      }
    }
  });
}

}  // namespace

void gate_backward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& routes,
                   const moe_gate_gradients& gradients) {
  Launcher launch(stream);
  const int64_t count = in.logits->shape[0], experts = in.logits->shape[1];
  launch.stream().keep_checks([expert = *routes.expert, choice = *routes.choice, experts] {
    check_choice_values(HostTensor(expert), HostTensor(choice), experts);
  });
  const GateTable table{config,
                        count,
                        static_cast<int>(experts),
                        data<float>(in.logits),
                        data<uint8_t>(in.used),
                        data<float>(routes.scores),
                        data<int>(routes.expert),
                        data<int>(routes.choice),
                        data<float>(gradients.dweight)};
  const int* chosen = nullptr;
  const int* used = nullptr;
  if (gradients.batch_used != nullptr) {
    chosen = data<int>(gradients.batch_chosen);
    used = data<int>(gradients.batch_used);
  } else if ((gradients.dauxiliary != 0 || gradients.dz != 0) && count > 0) {
    auto* counts = launch.take<int>(experts + 1);
    const auto bytes = static_cast<size_t>(experts + 1) * sizeof(int);
    require(cudaMemsetAsync(counts, 0, bytes, launch.handle()), "clearing counts");
    launch(count_kernel, launch.blocks(count, 4 * kThreads), kThreads, bytes, table, counts);
    chosen = counts;
    used = counts + experts;
  }
  // d(E / choices sum_e mean(score_e) mean(chosen_e)) / d(score_e).
  const Losses losses{gradients.dauxiliary * static_cast<double>(experts) / config.auxiliary_choices, gradients.dz,
                      chosen, used};
  visit_token_lanes(experts, [&](auto shape) {
    launch(gate_backward_kernel<decltype(shape)>, static_cast<unsigned>(ceil_div(count, kTokenBlock)), kThreads,
           static_cast<size_t>(experts) * sizeof(float), table, losses, data<float>(gradients.dlogits),
           launch.refusal());
  });
}

}  // namespace moe::cuda
