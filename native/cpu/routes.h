// The gate's table of routes, checked and copied for dispatch and combine.
#pragma once

#include <cstdint>

#include "core/kernels.h"
#include "core/routes.h"
#include "cpu/indices.h"

namespace moe::cpu {

struct Routes {
  // Refuses a table with a route outside `rows`, or with two routes to one row, which two threads might write. Rows are
  // copied to the stream's shared slots 0 to 2, so that other threads cannot change them.
  Routes(Stream& stream, const moe_routes& routes, Tensor rows) : choices(routes.expert->shape[1]) {
    const int64_t experts = routes.offsets->shape[0] - 1;
    const int32_t* starts = checked_offsets(stream, *routes.offsets, rows.shape[0]);
    auto* taken = stream.arena().take<uint64_t>(route_words(starts[experts]));
    auto* table = stream.arena().take<int32_t>(element_count(*routes.expert));
    check_route_values(*routes.expert, *routes.position, starts, experts, taken, table);
    rows_ = table;
  }

  // The row of choice c of token s, or -1 if the route was dropped.
  int64_t row(int64_t s, int64_t c) const { return rows_[s * choices + c]; }

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
  const int32_t* rows_;
};

}  // namespace moe::cpu
