// Tables for an exchange of slots (core/slots.h), whose rows dispatch writes, and combine or dispatch's backward reads.
//
//   starts[e] = rank(e) R + offsets[e] - offsets[first expert of rank(e)]
//   offsets[e] = sum of count[r, f] over all r and f < e
//   the route of slot j of expert e in rank r's message has expert e and position j + sum of count[q, e] over q < r
//
// Test: panamoe_test --gtest_filter='Slots*'.
#include "core/slots.h"

#include <algorithm>

#include "core/ceil_div.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"

namespace moe::cpu {

void slot_starts(Stream& stream, int64_t rows, Tensor offsets, Tensor slots, Tensor starts) {
  const int64_t experts = offsets.shape[0] - 1, ranks = slots.shape[0];
  const Slots to(slots, rows, ceil_div(experts, ranks));
  const int32_t* sent = checked_offsets(stream, offsets, INT64_MAX);
  check_slot_offsets(to, sent, experts);
  auto* start = static_cast<int32_t*>(starts.data);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const int64_t first = first_expert(rank, ranks, experts), last = first_expert(rank + 1, ranks, experts);
    auto* counts = const_cast<int32_t*>(to.counts_of(rank));
    for (int64_t e = first; e < last; ++e) {
      start[e] = static_cast<int32_t>(rank * rows + sent[e] - sent[first]);
      counts[e - first] = sent[e + 1] - sent[e];
    }
  }
  start[experts] = static_cast<int32_t>(ranks * rows);
}

void slot_routes(Stream& stream, int64_t counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets) {
  const int64_t held = offsets.shape[0] - 1, ranks = slots.shape[0];
  const Slots from(slots, expert.shape[0] / ranks, counts);
  auto* count = stream.arena().take<int32_t>(ranks * held);
  check_slot_counts(from, held, count);
  auto* experts = static_cast<int32_t*>(expert.data);
  auto* positions = static_cast<int32_t*>(position.data);
  auto* starts = static_cast<int32_t*>(offsets.data);
  auto* next = stream.arena().take<int32_t>(ranks);  // slot of each rank
  std::fill_n(experts, ranks * from.rows, -1);
  std::fill_n(positions, ranks * from.rows, -1);
  std::fill_n(next, ranks, 0);
  starts[0] = 0;
  for (int64_t e = 0; e < held; ++e) {
    int32_t place = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      for (int32_t j = 0; j < count[rank * held + e]; ++j) {
        const int64_t slot = rank * from.rows + next[rank]++;
        experts[slot] = static_cast<int32_t>(e);
        positions[slot] = place++;
      }
    }
    starts[e + 1] = starts[e] + place;
  }
}

}  // namespace moe::cpu
