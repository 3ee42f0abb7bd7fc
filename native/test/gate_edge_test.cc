// The gate's forward for a lone token, no token, padding, equal tokens, and the largest logits.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

class GateEdgeTest : public KernelTest {};

// Batch invariance: a dropless token's routing does not depend on the other tokens.
TEST_F(GateEdgeTest, ATokenAloneIsRoutedAsInABatch) {
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

// Padding takes no slot and enters no count or loss, wherever it is and whatever it holds (even NaN).
TEST_F(GateEdgeTest, PaddingChangesNothing) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    GateInput plain = random_gate(seed * 100 + 31);
    plain.used.reset();
    plain.noise.reset();
    plain.config.top_k = std::min<int32_t>(plain.config.top_k, 4);
    plain.config.auxiliary_choices = 1;
    plain.config.noise_first_choice = 0;
    std::mt19937_64 generator(seed);
    std::vector<int64_t> source;  // index of each padded token, -1 for padding
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

TEST_F(GateEdgeTest, TiesGoToTheLowestExpertAndTheEarlierToken) {
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

TEST_F(GateEdgeTest, MinusInfinityIsALegalLogit) {
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

TEST_F(GateEdgeTest, HugeLogitsStayFinite) {
  GateInput in(2, 3, gate_config(2));
  in.logits = Tensor::of(MOE_FLOAT32, {2, 3}, {3e38, -3e38, 1e38, -1000, -2000, -3000});
  const GateOutput out(in);
  ASSERT_MOE_OK(run_gate(stream, in, out));
  expect_near(out.scores, {1, 0, 0, 1, 0, 0}, 1e-7, 0, "scores");
  expect_near(out.choice, {0, 1, 0, 1}, 0, 0, "choice");
}

TEST_F(GateEdgeTest, NoTokensGiveEmptyQueues) {
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

}  // namespace
}  // namespace moe::testing
