// Which tiles a product on tensor cores is cut into. The host knows the rows of a call but not those of its groups, and
// takes them for equal; a row's bits depend on no tile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/ceil_div.h"

namespace moe::cuda::tiles {

// A tile of c: up to `rows` rows by `columns` columns of a b^T. With fewer rows left it is multiplied as a smaller one.
struct Tile {
  int rows, columns;
};

// Instructions multiply `least`, 2 `least`, 4 `least`, ... rows. A wide tile has up to `most` of them, a slim one up to
// kSlimRows.
struct Family {
  int least, most;
};
constexpr int kWideColumns = 128, kSlimColumns = 64, kSlimRows = 64;
constexpr Family kMma{16, 128}, kWgmma{8, 256};

// The rows that are multiplied where a tile has `rows`.
constexpr int multiplied_rows(Family family, int64_t rows) {
  int multiplied = family.least;
  while (multiplied < rows) multiplied *= 2;
  return multiplied;
}

// A call: `rows` of all groups together, `columns` of a b^T.
struct Call {
  int64_t rows, columns, groups;

  int64_t rows_of_group() const { return ceil_div(rows, std::max<int64_t>(groups, 1)); }
  int64_t tiles(Tile tile) const {
    return std::min(rows, groups) * ceil_div(rows_of_group(), tile.rows) * ceil_div(columns, tile.columns);
  }
};

// An estimate of the time of a k, of which only ratios matter: the multiply-adds of a tile and the reading of its
// operands, for the multiprocessor with most tiles.
constexpr int64_t kRead = 64;  // multiply-adds in the time of reading an element
inline int64_t cost(Family family, Call call, Tile tile, int64_t processors) {
  const int64_t rows = multiplied_rows(family, std::min<int64_t>(tile.rows, call.rows_of_group()));
  return ceil_div(call.tiles(tile), processors) * (rows * tile.columns + kRead * (rows + tile.columns));
}

// The cheapest tile, among equal ones the largest: groups may be larger than the host thinks.
inline Tile choose(Family family, Call call, bool may_be_slim, int64_t processors) {
  Tile best{family.most, kWideColumns};
  const auto consider = [&](int most, int columns) {
    for (int rows = most; rows >= family.least; rows /= 2) {
      const Tile tile{rows, columns};
      if (cost(family, call, tile, processors) < cost(family, call, best, processors)) best = tile;
    }
  };
  consider(family.most, kWideColumns);
  if (may_be_slim) consider(kSlimRows, kSlimColumns);
  return best;
}

}  // namespace moe::cuda::tiles
