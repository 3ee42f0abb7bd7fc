// How a product of a skinny layer is cut: k into splits by the layer alone, so that a row's bits do not depend on the
// rows beside it, and c into the largest tiles that fill the card.
#pragma once

#include <algorithm>
#include <cstdint>

namespace moe::cuda::skinny {

// A layer is skinny if it has at most this many outputs or inputs.
constexpr int64_t kMostWidth = 512;

// k of a split: a multiple of kDepth, so that a split begins at a multiple of 16 bytes and its panels are whole.
constexpr int64_t kDepth = 256;
constexpr int64_t kMostSplits = 16;
// Splits write at most this many sums (16 MiB, which stay in the L2 cache; 256 wide tiles) for kTokens tokens, or for
// the gradient of the weights.
constexpr int64_t kMostSums = int64_t{1} << 22;
constexpr int64_t kTokens = 4096;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// k of a split of a product with this inner dimension. `rows` of the gradient of the weights; kTokens of other
// products, whatever rows they have.
constexpr int64_t split_depth(int64_t rows, int64_t columns, int64_t inner) {
  const int64_t most = std::clamp<int64_t>(kMostSums / std::max<int64_t>(rows * columns, 1), 1, kMostSplits);
  return std::max<int64_t>(ceil_div(inner, kDepth * most), 1) * kDepth;
}

struct Tile {
  int rows, columns;
};
constexpr Tile kWide{128, 128}, kMiddle{64, 64}, kSmall{32, 32};

constexpr int64_t tiles_of(Tile tile, int64_t rows, int64_t columns, int64_t splits) {
  return ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * splits;
}

// The largest tile that is mostly used and of which nine of ten multiprocessors get one; else the small one.
constexpr Tile tile_for(int64_t rows, int64_t columns, int64_t splits, int64_t processors) {
  for (const Tile tile : {kWide, kMiddle}) {
    const bool used = rows > tile.rows / 2 && columns > tile.columns / 2;
    if (used && 10 * tiles_of(tile, rows, columns, splits) >= 9 * processors) return tile;
  }
  return kSmall;
}

}  // namespace moe::cuda::skinny
