// The gate's forward. Rules: docs/gating.md; shapes and sources: cpu/gate/gate.cc. In choose, tokens choose experts,
// and the last blocks to finish count the queues. With few tokens and experts the last block also gives each route its
// position and weight: one launch. Else place does that (place.cu), and before it, if routes are dropped by rank, drop:
// each expert picks the routes that it keeps.
//
// Positions are prefix sums over words with one bit per token, 32 tokens each, so they do not depend on timing. Losses
// are float64 sums over fixed blocks in a fixed order.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate --device cuda.
#include <algorithm>

#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/gate/checks.h"
#include "cuda/gate/queues.h"
#include "cuda/kernel/floating.h"
#include "cuda/kernel/last_block.h"

namespace moe::cuda {
namespace {

// Threads of a choose block: as many as the registers for their experts allow.
template <typename Lanes>
constexpr int kChooseThreads = std::min(kTokenBlock * Lanes::lanes, Lanes::each > 8 ? 256 : 512);
// Blocks per multiprocessor: the scores of more than 512 experts take the registers of two blocks.
template <typename Lanes>
constexpr int kChooseBlocks = Lanes::each > 16 ? 1 : 2;

// A gate of up to this many tokens and experts is one launch: one block places a token per thread.
constexpr int64_t kFewTokens = 512, kFewExperts = 256;

constexpr int kMostGroups = 64;  // groups of blocks: up to 65,536 tokens, a group has 32 blocks

// Sums from which the losses are computed.
struct GateSums {
  unsigned* chosen;      // [E, blocks]: one bit per token whose choice of the expert counts for the auxiliary loss
  double* scores;        // [E, blocks]
  double* squares;       // [blocks]: sums of logsumexp^2
  int* used;             // [blocks]
  double* group_scores;  // [E, groups]
  int* group_chosen;     // [E, groups]
};

// Outputs of the last block of all.
struct GateTotals {
  int64_t capacity;
  int* counts;
  int* offsets;
  float* losses;
};

// Calls write(i, sum of read(j) over j < i) for i < count; returns the total. Called by a warp.
template <typename Read, typename Write>
__device__ __forceinline__ int warp_scan(int count, Read&& read, Write&& write) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  int before = 0;
  for (int first = 0; first < count; first += kWarpLanes) {
    const int i = first + lane;
    const int own = i < count ? read(i) : 0;
    const int until = warp_sum_up_to(own);
    if (i < count) write(i, before + until - own);
    before += __shfl_sync(kAllLanes, until, kWarpLanes - 1);
  }
  return before;
}

// Counts the routes of a group of blocks in every queue, and sums the group's part of the auxiliary loss. A warp takes
// an expert.
__device__ void count_group(const GateQueues& queues, const GateSums& sums, int experts, int group) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int64_t begin = int64_t{group} * queues.group_blocks;
  const int blocks = static_cast<int>(min(int64_t{queues.group_blocks}, queues.blocks - begin));
  for (int e = warp; e < experts; e += static_cast<int>(blockDim.x) / kWarpLanes) {
    for (int of_queue = 0; of_queue < queues.lanes; ++of_queue) {
      const int64_t at = queues.at(e, of_queue, begin);
      const int routes = warp_scan(
          blocks, [&](int i) { return __popc(queues.words[at + i]); },
          [&](int i, int before) { queues.positions[at + i] = before; });
      if (lane == 0) queues.starts[(int64_t{e} * queues.lanes + of_queue) * queues.groups + group] = routes;
    }
    double score = 0;
    int chosen = 0;
    for (int i = lane; i < blocks; i += kWarpLanes) {
      score += sums.scores[e * queues.blocks + begin + i];
      chosen += __popc(sums.chosen[e * queues.blocks + begin + i]);
    }
    score = warp_sum(score);
    chosen = warp_sum(chosen);
    if (lane == 0) {
      sums.group_scores[int64_t{e} * queues.groups + group] = score;
      sums.group_chosen[int64_t{e} * queues.groups + group] = chosen;
    }
  }
}

// Counts, first positions of the groups, offsets and losses, from all groups.
__device__ void finish(const GateTokens& tokens, const GateQueues& queues, const GateSums& sums,
                       const GateTotals& totals, Refusal refusal) {
  MOE_SHARED(int, routes_table, [kMostWarps]);
  MOE_SHARED(double, products_table, [kMostWarps]);
  MOE_SHARED(double, squares_table, [kMostWarps]);
  MOE_SHARED(int, used_table, [kMostWarps]);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int groups = queues.lanes * queues.groups;
  for (int e = warp; e < tokens.experts; e += static_cast<int>(blockDim.x) / kWarpLanes) {
    int* starts = queues.starts + int64_t{e} * groups;
    const int count =
        warp_scan(groups, [&](int i) { return starts[i]; }, [&](int i, int before) { starts[i] = before; });
    if (lane == 0) totals.counts[e] = count;
  }
  __syncthreads();
  int routes = 0;
  double product = 0;  // sum over experts of scores times counted choices
  for (int first = 0; first < tokens.experts; first += static_cast<int>(blockDim.x)) {
    const int e = first + static_cast<int>(threadIdx.x);
    const bool here = e < tokens.experts;
    const int kept = here ? static_cast<int>(min(int64_t{totals.counts[e]}, totals.capacity)) : 0;
    int all;
    const int before = block_scan(kept, routes_table, all);
    if (here) {
      totals.offsets[e + 1] = routes + before + kept;
      if (tokens.bias != nullptr && !(fabsf(tokens.bias[e]) <= FLT_MAX)) refusal.raise();
      double score = 0;
      int chosen = 0;
      for (int group = 0; group < queues.groups; ++group) {
        score += sums.group_scores[int64_t{e} * queues.groups + group];
        chosen += sums.group_chosen[int64_t{e} * queues.groups + group];
      }
      product += score * chosen;
    }
    routes += all;
    __syncthreads();
  }
  double square = 0;
  int used = 0;
  for (int64_t block = threadIdx.x; block < queues.blocks; block += blockDim.x) {
    square += sums.squares[block];
    used += sums.used[block];
  }
  product = block_sum(product, products_table);
  square = block_sum(square, squares_table);
  used = block_sum(used, used_table);
  if (threadIdx.x != 0) return;
  totals.offsets[0] = 0;
  const double n = used;
  totals.losses[0] =
      used == 0 ? 0 : static_cast<float>(product * tokens.experts / (tokens.config.auxiliary_choices * n * n));
  totals.losses[1] = used == 0 ? 0 : static_cast<float>(square / n);
}

// Reads S E logits and writes S E scores: bound by bytes; for small S by the latency of K searches for a maximum.
template <typename Lanes>
__global__ void __launch_bounds__(kChooseThreads<Lanes>, kChooseBlocks<Lanes>)
    choose_kernel(GateTokens tokens, GateQueues queues, GateSums sums, GateTotals totals, float* scores, int* choice,
                  float* best, unsigned* tickets, Places places, Refusal refusal) {
  MOE_DYNAMIC_SHARED(unsigned, words);  // [lanes + 1, E]; the last lane is sums.chosen
  MOE_SHARED(double, squares, [kTokenBlock]);
  MOE_SHARED(int, used_tokens, [kTokenBlock]);
  const int experts = tokens.experts, choices = tokens.config.top_k;
  const int64_t block = blockIdx.x;
  const int here = static_cast<int>(min(int64_t{kTokenBlock}, tokens.tokens - block * kTokenBlock));
  for (int i = threadIdx.x; i < (queues.lanes + 1) * experts; i += blockDim.x) words[i] = 0;
  __syncthreads();
  Lanes::for_each_token(here, [&](int t) {
    const int64_t s = block * kTokenBlock + t;
    bool used = tokens.is_used(s);
    float x[Lanes::each];
    load_row<Lanes>(tokens.logits, s, used ? experts : 0, -INFINITY, x);
    const float largest = largest_of<Lanes>(x);
    const bool legal = is_legal<Lanes>(tokens, used, s, x) && largest > -INFINITY;
    if (used && !legal) refusal.raise();
    used &= legal;
    const float logsumexp = score_token<Lanes>(tokens.config.score, largest, x);
    float* row = scores + s * experts;
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      if (s < tokens.tokens && Lanes::expert(i) < experts) row[Lanes::expert(i)] = used ? x[i] : 0;
    }
    if (best != nullptr) {  // the token's best score
      const float most = largest_of<Lanes>(x);
      if (Lanes::lane() == 0 && s < tokens.tokens) best[s] = most;
    }
    __syncwarp();
    const int e = choose<Lanes>(tokens, used, s, x, row);
    const int c = Lanes::lane();
    if (c == 0) {
      squares[t] = used ? static_cast<double>(logsumexp) * logsumexp : 0;
      used_tokens[t] = used ? 1 : 0;
    }
    if (c >= choices || s >= tokens.tokens) return;
    choice[s * choices + c] = used ? e : -1;
    if (!used) return;
    atomicOr(&words[(queues.lanes == 1 ? 0 : c) * experts + e], 1u << t);
    if (c < tokens.config.auxiliary_choices) atomicOr(&words[queues.lanes * experts + e], 1u << t);
  });
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += blockDim.x) {
    for (int lane = 0; lane < queues.lanes; ++lane) queues.words[queues.at(e, lane, block)] = words[lane * experts + e];
    sums.chosen[e * queues.blocks + block] = words[queues.lanes * experts + e];
    const float* column = scores + block * kTokenBlock * experts + e;
    double sum = 0;
#pragma unroll 8
    for (int t = 0; t < here; ++t) sum += column[int64_t{t} * experts];
    sums.scores[e * queues.blocks + block] = sum;
  }
  if (threadIdx.x < kWarpLanes) {
    const int t = threadIdx.x;
    const double square = warp_sum(t < here ? squares[t] : 0);
    const int used = warp_sum(t < here ? used_tokens[t] : 0);
    if (t == 0) sums.squares[block] = square, sums.used[block] = used;
  }
  const int group = static_cast<int>(block / queues.group_blocks);
  const int64_t in_group = min(int64_t{queues.group_blocks}, queues.blocks - int64_t{group} * queues.group_blocks);
  if (!is_last_block(tickets + group, static_cast<unsigned>(in_group))) return;
  count_group(queues, sums, experts, group);
  if (!is_last_block(tickets + kMostGroups, queues.groups)) return;
  finish(tokens, queues, sums, totals, refusal);
  if (places.expert == nullptr) return;
  for (int64_t s = threadIdx.x; s < tokens.tokens; s += blockDim.x) place_token(tokens, queues, places, s);
}

}  // namespace

void gate_forward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& out) {
  Launcher launch(stream);
  keep_gate_checks(launch.stream(), in);
  const int64_t count = in.logits->shape[0], experts = in.logits->shape[1];
  const int64_t blocks = std::max<int64_t>(ceil_div(count, kTokenBlock), 1);  // at least one, for counts and losses
  const int64_t group_blocks = ceil_div(ceil_div(blocks, kMostGroups), kWarpLanes) * kWarpLanes;
  const int64_t groups = ceil_div(blocks, group_blocks);
  const int lanes = config.queue_order == MOE_CHOICE_MAJOR ? config.top_k : 1;
  const GateTokens tokens{config,
                          count,
                          static_cast<int>(experts),
                          data<float>(in.logits),
                          data<uint8_t>(in.used),
                          data<float>(in.bias),
                          data<float>(in.noise),
                          data<float>(in.priority)};
  const GateQueues queues{blocks,
                          lanes,
                          static_cast<int>(groups),
                          static_cast<int>(group_blocks),
                          launch.take<unsigned>(experts * lanes * blocks),
                          launch.take<int>(experts * lanes * blocks),
                          launch.take<int>(experts * lanes * groups)};
  const GateSums sums{launch.take<unsigned>(experts * blocks),
                      launch.take<double>(experts * blocks),
                      launch.take<double>(blocks),
                      launch.take<int>(blocks),
                      launch.take<double>(experts * groups),
                      launch.take<int>(experts * groups)};
  const int64_t capacity =
      config.drop_policy == MOE_DROPLESS ? INT32_MAX : std::min<int64_t>(config.capacity, INT32_MAX);
  const GateTotals totals{capacity, data<int>(out.counts), data<int>(out.offsets), data<float>(out.losses)};
  const Places places{capacity,
                      data<int>(out.choice),
                      data<float>(out.scores),
                      data<int>(out.expert),
                      data<int>(out.position),
                      data<float>(out.weight)};
  float* best = config.drop_policy == MOE_DROP_BEST_SCORE ? launch.take<float>(count) : nullptr;
  const Ranks rank = config.drop_policy == MOE_DROP_PRIORITY      ? Ranks{tokens.priority, tokens.experts, false}
                     : config.drop_policy == MOE_DROP_PROBABILITY ? Ranks{places.scores, tokens.experts, false}
                                                                  : Ranks{best, 1, true};
  const bool at_once = count <= kFewTokens && experts <= kFewExperts && rank.values == nullptr;
  visit_token_lanes(experts, [&](auto shape) {
    using Lanes = decltype(shape);
    launch(choose_kernel<Lanes>, static_cast<unsigned>(blocks), kChooseThreads<Lanes>,
           static_cast<size_t>((lanes + 1) * experts) * sizeof(unsigned), tokens, queues, sums, totals,
           data<float>(out.scores), data<int>(out.choice), best, launch.tickets(kMostGroups + 1),
           at_once ? places : Places{}, launch.refusal());
  });
  if (!at_once) place_routes(launch, tokens, queues, places, rank, totals.counts);
}

}  // namespace moe::cuda
