// How the product of a skinny layer is cut: k into splits by the layer alone, so that a row's bits do not depend on the
// other rows, and c into the largest tiles that fill the GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/ceil_div.h"

namespace moe::cuda::skinny {

// A layer is skinny if it has at most this many outputs or inputs.
constexpr int64_t kMostWidth = 512;

// Splits are multiples of this k, so that they start at multiples of 16 bytes and have whole panels.
constexpr int64_t kDepth = 256;
constexpr int64_t kMostSplits = 16;  // of a product
// Maximum sums that splits write: 256 wide tiles for kTokens tokens, or 128 for the gradient of the weights, whose
// splits one block per tile adds in 5 us.
constexpr int64_t kMostSums = int64_t{1} << 22;
constexpr int64_t kMostGradientSums = int64_t{1} << 21;
constexpr int64_t kTokens = 4096;  // rows that kMostSums is sized for

// k of a split of a product c [rows, columns] with this inner dimension.
constexpr int64_t split_depth(int64_t rows, int64_t columns, int64_t inner, int64_t most_sums) {
  const int64_t most = std::clamp<int64_t>(most_sums / std::max<int64_t>(rows * columns, 1), 1, kMostSplits);
  return std::max<int64_t>(ceil_div(inner, kDepth * most), 1) * kDepth;
}
// split_depth for tokens; depends on the layer alone.
constexpr int64_t split_depth(int64_t columns, int64_t inner) {
  return split_depth(kTokens, columns, inner, kMostSums);
}
// split_depth for the gradient of weights [rows, columns].
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

// Sums of all splits of a tile that one block may add: 512 KiB, which a multiprocessor reads in 5 us, about the time of
// a launch.
constexpr int64_t kMostAdded = int64_t{1} << 17;

// The largest tile that is mostly full, occupies nine of ten multiprocessors, and whose splits one block can add; else
// the small one.
constexpr Tile tile_for(int64_t rows, int64_t columns, int64_t splits, int64_t processors) {
  for (const Tile tile : {kWide, kMiddle}) {
    const bool used = rows > tile.rows / 2 && columns > tile.columns / 2;
    const bool added = splits == 1 || splits * tile.rows * tile.columns <= kMostAdded;
    if (used && added && 10 * tiles_of(tile, rows, columns, splits) >= 9 * processors) return tile;
  }
  return kSmall;
}

}  // namespace moe::cuda::skinny
