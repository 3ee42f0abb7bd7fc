// The choice of tiles for products on tensor cores. The host knows the total rows but not each group's, and assumes
// equal groups. A row's bits do not depend on the tile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/ceil_div.h"

namespace moe::cuda::tiles {

// A tile of c: up to `rows` rows by `columns` columns of a b^T. If fewer rows are left, a smaller tile is multiplied.
struct Tile {
  int rows, columns;
};

// Instructions multiply `least`, 2 `least`, 4 `least`, ... rows. A wide tile has up to `most` rows, a slim one up to
// kSlimRows.
struct Family {
  int least, most;
};
constexpr int kWideColumns = 128, kSlimColumns = 64, kSlimRows = 64;
constexpr Family kMma{16, 128}, kWgmma{8, 256};

// The rows that are multiplied for a tile with `rows` rows.
constexpr int multiplied_rows(Family family, int64_t rows) {
  int multiplied = family.least;
  while (multiplied < rows) multiplied *= 2;
  return multiplied;
}

// The problem size: `rows` of all groups together, `columns` of a b^T.
struct ProblemSize {
  int64_t rows, columns, groups;

  int64_t rows_of_group() const { return ceil_div(rows, std::max<int64_t>(groups, 1)); }
  int64_t tiles(Tile tile) const {
    return std::min(rows, groups) * ceil_div(rows_of_group(), tile.rows) * ceil_div(columns, tile.columns);
  }
};

// Estimated time per k, in multiply-adds, of the multiprocessor with most tiles: the multiply-adds of its tiles and the
// reading of their operands.
constexpr int64_t kRead = 64;  // multiply-adds in the time of reading an element
inline int64_t cost(Family family, ProblemSize size, Tile tile, int64_t processors) {
  const int64_t rows = multiplied_rows(family, std::min<int64_t>(tile.rows, size.rows_of_group()));
  return ceil_div(size.tiles(tile), processors) * (rows * tile.columns + kRead * (rows + tile.columns));
}

// The cheapest tile, the largest of equal ones, since groups may be larger than the host assumes.
inline Tile choose(Family family, ProblemSize size, bool may_be_slim, int64_t processors) {
  Tile best{family.most, kWideColumns};
  const auto consider = [&](int most, int columns) {
    for (int rows = most; rows >= family.least; rows /= 2) {
      const Tile tile{rows, columns};
      if (cost(family, size, tile, processors) < cost(family, size, best, processors)) best = tile;
    }
  };
  consider(family.most, kWideColumns);
  if (may_be_slim) consider(kSlimRows, kSlimColumns);
  return best;
}

}  // namespace moe::cuda::tiles
