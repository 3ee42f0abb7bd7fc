// The gate's forward by golden vectors: DeepSpeed's rules for one, two and three experts per token.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

class GateGoldenTest : public KernelTest {};

// The logits of the golden vectors: eight tokens, four experts; five tokens prefer expert 0.
GateInput golden(int32_t top_k) {
  GateInput in(8, 4, gate_config(top_k));
  in.logits = Tensor::of(MOE_FLOAT32, {8, 4}, {2,   1,   .1,  -1,  1.9, .2,  .3,  0,   //
                                               1.5, 1.4, -.5, .2,  2.5, -.3, .8,  .4,  //
                                               .1,  1.7, .6,  -.2, .9,  .3,  1.8, .5,  //
                                               1.2, .7,  .4,  1.1, .2,  0,   .1,  1.6});
  return in;
}

TEST_F(GateGoldenTest, TopOneWithPriorities) {
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

TEST_F(GateGoldenTest, TopTwo) {
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

TEST_F(GateGoldenTest, TopThree) {
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

}  // namespace
}  // namespace moe::testing
