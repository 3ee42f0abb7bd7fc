// The gate's forward: scores, choice of experts, queues, drops, weights, losses. Exact rules: docs/gating.md.
//
// logits [S, E] -> scores [S, E]; expert, position, weight, choice [S, K]; counts [E]; offsets [E + 1]; losses [2].
// Sources: GShard (arXiv 2006.16668, algorithm 1); DeepSpeed-MoE (arXiv 2201.05596, section 5.4: a table of routes
// instead of one-hot tensors); DeepSeek-V3 (arXiv 2412.19437, section 2.1.2: groups and the bias of the choice).
//
// A route's position is a prefix sum over histograms of fixed blocks of tokens, so it does not depend on the threads.
// An expert's queue is filled lane by lane: one lane with all choices (token-major), or one lane per choice
// (choice-major).
// Test: panamoe_test --gtest_filter='Gate*'. Time: ./panamoe bench gate.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/gate_values.h"
#include "cpu/gate/choice.h"
#include "cpu/parallel.h"

namespace moe::cpu {
namespace {

constexpr int64_t kTokenBlock = 64;  // tokens of a histogram and of a partial sum; fixes the order of sums
constexpr int64_t kGrain = 16384;    // numbers to read or write that are worth waking a thread for

// Refuses NaN and other illegal values before anything is written, so that no comparison sees a NaN.
void check_values(Stream& stream, const GateTokens& tokens) {
  check_bias_values(tokens.in.bias);
  const int64_t count = tokens.in.logits->shape[0];
  std::atomic<int64_t> first{count};
  parallel_blocks(stream, count, kGrain / tokens.experts() + 1, [&](int64_t begin, int64_t end) {
    const int64_t found = find_refused_token(tokens, begin, end);
    int64_t seen = first.load();
    while (found < end && found < seen && !first.compare_exchange_weak(seen, found)) {
    }
  });
  if (first < count) refuse_token(tokens.in, first);
}

// Calls visit(block) for every block of tokens, on all threads. `work`: numbers that a token reads and writes.
template <typename Visit>
void for_each_block(Stream& stream, int64_t blocks, int64_t work, Visit&& visit) {
  parallel_blocks(stream, blocks, kGrain / (kTokenBlock * work) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) visit(block);
  });
}

// The keys that rank routes in a queue: rank[s, e], or rank[s] if `experts` is 0.
struct Ranks {
  const float* rank;
  int64_t experts;

  float of(int64_t s, int32_t e) const { return experts == 0 ? rank[s] : rank[s * experts + e]; }
};

// The routes and their queues. Tables are [lanes * blocks, E] in queue order. Indices that are read again are in
// scratch memory, because another thread may write the call's tensors.
struct Queues {
  const moe_gate_config& config;
  int64_t tokens, experts, choices, blocks, lanes;
  const int32_t* choice;  // [S, K], scratch
  int32_t* histogram;     // routes per lane and block; after add_up, the position of the next route
  int32_t* expert;        // [S, K]
  int32_t* position;      // [S, K]

  int32_t* lane(int64_t lane, int64_t block) const { return histogram + (lane * blocks + block) * experts; }

  // Calls visit(route, expert or -1, counters of its lane) in queue order.
  template <typename Visit>
  void for_each_route(int64_t block, Visit&& visit) const {
    const int64_t begin = block * kTokenBlock, end = std::min(tokens, begin + kTokenBlock);
    for (int64_t l = 0; l < lanes; ++l) {
      int32_t* counters = lane(l, block);
      const int64_t first = lanes == 1 ? 0 : l, last = lanes == 1 ? choices : l + 1;
      for (int64_t s = begin; s < end; ++s) {
        for (int64_t c = first; c < last; ++c) visit(s * choices + c, choice[s * choices + c], counters);
      }
    }
  }

  void count(int64_t block) const {
    for (int64_t l = 0; l < lanes; ++l) std::fill_n(lane(l, block), experts, 0);
    for_each_route(block, [](int64_t, int32_t e, int32_t* counters) {
      if (e >= 0) ++counters[e];
    });
  }

  // Prefix sum: turns the histogram of experts begin .. end - 1 into first positions, and counts each expert's routes.
  void add_up(int64_t begin, int64_t end, int32_t* counts) const {
    std::fill(counts + begin, counts + end, 0);
    for (int64_t row = 0; row < lanes * blocks; ++row) {
      int32_t* positions = histogram + row * experts;
      for (int64_t e = begin; e < end; ++e) {
        const int32_t routes = positions[e];
        positions[e] = counts[e];
        counts[e] += routes;
      }
    }
  }

  void place(int64_t route, int32_t e, int64_t at) const {
    expert[route] = e;
    position[route] = static_cast<int32_t>(at);
  }

  void drop(int64_t route) const { place(route, -1, -1); }

  // Keeps the first `capacity` routes of every queue (MOE_DROPLESS, MOE_DROP_POSITION).
  void keep_first(int64_t block, int64_t capacity) const {
    for_each_route(block, [&](int64_t route, int32_t e, int32_t* counters) {
      if (e >= 0 && counters[e] < capacity) {
        place(route, e, counters[e]++);
      } else {
        drop(route);
      }
    });
  }

  // Lists the routes of every queue: routes[starts[e] + i] is expert e's i-th route, ranks[..] its rank.
  void list(int64_t block, const int32_t* starts, const Ranks& rank, int32_t* routes, float* ranks) const {
    for_each_route(block, [&](int64_t route, int32_t e, int32_t* counters) {
      if (e >= 0) {
        const int32_t at = starts[e] + counters[e]++;
        const float value = rank.of(route / choices, e);
        routes[at] = static_cast<int32_t>(route);
        ranks[at] = value == value ? value : -INFINITY;  // NaN would break the order that nth_element needs
      } else {
        drop(route);
      }
    });
  }

  // Keeps the `capacity` routes of one queue with the highest ranks, the earlier one of a tie, and numbers them in
  // queue order. MOE_DROP_BEST_SCORE keeps routes of earlier lanes before later ones. `order` is scratch memory for
  // `count` numbers.
  void keep_best(int32_t e, const int32_t* routes, int64_t count, const float* ranks, int32_t* order) const {
    const int64_t kept = std::min(count, config.capacity);
    const bool by_lane = config.drop_policy == MOE_DROP_BEST_SCORE && lanes > 1;
    const auto lane_of = [&](int32_t i) { return by_lane ? routes[i] % choices : 0; };
    std::iota(order, order + count, 0);
    if (kept < count) {
      std::nth_element(order, order + kept, order + count, [&](int32_t a, int32_t b) {
        if (lane_of(a) != lane_of(b)) return lane_of(a) < lane_of(b);
        return ranks[a] > ranks[b] || (ranks[a] == ranks[b] && a < b);
      });
      std::sort(order, order + kept);
    }
    for (int64_t i = 0; i < kept; ++i) place(routes[order[i]], e, i);
    for (int64_t i = kept; i < count; ++i) drop(routes[order[i]]);
  }
};

void weigh(const Queues& queues, const float* scores, int64_t begin, int64_t end, float* weight) {
  const moe_gate_config& config = queues.config;
  for (int64_t s = begin; s < end; ++s) {
    const int32_t* choice = queues.choice + s * queues.choices;
    const int32_t* expert = queues.expert + s * queues.choices;
    const auto kept = [&](int64_t c) { return read_once(expert + c) < 0 ? -1 : choice[c]; };
    const float* row = scores + s * queues.experts;
    float denominator = 1;
    if (config.normalization != MOE_RAW) {
      float sum = config.denominator_offset;
      for (int64_t c = 0; c < queues.choices; ++c) {
        const int32_t e = config.normalization == MOE_CHOSEN ? choice[c] : kept(c);
        sum += e < 0 ? 0 : row[e];
      }
      denominator = std::max(sum, config.normalization_epsilon);
    }
    for (int64_t c = 0; c < queues.choices; ++c) {
      const int32_t e = kept(c);
      weight[s * queues.choices + c] = e >= 0 && denominator > 0 ? config.weight_scale * (row[e] / denominator) : 0;
    }
  }
}

// The losses, in float64, from the blocks' sums in block order. sum_e score_e chosen_e is computed as the sum, over
// counted choices, of the chosen expert's total score.
void sum_losses(const Queues& queues, const GateSums* sums, float* losses) {
  losses[0] = losses[1] = 0;
  double square_logsumexp = 0, auxiliary = 0;
  int64_t used = 0;
  for (int64_t b = 0; b < queues.blocks; ++b) {
    square_logsumexp += sums[b].square_logsumexp;
    used += sums[b].used;
    for (int64_t e = 0; b > 0 && e < queues.experts; ++e) sums[0].scores[e] += sums[b].scores[e];
  }
  if (used == 0) return;
  const int64_t counted = queues.config.auxiliary_choices;
  for (int64_t s = 0; s < queues.tokens; ++s) {
    for (int64_t c = 0; c < counted; ++c) {
      const int32_t e = queues.choice[s * queues.choices + c];
      if (e >= 0) auxiliary += sums[0].scores[e];
    }
  }
  const auto tokens = static_cast<double>(used);
  losses[0] = static_cast<float>(auxiliary * static_cast<double>(queues.experts) / (counted * tokens * tokens));
  losses[1] = static_cast<float>(square_logsumexp / tokens);
}

template <typename X>
X* data(Tensor tensor) {
  return static_cast<X*>(tensor.data);
}

}  // namespace

void gate_forward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& out) {
  const int64_t count = in.logits->shape[0], experts = in.logits->shape[1], choices = config.top_k;
  Arena& arena = stream.arena();
  moe_tensor chosen = *out.choice;
  chosen.data = arena.take<int32_t>(count * choices);
  const GateTokens tokens{config, in, *out.scores, chosen};
  check_values(stream, tokens);

  const int64_t blocks = (count + kTokenBlock - 1) / kTokenBlock;
  const int64_t lanes = config.queue_order == MOE_CHOICE_MAJOR ? choices : 1;
  const Queues queues{config,
                      count,
                      experts,
                      choices,
                      blocks,
                      lanes,
                      data<int32_t>(chosen),
                      arena.take<int32_t>(lanes * blocks * experts),
                      data<int32_t>(*out.expert),
                      data<int32_t>(*out.position)};
  auto* sums = arena.take<GateSums>(blocks);
  auto* score_sums = arena.take<double>(blocks * experts);
  for_each_block(stream, blocks, experts, [&](int64_t block) {
    const int64_t begin = block * kTokenBlock, end = std::min(count, begin + kTokenBlock);
    sums[block].scores = score_sums + block * experts;
    choose_experts(tokens, begin, end, sums[block]);
    std::copy(queues.choice + begin * choices, queues.choice + end * choices,
              data<int32_t>(*out.choice) + begin * choices);
    queues.count(block);
  });
  sum_losses(queues, sums, data<float>(*out.losses));

  auto* asked = arena.take<int32_t>(experts);
  parallel_blocks(stream, experts, kGrain / (lanes * blocks + 1) + 1,
                  [&](int64_t begin, int64_t end) { queues.add_up(begin, end, asked); });
  std::copy_n(asked, experts, data<int32_t>(*out.counts));
  const int64_t capacity = config.drop_policy == MOE_DROPLESS ? INT32_MAX : config.capacity;
  int32_t rows = 0;
  for (int64_t e = 0; e < experts; ++e) {
    data<int32_t>(*out.offsets)[e] = rows;
    rows += static_cast<int32_t>(std::min<int64_t>(asked[e], capacity));
  }
  data<int32_t>(*out.offsets)[experts] = rows;

  const auto weigh_block = [&](int64_t block) {
    weigh(queues, data<float>(*out.scores), block * kTokenBlock, std::min(count, (block + 1) * kTokenBlock),
          data<float>(*out.weight));
  };
  if (config.drop_policy == MOE_DROPLESS || config.drop_policy == MOE_DROP_POSITION) {
    for_each_block(stream, blocks, choices, [&](int64_t block) {
      queues.keep_first(block, capacity);
      weigh_block(block);
    });
    return;
  }
  auto* starts = arena.take<int32_t>(experts + 1);
  starts[0] = 0;
  std::partial_sum(asked, asked + experts, starts + 1);
  auto* routes = arena.take<int32_t>(count * choices);
  auto* ranks = arena.take<float>(count * choices);
  auto* order = arena.take<int32_t>(count * choices);
  Ranks rank{data<float>(config.drop_policy == MOE_DROP_PRIORITY ? *in.priority : *out.scores), experts};
  if (config.drop_policy == MOE_DROP_BEST_SCORE) {
    auto* best = arena.take<float>(count);
    for_each_block(stream, blocks, experts, [&](int64_t block) {
      for (int64_t s = block * kTokenBlock; s < std::min(count, (block + 1) * kTokenBlock); ++s) {
        best[s] = *std::max_element(rank.rank + s * experts, rank.rank + (s + 1) * experts);
      }
    });
    rank = {best, 0};
  }
  for_each_block(stream, blocks, choices, [&](int64_t block) { queues.list(block, starts, rank, routes, ranks); });
  parallel_blocks(stream, experts, experts * (kGrain / 4) / (count * choices + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      queues.keep_best(static_cast<int32_t>(e), routes + starts[e], asked[e], ranks + starts[e], order + starts[e]);
    }
  });
  for_each_block(stream, blocks, choices, weigh_block);
}

}  // namespace moe::cpu
