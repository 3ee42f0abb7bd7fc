#include <tuple>

#include "test/blocks.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class EmbeddingTest : public KernelTest {};

Tensor random_ids(int64_t count, int64_t high, uint64_t seed) {
  return Tensor::random(MOE_INT32, {count}, seed, 0, static_cast<double>(high));
}

TEST_F(EmbeddingTest, LooksUpAndAddsPositions) {
  for (int64_t width : {1, 7, 8, 33, 200}) {
    for (int64_t tokens : {0, 1, 90}) {
      for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
        const Tensor ids = random_ids(tokens, 17, 1), positions = random_ids(tokens, 5, 2);
        const Tensor table = Tensor::random(dtype, {17, width}, 3), places = Tensor::random(MOE_FLOAT32, {5, width}, 4);
        const Tensor plain(dtype, {tokens, width}), added(dtype, {tokens, width});
        ASSERT_MOE_OK(moe_embedding_forward(stream, ids, table, nullptr, nullptr, plain));
        ASSERT_MOE_OK(moe_embedding_forward(stream, ids, table, positions, places, added));
        std::vector<double> rows, sums;
        for (int64_t i = 0; i < tokens * width; ++i) {
          rows.push_back(table[static_cast<int64_t>(ids[i / width]) * width + i % width]);
          sums.push_back(rows.back() + places[static_cast<int64_t>(positions[i / width]) * width + i % width]);
        }
        expect_near(plain, rows, 0, 0, "y");
        expect_near(added, sums, 1e-7, dtype == MOE_FLOAT32 ? 1e-6 : 1.0 / 256, "y with positions");
      }
    }
  }
}

// A tied head's operand: packed floats give the row-major table's bits, blocks the numbers of decoding them.
TEST_F(EmbeddingTest, LooksUpRowsOfAPackedTable) {
  constexpr int64_t kRows = 77, kTokens = 40;
  const Tensor ids = random_ids(kTokens, kRows, 1), positions = random_ids(kTokens, 5, 2);
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t width : {1, 7, 40, 700}) {
      const Tensor table = Tensor::random(dtype, {kRows, width}, 3), places = Tensor::random(dtype, {5, width}, 4);
      const Tensor operand = packed(device, stream, table, dtype);
      const Tensor want(dtype, {kTokens, width}), y(dtype, {kTokens, width});
      ASSERT_MOE_OK(moe_embedding_forward(stream, ids, table, positions, places, want));
      ASSERT_MOE_OK(moe_embedding_forward(stream, ids, operand, positions, places, y));
      expect_same_bits(want, y);
    }
  }
  for (const Format& format : kFormats) {
    SCOPED_TRACE(format.name);
    for (int64_t width : {256, 768}) {
      const Tensor blocks = random_blocks(format, {kRows, width}, 3), numbers = numbers_of(format, blocks);
      const Tensor operand = packed(device, stream, blocks, format.dtype), y(MOE_FLOAT32, {kTokens, width});
      ASSERT_MOE_OK(moe_embedding_forward(stream, ids, operand, nullptr, nullptr, y));
      for (int64_t i = 0; i < kTokens * width; ++i) {
        ASSERT_EQ(static_cast<float>(numbers[static_cast<int64_t>(ids[i / width]) * width + i % width]), y[i]) << i;
      }
      const Tensor places = Tensor::random(MOE_FLOAT32, {5, width}, 4), rounded(MOE_BFLOAT16, {kTokens, width});
      ASSERT_MOE_OK(moe_embedding_forward(stream, ids, operand, positions, places, rounded));
      const int64_t last = kTokens * width - 1;
      const double want = y[last] + places[static_cast<int64_t>(positions[kTokens - 1]) * width + width - 1];
      EXPECT_NEAR(want, rounded[last], std::abs(want) / 128);
    }
  }
}

// The forward is linear in the tables, so the transpose is exact and needs no differences: <dy, E x> = <E^T dy, x>.
TEST_F(EmbeddingTest, BackwardIsTheTransposeAndAdds) {
  for (int64_t width : {1, 9, 150}) {
    const int64_t tokens = 60;
    const Tensor ids = random_ids(tokens, 6, 1), positions = random_ids(tokens, 3, 2);
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      const Tensor dy = Tensor::random(dtype, {tokens, width}, 3);
      Tensor dtable(MOE_FLOAT32, {6, width}), dplaces(MOE_FLOAT32, {3, width});
      dtable.fill(5);
      std::vector<double> want(static_cast<size_t>(6 * width), 5), want_places(static_cast<size_t>(3 * width));
      for (int64_t i = 0; i < tokens * width; ++i) {
        want[static_cast<size_t>(ids[i / width]) * width + i % width] += dy[i];
        want_places[static_cast<size_t>(positions[i / width]) * width + i % width] += dy[i];
      }
      ASSERT_MOE_OK(moe_embedding_backward(stream, ids, positions, dy, dtable, dplaces));
      expect_near(dtable, want, 1e-5, 1e-6, "dtable");
      expect_near(dplaces, want_places, 1e-5, 1e-6, "dposition_table");
    }
  }
}

TEST_F(EmbeddingTest, GradientMatchesCentralDifferences) {
  const Tensor ids = Tensor::of(MOE_INT32, {4}, {1, 0, 1, 2}), dy = Tensor::random(MOE_FLOAT32, {4, 5}, 1);
  Tensor table = Tensor::random(MOE_FLOAT32, {3, 5}, 2), y(MOE_FLOAT32, {4, 5}), dtable(MOE_FLOAT32, {3, 5});
  ASSERT_MOE_OK(moe_embedding_backward(stream, ids, nullptr, dy, dtable, nullptr));
  std::vector<double> gradient;
  for (int64_t i = 0; i < 15; ++i) gradient.push_back(dtable[i]);
  const auto loss = [&] {
    EXPECT_MOE_OK(moe_embedding_forward(stream, ids, table, nullptr, nullptr, y));
    double sum = 0;
    for (int64_t i = 0; i < 20; ++i) sum += y[i] * dy[i];
    return sum;
  };
  expect_gradient(table, gradient, loss, 0.1, 1e-5, 1e-5, "table");
}

// Ids of every size, one of them most of the tokens'.
TEST_F(EmbeddingTest, BackwardOfManyTokensAndALargeTable) {
  for (const auto& [tokens, rows, width] : {std::tuple<int64_t, int64_t, int64_t>{5000, 70000, 3},
                                            {3000, 255, 8},
                                            {1025, 256, 1},
                                            {33, 1, 12},
                                            {1, 65537, 4}}) {
    SCOPED_TRACE(::testing::Message() << tokens << " tokens, " << rows << " rows");
    Tensor ids = random_ids(tokens, rows, 1);
    for (int64_t s = 0; s < tokens; ++s) {
      if (s % 7 > 2) ids.set(s, static_cast<double>(rows / 2));
    }
    ids.set(tokens - 1, static_cast<double>(rows - 1));
    const Tensor dy = Tensor::random(MOE_FLOAT32, {tokens, width}, 3);
    Tensor dtable = Tensor::random(MOE_FLOAT32, {rows, width}, 4), again(MOE_FLOAT32, {rows, width});
    for (int64_t i = 0; i < dtable.count(); ++i) again.set(i, dtable[i]);
    std::vector<double> want = values_of(dtable);
    for (int64_t i = 0; i < tokens * width; ++i) {
      want[static_cast<size_t>(ids[i / width]) * static_cast<size_t>(width) + static_cast<size_t>(i % width)] += dy[i];
    }
    ASSERT_MOE_OK(moe_embedding_backward(stream, ids, nullptr, dy, dtable, nullptr));
    expect_near(dtable, want, 3e-5, 1e-6, "dtable");
    ASSERT_MOE_OK(moe_embedding_backward(triple, ids, nullptr, dy, again, nullptr));
    expect_same_bits(dtable, again);
  }
}

TEST_F(EmbeddingTest, TheSameBitsOnEveryThreadCount) {
  const Tensor ids = random_ids(500, 4, 1), dy = Tensor::random(MOE_FLOAT32, {500, 333}, 2);
  Tensor one(MOE_FLOAT32, {4, 333}), three(MOE_FLOAT32, {4, 333});
  ASSERT_MOE_OK(moe_embedding_backward(single, ids, nullptr, dy, one, nullptr));
  ASSERT_MOE_OK(moe_embedding_backward(triple, ids, nullptr, dy, three, nullptr));
  expect_same_bits(one, three);
}

TEST_F(EmbeddingTest, Refuses) {
  Tensor ids = Tensor::of(MOE_INT32, {2}, {0, 3}), table(MOE_FLOAT32, {3, 4}), y(MOE_FLOAT32, {2, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ids[1] is 3, expected 0 to 2",
                     moe_embedding_forward(stream, ids, table, nullptr, nullptr, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ids[1] is 3",
                     moe_embedding_backward(stream, ids, nullptr, y, table, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position_table is null",
                     moe_embedding_forward(stream, ids, table, ids, nullptr, y));
  ids.set(1, 2);
  const Tensor positions = Tensor::of(MOE_INT32, {2}, {-1, 0}), places(MOE_FLOAT32, {1, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "positions[0] is -1",
                     moe_embedding_forward(stream, ids, table, positions, places, y));
}

}  // namespace
}  // namespace moe::testing
