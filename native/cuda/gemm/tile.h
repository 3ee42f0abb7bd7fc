// The parts that the GEMM's kernels share: the walk over the tiles of all groups, and reads of 16 bytes of an operand.
#pragma once

#include "cuda/gemm/product.h"
#include "cuda/reduce.h"

namespace moe::cuda {

// One tile of one group's product. Columns are those of c.
struct TileIndex {
  int group;
  int begin;  // the group's first row, of a and c or of the inner dimension
  int rows;   // of the group
  int inner;
  int row, column;  // of the tile's upper left corner, in the group
};

// Deals the tiles of all groups to the blocks in turn, whatever the groups' sizes: a warp counts the tiles of 32 groups
// at a time, so that neither the host nor another block needs to know them. Lies in shared memory, where it costs no
// registers while a tile is summed.
template <class Tile>
struct TileWalk {
  int64_t index;          // of the block's next tile, over all groups
  int64_t before_window;  // tiles of the groups before the window
  int window;             // the first group of the 32 that are looked at
  bool found;
  TileIndex tile;  // where one was found

  // By one thread.
  __device__ void start() {
    index = blockIdx.x;
    before_window = 0;
    window = 0;
  }

  // Whether there is a next tile for the block, whose threads all call this. Passes two barriers.
  __device__ bool next(const Product& product, RowRange range, Refusal refusal) {
    __syncthreads();
    if (threadIdx.x < kWarpLanes) find(product, range, refusal);
    __syncthreads();
    return found;
  }

  // The same by one warp, for threads that meet in another way. Refuses offsets that are no groups.
  __device__ void find(const Product& product, RowRange range, Refusal refusal) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
    const int across = (product.width() + tile_columns<Tile>(product) - 1) / tile_columns<Tile>(product);
    const int64_t wanted = index;
    int64_t before = before_window;
    int first = window, source = -1, begin = 0, size = 0;
    for (; first < product.count; first += kWarpLanes) {
      const int64_t mine = int64_t{tiles_down(product, range, refusal, first + lane, begin, size)} * across;
      int64_t through = mine;  // tiles of the window's groups up to the lane's
      for (int below = 1; below < kWarpLanes; below *= 2) {
        const int64_t other = __shfl_up_sync(kAllLanes, through, below);
        if (lane >= below) through += other;
      }
      const unsigned holding = __ballot_sync(kAllLanes, wanted < before + through);
      if (holding != 0) {
        source = __ffs(static_cast<int>(holding)) - 1;
        if (lane == source) place(product, wanted - before - (through - mine), across, begin, size);
        break;
      }
      before += __shfl_sync(kAllLanes, through, kWarpLanes - 1);
    }
    __syncwarp();  // all have read the state
    if (lane != max(source, 0)) return;
    found = source >= 0;
    tile.group = first + lane;
    index = wanted + gridDim.x;
    before_window = before;
    window = first;
  }

 private:
  static constexpr int kBand = 16;

  // Tiles down a group, its first row and its number of rows.
  __device__ static int tiles_down(const Product& product, RowRange range, Refusal refusal, int group, int& begin,
                                   int& size) {
    if (group >= product.count) return 0;
    if (product.groups == Groups::kOne) {
      size = product.rows;
      return tiles_in(size);
    }
    begin = product.offsets[group];
    const int end = product.offsets[group + 1];
    if (begin < 0 || end < begin || (group == 0 && begin != 0) ||
        end > (product.groups == Groups::kOfRows ? product.rows : product.inner)) {
      refusal.raise();
      return 0;
    }
    size = end - begin;
    // An empty inner dimension adds nothing, but may have zeros to write.
    if (size < range.least || size > range.most || (size == 0 && product.accumulate)) return 0;
    return tiles_in(product.groups == Groups::kOfInner ? product.rows : size);
  }

  __device__ static int tiles_in(int rows) { return rows / Tile::kRows + (rows % Tile::kRows != 0); }

  // Tile `number` of a group. Tiles go down bands of kBand, so that blocks that run at once share their columns of b
  // and their rows of a in the cache.
  __device__ void place(const Product& product, int64_t number, int across, int begin, int size) {
    const bool of_inner = product.groups == Groups::kOfInner;
    tile.begin = begin;
    tile.rows = of_inner ? product.rows : size;
    tile.inner = of_inner ? size : product.inner;
    const int64_t of_band = int64_t{kBand} * across;
    const int band = static_cast<int>(number / of_band) * kBand, in_band = static_cast<int>(number % of_band);
    const int height = min(kBand, tiles_in(tile.rows) - band);
    tile.row = (band + in_band % height) * Tile::kRows;
    tile.column = in_band / height * tile_columns<Tile>(product);
  }
};

// For SwiGLU a tile's lines of b alternate: kRun of the gate, then the kRun of the up half that they go with.
constexpr int kRun = 8;
__host__ __device__ constexpr int line_in_half(int line) { return line / (2 * kRun) * kRun + line % kRun; }
__host__ __device__ constexpr bool line_is_up(int line) { return line / kRun % 2 != 0; }

// A tile's side of an operand: a and b of one group, from the tile's first line on.
template <typename Value>
struct Side {
  const Value* data;
  int64_t stride;
  bool aligned;
  int left;  // lines from here on, for SwiGLU of the gate
  int up;    // lines from the gate's to the up half's, 0 but for SwiGLU
};

template <typename Value, bool transposed>
__device__ __forceinline__ Side<Value> side_a(const Product& product, const TileIndex& tile) {
  const Matrix& a = product.a;
  const int64_t skipped = tile.begin * a.stride + (transposed ? int64_t{tile.row} : tile.row * a.stride);
  return {static_cast<const Value*>(a.data) + skipped, a.stride, a.aligned, tile.rows - tile.row, 0};
}

template <typename Value, bool transposed>
__device__ __forceinline__ Side<Value> side_b(const Product& product, const TileIndex& tile) {
  const Matrix& b = product.b;
  const int width = product.width();
  const int64_t skipped =
      (product.groups == Groups::kOfInner ? tile.begin * b.stride : tile.group * product.b_elements) +
      (transposed ? int64_t{tile.column} : tile.column * b.stride);
  return {static_cast<const Value*>(b.data) + skipped, b.stride, b.aligned, width - tile.column,
          product.activation == MOE_SWIGLU ? width : 0};
}

// 16 bytes' worth of neighbours, of which the first `count` exist.
template <typename Value>
struct Chunk {
  const Value* from;
  int count;

  // Zeros for those that do not exist.
  __device__ __forceinline__ Vector<Value, kVectorOf<Value>> load(bool aligned) const {
    if (aligned && count == kVectorOf<Value>) return *reinterpret_cast<const Vector<Value, kVectorOf<Value>>*>(from);
    Vector<Value, kVectorOf<Value>> vector;
#pragma unroll
    for (int i = 0; i < kVectorOf<Value>; ++i) vector.values[i] = i < count ? from[i] : from_float<Value>(0.0f);
    return vector;
  }
};

// A thread's share of the panels of a side: each `lines` by `depth` of the inner dimension, kCount chunks a thread.
// From one chunk to the next is a constant number of lines, or of k where the side is transposed.
template <typename Value, bool transposed, int lines, int depth, int threads>
class PanelReader {
 public:
  static constexpr int kVector = kVectorOf<Value>;
  static constexpr int kCount = lines * depth / kVector / threads;

  __device__ __forceinline__ explicit PanelReader(const Side<Value>& side)
      : from_(side.data), stride_(side.stride), aligned_(side.aligned), up_(side.up) {
    const int line = this->line(0), at = up_ != 0 ? line_in_half(line) : line;
    const int skipped = at + (kStepInRun || !line_is_up(line) ? 0 : up_);
    left_ = side.left - at;
    from_ += transposed ? k(0) * stride_ + skipped : skipped * stride_ + k(0);
  }

  // Where chunk i of the thread lies in the panel.
  __device__ __forceinline__ static int line(int i) { return transposed ? across() : down(i); }
  __device__ __forceinline__ static int k(int i) { return transposed ? down(i) : across(); }

  // ... and in memory; `inner` is what is left of the inner dimension from the panel on.
  __device__ __forceinline__ Chunk<Value> chunk(int i, int inner) const {
    if constexpr (transposed) {
      return {from_ + i * kStep * stride_, k(i) < inner ? min(max(left_, 0), kVector) : 0};
    } else {
      int skipped = i * kStep;
      int64_t to_up = 0;
      if (up_ != 0) {
        if (kStepInRun && line_is_up(skipped)) to_up = up_ * stride_;
        skipped = line_in_half(skipped);
      }
      return {from_ + skipped * stride_ + to_up, skipped < left_ ? min(max(inner - k(0), 0), kVector) : 0};
    }
  }
  // On to the next panel.
  __device__ __forceinline__ void advance() { from_ += transposed ? depth * stride_ : depth; }
  __device__ __forceinline__ bool aligned() const { return aligned_; }

 private:
  static constexpr int kAcross = (transposed ? lines : depth) / kVector;  // chunks of a line, or of a k
  static constexpr int kStep = threads / kAcross;
  // Whether the thread's chunks alternate between gate and up half; else all are of the same half.
  static constexpr bool kStepInRun = !transposed && kRun % kStep == 0;
  static_assert(lines * depth / kVector % threads == 0 && threads % kAcross == 0);
  static_assert(transposed || kCount == 1 || kStepInRun || kStep % (2 * kRun) == 0);

  __device__ __forceinline__ static int across() { return static_cast<int>(threadIdx.x) % kAcross * kVector; }
  __device__ __forceinline__ static int down(int i) { return static_cast<int>(threadIdx.x) / kAcross + i * kStep; }

  const Value* from_;
  const int64_t stride_;
  const bool aligned_;
  const int up_;
  int left_;  // lines of the side from the thread's first one on
};

}  // namespace moe::cuda
