// Shared by the GEMM kernels: the walk over the tiles of all groups, and vector reads of an operand's panels.
#pragma once

#include "cuda/gemm/product.h"
#include "cuda/kernel/reduce.h"

namespace moe::cuda {

// A tile of a group's product, in rows and columns of c.
struct TileIndex {
  int group;
  int begin;  // the group's first row, of a and c or of the inner dimension
  int rows;   // rows of the group
  int inner;
  int row, column;  // the tile's first element within the group
};

// Walks over the tiles of all groups: a block computes tiles blockIdx.x, blockIdx.x + gridDim.x, ... (a persistent
// grouped GEMM like in CUTLASS). To find a tile, one warp counts the tiles of 32 groups at a time from the offsets, so
// neither the host nor other blocks need the sizes of the groups. The walk is in shared memory, to leave registers for
// sums.
template <class Tile>
struct TileWalk {
  int64_t index;          // index of the block's next tile over all groups
  int64_t before_window;  // tiles of the groups before the window
  int window;             // the first of 32 groups whose tiles are counted
  int tile_rows;          // rows of c per tile
  bool found;
  TileIndex tile;  // valid if found

  // Called by one thread. Tiles have this many rows, except the last one of a group.
  __device__ void start(int rows) {
    index = blockIdx.x;
    before_window = 0;
    window = 0;
    tile_rows = rows;
  }

  // Rows of the current tile.
  __device__ int rows() const { return min(tile.rows - tile.row, tile_rows); }

  // Finds the block's next tile; returns false after the last one. Called by all threads; has two barriers.
  __device__ bool next(const Product& product, RowRange range, Refusal refusal) {
    __syncthreads();
    if (threadIdx.x < kWarpLanes) find(product, range, refusal);
    __syncthreads();
    return found;
  }

  // next() for one warp, for kernels with barriers of their own. Refuses illegal offsets.
  __device__ void find(const Product& product, RowRange range, Refusal refusal) {
    if (product.depth != 0) return find_split(product);
    const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
    const int across = (product.width() + tile_columns<Tile>(product) - 1) / tile_columns<Tile>(product);
    const int64_t wanted = index;
    int64_t before = before_window;
    int first = window, source = -1, begin = 0, size = 0;
    for (; first < product.count; first += kWarpLanes) {
      const int64_t mine = int64_t{tiles_down(product, range, refusal, first + lane, begin, size)} * across;
      const int64_t through = warp_sum_up_to(mine);  // tiles of the window's groups up to the lane's
      const unsigned holding = __ballot_sync(kAllLanes, wanted < before + through);
      if (holding != 0) {
        source = __ffs(static_cast<int>(holding)) - 1;
        if (lane == source) place(product, wanted - before - (through - mine), across, begin, size);
        break;
      }
      before += __shfl_sync(kAllLanes, through, kWarpLanes - 1);
    }
    __syncwarp();  // all lanes have read the state
    if (lane != max(source, 0)) return;
    found = source >= 0;
    tile.group = first + lane;
    index = wanted + gridDim.x;
    before_window = before;
    window = first;
  }

 private:
  static constexpr int kBand = 16;  // rows of tiles in a band

  // Splits of a tile are adjacent: they run at the same time, and their sums are in the L2 cache when they are added.
  __device__ void find_split(const Product& product) {
    if (threadIdx.x % kWarpLanes != 0) return;
    const int across = (product.width() + tile_columns<Tile>(product) - 1) / tile_columns<Tile>(product);
    const int64_t number = index / product.count;
    found = number < int64_t{tiles_in(product.rows)} * across;
    tile.group = static_cast<int>(index % product.count);
    const int begin = tile.group * product.depth;
    if (found) place(product, number, across, begin, min(product.depth, product.inner - begin));
    index += gridDim.x;
  }

  // Rows of tiles in a group; also returns the group's first row (or k) and its size.
  __device__ int tiles_down(const Product& product, RowRange range, Refusal refusal, int group, int& begin,
                            int& size) const {
    if (group >= product.count) return 0;
    if (product.groups == Groups::kOne) {
      size = product.rows;
      return tiles_in(size);
    }
    begin = product.offsets[group];
    const int end = product.offsets[group + 1];
    if (begin < 0 || end < begin || (group == 0 && begin != 0 && !product.continues) ||
        end > (product.groups == Groups::kOfRows ? product.rows : product.inner)) {
      refusal.raise();
      return 0;
    }
    size = end - begin;
    // A group with K = 0 adds nothing, but without accumulation its c must be set to 0.
    if (size < range.least || size > range.most || (size == 0 && product.accumulate)) return 0;
    return tiles_in(product.groups == Groups::kOfInner ? product.rows : size);
  }

  __device__ int tiles_in(int rows) const { return rows / tile_rows + (rows % tile_rows != 0); }

  // Sets tile `number` of a group. Tiles are numbered down bands of kBand rows of tiles, so that blocks that run at the
  // same time share columns of b and rows of a in the L2 cache.
  __device__ void place(const Product& product, int64_t number, int across, int begin, int size) {
    const bool of_inner = product.groups == Groups::kOfInner;
    tile.begin = begin;
    tile.rows = of_inner ? product.rows : size;
    tile.inner = of_inner ? size : product.inner;
    const int64_t of_band = int64_t{kBand} * across;
    const int band = static_cast<int>(number / of_band) * kBand, in_band = static_cast<int>(number % of_band);
    const int height = min(kBand, tiles_in(tile.rows) - band);
    tile.row = (band + in_band % height) * tile_rows;
    tile.column = in_band / height * tile_columns<Tile>(product);
  }
};

// With a gated activation, a tile's lines of b alternate: kRun of the gate, then the matching kRun of the up half.
constexpr int kRun = 8;
__host__ __device__ constexpr int line_in_half(int line) { return line / (2 * kRun) * kRun + line % kRun; }
__host__ __device__ constexpr bool line_is_up(int line) { return line / kRun % 2 != 0; }

// One group's operand from the tile's first line on.
template <typename Value>
struct Side {
  const Value* data;
  int64_t stride;
  bool aligned;
  int left;  // lines from here on; gated: lines of the gate
  int up;    // gated: lines from a gate line to its up line; else 0
};

template <typename Value, bool transposed>
__device__ __forceinline__ Side<Value> side_a(const Product& product, const TileIndex& tile) {
  const Matrix& a = product.a;
  const bool along_k = product.groups == Groups::kOfInner && !transposed;
  const int64_t skipped =
      (along_k ? tile.begin : tile.begin * a.stride) + (transposed ? int64_t{tile.row} : tile.row * a.stride);
  return {static_cast<const Value*>(a.data) + skipped, a.stride, a.aligned, tile.rows - tile.row, 0};
}

template <typename Value, bool transposed>
__device__ __forceinline__ Side<Value> side_b(const Product& product, const TileIndex& tile) {
  const Matrix& b = product.b;
  const int width = product.width();
  const int64_t skipped = (product.groups == Groups::kOfInner ? tile.begin * (transposed ? b.stride : 1)
                                                              : tile.group * product.b_elements) +
                          (transposed ? int64_t{tile.column} : tile.column * b.stride);
  return {static_cast<const Value*>(b.data) + skipped, b.stride, b.aligned, width - tile.column,
          product.gating.gated ? width : 0};
}

// 16 bytes of adjacent elements, of which the first `count` are inside the operand.
template <typename Value>
struct Chunk {
  const Value* from;
  int count;

  // Loads the chunk, with zeros outside the operand.
  __device__ __forceinline__ Vector<Value, kVectorOf<Value>> load(bool aligned) const {
    if (aligned && count == kVectorOf<Value>) return *reinterpret_cast<const Vector<Value, kVectorOf<Value>>*>(from);
    Vector<Value, kVectorOf<Value>> vector;
#pragma unroll
    for (int i = 0; i < kVectorOf<Value>; ++i) vector.values[i] = i < count ? from[i] : from_float<Value>(0.0f);
    return vector;
  }
};

// The 16-byte chunks that a thread reads of each panel (`lines` by `depth` of k): kCount of them, a constant number of
// lines apart, or of k if the operand is transposed. If a panel has fewer chunks than threads, the last threads read
// nothing.
template <typename Value, bool transposed, int lines, int depth, int threads>
class PanelReader {
 public:
  static constexpr int kVector = kVectorOf<Value>;
  static constexpr int kChunks = lines * depth / kVector, kCount = kChunks < threads ? 1 : kChunks / threads;

  __device__ __forceinline__ explicit PanelReader(const Side<Value>& side)
      : from_(side.data), stride_(side.stride), aligned_(side.aligned), up_(side.up) {
    const int line = this->line(0), at = up_ != 0 ? line_in_half(line) : line;
    const int skipped = at + (kStepInRun || !line_is_up(line) ? 0 : up_);
    left_ = side.left - at;
    from_ += transposed ? k(0) * stride_ + skipped : skipped * stride_ + k(0);
  }

  // Line and k of the thread's chunk i within the panel.
  __device__ __forceinline__ static int line(int i) { return transposed ? across() : down(i); }
  __device__ __forceinline__ static int k(int i) { return transposed ? down(i) : across(); }

  // The thread's chunk i in memory; `inner` is K minus the panel's first k.
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
  // Advances to the next panel.
  __device__ __forceinline__ void advance() { from_ += transposed ? depth * stride_ : depth; }
  __device__ __forceinline__ bool aligned() const { return aligned_; }
  __device__ __forceinline__ static bool reads() { return kChunks >= threads || threadIdx.x < kChunks; }

 private:
  static constexpr int kAcross = (transposed ? lines : depth) / kVector;  // chunks per line, or per k
  static constexpr int kStep = threads / kAcross;
  // True if the thread's chunks alternate between gate and up half; else all are in one half.
  static constexpr bool kStepInRun = !transposed && kRun % kStep == 0;
  static_assert((kChunks < threads || kChunks % threads == 0) && threads % kAcross == 0);
  static_assert(transposed || kCount == 1 || kStepInRun || kStep % (2 * kRun) == 0);

  __device__ __forceinline__ static int across() { return static_cast<int>(threadIdx.x) % kAcross * kVector; }
  __device__ __forceinline__ static int down(int i) { return static_cast<int>(threadIdx.x) / kAcross + i * kStep; }

  const Value* from_;
  const int64_t stride_;
  const bool aligned_;
  const int up_;
  int left_;  // lines of the operand from the thread's first line on
};

}  // namespace moe::cuda
