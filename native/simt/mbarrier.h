// PTX's mbarrier: a barrier in shared memory that counts arrivals, and bytes of TMA copies.
#pragma once

#include <cstdint>

namespace simt {

struct Thread;

struct Mbarrier {
  int arrivals_of_phase = 0;
  int arrivals = 0;   // arrivals that the current phase still needs
  int64_t bytes = 0;  // bytes that it still needs; below 0 if more landed than were announced
  int parity = 0;     // parity of the current phase
  uint64_t mark = 0;  // value of the barrier's word in shared memory
  const Thread* starter = nullptr;
  bool announced = false;  // TMA sees the initialization

  // Whether the previous phase has this parity. At the start it has parity 1.
  bool has_completed(int of_parity) const { return parity != of_parity; }

  void go_on_if_complete() {
    if (arrivals != 0 || bytes != 0) return;
    arrivals = arrivals_of_phase;
    parity ^= 1;
  }
};

}  // namespace simt
