#include "moe/gate.h"

#include <algorithm>
#include <cfloat>

#include "core/routes.h"

namespace moe {
namespace {

// A checked copy of the config.
moe_gate_config check_config(const moe_gate_config* config, int64_t experts) {
  const moe_gate_config c = check_struct("config", config);
  const int64_t most = std::min(experts, kMostChoices);
  if (c.top_k < 1 || c.top_k > most) invalid("config.top_k is ", c.top_k, ", expected 1 to ", most);
  check_enum("config.score", c.score, kLastScore);
  check_enum("config.drop_policy", c.drop_policy, MOE_DROP_BEST_SCORE);
  check_enum("config.queue_order", c.queue_order, MOE_CHOICE_MAJOR);
  check_enum("config.normalization", c.normalization, MOE_SURVIVORS);
  check_enum("config.group_score", c.group_score, MOE_GROUP_TOP2_SUM);
  if (c.drop_policy != MOE_DROPLESS && c.capacity < 0) {
    invalid("config.capacity is ", c.capacity, ", expected 0 or more");
  }
  if (c.groups < 1 || experts % c.groups != 0) {
    invalid("config.groups is ", c.groups, ", which does not divide ", experts, " experts");
  }
  if (c.chosen_groups < 1 || c.chosen_groups > c.groups) {
    invalid("config.chosen_groups is ", c.chosen_groups, ", expected 1 to ", c.groups);
  }
  if (c.top_k > experts / c.groups * c.chosen_groups) {
    invalid("config.top_k is ", c.top_k, ", but ", c.chosen_groups, " groups hold ",
            experts / c.groups * c.chosen_groups, " experts");
  }
  if (c.auxiliary_choices < 1 || c.auxiliary_choices > c.top_k) {
    invalid("config.auxiliary_choices is ", c.auxiliary_choices, ", expected 1 to ", c.top_k);
  }
  check_enum("config.noise_first_choice", c.noise_first_choice, c.top_k);
  for (const auto& [name, value] : {std::pair("config.normalization_epsilon", c.normalization_epsilon),
                                    std::pair("config.denominator_offset", c.denominator_offset)}) {
    check_finite(name, value);
    if (value < 0) invalid(name, " is ", value, ", expected 0 or more");
  }
  check_finite("config.weight_scale", c.weight_scale);
  return c;
}

struct Checked {
  moe_gate_config config;
  moe_gate_inputs in;
  moe_routes routes;
  int64_t tokens, experts, choices;
};

// Checks what the forward writes of the routes and the backward reads.
Checked check_gate(const moe_gate_config* config, const moe_gate_inputs* inputs, const moe_routes* routes) {
  const moe_gate_inputs in = check_struct("inputs", inputs);
  const moe_tensor& logits = check_gated("logits", in.logits);
  const int64_t tokens = logits.shape[0], experts = logits.shape[1];
  check_optional("used", in.used, kUint8Only, {tokens});
  const moe_gate_config own = check_config(config, experts);
  const moe_routes table = check_struct("routes", routes);
  check_tensor("scores", table.scores, kFloat32Only, {tokens, experts});
  check_tensor("expert", table.expert, kInt32Only, {tokens, own.top_k});
  check_tensor("choice", table.choice, kInt32Only, {tokens, own.top_k});
  return {own, in, table, tokens, experts, own.top_k};
}

}  // namespace
}  // namespace moe

moe_status moe_gate_config_default(moe_gate_config* config) {
  return moe::guard(__func__, [&] {
    moe::check_struct("config", config) = {.struct_size = sizeof(moe_gate_config),
                                           .top_k = 1,
                                           .score = MOE_SOFTMAX,
                                           .drop_policy = MOE_DROPLESS,
                                           .queue_order = MOE_TOKEN_MAJOR,
                                           .normalization = MOE_RAW,
                                           .capacity = 0,
                                           .groups = 1,
                                           .chosen_groups = 1,
                                           .group_score = MOE_GROUP_MAXIMUM,
                                           .auxiliary_choices = 1,
                                           .noise_first_choice = 0,
                                           .normalization_epsilon = FLT_EPSILON,
                                           .weight_scale = 1.0f,
                                           .denominator_offset = 0.0f};
  });
}

moe_status moe_gate_forward(moe_stream stream, const moe_gate_config* config, const moe_gate_inputs* inputs,
                            const moe_routes* routes, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto [own, in, out, tokens, experts, choices] = moe::check_gate(config, inputs, routes);
    moe::check_optional("bias", in.bias, moe::kFloat32Only, {experts});
    moe::check_optional("noise", in.noise, moe::kFloat32Only, {tokens, experts});
    moe::check_optional("priority", in.priority, moe::kFloat32Only, {tokens, experts});
    if (in.bias != nullptr && in.noise != nullptr) {
      moe::invalid("bias and noise are given together, expected one of them");
    }
    if (own.drop_policy == MOE_DROP_PRIORITY && in.priority == nullptr) {
      moe::invalid("priority is null, MOE_DROP_PRIORITY needs it");
    }
    moe::check_tensor("position", out.position, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("weight", out.weight, moe::kFloat32Only, {tokens, choices});
    moe::check_tensor("counts", out.counts, moe::kInt32Only, {experts});
    moe::check_tensor("offsets", out.offsets, moe::kInt32Only, {experts + 1});
    moe::check_tensor("losses", out.losses, moe::kFloat32Only, {2});
    moe::check_written(
        {{"scores", out.scores},
         {"expert", out.expert},
         {"position", out.position},
         {"weight", out.weight},
         {"choice", out.choice},
         {"counts", out.counts},
         {"offsets", out.offsets},
         {"losses", out.losses}},
        {{"logits", in.logits}, {"used", in.used}, {"bias", in.bias}, {"noise", in.noise}, {"priority", in.priority}});
    MOE_CALL(stream, gate_forward, own, in, out);
  });
}

moe_status moe_gate_backward(moe_stream stream, const moe_gate_config* config, const moe_gate_inputs* inputs,
                             const moe_routes* routes, const moe_gate_gradients* gradients, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto [own, in, table, tokens, experts, choices] = moe::check_gate(config, inputs, routes);
    const moe_gate_gradients out = moe::check_struct("gradients", gradients);
    moe::check_tensor("dweight", out.dweight, moe::kFloat32Only, {tokens, choices});
    moe::check_tensor("dlogits", out.dlogits, moe::kFloat32Only, {tokens, experts});
    moe::check_optional("batch_used", out.batch_used, moe::kInt32Only, {1});
    moe::check_optional("batch_chosen", out.batch_chosen, moe::kInt32Only, {1, experts});
    if ((out.batch_used == nullptr) != (out.batch_chosen == nullptr)) {
      moe::invalid("batch_used and batch_chosen: one is null, expected both or none");
    }
    moe::check_written({{"dlogits", out.dlogits}}, {{"logits", in.logits},
                                                    {"batch_used", out.batch_used},
                                                    {"batch_chosen", out.batch_chosen},
                                                    {"used", in.used},
                                                    {"scores", table.scores},
                                                    {"expert", table.expert},
                                                    {"choice", table.choice},
                                                    {"dweight", out.dweight}});
    MOE_CALL(stream, gate_backward, own, in, table, out);
  });
}
