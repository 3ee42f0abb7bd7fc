// The table of routes that the gate writes and dispatch and combine read: its limits and its shape.
#pragma once

#include "core/check.h"

namespace moe {

inline constexpr int64_t kMostExperts = 1024;
inline constexpr int64_t kMostChoices = 16;

// expert and position [S, K], offsets [E + 1].
inline void check_routes(int64_t tokens, const moe_tensor* expert, const moe_tensor* position,
                         const moe_tensor* offsets) {
  check_tensor("expert", expert, kInt32Only, {tokens, kAny});
  const int64_t choices = expert->shape[1];
  if (choices > kMostChoices) invalid("expert has ", choices, " choices a token, expected at most ", kMostChoices);
  check_tensor("position", position, kInt32Only, {tokens, choices});
  check_tensor("offsets", offsets, kInt32Only, {kAny});
  if (offsets->shape[0] < 2) {
    invalid("offsets has shape ", shape_text(*offsets), ", expected one more than the experts");
  }
}

}  // namespace moe
