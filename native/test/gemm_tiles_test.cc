// How many multiprocessors of an H100 the tiles of bfloat16 products occupy; computed without a GPU.
#include "cuda/gemm/tiles.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

using namespace cuda::tiles;
constexpr int64_t kProcessors = 132;
constexpr Family kFamilies[] = {kMma, kWgmma};

Tile tile_for(Family family, const ProblemSize& size) { return choose(family, size, true, kProcessors); }

// Busy multiprocessors in percent, over the waves of tiles.
int64_t busy(const ProblemSize& size, Tile tile) {
  const int64_t tiles = size.tiles(tile);
  return 100 * tiles / (ceil_div(tiles, kProcessors) * kProcessors);
}

TEST(GemmTilesTest, EqualGroupsFillAnH100From512Tokens) {
  for (const Family family : kFamilies) {
    for (int64_t experts : {64, 128}) {
      for (int64_t rows : {512, 600, 1024, 1200, 2048, 4096, 8192, 131072}) {
        for (int64_t columns : {1024, 1280, 1536, 2048, 2816, 3072, 4096}) {
          const ProblemSize size{rows, columns, experts};
          EXPECT_GE(busy(size, tile_for(family, size)), 90)
              << family.most << ": " << rows << " rows, " << columns << " columns, " << experts << " experts";
        }
      }
    }
  }
}

TEST(GemmTilesTest, DenseProductsOf128RowsFillAnH100) {
  for (const Family family : kFamilies) {
    for (int64_t rows : {128, 256, 512, 4096}) {
      for (int64_t columns : {2048, 4096, 8192}) {
        const ProblemSize size{rows, columns, 1};
        EXPECT_GE(busy(size, tile_for(family, size)), 90) << family.most << ": " << rows << " by " << columns;
      }
    }
  }
}

// One token with two experts of 2048 columns is bound by reading weights: 64 blocks share it, not 32.
TEST(GemmTilesTest, FewTokensGetSlimTiles) {
  for (const Family family : kFamilies) {
    for (const ProblemSize size : {ProblemSize{2, 2048, 64}, ProblemSize{1, 4096, 1}}) {
      EXPECT_EQ(tile_for(family, size).columns, kSlimColumns);
      EXPECT_EQ(size.tiles(tile_for(family, size)), 64);
    }
  }
}

// If groups fill the GPU, tiles have the maximum rows, because the host knows no group's size.
TEST(GemmTilesTest, ManyGroupsGetTilesForAnyOfTheirSizes) {
  for (const Family family : kFamilies) {
    for (int64_t rows : {512, 4096, 65536}) {
      const Tile tile = tile_for(family, {rows, 2048, 64});
      EXPECT_EQ(tile.rows, family.most) << rows;
      EXPECT_EQ(tile.columns, kWideColumns) << rows;
    }
  }
  EXPECT_EQ(multiplied_rows(kWgmma, 1), 8);
  EXPECT_EQ(multiplied_rows(kWgmma, 129), 256);
  EXPECT_EQ(multiplied_rows(kMma, 17), 32);
}

}  // namespace
}  // namespace moe::testing
