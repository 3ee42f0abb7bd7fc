// Load balance of the experts: sums against float64, token by token, and the gradient against central differences.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

struct BalanceInput {
  int64_t sequences, length, experts, choices;
  moe_balance_config config;
  Tensor scores, choice;

  int64_t tokens() const { return sequences * length; }
  bool is_used(int64_t s) const { return choice[s * choices] >= 0; }
};

std::vector<double> scores_of(int32_t score, const double* logits, int64_t experts) {
  std::vector<double> row(logits, logits + experts);
  double sum = 0;
  for (double& x : row) {
    x = score == MOE_SOFTMAX ? std::exp(x) : 1 / (1 + std::exp(-x));
    sum += x;
  }
  for (double& x : row) x /= score == MOE_SOFTMAX ? sum : 1;
  return row;
}

// Tokens with random choices, every fifth of them padding; `logits` receives the logits of the scores.
BalanceInput random_balance(int64_t sequences, int64_t length, int64_t experts, int64_t choices,
                            moe_balance_config config, std::vector<double>& logits) {
  const int64_t tokens = sequences * length;
  BalanceInput in{sequences,
                  length,
                  experts,
                  choices,
                  config,
                  Tensor(MOE_FLOAT32, {tokens, experts}),
                  Tensor(MOE_INT32, {tokens, choices})};
  std::mt19937_64 generator(static_cast<uint64_t>(tokens * 100 + experts));
  std::uniform_real_distribution<double> uniform(-3, 3);
  logits.resize(static_cast<size_t>(tokens * experts));
  for (double& x : logits) x = uniform(generator);
  for (int64_t s = 0; s < tokens; ++s) {
    const bool used = s % 5 != 4;
    const std::vector<double> row = scores_of(config.score, logits.data() + s * experts, experts);
    for (int64_t e = 0; e < experts; ++e) in.scores.set(s * experts + e, used ? row[static_cast<size_t>(e)] : 0);
    for (int64_t c = 0; c < choices; ++c) {
      in.choice.set(s * choices + c, used ? static_cast<double>(generator() % static_cast<uint64_t>(experts)) : -1);
    }
  }
  return in;
}

struct BalanceOutput {
  explicit BalanceOutput(const BalanceInput& in)
      : used(MOE_INT32, {in.sequences}),
        chosen(MOE_INT32, {in.sequences, in.experts}),
        scores(MOE_FLOAT64, {in.sequences, in.experts}),
        entropy(MOE_FLOAT64, {in.sequences}) {}
  Tensor used, chosen, scores, entropy;
};

moe_status run(moe_stream stream, const BalanceInput& in, const BalanceOutput& out, bool with_entropy = true) {
  const moe_tensor* entropy = with_entropy ? static_cast<const moe_tensor*>(out.entropy) : nullptr;
  return moe_balance_forward(stream, &in.config, in.scores, in.choice,
                             balance_sums(out.used, out.chosen, out.scores, entropy));
}

// The kernel's sums, and the sum of the sequences' losses, from the given scores [S, E].
struct BalanceReference {
  std::vector<double> used, chosen, scores, entropy;
  double loss = 0;

  BalanceReference(const BalanceInput& in, const std::vector<double>& of) {
    const auto size = static_cast<size_t>(in.sequences * in.experts);
    used.assign(static_cast<size_t>(in.sequences), 0);
    entropy = used;
    chosen.assign(size, 0);
    scores.assign(size, 0);
    for (int64_t s = 0; s < in.tokens(); ++s) {
      if (!in.is_used(s)) continue;
      const auto g = static_cast<size_t>(s / in.length);
      const double* row = &of[static_cast<size_t>(s * in.experts)];
      double* total = &scores[g * static_cast<size_t>(in.experts)];
      const double sum = std::accumulate(row, row + in.experts, 0.0);
      ++used[g];
      for (int64_t c = 0; c < in.config.auxiliary_choices; ++c) {
        ++chosen[g * static_cast<size_t>(in.experts) + static_cast<size_t>(in.choice[s * in.choices + c])];
      }
      for (int64_t e = 0; e < in.experts; ++e) {
        total[e] += in.config.normalized != 0 ? row[e] / sum : row[e];
        if (row[e] > 0) entropy[g] -= row[e] / sum * std::log(row[e] / sum);
      }
    }
    for (size_t i = 0; i < size; ++i) {
      const double n = used[i / static_cast<size_t>(in.experts)];
      if (n > 0) {
        loss += static_cast<double>(in.experts) / (in.config.auxiliary_choices * n * n) * chosen[i] * scores[i];
      }
    }
  }
};

class BalanceTest : public KernelTest {};

TEST_F(BalanceTest, SumsAreThoseOfFloat64OnEveryThreadCount) {
  for (const auto& [sequences, length, experts, choices] :
       {std::tuple{1, 1, 1, 1}, {1, 200, 7, 3}, {3, 65, 8, 2}, {2, 33, 40, 16}, {5, 3, 300, 4}, {1, 70, 1024, 8}}) {
    for (int32_t score : {MOE_SOFTMAX, MOE_SIGMOID}) {
      for (int32_t normalized : {0, 1}) {
        SCOPED_TRACE(::testing::Message() << sequences << " " << length << " " << experts << " " << normalized);
        std::vector<double> logits;
        const auto config = balance_config(score, normalized != 0 ? 1 : choices, normalized);
        const BalanceInput in = random_balance(sequences, length, experts, choices, config, logits);
        const BalanceOutput out(in), one(in), three(in);
        ASSERT_MOE_OK(run(stream, in, out));
        const BalanceReference want(in, values_of(in.scores));
        expect_near(out.used, want.used, 0, 0, "used");
        expect_near(out.chosen, want.chosen, 0, 0, "chosen");
        expect_near(out.scores, want.scores, 1e-13, 1e-13, "scores");
        expect_near(out.entropy, want.entropy, 1e-12, 1e-12, "entropy");
        ASSERT_MOE_OK(run(single, in, one));
        ASSERT_MOE_OK(run(triple, in, three, false));
        for (const BalanceOutput* other : {&one, &three}) {
          expect_same_bits(out.used, other->used, "used");
          expect_same_bits(out.chosen, other->chosen, "chosen");
          expect_same_bits(out.scores, other->scores, "scores");
        }
        expect_same_bits(out.entropy, one.entropy, "entropy");
      }
    }
  }
}

TEST_F(BalanceTest, LossIsThatOfFloat64) {
  for (const auto& [sequences, length, experts, choices] :
       {std::tuple{1, 200, 7, 3}, {3, 65, 8, 2}, {70, 5, 40, 16}, {2, 70, 1024, 8}}) {
    for (int32_t normalized : {0, 1}) {
      SCOPED_TRACE(::testing::Message() << sequences << " " << length << " " << experts << " " << normalized);
      std::vector<double> logits;
      const BalanceInput in =
          random_balance(sequences, length, experts, choices, balance_config(MOE_SIGMOID, choices, normalized), logits);
      const BalanceOutput out(in);
      ASSERT_MOE_OK(run(stream, in, out));
      const Tensor loss(MOE_FLOAT32, {1});
      for (moe_stream on : streams()) {
        ASSERT_MOE_OK(moe_balance_loss(on, &in.config, balance_sums(out.used, out.chosen, out.scores), 2, loss));
        expect_near(loss, {BalanceReference(in, values_of(in.scores)).loss / 2}, 0, 1e-7, "loss");
      }
    }
  }
}

// Steps of 1e-5: the error of the quotient is below 1e-8.
TEST_F(BalanceTest, BackwardMatchesCentralDifferences) {
  const double dloss = 0.75;
  for (const auto& [sequences, length, experts, choices] :
       {std::tuple{1, 11, 5, 2}, {3, 6, 8, 1}, {2, 7, 12, 4}, {1, 3, 70, 16}}) {
    for (int32_t score : {MOE_SOFTMAX, MOE_SIGMOID}) {
      for (int32_t normalized : {0, 1}) {
        SCOPED_TRACE(::testing::Message() << sequences << " " << experts << " " << score << " " << normalized);
        std::vector<double> logits;
        const BalanceInput in =
            random_balance(sequences, length, experts, choices, balance_config(score, choices, normalized), logits);
        const BalanceOutput sums(in);
        ASSERT_MOE_OK(run(stream, in, sums));
        const Tensor dlogits(MOE_FLOAT32, {in.tokens(), experts}), single_thread(MOE_FLOAT32, {in.tokens(), experts});
        for (const auto& [on, to] : {std::pair(stream, &dlogits), std::pair(single, &single_thread)}) {
          ASSERT_MOE_OK(moe_balance_backward(on, &in.config, dloss, in.scores,
                                             balance_sums(sums.used, sums.chosen, nullptr), *to));
        }
        expect_same_bits(dlogits, single_thread);
        std::vector<double> scores = values_of(in.scores);
        const std::vector<double> gradient = differences(logits, 1e-5, [&](size_t i) {
          const int64_t s = static_cast<int64_t>(i) / in.experts;
          if (in.is_used(s)) {
            const auto row = scores_of(score, logits.data() + s * in.experts, in.experts);
            std::copy(row.begin(), row.end(), scores.begin() + s * in.experts);
          }
          return dloss * BalanceReference(in, scores).loss;
        });
        expect_near(dlogits, gradient, 1e-6, 1e-5, "dlogits");
      }
    }
  }
}

TEST_F(BalanceTest, NoTokensHaveNoLoss) {
  std::vector<double> logits;
  for (int64_t sequences : {0, 2}) {
    const BalanceInput in = random_balance(sequences, 0, 4, 2, balance_config(MOE_SOFTMAX, 1, 1), logits);
    BalanceOutput out(in);
    for (Tensor* tensor : {&out.used, &out.chosen, &out.scores, &out.entropy}) tensor->fill(7);
    ASSERT_MOE_OK(run(stream, in, out));
    for (const Tensor* tensor : {&out.used, &out.chosen, &out.scores, &out.entropy}) {
      expect_near(*tensor, std::vector<double>(static_cast<size_t>(tensor->count())), 0, 0);
    }
  }
  const BalanceInput padding = random_balance(1, 3, 4, 2, balance_config(MOE_SIGMOID, 1, 1), logits);
  BalanceOutput out(padding);
  Tensor dlogits(MOE_FLOAT32, {3, 4});
  dlogits.fill(7);
  out.used.fill(0);
  out.chosen.fill(0);
  ASSERT_MOE_OK(moe_balance_backward(stream, &padding.config, 1, padding.scores,
                                     balance_sums(out.used, out.chosen, nullptr), dlogits));
  expect_near(dlogits, std::vector<double>(12), 0, 0, "dlogits");
  Tensor loss(MOE_FLOAT32, {1});
  loss.fill(7);
  out.scores.fill(3);  // must not be divided by 0
  out.chosen.fill(2);
  ASSERT_MOE_OK(moe_balance_loss(stream, &padding.config, balance_sums(out.used, out.chosen, out.scores), 1, loss));
  EXPECT_EQ(loss[0], 0);
}

TEST_F(BalanceTest, Refusals) {
  std::vector<double> logits;
  BalanceInput in = random_balance(2, 3, 4, 2, balance_config(MOE_SOFTMAX, 2, 0), logits);
  const BalanceOutput out(in);
  const Tensor dlogits(MOE_FLOAT32, {6, 4});
  const auto refused = [&](const char* text, auto&& change) {
    const moe_balance_config saved = in.config;
    change(in.config);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, run(stream, in, out));
    in.config = saved;
  };
  refused("score is 2", [](auto& c) { c.score = 2; });
  refused("normalized is 2", [](auto& c) { c.normalized = 2; });
  refused("auxiliary_choices is 0", [](auto& c) { c.auxiliary_choices = 0; });
  refused("choice has 2 choices a token, expected 3 to 16", [](auto& c) { c.auxiliary_choices = 3; });
  const Tensor four(MOE_INT32, {4}), chosen(MOE_INT32, {4, 4}), scores(MOE_FLOAT64, {4, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "scores has 6 tokens, which are not 4 equal sequences",
                     moe_balance_forward(stream, &in.config, in.scores, in.choice, balance_sums(four, chosen, scores)));
  const Tensor narrow(MOE_FLOAT32, {2, 4});
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "sums.scores is float32, expected float64",
      moe_balance_forward(stream, &in.config, in.scores, in.choice, balance_sums(out.used, out.chosen, narrow)));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "dloss is nan",
      moe_balance_backward(stream, &in.config, NAN, in.scores, balance_sums(out.used, out.chosen, nullptr), dlogits));
  const Tensor loss(MOE_FLOAT32, {1}), table(MOE_INT32, {2, 0}), none(MOE_FLOAT64, {2, 0});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sequences is 0, expected at least 1",
                     moe_balance_loss(stream, &in.config, balance_sums(out.used, out.chosen, out.scores), 0, loss));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "chosen has 0 experts",
                     moe_balance_loss(stream, &in.config, balance_sums(out.used, table, none), 1, loss));
  in.choice.set(3, 4);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "choice[3] is 4", run(stream, in, out));
}

}  // namespace
}  // namespace moe::testing
