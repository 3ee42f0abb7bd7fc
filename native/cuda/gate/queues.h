// The queues of the gate's experts: which routes they keep, and from queues to routes.
#pragma once

#include <cstdint>

#include "cuda/device/launcher.h"
#include "cuda/gate/choice.h"
#include "cuda/kernel/scan.h"

namespace moe::cuda {

constexpr int kTokenBlock = 32;     // tokens of a block, one bit of a word each
constexpr int kQueueThreads = 256;  // one per value of an 8-bit digit in the radix select

// An expert's queue as words in queue order; a word has a bit for each token of a block that chose the expert. Queues
// are filled lane by lane: one lane with all choices (token-major), or one lane per choice (choice-major). Positions
// are counted in two levels: within a group of adjacent blocks, and before the group.
struct GateQueues {
  int64_t blocks;  // blocks of tokens
  int lanes;
  int groups, group_blocks;  // groups of blocks, and blocks of each; the last group may have fewer
  unsigned* words;           // [E, lanes, blocks]
  int* positions;            // [E, lanes, blocks]: routes of the group before a word
  int* starts;               // [E, lanes, groups]: routes of the queue before a group

  __device__ int64_t at(int e, int lane, int64_t block) const { return (int64_t{e} * lanes + lane) * blocks + block; }
  // Routes of the queue before this block's group.
  __device__ int start(int e, int lane, int64_t block) const {
    return starts[(int64_t{e} * lanes + lane) * groups + block / group_blocks];
  }
};

// The keys that rank routes in a queue: values[s, e], or values[s] if row is 1. by_lane: routes of a lane rank before
// those of later lanes.
struct Ranks {
  const float* values;  // null: no route is dropped by rank
  int row;
  bool by_lane;

  __device__ float of(int64_t s, int e) const { return values[s * row + (row == 1 ? 0 : e)]; }
};

// Keeps the `capacity` routes with the highest ranks, the earlier one of a tie, of a queue's `lanes` lanes from `lane`
// on: clears the bits of the others and computes new positions, starting at `before_lane`. A radix select by 8-bit
// digits, then a prefix sum: six passes over the lanes.
__device__ inline void keep_best(const GateQueues& queues, int e, int lane, int lanes, int before_lane, int capacity,
                                 const Ranks& rank) {
  MOE_SHARED(uint64_t, sums, [kMostWarps]);
  MOE_SHARED(int, routes_of, [kQueueThreads]);
  MOE_SHARED(unsigned, next_digit);
  MOE_SHARED(int, next_above);
  unsigned* words = queues.words + queues.at(e, lane, 0);
  int* positions = queues.positions + queues.at(e, lane, 0);
  const int64_t count = lanes * queues.blocks;
  const auto key_of = [&](int64_t word, int bit) {
    return ordered(rank.of(word % queues.blocks * kTokenBlock + bit, e));
  };

  // threshold: the lowest rank that is kept; equals: how many routes of that rank are kept.
  unsigned threshold = capacity == 0 ? ~0u : 0;
  int equals = capacity;
  for (int shift = 24; shift >= 0 && capacity > 0; shift -= 8) {
    const unsigned known = shift == 24 ? 0 : ~0u << (shift + 8);
    routes_of[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t word = threadIdx.x; word < count; word += kQueueThreads) {
      for (unsigned left = words[word]; left != 0; left &= left - 1) {
        const unsigned key = key_of(word, __ffs(static_cast<int>(left)) - 1);
        if ((key & known) == threshold) atomicAdd(&routes_of[key >> shift & 255], 1);
      }
    }
    __syncthreads();
    const unsigned digit = 255 - threadIdx.x;
    const int routes = routes_of[digit];
    uint64_t all;
    const auto above = static_cast<int>(block_scan(static_cast<uint64_t>(routes), sums, all));
    if (above < equals && equals <= above + routes) next_digit = digit, next_above = above;
    __syncthreads();
    threshold |= next_digit << shift;
    equals -= next_above;
  }

  uint64_t before = 0;  // high word: routes above the threshold; low word: routes of the threshold
  for (int64_t first = 0; first < count; first += kQueueThreads) {
    const int64_t word = first + threadIdx.x;
    unsigned above = 0, on = 0;
    for (unsigned left = word < count ? words[word] : 0; left != 0; left &= left - 1) {
      const unsigned key = key_of(word, __ffs(static_cast<int>(left)) - 1), bit = left & -left;
      above |= key > threshold ? bit : 0;
      on |= key == threshold ? bit : 0;
    }
    const uint64_t routes = static_cast<uint64_t>(__popc(above)) << 32 | static_cast<unsigned>(__popc(on));
    uint64_t all;
    const uint64_t here = before + block_scan(routes, sums, all);
    before += all;
    const int on_before = min(static_cast<int>(here & 0xffffffffu), equals);
    while (__popc(on) > equals - on_before) on &= ~(0x80000000u >> __clz(static_cast<int>(on)));
    if (word < count) {
      words[word] = above | on;
      const int position = before_lane + static_cast<int>(here >> 32) + on_before;
      positions[word] = position - queues.start(e, lane + static_cast<int>(word / queues.blocks), word % queues.blocks);
    }
    __syncthreads();
  }
}

// Where the routes of a gate go.
struct Places {
  int64_t capacity;
  const int* choice;
  const float* scores;
  int* expert;
  int* position;
  float* weight;
};

// Gives the routes of token s their expert, position and weight (rules 7 and 8 of docs/gating.md). Loads of two routes
// are in flight at once.
__device__ inline void place_token(const GateTokens& tokens, const GateQueues& queues, const Places& places,
                                   int64_t s) {
  constexpr int kTogether = 2;
  const moe_gate_config& config = tokens.config;
  const int choices = config.top_k;
  const int64_t block = s / kTokenBlock;
  // Calls visit(choice, expert or -1, position, score) for all choices.
  const auto for_each_route = [&](auto&& visit) {
    for (int first = 0; first < choices; first += kTogether) {
      int expert[kTogether], index[kTogether];
      float score[kTogether];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) {
        const int c = first + i, e = c < choices ? places.choice[s * choices + c] : -1;
        expert[i] = -1;
        score[i] = 0;
        if (e < 0) continue;
        const int lane = queues.lanes == 1 ? 0 : c;
        const int64_t at = queues.at(e, lane, block);
        const unsigned word = queues.words[at], bit = 1u << s % kTokenBlock;
        index[i] = queues.start(e, lane, block) + queues.positions[at] + __popc(word & (bit - 1));
        if ((word & bit) != 0 && index[i] < places.capacity) expert[i] = e;
        score[i] = places.scores[s * tokens.experts + e];
      }
#pragma unroll
      for (int i = 0; i < kTogether; ++i) {
        if (first + i < choices) visit(first + i, expert[i], index[i], score[i]);
      }
    }
  };
  float denominator = 1;
  if (config.normalization != MOE_RAW) {
    float sum = config.denominator_offset;
    for_each_route(
        [&](int, int e, int, float score) { sum += e >= 0 || config.normalization == MOE_CHOSEN ? score : 0.0f; });
    denominator = fmaxf(sum, config.normalization_epsilon);
  }
  for_each_route([&](int c, int e, int index, float score) {
    const int64_t route = s * choices + c;
    places.expert[route] = e;
    places.position[route] = e >= 0 ? index : -1;
    places.weight[route] = e >= 0 && denominator > 0 ? config.weight_scale * (score / denominator) : 0;
  });
}

// Drops routes by rank if the gate asks for it, and places all.
void place_routes(Launcher& launch, const GateTokens& tokens, const GateQueues& queues, const Places& places,
                  const Ranks& rank, const int* counts);

}  // namespace moe::cuda
