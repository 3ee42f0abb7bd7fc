// The gate's table of routes, as dispatch and combine read it.
#pragma once

#include <cstdint>

#include "src/kernels.h"
#include "src/routes.h"

namespace moe::cpu {

struct Routes {
  // Refuses a table that does not lead to `rows`, or leads to one of them twice: threads may write them. Takes the
  // stream's shared slot 0 for that.
  Routes(Stream& stream, T expert, T position, T offsets, T rows)
      : choices(expert.shape[1]),
        expert_(static_cast<const int32_t*>(expert.data)),
        position_(static_cast<const int32_t*>(position.data)),
        offsets_(static_cast<const int32_t*>(offsets.data)) {
    check_offset_values(offsets, rows.shape[0]);
    check_route_values(expert, position, offsets, stream.shared<uint64_t>(0, route_words(offsets)));
  }

  // The row of choice c of token s, or -1 where the route was dropped.
  int64_t row(int64_t s, int64_t c) const {
    const int32_t e = expert_[s * choices + c];
    return e < 0 ? -1 : int64_t{offsets_[e]} + position_[s * choices + c];
  }

  // The rows of a token's kept routes, in choice order.
  struct Kept {
    int64_t count = 0;
    int64_t row[kMostChoices];
    int64_t choice[kMostChoices];
  };

  Kept kept(int64_t s) const {
    Kept kept;
    for (int64_t c = 0; c < choices; ++c) {
      kept.row[kept.count] = row(s, c);
      kept.choice[kept.count] = c;
      kept.count += kept.row[kept.count] >= 0;
    }
    return kept;
  }

  const int64_t choices;

 private:
  const int32_t* expert_;
  const int32_t* position_;
  const int32_t* offsets_;
};

}  // namespace moe::cpu
