#include "moe/gate.h"

#include <algorithm>
#include <cfloat>

#include "core/routes.h"

namespace moe {
namespace {

void check_choice(const char* name, int32_t value, int32_t last) {
  if (value < 0 || value > last) invalid("config.", name, " is ", value, ", expected 0 to ", last);
}

// The config as it was checked: its memory is the caller's.
moe_gate_config check_config(const moe_gate_config* config, int64_t experts) {
  const moe_gate_config c = check_struct("config", config);
  const int64_t most = std::min(experts, kMostChoices);
  if (c.top_k < 1 || c.top_k > most) invalid("config.top_k is ", c.top_k, ", expected 1 to ", most);
  check_choice("score", c.score, MOE_SIGMOID);
  check_choice("drop_policy", c.drop_policy, MOE_DROP_PRIORITY);
  check_choice("queue_order", c.queue_order, MOE_CHOICE_MAJOR);
  check_choice("normalization", c.normalization, MOE_SURVIVORS);
  check_choice("group_score", c.group_score, MOE_GROUP_TOP2_SUM);
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
  check_choice("noise_first_choice", c.noise_first_choice, c.top_k);
  for (const auto& [name, value] : {std::pair("config.normalization_epsilon", c.normalization_epsilon),
                                    std::pair("config.denominator_offset", c.denominator_offset)}) {
    check_finite(name, value);
    if (value < 0) invalid(name, " is ", value, ", expected 0 or more");
  }
  check_finite("config.weight_scale", c.weight_scale);
  return c;
}

const moe_tensor& check_logits(const moe_tensor* logits) {
  check_tensor("logits", logits, kFloat32Only, {kAny, kAny});
  const int64_t tokens = logits->shape[0], experts = logits->shape[1];
  if (experts < 1 || experts > kMostExperts) {
    invalid("logits has ", experts, " experts, expected 1 to ", kMostExperts);
  }
  if (tokens > INT32_MAX / kMostChoices) {
    invalid("logits has ", tokens, " tokens, expected at most ", INT32_MAX / kMostChoices, ": int32 counts the routes");
  }
  return *logits;
}

struct Inputs {
  moe_gate_config config;
  T logits;
  int64_t tokens, experts, choices;
};

// What the forward and the backward take alike.
Inputs check_inputs(const moe_gate_config* config, const moe_tensor* logits, const moe_tensor* used) {
  T checked = check_logits(logits);
  const int64_t tokens = checked.shape[0], experts = checked.shape[1];
  check_optional("used", used, kUint8Only, {tokens});
  const moe_gate_config own = check_config(config, experts);
  return {own, checked, tokens, experts, own.top_k};
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

moe_status moe_gate_forward(moe_stream stream, const moe_gate_config* config, const moe_tensor* logits,
                            const moe_tensor* used, const moe_tensor* bias, const moe_tensor* noise,
                            const moe_tensor* priority, const moe_tensor* scores, const moe_tensor* expert,
                            const moe_tensor* position, const moe_tensor* weight, const moe_tensor* choice,
                            const moe_tensor* counts, const moe_tensor* offsets, const moe_tensor* losses,
                            MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto [checked, in, tokens, experts, choices] = moe::check_inputs(config, logits, used);
    moe::check_optional("bias", bias, moe::kFloat32Only, {experts});
    moe::check_optional("noise", noise, moe::kFloat32Only, {tokens, experts});
    moe::check_optional("priority", priority, moe::kFloat32Only, {tokens, experts});
    if (bias != nullptr && noise != nullptr) moe::invalid("bias and noise are given together, expected one of them");
    if (checked.drop_policy == MOE_DROP_PRIORITY && priority == nullptr) {
      moe::invalid("priority is null, MOE_DROP_PRIORITY needs it");
    }
    moe::check_tensor("scores", scores, moe::kFloat32Only, {tokens, experts});
    moe::check_tensor("expert", expert, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("position", position, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("weight", weight, moe::kFloat32Only, {tokens, choices});
    moe::check_tensor("choice", choice, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("counts", counts, moe::kInt32Only, {experts});
    moe::check_tensor("offsets", offsets, moe::kInt32Only, {experts + 1});
    moe::check_tensor("losses", losses, moe::kFloat32Only, {2});
    moe::check_written({{"scores", scores},
                        {"expert", expert},
                        {"position", position},
                        {"weight", weight},
                        {"choice", choice},
                        {"counts", counts},
                        {"offsets", offsets},
                        {"losses", losses}},
                       {{"logits", logits}, {"used", used}, {"bias", bias}, {"noise", noise}, {"priority", priority}});
    MOE_LAUNCH(stream, gate_forward, checked, in, used, bias, noise, priority, *scores, *expert, *position, *weight,
               *choice, *counts, *offsets, *losses);
  });
}

moe_status moe_gate_backward(moe_stream stream, const moe_gate_config* config, const moe_tensor* logits,
                             const moe_tensor* used, const moe_tensor* scores, const moe_tensor* expert,
                             const moe_tensor* choice, const moe_tensor* dweight, float dauxiliary, float dz,
                             const moe_tensor* dlogits, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto [checked, in, tokens, experts, choices] = moe::check_inputs(config, logits, used);
    moe::check_tensor("scores", scores, moe::kFloat32Only, {tokens, experts});
    moe::check_tensor("expert", expert, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("choice", choice, moe::kInt32Only, {tokens, choices});
    moe::check_tensor("dweight", dweight, moe::kFloat32Only, {tokens, choices});
    moe::check_tensor("dlogits", dlogits, moe::kFloat32Only, {tokens, experts});
    moe::check_written({{"dlogits", dlogits}}, {{"logits", logits},
                                                {"used", used},
                                                {"scores", scores},
                                                {"expert", expert},
                                                {"choice", choice},
                                                {"dweight", dweight}});
    MOE_LAUNCH(stream, gate_backward, checked, in, used, *scores, *expert, *choice, *dweight, dauxiliary, dz, *dlogits);
  });
}
