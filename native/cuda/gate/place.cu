// The gate's last step: each expert's queue keeps routes up to its capacity, and each route gets its position and
// weight (rules 6 to 8 of docs/gating.md).
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate --device cuda.
#include "cuda/gate/queues.h"

#include <algorithm>

#include "cuda/kernel/floating.h"

namespace moe::cuda {
namespace {

constexpr int kPlaceThreads = 128;

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

// A thread per token. Bound by latency: a few numbers per route.
__global__ void __launch_bounds__(kPlaceThreads) place_kernel(GateTokens tokens, GateQueues queues, Places places) {
  const int64_t s = int64_t{blockIdx.x} * kPlaceThreads + threadIdx.x;
  if (s < tokens.tokens) place_token(tokens, queues, places, s);
}

}  // namespace

void place_routes(Launcher& launch, const GateTokens& tokens, const GateQueues& queues, const Places& places,
                  const Ranks& rank, const int* counts) {
  if (rank.values != nullptr) {
    launch(drop_kernel, static_cast<unsigned>(tokens.experts), kQueueThreads, 0, queues, rank,
           static_cast<int>(places.capacity), counts);
  }
  launch(place_kernel, static_cast<unsigned>(ceil_div(tokens.tokens, kPlaceThreads)), kPlaceThreads, 0, tokens, queues,
         places);
}

}  // namespace moe::cuda
