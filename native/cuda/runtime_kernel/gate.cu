// The whole dropless gate of a decode step in one block: scores, choice, weights, positions, counts, offsets, losses.
// It shares cuda/gate/choice.h with the ahead-of-time kernels, which serve all other calls: many tokens, drops, noise,
// groups. Rules: docs/gating.md. NVRTC compiles it for one gate, with these definitions:
//   KERNEL_EXPERTS      E, 1 to 1024
//   KERNEL_TOP_K        K, 1 to 16
//   KERNEL_SCORE        a moe_score
//   KERNEL_QUEUE_ORDER  a moe_queue_order
//   KERNEL_CHOSEN       1: weights are divided by the sum over the chosen; 0: raw scores
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='EmulatedGate*'; CompilationTest (Java) for NVRTC.
#include "cuda/runtime_kernel/gate.h"
#include "cuda/gate/choice.h"
#include "cuda/kernel/shared.h"

namespace {

using moe::cuda::kAllLanes;
using moe::cuda::kWarpLanes;
using moe::cuda::runtime_kernel::kGateThreads;
using moe::cuda::runtime_kernel::kGateTokens;

constexpr int kExperts = KERNEL_EXPERTS, kChoices = KERNEL_TOP_K;
constexpr int kLanes = kExperts > 16 ? kWarpLanes : kExperts > 8 ? 16 : 8;  // like visit_token_lanes
using Lanes = moe::cuda::TokenLanes<kLanes, (kExperts + kLanes - 1) / kLanes>;
constexpr int kEach = (kExperts + kWarpLanes - 1) / kWarpLanes;  // experts per lane in sums over all

// Computes the position of every route, and count and offset of every expert. One warp takes 32 routes at a time.
__device__ void fill_queues(int lane, int tokens, int auxiliary_choices, const int* chosen, int* asked, int* counted,
                            int* position, int* counts, int* offsets) {
  for (int e = lane; e < kExperts; e += kWarpLanes) asked[e] = counted[e] = 0;
  __syncwarp();
  const int routes = tokens * kChoices;
  for (int first = 0; first < routes; first += kWarpLanes) {
    const int index = first + lane;
    const bool choice_major = KERNEL_QUEUE_ORDER == MOE_CHOICE_MAJOR;
    const int c = choice_major ? index / tokens : index % kChoices;
    const int s = choice_major ? index % tokens : index / kChoices;
    const int e = index < routes ? chosen[s * kChoices + c] : -1;
    const unsigned same = __match_any_sync(kAllLanes, e);
    const unsigned in_loss = __ballot_sync(kAllLanes, c < auxiliary_choices) & same;
    const int before = __popc(same & ((1u << lane) - 1));
    const int start = e < 0 ? 0 : asked[e];
    __syncwarp();
    if (index < routes) position[s * kChoices + c] = e < 0 ? -1 : start + before;
    if (e >= 0 && before == 0) {
      asked[e] = start + __popc(same);
      counted[e] += __popc(in_loss);
    }
    __syncwarp();
  }
  // Prefix sum over the experts; lane i takes kEach experts from i * kEach on.
  int sum = 0;
  for (int e = lane * kEach; e < kExperts && e < (lane + 1) * kEach; ++e) sum += asked[e];
  int start = moe::cuda::warp_sum_up_to(sum) - sum;
  if (lane == 0) offsets[0] = 0;
  for (int e = lane * kEach; e < kExperts && e < (lane + 1) * kEach; ++e) {
    counts[e] = asked[e];
    offsets[e + 1] = start += asked[e];
  }
}

}  // namespace

// One block, up to kGateTokens tokens. Bound by latency: three barriers, and the bytes of logits and scores.
RUNTIME_KERNEL void __launch_bounds__(kGateThreads)
    gate(moe::cuda::GateTokens tokens, moe::cuda::runtime_kernel::GateOutputs out) {
  MOE_SHARED(int, chosen, [kGateTokens * kChoices]);
  MOE_SHARED(int, asked, [kExperts]);  // routes per expert, and those that the auxiliary loss counts
  MOE_SHARED(int, counted, [kExperts]);
  MOE_SHARED(double, squares, [kGateTokens]);  // logsumexp^2; below 0 for unused tokens
  MOE_SHARED(double, table, [moe::cuda::kMostWarps]);
  const int count = static_cast<int>(tokens.tokens);
  tokens.experts = kExperts;
  tokens.noise = tokens.priority = nullptr;
  tokens.config.top_k = kChoices;
  tokens.config.groups = tokens.config.chosen_groups = 1;
  const moe_gate_config& config = tokens.config;

  if (tokens.bias != nullptr) {
    for (int e = static_cast<int>(threadIdx.x); e < kExperts; e += kGateThreads) {
      if (!(fabsf(tokens.bias[e]) <= FLT_MAX)) *out.refused = 1;
    }
  }
  for (int first = 0; first < count; first += kGateThreads / kLanes) {
    const int s = first + static_cast<int>(threadIdx.x) / kLanes, c = Lanes::lane();
    bool used = tokens.is_used(s);
    float x[Lanes::each];
    moe::cuda::load_row<Lanes>(tokens.logits, s, used ? kExperts : 0, -INFINITY, x);
    const float largest = moe::cuda::largest_of<Lanes>(x);
    const bool legal = moe::cuda::is_legal<Lanes>(tokens, used, s, x) && largest > -INFINITY;
    if (used && !legal) *out.refused = 1;
    used = used && legal;
    const float logsumexp = moe::cuda::score_token<Lanes>(KERNEL_SCORE, largest, x);
    float* row = out.scores + s * kExperts;
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      if (s < count && Lanes::expert(i) < kExperts) row[Lanes::expert(i)] = used ? x[i] : 0;
    }
    __syncwarp();
    const int best = moe::cuda::choose<Lanes>(tokens, used, s, x, row);
    const bool routed = used && c < kChoices;
    const float score = routed ? row[best] : 0;
    float sum = config.denominator_offset;
    for (int i = 0; i < kChoices; ++i) sum += Lanes::of(score, i);
    const float denominator = KERNEL_CHOSEN ? fmaxf(sum, config.normalization_epsilon) : 1.0f;
    if (s >= count) continue;
    if (c == 0) squares[s] = used ? static_cast<double>(logsumexp) * logsumexp : -1;
    if (c >= kChoices) continue;
    const int route = s * kChoices + c;
    chosen[route] = out.choice[route] = out.expert[route] = routed ? best : -1;
    out.weight[route] = routed && denominator > 0 ? config.weight_scale * (score / denominator) : 0;
  }
  __syncthreads();

  if (threadIdx.x < kWarpLanes) {
    fill_queues(static_cast<int>(threadIdx.x), count, config.auxiliary_choices, chosen, asked, counted, out.position,
                out.counts, out.offsets);
  }
  __syncthreads();

  // sum_e score_e * chosen_e, tokens in order.
  double auxiliary = 0;
  for (int e = static_cast<int>(threadIdx.x); e < kExperts; e += kGateThreads) {
    double sum = 0;
    for (int s = 0; counted[e] > 0 && s < count; ++s) sum += out.scores[s * kExperts + e];
    auxiliary += sum * counted[e];
  }
  auxiliary = moe::cuda::block_sum(auxiliary, table);
  if (threadIdx.x != 0) return;
  double square = 0;
  int users = 0;
  for (int s = 0; s < count; ++s) {
    if (squares[s] < 0) continue;
    square += squares[s];
    ++users;
  }
  const double n = users;
  out.losses[0] = users == 0 ? 0 : static_cast<float>(auxiliary * kExperts / (config.auxiliary_choices * n * n));
  out.losses[1] = users == 0 ? 0 : static_cast<float>(square / n);
}
