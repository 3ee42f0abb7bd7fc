// The parts that the GEMM's kernels share: the walk over the tiles of all groups, reads of 16 bytes of an operand, and
// the epilogue.
#pragma once

#include "cuda/activation.h"
#include "cuda/gemm_product.h"
#include "cuda/reduce.h"

namespace moe::cuda {

// One tile of one group's product. Columns are those of c.
struct TileIndex {
  int64_t group;
  int64_t begin;  // the group's first row, of a and c or of the inner dimension
  int64_t rows;   // of the group
  int64_t inner;
  int64_t row, column;  // of the tile's upper left corner, in the group
};

// Deals the tiles of all groups to the blocks in turn, whatever the groups' sizes: each warp counts the tiles of 32
// groups at a time, so that neither the host nor another block needs to know them. Refuses offsets that are no groups.
template <class Tile>
class TileWalk {
 public:
  __device__ TileWalk(const Product& product, RowRange rows, Refusal refusal)
      : product_(product), rows_(rows), refusal_(refusal) {
    const bool gated = product.activation == MOE_SWIGLU;
    tile_columns_ = gated ? Tile::kColumns / 2 : Tile::kColumns;
    across_ = (product.width() + tile_columns_ - 1) / tile_columns_;
  }

  // The block's next tile, the same in all its threads; false when there is none left.
  __device__ bool next(TileIndex& tile) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
    for (; window_ < product_.count; window_ += kWarpLanes) {
      int64_t begin = 0, size = 0;
      const int64_t mine = extent(window_ + lane, begin, size);
      int64_t through = mine;  // tiles of the window's groups up to the lane's
      for (int below = 1; below < kWarpLanes; below *= 2) {
        const int64_t other = __shfl_up_sync(kAllLanes, through, below);
        if (lane >= below) through += other;
      }
      const unsigned holds = __ballot_sync(kAllLanes, index_ < before_window_ + through);
      if (holds != 0) {
        const int source = __ffs(static_cast<int>(holds)) - 1;
        const int64_t before = __shfl_sync(kAllLanes, through - mine, source);
        place(index_ - before_window_ - before, tile, __shfl_sync(kAllLanes, begin, source),
              __shfl_sync(kAllLanes, size, source));
        tile.group = window_ + source;
        index_ += gridDim.x;
        return true;
      }
      before_window_ += __shfl_sync(kAllLanes, through, kWarpLanes - 1);
    }
    return false;
  }

 private:
  // Tiles of a group, its first row and its number of rows.
  __device__ int64_t extent(int64_t group, int64_t& begin, int64_t& size) const {
    if (group >= product_.count) return 0;
    if (product_.groups == Groups::kOne) {
      size = product_.rows;
    } else {
      begin = product_.offsets[group];
      size = product_.offsets[group + 1] - begin;
      const int64_t all = product_.groups == Groups::kOfRows ? product_.rows : product_.inner;
      if (begin < 0 || size < 0 || begin + size > all || (group == 0 && begin != 0)) {
        refusal_.raise();
        return 0;
      }
      if (size == 0 || size < rows_.least || size > rows_.most) return 0;
    }
    const int64_t rows = product_.groups == Groups::kOfInner ? product_.rows : size;
    return (rows + Tile::kRows - 1) / Tile::kRows * across_;
  }

  // Tile `index` of a group. Tiles go down bands of kBand, so that blocks that run at once share their columns of b and
  // their rows of a in the cache.
  __device__ void place(int64_t index, TileIndex& tile, int64_t begin, int64_t size) const {
    const bool of_inner = product_.groups == Groups::kOfInner;
    tile.begin = begin;
    tile.rows = of_inner ? product_.rows : size;
    tile.inner = of_inner ? size : product_.inner;
    const int64_t down = (tile.rows + Tile::kRows - 1) / Tile::kRows;
    const int64_t band = index / (kBand * across_), in_band = index % (kBand * across_);
    const int64_t height = min(kBand, down - band * kBand);
    tile.row = (band * kBand + in_band % height) * Tile::kRows;
    tile.column = in_band / height * tile_columns_;
  }

  static constexpr int64_t kBand = 16;

  const Product& product_;
  const RowRange rows_;
  const Refusal refusal_;
  int64_t tile_columns_ = 0;
  int64_t across_ = 0;         // tiles across a group
  int64_t index_ = blockIdx.x;  // of the block's next tile, over all groups
  int64_t window_ = 0;         // the first group of the 32 that are looked at
  int64_t before_window_ = 0;  // tiles of the groups before
};

// The lines of an operand that a tile reads. For SwiGLU columns of the gate and of the up half alternate by eights.
struct TileLines {
  static constexpr int kRun = 8;

  int64_t first;
  int64_t limit;  // lines of the operand, or of each half
  bool gated;

  __device__ __forceinline__ int64_t in_half(int line) const {
    return first + (gated ? line / (2 * kRun) * kRun + line % kRun : line);
  }
  __device__ __forceinline__ int64_t at(int line) const {
    return in_half(line) + (gated && line / kRun % 2 != 0 ? limit : 0);
  }
  // Lines from this one on, at most to the end of its run of eight.
  __device__ __forceinline__ int64_t left(int line) const { return limit - in_half(line); }
};

template <typename Value>
struct Operand {
  const Value* data;
  int64_t stride;
  bool packs;
};

// a and b of one group.
template <typename Value>
__device__ __forceinline__ Operand<Value> operand_a(const Product& product, const TileIndex& tile) {
  const Matrix& a = product.a;
  return {static_cast<const Value*>(a.data) + tile.begin * a.stride, a.stride, a.packs};
}
template <typename Value>
__device__ __forceinline__ Operand<Value> operand_b(const Product& product, const TileIndex& tile) {
  const Matrix& b = product.b;
  const int64_t skipped = product.groups == Groups::kOfInner ? tile.begin * b.stride : tile.group * product.b_elements;
  return {static_cast<const Value*>(b.data) + skipped, b.stride, b.packs};
}
__device__ __forceinline__ TileLines lines_a(const TileIndex& tile) { return {tile.row, tile.rows, false}; }
__device__ __forceinline__ TileLines lines_b(const Product& product, const TileIndex& tile) {
  return {tile.column, product.width(), product.activation == MOE_SWIGLU};
}

// Where the neighbours of a 16-byte chunk lie in a panel of `kLines` lines and `kDepth` of the inner dimension, and in
// memory; `count` of them exist.
template <typename Value, int kLines, int kDepth>
struct Chunk {
  static constexpr int kPack = kPackOf<Value>;
  static constexpr int kChunks = kLines * kDepth / kPack;

  int line, k;
  const Value* from;
  int count;

  __device__ __forceinline__ Chunk(int index, bool turned, const Operand<Value>& operand, const TileLines& lines,
                                   int64_t first_k, int64_t inner) {
    line = turned ? index % (kLines / kPack) * kPack : index / (kDepth / kPack);
    k = turned ? index / (kLines / kPack) : index % (kDepth / kPack) * kPack;
    const int64_t line_left = lines.left(line), inner_left = inner - first_k - k;
    const int64_t left = line_left <= 0 || inner_left <= 0 ? 0 : turned ? line_left : inner_left;
    count = static_cast<int>(min(left, int64_t{kPack}));
    const int64_t offset =
        turned ? (first_k + k) * operand.stride + lines.at(line) : lines.at(line) * operand.stride + first_k + k;
    from = operand.data + (count > 0 ? offset : 0);
  }

  // The neighbours, and zeros for those that do not exist.
  __device__ __forceinline__ Pack<Value, kPack> load(bool packs) const {
    if (packs && count == kPack) return *reinterpret_cast<const Pack<Value, kPack>*>(from);
    Pack<Value, kPack> pack;
#pragma unroll
    for (int i = 0; i < kPack; ++i) pack.values[i] = i < count ? from[i] : from_float<Value>(0.0f);
    return pack;
  }
};

template <typename Value>
__device__ __forceinline__ void load_four(const Output& output, int64_t offset, int count, float (&to)[4]) {
  const Value* from = static_cast<const Value*>(output.data) + offset;
  if (output.quads && count == 4) {
    const auto pack = *reinterpret_cast<const Pack<Value, 4>*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = to_float(pack.values[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = i < count ? to_float(from[i]) : 0.0f;
}

template <typename Value>
__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  Value* to = static_cast<Value*>(output.data) + offset;
  Pack<Value, 4> pack;
#pragma unroll
  for (int i = 0; i < 4; ++i) pack.values[i] = from_float<Value>(from[i]);
  if (output.quads && count == 4) {
    *reinterpret_cast<Pack<Value, 4>*>(to) = pack;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < count) to[i] = pack.values[i];
  }
}

__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  if (output.dtype == MOE_BFLOAT16) {
    store_four<Bfloat16>(output, offset, count, from);
  } else {
    store_four<float>(output, offset, count, from);
  }
}

// Elements between the rows of a tile's sums in shared memory: writes of a warp's fragments meet no bank twice.
template <class Tile>
constexpr int kSumsStride = Tile::kColumns + 8;
template <class Tile>
constexpr size_t kSumsBytes = size_t{Tile::kRows} * kSumsStride<Tile> * sizeof(float);

// Sums of four neighbours of a row plus bias; saved for the backward on the way.
__device__ __forceinline__ void preactivate(const Product& product, const float* sums, int64_t bias_row, int64_t c_row,
                                            int64_t column, int count, float (&to)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = sums[i];
    if (product.bias != nullptr && i < count) to[i] += product.bias[bias_row * product.columns + column + i];
  }
  const Output& saved = product.preactivation;
  if (saved.data != nullptr) store_four(saved, c_row * saved.stride + column, count, to);
}

// Rounds a tile's sums from shared memory to c, four neighbours a thread at a time.
template <class Tile>
__device__ __forceinline__ void finish_tile(const Product& product, const TileIndex& tile, const float* sums) {
  const bool gated = product.activation == MOE_SWIGLU;
  const int64_t width = product.width();
  const int64_t bias_row = product.groups == Groups::kOfRows ? tile.group : 0;
  const int64_t first_row = product.groups == Groups::kOfInner ? tile.group * product.rows : tile.begin;
  const int rows = static_cast<int>(min(tile.rows - tile.row, int64_t{Tile::kRows}));
  const int quads = gated ? Tile::kColumns / 8 : Tile::kColumns / 4;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < rows * quads; i += Tile::kThreads) {
    const int row = i / quads, across = i % quads * 4;
    const int64_t column = tile.column + across, c_row = first_row + tile.row + row;
    if (column >= width) continue;
    const int count = static_cast<int>(min(width - column, int64_t{4}));
    const float* from = sums + row * kSumsStride<Tile>;
    float values[4];
    if (gated) {
      float up[4];
      from += across / TileLines::kRun * 2 * TileLines::kRun + across % TileLines::kRun;
      preactivate(product, from, bias_row, c_row, column, count, values);
      preactivate(product, from + TileLines::kRun, bias_row, c_row, column + width, count, up);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] = activate(MOE_SWIGLU, values[j]) * up[j];
    } else {
      preactivate(product, from + across, bias_row, c_row, column, count, values);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] = activate(product.activation, values[j]);
    }
    const int64_t offset = c_row * product.c.stride + column;
    if (product.accumulate) {
      float old[4];
      if (product.c.dtype == MOE_BFLOAT16) {
        load_four<Bfloat16>(product.c, offset, count, old);
      } else {
        load_four<float>(product.c, offset, count, old);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] += old[j];
    }
    store_four(product.c, offset, count, values);
  }
}

}  // namespace moe::cuda
