// The gate's backward against central differences of the float64 reference, with the table of routes fixed.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

class GateBackwardTest : public KernelTest {
 protected:
  static moe_status run(moe_stream stream, const GateInput& in, const GateOutput& table, const Tensor& dweight,
                        float dauxiliary, float dz, const Tensor& dlogits) {
    return moe_gate_backward(stream, &in.config, gate_inputs(in.logits, view(in.used), nullptr, nullptr, nullptr),
                             chosen_routes(table.scores, table.expert, table.choice),
                             gate_gradients(dauxiliary, dz, dweight, dlogits));
  }

  // d/dlogits of sum(weight * dweight) + dauxiliary * auxiliary + dz * z, step 1e-5, error of the quotient below 1e-8.
  static std::vector<double> expected_gradient(const GateInput& in, const GateOutput& table, const Tensor& dweight,
                                               float dauxiliary, float dz) {
    GateReference reference;
    reference.expert = values_of(table.expert);
    reference.choice = values_of(table.choice);
    std::vector<double> logits = values_of(in.logits);
    const auto loss = [&](size_t) {
      reference_weigh(in, logits, reference);
      double sum = dauxiliary * reference.losses[0] + dz * reference.losses[1];
      for (int64_t i = 0; i < dweight.count(); ++i) sum += dweight[i] * reference.weight[static_cast<size_t>(i)];
      return sum;
    };
    return differences(logits, 1e-5, loss);
  }

  void expect_gradient_of(const GateInput& in, float dauxiliary, float dz, uint64_t seed) {
    const GateOutput table(in);
    ASSERT_MOE_OK(run_gate(single, in, table));
    const Tensor dweight = Tensor::random(MOE_FLOAT32, {in.tokens, in.config.top_k}, seed);
    const Tensor dlogits(MOE_FLOAT32, {in.tokens, in.experts});
    ASSERT_MOE_OK(run(single, in, table, dweight, dauxiliary, dz, dlogits));
    expect_near(dlogits, expected_gradient(in, table, dweight, dauxiliary, dz), 2e-6, 1e-4, "dlogits");
  }
};

TEST_F(GateBackwardTest, MatchesCentralDifferences) {
  for (int32_t normalization : {MOE_RAW, MOE_CHOSEN, MOE_SURVIVORS}) {
    for (int32_t score : {MOE_SOFTMAX, MOE_SIGMOID}) {
      for (int32_t policy : {MOE_DROPLESS, MOE_DROP_POSITION, MOE_DROP_PROBABILITY}) {
        for (const auto& [dauxiliary, dz] : {std::pair{0.0f, 0.0f}, {0.7f, 0.0f}, {0.0f, 0.3f}, {-0.4f, 0.2f}}) {
          SCOPED_TRACE(::testing::Message() << normalization << " " << score << " " << policy << " " << dauxiliary);
          GateInput in(9, 11, gate_config(3));
          in.config.normalization = normalization;
          in.config.score = score;
          in.config.drop_policy = policy;
          in.config.capacity = 2;
          in.config.weight_scale = 1.5f;
          in.config.denominator_offset = 0.01f;
          in.config.auxiliary_choices = dz == 0 ? 1 : 3;
          in.logits = Tensor::random(MOE_FLOAT32, {9, 11}, 5, -2, 2);
          in.used = Tensor(MOE_UINT8, {9});
          in.used->fill(1);
          in.used->set(4, 0);
          expect_gradient_of(in, dauxiliary, dz, 6);
        }
      }
    }
  }
}

TEST_F(GateBackwardTest, MatchesCentralDifferencesOfRandomCases) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    GateInput in = random_gate(seed * 100 + 77);
    if (in.tokens * in.experts > 300) continue;
    expect_gradient_of(in, 0.5f, 0.1f, seed);
    if (HasFailure()) return;
  }
}

TEST_F(GateBackwardTest, MatchesCentralDifferencesOfManyExpertsAndChoices) {
  for (const auto& [tokens, experts, top_k] :
       {std::tuple{0, 5, 2}, {33, 9, 4}, {35, 17, 16}, {5, 33, 8}, {3, 130, 3}, {2, 513, 2}, {2, 1024, 16}}) {
    for (int32_t score : {MOE_SOFTMAX, MOE_SIGMOID}) {
      SCOPED_TRACE(::testing::Message() << tokens << " " << experts << " " << score);
      GateInput in(tokens, experts, gate_config(top_k));
      in.config.score = score;
      in.config.normalization = MOE_SURVIVORS;
      in.config.drop_policy = MOE_DROP_POSITION;
      in.config.capacity = 3;
      in.config.auxiliary_choices = top_k;
      in.logits = Tensor::random(MOE_FLOAT32, {tokens, experts}, 5, -2, 2);
      expect_gradient_of(in, 0.5f, 0.1f, 6);
    }
  }
}

// If the sum of scores is below epsilon the denominator is a constant, like with torch.clamp.
TEST_F(GateBackwardTest, TheBoundOfTheDenominatorBlocksItsGradient) {
  GateInput in(2, 3, gate_config(2));
  in.config.normalization = MOE_CHOSEN;
  in.config.score = MOE_SIGMOID;
  in.config.normalization_epsilon = 4;
  in.logits = Tensor::of(MOE_FLOAT32, {2, 3}, {.1, -.2, .3, 1, 2, -1});
  expect_gradient_of(in, 0, 0, 3);
}

TEST_F(GateBackwardTest, PaddingAndUnchosenExpertsGetNothingFromWeights) {
  GateInput in(3, 4, gate_config(1));
  in.config.score = MOE_SIGMOID;
  in.logits = Tensor::random(MOE_FLOAT32, {3, 4}, 1);
  in.used = Tensor::of(MOE_UINT8, {3}, {1, 0, 1});
  const GateOutput table(in);
  ASSERT_MOE_OK(run_gate(stream, in, table));
  Tensor dweight(MOE_FLOAT32, {3, 1}), dlogits = Tensor::random(MOE_FLOAT32, {3, 4}, 2);
  dweight.fill(1);
  ASSERT_MOE_OK(run(stream, in, table, dweight, 0, 0, dlogits));
  for (int64_t s = 0; s < 3; ++s) {
    for (int64_t e = 0; e < 4; ++e) EXPECT_EQ(dlogits[4 * s + e] != 0, table.choice[s] == static_cast<double>(e));
  }
}

TEST_F(GateBackwardTest, TheSameBitsOnEveryThreadCount) {
  GateInput in(700, 60, gate_config(2));
  in.config.normalization = MOE_CHOSEN;
  in.logits = Tensor::random(MOE_FLOAT32, {700, 60}, 1);
  const GateOutput table(in);
  ASSERT_MOE_OK(run_gate(stream, in, table));
  const Tensor dweight = Tensor::random(MOE_FLOAT32, {700, 2}, 2);
  const Tensor one(MOE_FLOAT32, {700, 60}), two(MOE_FLOAT32, {700, 60}), three(MOE_FLOAT32, {700, 60});
  ASSERT_MOE_OK(run(single, in, table, dweight, 0.1f, 0.2f, one));
  ASSERT_MOE_OK(run(stream, in, table, dweight, 0.1f, 0.2f, two));
  ASSERT_MOE_OK(run(triple, in, table, dweight, 0.1f, 0.2f, three));
  expect_same_bits(one, two);
  expect_same_bits(one, three);
}

TEST_F(GateBackwardTest, RefusesTablesThatNoGateWrote) {
  GateInput in(2, 3, gate_config(1));
  in.logits = Tensor::random(MOE_FLOAT32, {2, 3}, 1);
  GateOutput table(in);
  ASSERT_MOE_OK(run_gate(stream, in, table));
  const Tensor dweight(MOE_FLOAT32, {2, 1}), dlogits(MOE_FLOAT32, {2, 3});
  table.choice.set(1, 3);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "choice[1] is 3", run(stream, in, table, dweight, 0, 0, dlogits));
  table.choice.set(1, 2);
  table.expert.set(1, 1);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expert[1, 0] is 1", run(stream, in, table, dweight, 0, 0, dlogits));
  const Tensor narrow(MOE_FLOAT32, {2, 2});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dlogits has shape [2, 2]", run(stream, in, table, dweight, 0, 0, narrow));
}

}  // namespace
}  // namespace moe::testing
