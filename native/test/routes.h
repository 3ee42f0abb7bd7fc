// A valid table of routes for the tests of dispatch and combine: some routes dropped, some experts empty.
#pragma once

#include "test/testing.h"

namespace moe::testing {

struct RouteTable {
  RouteTable(int64_t tokens, int64_t choices, int64_t experts, uint64_t seed)
      : expert(MOE_INT32, {tokens, choices}),
        position(MOE_INT32, {tokens, choices}),
        offsets(MOE_INT32, {experts + 1}),
        weight(Tensor::random(MOE_FLOAT32, {tokens, choices}, seed, 0, 1)) {
    std::mt19937_64 generator(seed);
    std::vector<int64_t> kept(static_cast<size_t>(experts));
    for (int64_t s = 0; s < tokens; ++s) {
      const auto first = static_cast<int64_t>(generator() % static_cast<uint64_t>(experts));
      for (int64_t c = 0; c < choices; ++c) {
        const int64_t e = (first + c) % experts;
        const bool dropped = generator() % 4 == 0;
        expert.set(s * choices + c, dropped ? -1 : static_cast<double>(e));
        position.set(s * choices + c, dropped ? -1 : static_cast<double>(kept[static_cast<size_t>(e)]++));
        if (dropped) weight.set(s * choices + c, 0);
      }
    }
    for (int64_t e = 0; e < experts; ++e) {
      offsets.set(e + 1, offsets[e] + static_cast<double>(kept[static_cast<size_t>(e)]));
    }
  }

  int64_t rows() const { return static_cast<int64_t>(offsets[offsets.count() - 1]); }
  int64_t choices() const { return expert.view().shape[1]; }
  // The row of a route, -1 where dropped.
  int64_t row(int64_t route) const {
    if (expert[route] < 0) return -1;
    return static_cast<int64_t>(offsets[static_cast<int64_t>(expert[route])] + position[route]);
  }

  Tensor expert, position, offsets, weight;
};

}  // namespace moe::testing
