// What the gate's forward refuses, and the messages.
#include "test/gate_reference.h"

namespace moe::testing {
namespace {

class GateRefusalTest : public KernelTest {};

TEST_F(GateRefusalTest, ValuesThatCannotBeRanked) {
  GateInput in(8, 4, gate_config(2));
  const GateOutput out(in);
  const auto before = out.scores.bits();
  in.logits.set(5 * 4 + 3, NAN);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logits[5, 3] is NaN", run_gate(stream, in, out));
  in.logits.set(2 * 4, INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "logits[2, 0] is inf", run_gate(stream, in, out));
  in = GateInput(8, 4, gate_config(2));
  for (int64_t e = 0; e < 4; ++e) in.logits.set(7 * 4 + e, -INFINITY);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "every logit of token 7", run_gate(stream, in, out));
  in = GateInput(8, 4, gate_config(2));
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
  if (on_cpu()) {
    EXPECT_EQ(out.scores.bits(), before) << "a call that the CPU refuses writes nothing";
  }
}

TEST_F(GateRefusalTest, BadConfigs) {
  GateInput in(8, 4, gate_config(2));
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
