// The keys that a query sees.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "moe/attention.h"

namespace moe {

// The keys up to its own position that a query sees: the last `window` ones, those of its chunk of that size, or all if
// window is 0.
struct VisibleKeys {
  int64_t window;
  bool chunked = false;

  static VisibleKeys of(const moe_attention_config& config) { return {config.window, config.mask == MOE_CHUNKED}; }
  int64_t first(int64_t position) const {
    if (window == 0) return 0;
    return chunked ? position / window * window : std::max<int64_t>(0, position - window + 1);
  }
  // One after the last position that sees a key.
  int64_t end(int64_t key) const {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    if (window == 0 || window > kMost - key) return kMost;
    return (chunked ? key / window * window : key) + window;
  }
};

}  // namespace moe
