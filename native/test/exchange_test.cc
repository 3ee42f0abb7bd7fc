// Block copies against a loop over rows.
#include "test/testing.h"

namespace moe::testing {
namespace {

struct Block {
  int64_t from, to, rows;
};

moe_blocks blocks_of(const std::vector<Block>& blocks) {
  moe_blocks table{};
  table.struct_size = sizeof table;
  table.count = static_cast<int32_t>(blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    table.from[i] = blocks[i].from;
    table.to[i] = blocks[i].to;
    table.rows[i] = blocks[i].rows;
  }
  return table;
}

class ExchangeTest : public KernelTest {
 protected:
  // Copies, and compares with a loop over rows.
  void check(const std::vector<Block>& blocks, const Tensor& x, Tensor& y) {
    y.fill(121);
    const int64_t width = x.view().shape[0] == 0 ? 0 : x.count() / x.view().shape[0];
    std::vector<double> want(static_cast<size_t>(y.count()), 121);
    for (const Block& block : blocks) {
      for (int64_t i = 0; i < block.rows * width; ++i) {
        want[static_cast<size_t>(block.to * width + i)] = x[block.from * width + i];
      }
    }
    const moe_blocks table = blocks_of(blocks);
    for (const moe_stream on : {stream, triple}) {
      y.fill(121);
      ASSERT_MOE_OK(moe_block_copy(on, &table, x, y));
      expect_near(y, want, 0, 0, "y");
    }
  }
};

TEST_F(ExchangeTest, CopiesBlocksOfEveryWidthAndAlignment) {
  const std::vector<Block> blocks = {{30, 36, 3}, {0, 4, 10}, {7, 5, 0}, {33, 20, 1}, {10, 21, 15}};
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16, MOE_UINT8, MOE_INT32, MOE_FLOAT64, MOE_INT8}) {
    for (const int64_t width : {1, 2, 5, 8, 16, 33, 96, 520}) {
      Tensor x(dtype, {34, width}), y(dtype, {40, width});
      for (int64_t i = 0; i < x.count(); ++i) x.set(i, static_cast<double>(i % 120));
      check(blocks, x, y);
      const Tensor aside = x.misaligned();
      Tensor other = y.misaligned();
      check(blocks, aside, y);
      check(blocks, x, other);
    }
  }
}

// A full table of blocks of any size in any order, like in an exchange of many ranks.
TEST_F(ExchangeTest, CopiesAFullTableOfUnevenBlocks) {
  std::vector<Block> blocks(MOE_MAX_BLOCKS);
  int64_t rows = 0;
  for (int64_t i = 0; i < MOE_MAX_BLOCKS; ++i) blocks[static_cast<size_t>(i)].rows = i * i % 23;
  for (int64_t i = 0; i < MOE_MAX_BLOCKS; ++i) {  // 77 is prime to 128
    Block& block = blocks[static_cast<size_t>(i * 77 % MOE_MAX_BLOCKS)];
    block.from = rows;
    rows += block.rows;
  }
  int64_t end = rows;
  for (Block& block : blocks) block.to = end -= block.rows;
  const Tensor x = Tensor::random(MOE_FLOAT32, {rows, 2, 26}, 1);
  Tensor y(MOE_FLOAT32, {rows, 2, 26});
  check(blocks, x, y);
}

TEST_F(ExchangeTest, CopiesARunOfManyTiles) {
  const Tensor x = Tensor::random(MOE_BFLOAT16, {3000, 24}, 2);
  Tensor y(MOE_BFLOAT16, {3000, 24});
  check({{1, 0, 2000}, {2999, 2001, 1}, {0, 2002, 1}}, x, y);
}

TEST_F(ExchangeTest, NoBlocksCopyNothing) {
  const Tensor x = Tensor::random(MOE_FLOAT32, {3, 4}, 3);
  Tensor y(MOE_FLOAT32, {2, 4}), none(MOE_FLOAT32, {0, 4}), narrow(MOE_FLOAT32, {1000000, 0});
  const Tensor wide(MOE_FLOAT32, {1000000, 0});
  check({}, x, y);
  check({{3, 2, 0}}, x, y);
  check({{0, 0, 0}}, x, none);
  check({{1, 0, 999999}}, wide, narrow);
}

TEST_F(ExchangeTest, RefusesBlocksThatLeadOutsideOrMeet) {
  const Tensor x(MOE_FLOAT32, {4, 2}), y(MOE_FLOAT32, {5, 2}), doubles(MOE_FLOAT64, {5, 2}), wide(MOE_FLOAT32, {5, 3});
  const Tensor flat(MOE_FLOAT32, {10}), scalar(MOE_FLOAT32, std::vector<int64_t>{});
  const auto copy = [&](const std::vector<Block>& blocks) {
    const moe_blocks table = blocks_of(blocks);
    return moe_block_copy(stream, &table, x, y);
  };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "from[1] is 3 and rows[1] is 2, but x has 4 rows",
                     copy({{0, 0, 1}, {3, 1, 2}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "from[0] is -1", copy({{-1, 0, 1}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "from[0] is 1 and rows[0] is 9223372036854775807",
                     copy({{1, 0, INT64_MAX}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "to[0] is 4 and rows[0] is 2, but y has 5 rows", copy({{0, 4, 2}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "to[0] is -2", copy({{0, -2, 1}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rows[0] is -1, expected 0 or more", copy({{0, 0, -1}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "blocks 0 and 1 share row 1 of y", copy({{0, 0, 2}, {2, 1, 1}}));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "blocks 1 and 2 share row 3 of y",
                     copy({{0, 4, 1}, {0, 3, 1}, {0, 0, 4}, {0, 4, 0}}));
  EXPECT_MOE_OK(copy({{0, 2, 0}, {0, 0, 4}, {0, 3, 0}}));  // a block without rows overlaps nothing
  moe_blocks table = blocks_of({});
  table.count = MOE_MAX_BLOCKS + 1;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "count is 129, expected 0 to 128", moe_block_copy(stream, &table, x, y));
  table.count = -1;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "count is -1", moe_block_copy(stream, &table, x, y));
  table = blocks_of({});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "blocks is null", moe_block_copy(stream, nullptr, x, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y has", moe_block_copy(stream, &table, x, wide));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rows of one shape", moe_block_copy(stream, &table, x, flat));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "x is a scalar", moe_block_copy(stream, &table, scalar, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y is float64", moe_block_copy(stream, &table, x, doubles));
  table.struct_size = 8;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "blocks has struct_size 8", moe_block_copy(stream, &table, x, y));
}

}  // namespace
}  // namespace moe::testing
