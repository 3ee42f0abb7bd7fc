// The gate's forward. Rules: docs/gating.md; shapes and sources: cpu/gate/gate.cc. Three launches: choose (each token
// chooses its experts), queue (each expert counts its queue and picks the routes it keeps), place (each route gets its
// position and weight).
//
// A position is a prefix sum over words that hold a bit for each of 32 tokens, so it does not depend on timing. Losses
// are float64 sums over fixed blocks in a fixed order.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate --device cuda.
#include <algorithm>

#include "cuda/floating.h"
#include "cuda/gate/checks.h"
#include "cuda/gate/queues.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace moe::cuda {
namespace {

// Threads of a choose block: as many as the registers for their experts allow.
template <typename Lanes>
constexpr int kChooseThreads = std::min(kTokenBlock * Lanes::lanes, Lanes::each > 8 ? 256 : 512);
constexpr int kPlaceThreads = 256;

// Sums from which the losses are computed.
struct GateSums {
  unsigned* chosen;  // [E, blocks]: a bit for each token whose choice of the expert the auxiliary loss counts
  double* scores;    // [E, blocks]
  double* squares;   // [blocks], of the logsumexp
  int* used;         // [blocks]
  double* products;  // [E]: sum of an expert's scores times its counted choices
};

// Reads S E logits and writes S E scores: bound by bytes; for small S by the latency of K searches for a maximum.
template <typename Lanes>
__global__ void __launch_bounds__(kChooseThreads<Lanes>)
    choose_kernel(GateTokens tokens, GateQueues queues, GateSums sums, float* scores, int* choice, float* best,
                  Refusal refusal) {
  MOE_DYNAMIC_SHARED(unsigned, words);  // [lanes + 1, E]; the last lane is sums.chosen
  __shared__ double squares[kTokenBlock];
  __shared__ int used_tokens[kTokenBlock];
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
    if (best != nullptr) {  // the best score of the token
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
  if (threadIdx.x >= kWarpLanes) return;
  const int t = threadIdx.x;
  const double square = warp_sum(t < here ? squares[t] : 0);
  const int used = warp_sum(t < here ? used_tokens[t] : 0);
  if (t == 0) sums.squares[block] = square, sums.used[block] = used;
}

// A block for each expert: the length of its queue, the positions of its words, its part of the auxiliary loss. Without
// ranks no route is dropped by them; else the block has kQueueThreads. Bound by latency: reads E S / 32 words.
__global__ void __launch_bounds__(kQueueThreads)
    queue_kernel(GateTokens tokens, GateQueues queues, GateSums sums, Ranks rank, int* counts, Refusal refusal) {
  __shared__ int routes_table[kMostWarps];
  __shared__ double scores_table[kMostWarps];
  __shared__ int chosen_table[kMostWarps];
  const int e = blockIdx.x;
  const int64_t begin = queues.at(e, 0, 0);
  int count = 0;
  for (int64_t first = 0; first < queues.count(); first += blockDim.x) {
    const int64_t word = first + threadIdx.x;
    const int routes = word < queues.count() ? __popc(queues.words[begin + word]) : 0;
    int all;
    const int before = block_scan(routes, routes_table, all);
    if (word < queues.count()) queues.places[begin + word] = count + before;
    count += all;
    __syncthreads();
  }
  double score = 0;
  int chosen = 0;
  for (int64_t block = threadIdx.x; block < queues.blocks; block += blockDim.x) {
    score += sums.scores[e * queues.blocks + block];
    chosen += __popc(sums.chosen[e * queues.blocks + block]);
  }
  score = block_sum(score, scores_table);
  chosen = block_sum(chosen, chosen_table);
  if (threadIdx.x == 0) {
    counts[e] = count;
    sums.products[e] = score * chosen;
    if (tokens.bias != nullptr && !(fabsf(tokens.bias[e]) <= FLT_MAX)) refusal.raise();
  }
  if (rank.values == nullptr || count <= tokens.config.capacity) return;
  const int capacity = static_cast<int>(tokens.config.capacity);
  const int together = rank.by_lane ? 1 : queues.lanes;
  for (int lane = 0; lane < queues.lanes; lane += together) {
    const int64_t next = begin + (lane + together) * queues.blocks;
    const int before = queues.places[next - together * queues.blocks];
    const int after = lane + together < queues.lanes ? queues.places[next] : count;
    if (after > capacity) keep_best(queues, e, lane, together, before, max(capacity - before, 0), rank);
  }
}

// Offsets and losses, by one block.
__device__ void finish(const GateTokens& tokens, const GateQueues& queues, const GateSums& sums, int64_t capacity,
                       const int* counts, int* offsets, float* losses) {
  __shared__ int routes_table[kMostWarps];
  __shared__ double products_table[kMostWarps];
  __shared__ double squares_table[kMostWarps];
  __shared__ int used_table[kMostWarps];
  int routes = 0;
  for (int first = 0; first < tokens.experts; first += kPlaceThreads) {
    const int e = first + threadIdx.x;
    const int kept = e < tokens.experts ? static_cast<int>(min(int64_t{counts[e]}, capacity)) : 0;
    int all;
    const int before = block_scan(kept, routes_table, all);
    if (e < tokens.experts) offsets[e + 1] = routes + before + kept;
    routes += all;
    __syncthreads();
  }
  double product = 0, square = 0;
  int used = 0;
  for (int e = threadIdx.x; e < tokens.experts; e += kPlaceThreads) product += sums.products[e];
  for (int64_t block = threadIdx.x; block < queues.blocks; block += kPlaceThreads) {
    square += sums.squares[block];
    used += sums.used[block];
  }
  product = block_sum(product, products_table);
  square = block_sum(square, squares_table);
  used = block_sum(used, used_table);
  if (threadIdx.x != 0) return;
  offsets[0] = 0;
  const double n = used;
  losses[0] = used == 0 ? 0 : static_cast<float>(product * tokens.experts / (tokens.config.auxiliary_choices * n * n));
  losses[1] = used == 0 ? 0 : static_cast<float>(square / n);
}

// A thread for each route, whole tokens per block; block 0 computes offsets and losses. Bound by latency: a few numbers
// per route.
__global__ void __launch_bounds__(kPlaceThreads)
    place_kernel(GateTokens tokens, GateQueues queues, GateSums sums, int64_t capacity, const int* choice,
                 const float* scores, const int* counts, int* expert, int* position, float* weight, int* offsets,
                 float* losses) {
  if (blockIdx.x == 0) return finish(tokens, queues, sums, capacity, counts, offsets, losses);
  __shared__ float counted[kPlaceThreads];
  const moe_gate_config& config = tokens.config;
  const int choices = config.top_k, in_block = kPlaceThreads / choices;
  const int t = threadIdx.x / choices, c = threadIdx.x % choices;
  const int64_t s = int64_t{blockIdx.x - 1} * in_block + t, route = s * choices + c;
  const bool here = t < in_block && s < tokens.tokens;
  const int e = here ? choice[route] : -1;
  bool kept = false;
  int place = -1;
  float score = 0;
  if (e >= 0) {
    const int64_t at = queues.at(e, queues.lanes == 1 ? 0 : c, s / kTokenBlock);
    const unsigned word = queues.words[at], bit = 1u << s % kTokenBlock;
    place = queues.places[at] + __popc(word & (bit - 1));
    kept = (word & bit) != 0 && place < capacity;
    score = scores[s * tokens.experts + e];
  }
  counted[threadIdx.x] = kept || config.normalization == MOE_CHOSEN ? score : 0;
  __syncthreads();
  if (!here) return;
  float denominator = 1;
  if (config.normalization != MOE_RAW) {
    float sum = config.denominator_offset;
    for (int i = 0; i < choices; ++i) sum += counted[t * choices + i];
    denominator = fmaxf(sum, config.normalization_epsilon);
  }
  expert[route] = kept ? e : -1;
  position[route] = kept ? place : -1;
  weight[route] = kept && denominator > 0 ? config.weight_scale * (score / denominator) : 0;
}

}  // namespace

void gate_forward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& out) {
  Launch launch(stream);
  keep_gate_checks(launch.stream(), in);
  const int64_t count = in.logits->shape[0], experts = in.logits->shape[1];
  const int64_t blocks = ceil_div(count, kTokenBlock);
  const int lanes = config.queue_order == MOE_CHOICE_MAJOR ? config.top_k : 1;
  const GateTokens tokens{config,
                          count,
                          static_cast<int>(experts),
                          data<float>(in.logits),
                          data<uint8_t>(in.used),
                          data<float>(in.bias),
                          data<float>(in.noise),
                          data<float>(in.priority)};
  const GateQueues queues{blocks, lanes, launch.take<unsigned>(experts * lanes * blocks),
                          launch.take<int>(experts * lanes * blocks)};
  const GateSums sums{launch.take<unsigned>(experts * blocks), launch.take<double>(experts * blocks),
                      launch.take<double>(blocks), launch.take<int>(blocks), launch.take<double>(experts)};
  float* best = config.drop_policy == MOE_DROP_BEST_SCORE ? launch.take<float>(count) : nullptr;
  visit_token_lanes(experts, [&](auto shape) {
    using Lanes = decltype(shape);
    launch(choose_kernel<Lanes>, static_cast<unsigned>(blocks), kChooseThreads<Lanes>,
           static_cast<size_t>((lanes + 1) * experts) * sizeof(unsigned), tokens, queues, sums, data<float>(out.scores),
           data<int>(out.choice), best, launch.refusal());
  });
  const Ranks rank = config.drop_policy == MOE_DROP_PRIORITY ? Ranks{tokens.priority, tokens.experts, false}
                     : config.drop_policy == MOE_DROP_PROBABILITY
                         ? Ranks{data<float>(out.scores), tokens.experts, false}
                         : Ranks{best, 1, true};
  const int64_t warps = std::clamp<int64_t>(ceil_div(queues.count(), kWarpLanes), 1, kQueueThreads / kWarpLanes);
  const auto threads = rank.values == nullptr ? static_cast<unsigned>(warps) * kWarpLanes : kQueueThreads;
  launch(queue_kernel, static_cast<unsigned>(experts), threads, 0, tokens, queues, sums, rank, data<int>(out.counts),
         launch.refusal());
  const int64_t capacity = config.drop_policy == MOE_DROPLESS ? INT32_MAX : config.capacity;
  launch(place_kernel, static_cast<unsigned>(1 + ceil_div(count, kPlaceThreads / config.top_k)), kPlaceThreads, 0,
         tokens, queues, sums, capacity, data<int>(out.choice), data<float>(out.scores), data<int>(out.counts),
         data<int>(out.expert), data<int>(out.position), data<float>(out.weight), data<int>(out.offsets),
         data<float>(out.losses));
}

}  // namespace moe::cuda
