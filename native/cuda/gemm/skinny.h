// How a product of a skinny layer is cut: k into splits by the layer alone, so that a row's bits do not depend on the
// rows beside it, and c into the largest tiles that fill the GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/ceil_div.h"

namespace moe::cuda::skinny {

// A layer is skinny if it has at most this many outputs or inputs.
constexpr int64_t kMostWidth = 512;

// k of a split: a multiple of kDepth, so that a split begins at a multiple of 16 bytes and its panels are whole.
constexpr int64_t kDepth = 256;
constexpr int64_t kMostSplits = 16;
// Splits write at most this many sums for kTokens tokens (256 wide tiles), or for the gradient of the weights (128 wide
// tiles, whose splits one block each adds in 5 us).
constexpr int64_t kMostSums = int64_t{1} << 22;
constexpr int64_t kMostGradientSums = int64_t{1} << 21;
constexpr int64_t kTokens = 4096;

// k of a split of a product c [rows, columns] with this inner dimension.
constexpr int64_t split_depth(int64_t rows, int64_t columns, int64_t inner, int64_t most_sums) {
  const int64_t most = std::clamp<int64_t>(most_sums / std::max<int64_t>(rows * columns, 1), 1, kMostSplits);
  return std::max<int64_t>(ceil_div(inner, kDepth * most), 1) * kDepth;
}
// Of a product of tokens, whatever rows it has.
constexpr int64_t split_depth(int64_t columns, int64_t inner) {
  return split_depth(kTokens, columns, inner, kMostSums);
}
// Of the gradient of weights [rows, columns].
constexpr int64_t gradient_split_depth(int64_t rows, int64_t columns, int64_t inner) {
  return split_depth(rows, columns, inner, kMostGradientSums);
}

struct Tile {
  int rows, columns;
};
constexpr Tile kWide{128, 128}, kMiddle{64, 64}, kSmall{32, 32};

constexpr int64_t tiles_of(Tile tile, int64_t rows, int64_t columns, int64_t splits) {
  return ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * splits;
}

// One block adds the sums of all splits of a tile. A multiprocessor reads 512 KiB in 5 us, about a launch and its
// start.
constexpr int64_t kMostAdded = int64_t{1} << 17;

// The largest tile that is mostly used, of which nine of ten multiprocessors get one and whose splits one block can
// add; else the small one.
constexpr Tile tile_for(int64_t rows, int64_t columns, int64_t splits, int64_t processors) {
  for (const Tile tile : {kWide, kMiddle}) {
    const bool used = rows > tile.rows / 2 && columns > tile.columns / 2;
    const bool added = splits == 1 || splits * tile.rows * tile.columns <= kMostAdded;
    if (used && added && 10 * tiles_of(tile, rows, columns, splits) >= 9 * processors) return tile;
  }
  return kSmall;
}

}  // namespace moe::cuda::skinny
