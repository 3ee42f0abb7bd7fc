// The gate's forward: against the float64 reference, DeepSpeed's rules as golden vectors, and its invariants.
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

  // The choices are right; the table keeps of each queue what the drop policy says. In S log S.
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

  // The logits of the golden vectors: eight tokens, four experts; five tokens prefer expert 0.
  GateInput golden(int32_t top_k) {
    GateInput in(8, 4, gate_config(top_k));
    in.logits = Tensor::of(MOE_FLOAT32, {8, 4}, {2,   1,   .1,  -1,  1.9, .2,  .3,  0,     //
                                                 1.5, 1.4, -.5, .2,  2.5, -.3, .8,  .4,    //
                                                 .1,  1.7, .6,  -.2, .9,  .3,  1.8, .5,    //
                                                 1.2, .7,  .4,  1.1, .2,  0,   .1,  1.6});
    return in;
  }
};

TEST_F(GateTest, MatchesTheReference) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
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
      for (int32_t policy : {MOE_DROPLESS, MOE_DROP_POSITION, MOE_DROP_PRIORITY}) {
        GateInput in(tokens, experts, gate_config(top_k));
        in.config.queue_order = order;
        in.config.drop_policy = policy;
        in.config.capacity = tokens * top_k / experts;
        in.config.normalization = MOE_SURVIVORS;
        in.logits = Tensor::random(MOE_FLOAT32, {tokens, experts}, 7, -4, 4);
        in.priority = Tensor::random(MOE_FLOAT32, {tokens, experts}, 8, 0, 1);
        const GateOutput out(in), one(in), three(in);
        ASSERT_MOE_OK(run_gate(stream, in, out));
        expect_reference(in, out);
        ASSERT_MOE_OK(run_gate(single, in, one));
        ASSERT_MOE_OK(run_gate(triple, in, three));
        expect_same(out, one);
        expect_same(out, three);
      }
    }
  }
}

// Every number of experts that a kernel may treat in its own way, with up to 16 choices and blocks that are not full.
TEST_F(GateTest, MatchesTheReferenceForEveryNumberOfExperts) {
  const int64_t tokens[] = {1, 31, 32, 33, 65};
  int32_t n = 0;
  for (int64_t experts : {1, 7, 8, 9, 16, 17, 32, 33, 64, 65, 128, 130, 256, 258, 512, 513, 1024}) {
    SCOPED_TRACE(experts);
    GateInput in(tokens[n % 5], experts, gate_config(static_cast<int32_t>(std::min<int64_t>(experts, 16))));
    in.config.drop_policy = n % 4;
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

// More tokens than fit a pass over a queue, of which nearly all are in one; priorities of few values, so that the one
// that divides the kept from the dropped is shared by many.
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

TEST_F(GateTest, GoldenTopOneWithPriorities) {
  GateInput in = golden(1);
  in.config.drop_policy = MOE_DROP_PRIORITY;
  in.config.capacity = 2;
  in.priority = Tensor(MOE_FLOAT32, {8, 4});
  for (int64_t i = 0; i < 32; ++i) in.priority->set(i, 1 - static_cast<double>(i / 4) / 8);  // earlier tokens first
  const GateOutput out(in);
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.choice, {0, 0, 0, 0, 1, 2, 0, 3}, 0, 0, "choice");
  expect_near(out.counts, {5, 1, 1, 1}, 0, 0, "counts");
  expect_near(out.expert, {0, 0, -1, -1, 1, 2, -1, 3}, 0, 0, "expert");
  expect_near(out.position, {0, 1, -1, -1, 0, 0, -1, 0}, 0, 0, "position");
  expect_near(out.weight, {.638066, .651827, 0, 0, .593706, .525698, 0, .598221}, 1e-6, 0, "weight");
  EXPECT_NEAR(out.losses[0], 1.318314, 1e-6);
  for (int64_t i = 0; i < 32; ++i) in.priority->set(i, static_cast<double>(i / 4) / 8);  // later tokens first
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.expert, {-1, -1, -1, 0, 1, 2, 0, 3}, 0, 0, "expert");
  EXPECT_NEAR(out.weight[3], .732091, 1e-6);
  EXPECT_NEAR(out.weight[6], .337758, 1e-6);
}

TEST_F(GateTest, GoldenTopTwo) {
  GateInput in = golden(2);
  in.config.drop_policy = MOE_DROP_POSITION;
  in.config.queue_order = MOE_CHOICE_MAJOR;
  in.config.normalization = MOE_SURVIVORS;
  in.config.capacity = 4;
  const GateOutput out(in);
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.choice, {0, 1, 0, 2, 0, 1, 0, 2, 1, 2, 2, 0, 0, 3, 3, 0}, 0, 0, "choice");
  expect_near(out.counts, {7, 3, 4, 2}, 0, 0, "counts");
  expect_near(out.expert, {0, 1, 0, 2, 0, 1, 0, 2, 1, 2, 2, -1, -1, 3, 3, -1}, 0, 0, "expert");
  expect_near(out.position, {0, 1, 1, 1, 2, 2, 3, 2, 0, 3, 0, -1, -1, 1, 0, -1}, 0, 0, "position");
  expect_near(out.weight,
              {.731059, .268941, .832018, .167982, .524979, .475021, .845535, .154465,  //
               .750260, .249740, 1, 0, 0, 1, 1, 0},
              1e-6, 0, "weight");
  EXPECT_NEAR(out.losses[0], 1.318314, 1e-6);
  in.config.capacity = 2;
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.expert, {0, 1, 0, 2, -1, -1, -1, -1, 1, -1, 2, -1, -1, 3, 3, -1}, 0, 0, "expert");
  expect_near(out.weight, {.731059, .268941, .832018, .167982, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0}, 1e-6, 0, "weight");
}

TEST_F(GateTest, GoldenTopThree) {
  GateInput in = golden(3);
  in.config.normalization = MOE_SURVIVORS;
  in.config.auxiliary_choices = 3;
  in.config.capacity = 3;
  // Row s has a 1 where a route of token s to expert e survives.
  const auto mask = [&](const GateOutput& out) {
    std::string text;
    for (int64_t s = 0; s < 8; ++s) {
      std::string row = "0000 ";
      for (int64_t c = 0; c < 3; ++c) {
        if (out.expert[3 * s + c] >= 0) row[static_cast<size_t>(out.expert[3 * s + c])] = '1';
      }
      text += row;
    }
    return text;
  };
  const auto weight_of = [](const GateOutput& out, int64_t s, int64_t e) {
    for (int64_t c = 0; c < 3; ++c) {
      if (out.expert[3 * s + c] == static_cast<double>(e)) return out.weight[3 * s + c];
    }
    return 0.0;
  };
  const GateOutput out(in);
  in.config.drop_policy = MOE_DROP_PROBABILITY;
  ASSERT_MOE_OK(run_gate(stream, in, out));
  EXPECT_EQ(mask(out), "1100 1000 0100 1010 0110 0011 0001 0001 ");
  expect_near(out.counts, {8, 5, 6, 5}, 0, 0, "counts");
  EXPECT_NEAR(out.losses[0], 1.067659, 1e-6);
  EXPECT_NEAR(weight_of(out, 0, 0), .731059, 1e-6);
  EXPECT_NEAR(weight_of(out, 0, 1), .268941, 1e-6);
  EXPECT_NEAR(weight_of(out, 5, 2), .785835, 1e-6);
  EXPECT_NEAR(weight_of(out, 5, 3), .214165, 1e-6);
  in.config.drop_policy = MOE_DROP_POSITION;
  ASSERT_MOE_OK(run_gate(stream, in, out));
  EXPECT_EQ(mask(out), "1110 1110 1101 0011 0000 0001 0000 0000 ");
  EXPECT_NEAR(weight_of(out, 2, 0), .459270, 1e-6);
  EXPECT_NEAR(weight_of(out, 2, 1), .415565, 1e-6);
  EXPECT_NEAR(weight_of(out, 2, 3), .125166, 1e-6);
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

// Batch invariance: a dropless token's routing does not depend on the tokens beside it.
TEST_F(GateTest, ATokenAloneIsRoutedAsInABatch) {
  const int64_t tokens = 150, experts = 13;
  GateInput all(tokens, experts, gate_config(3));
  all.config.normalization = MOE_CHOSEN;
  all.logits = Tensor::random(MOE_FLOAT32, {tokens, experts}, 3, -3, 3);
  const GateOutput whole(all);
  ASSERT_MOE_OK(run_gate(stream, all, whole));
  for (int64_t s = 0; s < tokens; ++s) {
    GateInput alone(1, experts, all.config);
    for (int64_t e = 0; e < experts; ++e) alone.logits.set(e, all.logits[s * experts + e]);
    const GateOutput out(alone);
    ASSERT_MOE_OK(run_gate(stream, alone, out));
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_EQ(out.expert[c], whole.expert[3 * s + c]);
      EXPECT_EQ(out.weight[c], whole.weight[3 * s + c]);
    }
    for (int64_t e = 0; e < experts; ++e) EXPECT_EQ(out.scores[e], whole.scores[s * experts + e]);
  }
}

// Padding takes no slot and enters no count and no loss, wherever it lies and whatever it holds (NaN included).
TEST_F(GateTest, PaddingChangesNothing) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    GateInput plain = random_gate(seed * 100 + 31);
    plain.used.reset();
    plain.noise.reset();
    plain.config.top_k = std::min<int32_t>(plain.config.top_k, 4);
    plain.config.auxiliary_choices = 1;
    plain.config.noise_first_choice = 0;
    std::mt19937_64 generator(seed);
    std::vector<int64_t> source;  // of each padded token, -1 for padding
    for (int64_t s = 0; s < plain.tokens; ++s) {
      while (generator() % 3 == 0) source.push_back(-1);
      source.push_back(s);
    }
    source.push_back(-1);
    const auto tokens = static_cast<int64_t>(source.size());
    const int64_t experts = plain.experts, choices = plain.config.top_k;
    GateInput padded(tokens, experts, plain.config);
    padded.used = Tensor(MOE_UINT8, {tokens});
    padded.priority = Tensor(MOE_FLOAT32, {tokens, experts});
    if (plain.bias) padded.bias = Tensor::of(MOE_FLOAT32, {experts}, values_of(*plain.bias));
    for (int64_t s = 0; s < tokens; ++s) {
      padded.used->set(s, source[s] >= 0);
      for (int64_t e = 0; e < experts; ++e) {
        padded.logits.set(s * experts + e, source[s] < 0 ? NAN : plain.logits[source[s] * experts + e]);
        const bool ranked = source[s] >= 0 && plain.priority;
        padded.priority->set(s * experts + e, ranked ? (*plain.priority)[source[s] * experts + e] : 0);
      }
    }
    const GateOutput a(plain), b(padded);
    ASSERT_MOE_OK(run_gate(stream, plain, a));
    ASSERT_MOE_OK(run_gate(stream, padded, b));
    for (int64_t s = 0; s < tokens; ++s) {
      for (int64_t c = 0; c < choices; ++c) {
        const int64_t to = s * choices + c, from = source[s] * choices + c;
        EXPECT_EQ(b.expert[to], source[s] < 0 ? -1 : a.expert[from]);
        EXPECT_EQ(b.choice[to], source[s] < 0 ? -1 : a.choice[from]);
        EXPECT_EQ(b.position[to], source[s] < 0 ? -1 : a.position[from]);
        EXPECT_EQ(b.weight[to], source[s] < 0 ? 0 : a.weight[from]);
      }
    }
    expect_same_bits(a.counts, b.counts, "counts");
    expect_same_bits(a.offsets, b.offsets, "offsets");
    expect_near(b.losses, values_of(a.losses), 0, 2e-7, "losses");
    if (HasFailure()) return;
  }
}

TEST_F(GateTest, TiesGoToTheLowestExpertAndTheEarlierToken) {
  for (int64_t experts : {1, 2, 7, 8, 9, 33, 64, 100}) {
    const auto top_k = static_cast<int32_t>(std::min<int64_t>(experts, 3));
    GateInput in(5, experts, gate_config(top_k));
    in.config.drop_policy = MOE_DROP_PROBABILITY;
    in.config.capacity = 2;
    in.logits.fill(0.25);
    const GateOutput out(in);
    ASSERT_MOE_OK(run_gate(stream, in, out));
    for (int64_t s = 0; s < 5; ++s) {
      for (int64_t c = 0; c < top_k; ++c) {
        EXPECT_EQ(out.choice[s * top_k + c], c);
        EXPECT_EQ(out.expert[s * top_k + c], s < 2 ? c : -1);
      }
    }
  }
}

TEST_F(GateTest, MinusInfinityIsALegalLogit) {
  for (int32_t score : {MOE_SOFTMAX, MOE_SIGMOID}) {
    GateInput in(1, 5, gate_config(3));
    in.config.score = score;
    in.config.normalization = MOE_CHOSEN;
    in.logits = Tensor::of(MOE_FLOAT32, {1, 5}, {-INFINITY, 1, -INFINITY, -INFINITY, 2});
    const GateOutput out(in);
    ASSERT_MOE_OK(run_gate(stream, in, out));
    expect_near(out.choice, {4, 1, 0}, 0, 0, "choice");
    EXPECT_EQ(out.scores[0], 0);
    EXPECT_EQ(out.weight[2], 0);
    EXPECT_NEAR(out.weight[0] + out.weight[1], 1, 1e-6);
  }
}

TEST_F(GateTest, HugeLogitsStayFinite) {
  GateInput in(2, 3, gate_config(2));
  in.logits = Tensor::of(MOE_FLOAT32, {2, 3}, {3e38, -3e38, 1e38, -1000, -2000, -3000});
  const GateOutput out(in);
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.scores, {1, 0, 0, 1, 0, 0}, 1e-7, 0, "scores");
  expect_near(out.choice, {0, 1, 0, 1}, 0, 0, "choice");
}

TEST_F(GateTest, NoTokensGiveEmptyQueues) {
  for (int64_t padding : {0, 40}) {
    for (int32_t policy : {MOE_DROPLESS, MOE_DROP_POSITION, MOE_DROP_PROBABILITY, MOE_DROP_PRIORITY}) {
      for (int32_t order : {MOE_TOKEN_MAJOR, MOE_CHOICE_MAJOR}) {
        GateInput in(padding, 3, gate_config(2));
        in.config.drop_policy = policy;
        in.config.queue_order = order;
        in.logits.fill(NAN);
        in.priority = Tensor(MOE_FLOAT32, {padding, 3});
        in.used = Tensor(MOE_UINT8, {padding});
        GateOutput out(in);
        out.counts.fill(7);
        out.offsets.fill(7);
        out.losses.fill(7);
        ASSERT_MOE_OK(run_gate(stream, in, out));
        expect_near(out.counts, {0, 0, 0}, 0, 0, "counts");
        expect_near(out.offsets, {0, 0, 0, 0}, 0, 0, "offsets");
        expect_near(out.losses, {0, 0}, 0, 0, "losses");
        expect_near(out.expert, std::vector<double>(2 * padding, -1), 0, 0, "expert");
      }
    }
  }
  GateInput in(0, 2, gate_config(1));
  in.bias = Tensor::of(MOE_FLOAT32, {2}, {0, NAN});
  const GateOutput out(in);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias[1] is nan", run_gate(stream, in, out));
}

TEST_F(GateTest, RefusesValuesThatCannotBeRanked) {
  GateInput in = golden(2);
  const GateOutput out(in);
  const auto before = out.scores.bits();
  in.logits.set(5 * 4 + 3, NAN);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logits[5, 3] is NaN", run_gate(stream, in, out));
  in.logits.set(2 * 4, INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logits[2, 0] is inf", run_gate(stream, in, out));
  in = golden(2);
  for (int64_t e = 0; e < 4; ++e) in.logits.set(7 * 4 + e, -INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "every logit of token 7", run_gate(stream, in, out));
  in = golden(2);
  in.noise = Tensor(MOE_FLOAT32, {8, 4});
  in.noise->set(9, NAN);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "noise[2, 1] is NaN", run_gate(stream, in, out));
  in.noise.reset();
  in.priority = Tensor(MOE_FLOAT32, {8, 4});
  in.priority->set(31, -INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "priority[7, 3] is -inf", run_gate(stream, in, out));
  in.priority.reset();
  in.bias = Tensor(MOE_FLOAT32, {4});
  in.bias->set(1, INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias[1] is inf", run_gate(stream, in, out));
  if (std::string(backend_under_test()) == "cpu") {
    EXPECT_EQ(out.scores.bits(), before) << "a call that the CPU refuses writes nothing";
  }
}

TEST_F(GateTest, RefusesBadConfigs) {
  GateInput in = golden(2);
  const GateOutput out(in);
  const auto refused = [&](const char* text, auto&& change) {
    const moe_gate_config saved = in.config;
    change(in.config);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, run_gate(stream, in, out));
    in.config = saved;
  };
  refused("top_k is 5, expected 1 to 4", [](auto& c) { c.top_k = 5; });
  refused("top_k is 0", [](auto& c) { c.top_k = 0; });
  refused("score is 2", [](auto& c) { c.score = 2; });
  refused("drop_policy is -1", [](auto& c) { c.drop_policy = -1; });
  refused("queue_order is 9", [](auto& c) { c.queue_order = 9; });
  refused("normalization is 3", [](auto& c) { c.normalization = 3; });
  refused("capacity is -1", [](auto& c) { c.drop_policy = MOE_DROP_POSITION, c.capacity = -1; });
  refused("groups is 3, which does not divide 4", [](auto& c) { c.groups = 3; });
  refused("chosen_groups is 3", [](auto& c) { c.groups = 2, c.chosen_groups = 3; });
  refused("hold 1 experts", [](auto& c) { c.groups = 4, c.chosen_groups = 1; });
  refused("auxiliary_choices is 3", [](auto& c) { c.auxiliary_choices = 3; });
  refused("noise_first_choice is 3", [](auto& c) { c.noise_first_choice = 3; });
  refused("normalization_epsilon is -1", [](auto& c) { c.normalization_epsilon = -1; });
  refused("weight_scale is nan", [](auto& c) { c.weight_scale = NAN; });
  refused("struct_size 4", [](auto& c) { c.struct_size = 4; });
  refused("priority is null", [](auto& c) { c.drop_policy = MOE_DROP_PRIORITY; });
  in.bias = Tensor(MOE_FLOAT32, {4});
  in.noise = Tensor(MOE_FLOAT32, {8, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias and noise", run_gate(stream, in, out));
  in.bias.reset();
  in.noise.reset();
  in.logits.view().shape[1] = 3;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "scores has shape [8, 4], expected [8, 3]", run_gate(stream, in, out));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "config is null", moe_gate_config_default(nullptr));
}

}  // namespace
}  // namespace moe::testing
