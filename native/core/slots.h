// Slots: the message of a fixed size that a rank sends to every rank of an exchange whose counts stay on the device.
#pragma once

#include "core/check.h"

namespace moe {

// The message for, or of, each of P ranks is W words: R rows, the first C of which may be taken, ordered by the
// receiver's experts. The last words are the counts of rows of these experts.
struct Slots {
  int32_t* words;
  int64_t ranks, width;    // P, W
  int64_t rows, capacity;  // R, C
  int64_t counts;

  // Refuses sizes that do not fit each other.
  Slots(Tensor slots, int64_t its_rows, int64_t its_counts)
      : words(static_cast<int32_t*>(slots.data)),
        ranks(slots.shape[0]),
        width(slots.shape[1]),
        rows(its_rows),
        capacity(0),
        counts(its_counts) {
    if (rows < 1 || width % rows != 0) invalid("slots has ", width, " words a rank, which are not ", rows, " rows");
    if (counts < 0 || counts > width) invalid("slots has ", width, " words a rank, too few for ", counts, " counts");
    if (ranks > INT32_MAX / rows) invalid("slots has ", ranks, " x ", rows, " rows, expected at most ", INT32_MAX);
    capacity = (width - counts) / (width / rows);
  }

  const int32_t* counts_of(int64_t rank) const { return words + rank * width + width - counts; }
};

// The first of `experts` experts that lie on the ranks in order, evenly, that a rank has.
inline int64_t first_expert(int64_t rank, int64_t ranks, int64_t experts) { return rank * experts / ranks; }

// Refuses offsets by which a rank gets more rows than there is room for. `offsets` were checked.
inline void check_slot_offsets(const Slots& slots, const int32_t* offsets, int64_t experts) {
  for (int64_t rank = 0; rank < slots.ranks; ++rank) {
    const int64_t begin = offsets[first_expert(rank, slots.ranks, experts)];
    const int64_t rows = offsets[first_expert(rank + 1, slots.ranks, experts)] - begin;
    if (rows > slots.capacity) {
      invalid("offsets send ", rows, " rows to rank ", rank, ", slots has room for ", slots.capacity);
    }
  }
}

// Refuses counts of `held` experts that are negative or exceed the room of a message. Copies them to copy [P, held],
// unless it is null.
inline void check_slot_counts(const Slots& slots, int64_t held, int32_t* copy) {
  for (int64_t rank = 0; rank < slots.ranks; ++rank) {
    int64_t rows = 0;
    for (int64_t e = 0; e < held; ++e) {
      const int32_t count = read_once(slots.counts_of(rank) + e);
      if (count < 0) invalid("the count of rank ", rank, " and expert ", e, " is ", count, ", expected 0 or more");
      rows += count;
      if (copy != nullptr) copy[rank * held + e] = count;
    }
    if (rows > slots.capacity) {
      invalid("slots has ", rows, " rows of rank ", rank, ", but room for ", slots.capacity);
    }
  }
}

}  // namespace moe
