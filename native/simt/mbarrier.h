// A barrier in shared memory that counts arrivals, and bytes of copies by TMA (PTX's mbarrier).
#pragma once

#include <cstdint>

namespace simt {

struct Thread;

struct Mbarrier {
  int arrivals_of_phase = 0;
  int arrivals = 0;   // that the current phase still lacks
  int64_t bytes = 0;  // likewise; below 0 if more have come than were announced
  int parity = 0;     // of the current phase
  uint64_t mark = 0;  // what the barrier's word in shared memory holds
  const Thread* starter = nullptr;
  bool announced = false;  // TMA sees the start

  // Whether the phase before the current one is of this parity. At the start that is one of parity 1.
  bool has_completed(int of_parity) const { return parity != of_parity; }

  void go_on_if_complete() {
    if (arrivals != 0 || bytes != 0) return;
    arrivals = arrivals_of_phase;
    parity ^= 1;
  }
};

}  // namespace simt
