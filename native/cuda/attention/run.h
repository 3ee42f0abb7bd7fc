// Rows of queries that a block takes together, because they share the keys of one sequence.
#pragma once

#include "cuda/attention/forward.h"

namespace moe::cuda {

// Rows from `first` on that are consecutive positions of one sequence.
struct Run {
  int64_t first;
  int count, slot, position;
};

// The run that starts at row t and ends within t's tile of `most` rows. Empty if t continues the previous row's run, or
// if its cache position is refused.
__device__ __forceinline__ Run find_run(const AttendingRows& a, int t, int most) {
  Run run{t, 0, a.slot[t], a.position[t]};
  if (!a.cache.has(run.slot, run.position)) {
    a.refusal.raise();
    return run;
  }
  if (t % most != 0 && run.position > 0 && a.slot[t - 1] == run.slot && a.position[t - 1] == run.position - 1) {
    return run;
  }
  const int end = min(a.rows, t / most * most + most);
  do {
    ++run.count;
  } while (t + run.count < end && run.position + run.count < a.cache.capacity && a.slot[t + run.count] == run.slot &&
           a.position[t + run.count] == run.position + run.count);
  return run;
}

// The run of the block with this index: the run that starts at this row, or a tile of a whole sequence. Tiles that see
// most keys come first.
__device__ __forceinline__ Run run_of(const AttendingRows& a, unsigned index, int most) {
  if (a.slot != nullptr) return find_run(a, static_cast<int>(index), most);
  const int tile = (a.cache.capacity - 1) / most - static_cast<int>(index / a.cache.slots);
  const int slot = static_cast<int>(index % a.cache.slots), position = tile * most;
  return {int64_t{slot} * a.cache.capacity + position, min(most, a.cache.capacity - position), slot, position};
}

}  // namespace moe::cuda
