// The gate's last step: each expert's queue keeps routes up to its capacity, and each route gets its position and
// weight (rules 6 to 8 of docs/gating.md).
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate --device cuda.
#include "cuda/gate/queues.h"

#include <algorithm>

#include "cuda/floating.h"

namespace moe::cuda {
namespace {

constexpr int kPlaceThreads = 256;

// A block per expert picks the routes of a queue that its capacity keeps, by rank. Bound by latency: reads E S / 32
// words six times.
__global__ void __launch_bounds__(kQueueThreads)
    drop_kernel(GateQueues queues, Ranks rank, int capacity, const int* counts) {
  const int e = blockIdx.x, count = counts[e];
  if (count <= capacity) return;
  const int together = rank.by_lane ? 1 : queues.lanes;
  for (int lane = 0; lane < queues.lanes; lane += together) {
    const int next = lane + together;
    const int before = queues.start(e, lane, 0), after = next < queues.lanes ? queues.start(e, next, 0) : count;
    if (after > capacity) keep_best(queues, e, lane, together, before, max(capacity - before, 0), rank);
  }
}

// A thread per route, whole tokens per block. Bound by latency: a few numbers per route.
__global__ void __launch_bounds__(kPlaceThreads)
    place_kernel(GateTokens tokens, GateQueues queues, int64_t capacity, const int* choice, const float* scores,
                 int* expert, int* position, float* weight) {
  __shared__ float counted[kPlaceThreads];
  const moe_gate_config& config = tokens.config;
  const int choices = config.top_k, in_block = kPlaceThreads / choices;
  const int t = threadIdx.x / choices, c = threadIdx.x % choices;
  const int64_t s = int64_t{blockIdx.x} * in_block + t, route = s * choices + c;
  const bool here = t < in_block && s < tokens.tokens;
  const int e = here ? choice[route] : -1;
  bool kept = false;
  int index = -1;
  float score = 0;
  if (e >= 0) {
    const int lane = queues.lanes == 1 ? 0 : c;
    const int64_t block = s / kTokenBlock, at = queues.at(e, lane, block);
    const unsigned word = queues.words[at], bit = 1u << s % kTokenBlock;
    index = queues.start(e, lane, block) + queues.positions[at] + __popc(word & (bit - 1));
    kept = (word & bit) != 0 && index < capacity;
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
  position[route] = kept ? index : -1;
  weight[route] = kept && denominator > 0 ? config.weight_scale * (score / denominator) : 0;
}

}  // namespace

void place_routes(Launcher& launch, const GateTokens& tokens, const GateQueues& queues, int64_t capacity,
                  const float* best, const moe_routes& routes) {
  const moe_gate_config& config = tokens.config;
  const Ranks rank = config.drop_policy == MOE_DROP_PRIORITY ? Ranks{tokens.priority, tokens.experts, false}
                     : config.drop_policy == MOE_DROP_PROBABILITY
                         ? Ranks{data<float>(routes.scores), tokens.experts, false}
                         : Ranks{best, 1, true};
  if (rank.values != nullptr) {
    launch(drop_kernel, static_cast<unsigned>(tokens.experts), kQueueThreads, 0, queues, rank,
           static_cast<int>(capacity), data<int>(routes.counts));
  }
  launch(place_kernel, static_cast<unsigned>(ceil_div(tokens.tokens, kPlaceThreads / config.top_k)), kPlaceThreads, 0,
         tokens, queues, capacity, data<int>(routes.choice), data<float>(routes.scores), data<int>(routes.expert),
         data<int>(routes.position), data<float>(routes.weight));
}

}  // namespace moe::cuda
