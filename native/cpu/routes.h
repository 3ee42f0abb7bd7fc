// The gate's table of routes, as dispatch and combine read it.
#pragma once

#include <cstdint>

#include "core/kernels.h"
#include "core/routes.h"
#include "cpu/indices.h"

namespace moe::cpu {

struct Routes {
  // Refuses a table that does not lead to `rows`, or leads to one of them twice: threads may write them. The
  // rows that it leads to are copied to scratch memory, where nobody changes them any more.
  Routes(Stream& stream, T expert, T position, T offsets, T rows) : choices(expert.shape[1]) {
    const int64_t experts = offsets.shape[0] - 1;
    const int32_t* starts = checked_offsets(stream, offsets, rows.shape[0]);
    auto* taken = stream.arena().take<uint64_t>(route_words(starts[experts]));
    auto* table = stream.arena().take<int32_t>(element_count(expert));
    check_route_values(expert, position, starts, experts, taken, table);
    rows_ = table;
  }

  // The row of choice c of token s, or -1 where the route was dropped.
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
