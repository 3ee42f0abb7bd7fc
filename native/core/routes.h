// The table of routes that the gate writes and that dispatch and combine read: limits, shapes, values.
#pragma once

#include "core/check.h"

namespace moe {

inline constexpr int64_t kMostExperts = 1024;  // 32 for each lane of a warp in the CUDA gate
inline constexpr int64_t kMostChoices = 16;    // one per lane in the CUDA gate
inline constexpr int32_t kLastScore = MOE_SIGMOID;

inline void check_experts(const char* name, int64_t experts) {
  if (experts < 1 || experts > kMostExperts) {
    invalid(name, " has ", experts, " experts, expected 1 to ", kMostExperts);
  }
}

// A gate's logits or scores, [S, E].
inline const moe_tensor& check_gated(const char* name, const moe_tensor* table) {
  check_tensor(name, table, kFloat32Only, {kAny, kAny});
  check_experts(name, table->shape[1]);
  const int64_t tokens = table->shape[0], most = INT32_MAX / kMostChoices;
  if (tokens > most) invalid(name, " has ", tokens, " tokens, expected at most ", most, ": int32 counts the routes");
  return *table;
}

// The table of routes for dispatch: expert and position [S, K], offsets [E + 1].
inline moe_routes check_routes(const moe_routes* routes, int64_t tokens) {
  const moe_routes c = check_struct("routes", routes);
  check_tensor("expert", c.expert, kInt32Only, {tokens, kAny});
  const int64_t choices = c.expert->shape[1];
  if (choices > kMostChoices) invalid("expert has ", choices, " choices a token, expected at most ", kMostChoices);
  check_tensor("position", c.position, kInt32Only, {tokens, choices});
  check_tensor("offsets", c.offsets, kInt32Only, {kAny});
  if (c.offsets->shape[0] < 2) {
    invalid("offsets has shape ", shape_text(*c.offsets), ", expected one more than the experts");
  }
  return c;
}

}  // namespace moe
