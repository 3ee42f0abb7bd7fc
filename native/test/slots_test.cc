// Tables of an exchange of slots against loops over ranks, experts and rows.
#include <numeric>
#include <random>

#include "test/testing.h"

namespace moe::testing {
namespace {

struct Size {
  int64_t ranks, experts, rows, words;  // of a message: rows and words

  int64_t counts() const { return (experts + ranks - 1) / ranks; }
  int64_t capacity() const { return (words - counts()) / (words / rows); }
  int64_t first(int64_t rank) const { return rank * experts / ranks; }
};

const Size kSizes[] = {{1, 1, 2, 8}, {2, 8, 5, 20}, {3, 8, 9, 27}, {4, 4, 3, 12}, {5, 3, 4, 16}, {8, 300, 90, 900}};

class SlotsTest : public KernelTest {
 protected:
  // Numbers of rows, `each` of them together at most `most`.
  std::vector<int64_t> counts(int64_t number, int64_t most) {
    std::vector<int64_t> drawn(static_cast<size_t>(number));
    for (int64_t left = number == 0 ? 0 : most; left > 0; --left) {
      if (random_() % 4 != 0) ++drawn[random_() % drawn.size()];
    }
    return drawn;
  }

  std::minstd_rand random_{5};
};

TEST_F(SlotsTest, StartsPutEachRanksRowsIntoItsMessage) {
  for (const Size& size : kSizes) {
    Tensor offsets(MOE_INT32, {size.experts + 1}), slots(MOE_INT32, {size.ranks, size.words});
    Tensor starts(MOE_INT32, {size.experts + 1});
    std::vector<double> want, counted(static_cast<size_t>(slots.count()), 7);
    int64_t rows = 0;
    for (int64_t rank = 0; rank < size.ranks; ++rank) {
      const auto sent = counts(size.first(rank + 1) - size.first(rank), size.capacity());
      int64_t start = rank * size.rows;
      for (size_t e = 0; e < sent.size(); ++e) {
        offsets.set(size.first(rank) + static_cast<int64_t>(e), static_cast<double>(rows));
        want.push_back(static_cast<double>(start));
        counted[static_cast<size_t>((rank + 1) * size.words - size.counts()) + e] = static_cast<double>(sent[e]);
        rows += sent[e];
        start += sent[e];
      }
    }
    offsets.set(size.experts, static_cast<double>(rows));
    want.push_back(static_cast<double>(size.ranks * size.rows));
    for (const moe_stream on : {stream, triple}) {
      slots.fill(7);
      ASSERT_MOE_OK(moe_slot_starts(on, size.rows, offsets, slots, starts));
      expect_near(starts, want, 0, 0, "starts");
      expect_near(slots, counted, 0, 0, "slots");
    }
  }
}

TEST_F(SlotsTest, RoutesGroupTheRowsOfAllMessages) {
  for (const Size& size : kSizes) {
    const int64_t held = size.first(1);
    if (held == 0) continue;
    Tensor slots(MOE_INT32, {size.ranks, size.words}), offsets(MOE_INT32, {held + 1});
    Tensor expert(MOE_INT32, {size.ranks * size.rows, 1}), position(MOE_INT32, {size.ranks * size.rows, 1});
    std::vector<double> experts(static_cast<size_t>(expert.count()), -1), positions = experts;
    std::vector<double> starts(static_cast<size_t>(held + 1));
    std::vector<double> next(static_cast<size_t>(held));
    for (int64_t rank = 0; rank < size.ranks; ++rank) {
      const auto sent = counts(held, size.capacity());
      auto slot = static_cast<size_t>(rank * size.rows);
      for (size_t e = 0; e < sent.size(); ++e) {
        slots.set((rank + 1) * size.words - size.counts() + static_cast<int64_t>(e), static_cast<double>(sent[e]));
        for (int64_t j = 0; j < sent[e]; ++j, ++slot) {
          experts[slot] = static_cast<double>(e);
          positions[slot] = next[e]++;
        }
      }
    }
    std::partial_sum(next.begin(), next.end(), starts.begin() + 1);
    for (const moe_stream on : {stream, triple}) {
      ASSERT_MOE_OK(moe_slot_routes(on, size.counts(), slots, expert, position, offsets));
      expect_near(expert, experts, 0, 0, "expert");
      expect_near(position, positions, 0, 0, "position");
      expect_near(offsets, starts, 0, 0, "offsets");
    }
  }
}

TEST_F(SlotsTest, RefusesWhatHasNoRoom) {
  const Tensor slots(MOE_INT32, {2, 6}), expert(MOE_INT32, {6, 1}), position(MOE_INT32, {6, 1});
  const Tensor held(MOE_INT32, {3}), starts(MOE_INT32, {5});
  const Tensor fits = Tensor::of(MOE_INT32, {5}, {0, 1, 2, 2, 4}), many = Tensor::of(MOE_INT32, {5}, {0, 1, 2, 3, 5});
  const Tensor late = Tensor::of(MOE_INT32, {5}, {1, 1, 2, 2, 4}), falls = Tensor::of(MOE_INT32, {5}, {0, 1, 0, 2, 4});
  const auto send = [&](const Tensor& offsets, int64_t rows) {
    return moe_slot_starts(stream, rows, offsets, slots, starts);
  };
  EXPECT_MOE_OK(send(fits, 3));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets send 3 rows to rank 1, slots has room for 2", send(many, 3));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets[0] is 1, expected 0", send(late, 3));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets[2] is 0, less than offsets[1] = 1", send(falls, 3));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "6 words a rank, which are not 4 rows", send(fits, 4));
  const Tensor sent = Tensor::of(MOE_INT32, {2, 6}, {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2});
  const Tensor full = Tensor::of(MOE_INT32, {2, 6}, {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2});
  const Tensor negative = Tensor::of(MOE_INT32, {2, 6}, {0, 0, 0, 0, 1, -1, 0, 0, 0, 0, 0, 0});
  const auto receive = [&](const Tensor& messages, int64_t counts) {
    return moe_slot_routes(stream, counts, messages, expert, position, held);
  };
  EXPECT_MOE_OK(receive(sent, 2));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "counts is 1, but offsets has 2 experts", receive(sent, 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "too few for 7 counts", receive(sent, 7));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "slots has 4 rows of rank 1, but room for 2", receive(full, 2));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "the count of rank 0 and expert 1 is -1", receive(negative, 2));
}

}  // namespace
}  // namespace moe::testing
