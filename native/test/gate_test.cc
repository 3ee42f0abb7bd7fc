// The gate's forward: against the float64 reference, and its invariants.
#include "test/gate_reference.h"

#include <set>

namespace moe::testing {
namespace {

class GateTest : public KernelTest {
 protected:
  void expect_reference(const GateInput& in, const GateOutput& out) {
    const GateReference want = reference_gate(in);
    expect_near(out.choice, want.choice, 0, 0, "choice");
    expect_near(out.expert, want.expert, 0, 0, "expert");
    expect_near(out.position, want.position, 0, 0, "position");
    expect_near(out.counts, want.counts, 0, 0, "counts");
    expect_near(out.offsets, want.offsets, 0, 0, "offsets");
    expect_near(out.scores, want.scores, 1e-7, 2e-6, "scores");
    expect_near(out.weight, want.weight, 1e-7, 4e-6, "weight");
    expect_near(out.losses, want.losses, 1e-6, 4e-6, "losses");
  }

  void expect_same(const GateOutput& a, const GateOutput& b) {
    expect_same_routes(a, b);
    expect_same_bits(a.losses, b.losses, "losses");
  }

  // Expects right choices, and that each queue keeps what the drop policy says. In S log S.
  void expect_kept(const GateInput& in, const GateOutput& out) {
    const int64_t choices = in.config.top_k;
    std::vector<std::vector<int64_t>> queues(in.experts);
    for (int64_t i = 0; i < in.tokens * choices; ++i) {
      const int64_t c = i / in.tokens, s = i % in.tokens;
      const int64_t route = in.config.queue_order == MOE_CHOICE_MAJOR ? s * choices + c : i;
      queues[static_cast<size_t>(out.choice[route])].push_back(route);
    }
    std::vector<double> expert(in.tokens * choices, -1), position(in.tokens * choices, -1);
    for (int64_t e = 0; e < in.experts; ++e) {
      const std::vector<int64_t>& queue = queues[e];
      EXPECT_EQ(out.counts[e], static_cast<double>(queue.size()));
      const auto rank = [&](int64_t place) { return (*in.priority)[queue[place] / choices * in.experts + e]; };
      std::vector<int64_t> places(queue.size());
      std::iota(places.begin(), places.end(), 0);
      std::stable_sort(places.begin(), places.end(), [&](int64_t a, int64_t b) { return rank(a) > rank(b); });
      places.resize(std::min<size_t>(places.size(), in.config.capacity));
      std::sort(places.begin(), places.end());
      for (size_t i = 0; i < places.size(); ++i) {
        expert[queue[places[i]]] = static_cast<double>(e);
        position[queue[places[i]]] = static_cast<double>(i);
      }
    }
    expect_near(out.expert, expert, 0, 0, "expert");
    expect_near(out.position, position, 0, 0, "position");
  }
};

TEST_F(GateTest, MatchesTheReference) {
  for (uint64_t seed = 0; seed < 400; seed += emulated() ? 4 : 1) {
    SCOPED_TRACE(seed);
    const GateInput in = random_gate(seed * 100);
    const GateOutput out(in);
    ASSERT_MOE_OK(run_gate(stream, in, out));
    expect_reference(in, out);
    if (HasFailure()) return;
  }
}

TEST_F(GateTest, MatchesTheReferenceOnLargeShapesAndEveryThreadCount) {
  for (const auto& [tokens, experts, top_k] : {std::tuple{1000, 128, 2}, {300, 1024, 16}, {2100, 8, 2}}) {
    for (int32_t order : {MOE_TOKEN_MAJOR, MOE_CHOICE_MAJOR}) {
      for (int32_t policy : {MOE_DROPLESS, MOE_DROP_POSITION, MOE_DROP_PRIORITY, MOE_DROP_BEST_SCORE}) {
        GateInput in(tokens, experts, gate_config(top_k));
        in.config.queue_order = order;
        in.config.drop_policy = policy;
        in.config.capacity = tokens * top_k / experts;
        in.config.normalization = MOE_SURVIVORS;
        in.logits = Tensor::random(MOE_FLOAT32, {tokens, experts}, 7, -4, 4);
        in.priority = Tensor::random(MOE_FLOAT32, {tokens, experts}, 8, 0, 1);
        const GateOutput out(in);
        ASSERT_MOE_OK(run_gate(stream, in, out));
        expect_reference(in, out);
        if (emulated()) continue;  // the emulation has no threads
        for (moe_stream other : streams()) {
          const GateOutput again(in);
          ASSERT_MOE_OK(run_gate(other, in, again));
          expect_same(out, again);
        }
      }
    }
  }
}

// Every number of experts for which kernels may differ, with up to 16 choices and partial blocks.
TEST_F(GateTest, MatchesTheReferenceForEveryNumberOfExperts) {
  const int64_t tokens[] = {1, 31, 32, 33, 65};
  int32_t n = 0;
  for (int64_t experts : {1, 7, 8, 9, 16, 17, 32, 33, 64, 65, 128, 130, 256, 258, 512, 513, 1024}) {
    SCOPED_TRACE(experts);
    GateInput in(tokens[n % 5], experts, gate_config(static_cast<int32_t>(std::min<int64_t>(experts, 16))));
    in.config.drop_policy = n % 5;
    in.config.queue_order = n / 2 % 2;
    in.config.score = n % 2;
    in.config.normalization = n % 3;
    in.config.auxiliary_choices = n % 3 == 0 ? in.config.top_k : 1;
    in.config.capacity = std::max<int64_t>(in.tokens * in.config.top_k / experts, 1);
    if (experts % 2 == 0 && experts >= 32) {
      in.config.groups = experts % 32 == 0 ? 8 : 2;
      in.config.chosen_groups = in.config.groups / 2;
      in.config.group_score = n % 2;
    }
    in.logits = Tensor::random(MOE_FLOAT32, {in.tokens, experts}, 11, -4, 4);
    if (n % 3 == 1) {
      in.noise = Tensor::random(MOE_FLOAT32, {in.tokens, experts}, 12, -2, 2);
      in.config.noise_first_choice = n % 2;
    } else if (n % 3 == 2) {
      in.bias = Tensor::random(MOE_FLOAT32, {experts}, 13, -0.5, 0.5);
    }
    in.priority = Tensor::random(MOE_FLOAT32, {in.tokens, experts}, 14, -1, 1);
    const GateOutput out(in);
    ASSERT_MOE_OK(run_gate(stream, in, out));
    expect_reference(in, out);
    ++n;
  }
}

// More tokens than one pass over a queue, nearly all of them in one queue; few distinct priorities, so that many routes
// share the threshold.
TEST_F(GateTest, RanksLongQueuesWithManyEqualPriorities) {
  const int64_t tokens = 4200;
  GateInput in(tokens, 3, gate_config(2));
  in.config.drop_policy = MOE_DROP_PRIORITY;
  in.logits = Tensor(MOE_FLOAT32, {tokens, 3});
  in.priority = Tensor(MOE_FLOAT32, {tokens, 3});
  const double priorities[] = {-1e30, -0.25, -0.0, 0, 1e-40, 0.5};
  std::mt19937_64 generator(1);
  for (int64_t i = 0; i < 3 * tokens; ++i) {
    in.logits.set(i, i % 3 == 0 ? 3 : static_cast<double>(generator() % 100) / 50);
    in.priority->set(i, priorities[generator() % 6]);
  }
  for (int32_t order : {MOE_TOKEN_MAJOR, MOE_CHOICE_MAJOR}) {
    for (int64_t capacity : {0, 1, 2000, 4199}) {
      SCOPED_TRACE(capacity);
      in.config.queue_order = order;
      in.config.capacity = capacity;
      const GateOutput out(in);
      ASSERT_MOE_OK(run_gate(stream, in, out));
      expect_kept(in, out);
    }
  }
}

// V-MoE's order: the tokens with the best scores keep their routes; choice-major queues keep first choices before
// second ones.
TEST_F(GateTest, TheBestTokensKeepTheirRoutes) {
  GateInput in(4, 2, gate_config(2));
  in.logits = Tensor::of(MOE_FLOAT32, {4, 2}, {0, 1, 3, 0, 0, 1, 2, 0});
  in.config.drop_policy = MOE_DROP_BEST_SCORE;
  in.config.capacity = 3;
  const GateOutput out(in);
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.expert, {1, 0, 0, 1, -1, -1, 0, 1}, 0, 0, "expert");
  expect_near(out.position, {0, 0, 1, 1, -1, -1, 2, 2}, 0, 0, "position");
  in.config.queue_order = MOE_CHOICE_MAJOR;
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.expert, {1, 0, 0, 1, 1, -1, 0, -1}, 0, 0, "expert");
  expect_near(out.position, {0, 2, 0, 2, 1, -1, 1, -1}, 0, 0, "position");
}

TEST_F(GateTest, InvariantsHoldForEveryTable) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const GateInput in = random_gate(seed * 100 + 50);
    const GateOutput out(in);
    ASSERT_MOE_OK(run_gate(stream, in, out));
    std::set<double> rows;
    std::vector<double> kept(in.experts);
    for (int64_t i = 0; i < out.expert.count(); ++i) {
      if (out.expert[i] < 0) {
        EXPECT_EQ(out.position[i], -1);
        EXPECT_EQ(out.weight[i], 0);
        continue;
      }
      const auto e = static_cast<int64_t>(out.expert[i]);
      EXPECT_EQ(out.expert[i], out.choice[i]);
      EXPECT_TRUE(rows.insert(out.offsets[e] + out.position[i]).second) << "row taken twice";
      ++kept[e];
    }
    for (int64_t e = 0; e < in.experts; ++e) {
      EXPECT_EQ(out.offsets[e + 1] - out.offsets[e], kept[e]);
      const double bound = in.config.drop_policy == MOE_DROPLESS ? 1e9 : static_cast<double>(in.config.capacity);
      EXPECT_EQ(kept[e], std::min(out.counts[e], bound));
    }
    EXPECT_EQ(out.offsets[in.experts], static_cast<double>(rows.size()));
    if (HasFailure()) return;
  }
}

TEST_F(GateTest, TheSameBitsOnEveryRun) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const GateInput in = random_gate(seed * 100 + 7);
    const GateOutput first(in), again(in);
    ASSERT_MOE_OK(run_gate(single, in, first));
    ASSERT_MOE_OK(run_gate(triple, in, again));
    expect_same(first, again);
  }
}

}  // namespace
}  // namespace moe::testing
