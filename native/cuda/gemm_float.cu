// Products with a float32 operand: float32 multiply-adds. One thread sums an element of c, over k in ascending order,
// whatever the tile.
#include "cuda/gemm_tile.h"

namespace moe::cuda {
namespace {

// A block's tile, the depth of a panel, and how many sums down and across it a thread has.
template <int rows, int columns, int depth, int sum_rows, int sum_columns, int blocks>
struct FloatTile {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth;
  static constexpr int kSumRows = sum_rows, kSumColumns = sum_columns;
  static constexpr int kThreadColumns = columns / sum_columns;
  static constexpr int kThreads = rows / sum_rows * kThreadColumns;
  static constexpr int kBlocks = blocks;  // that run on a multiprocessor at once
  // Elements between the rows of k of a panel in shared memory.
  static constexpr int kStrideA = rows + 4, kStrideB = columns + 4;
  static constexpr int kPanels = depth * (kStrideA + kStrideB);  // elements
};

using WideTile = FloatTile<128, 128, 16, 8, 8, 2>;
using NarrowTile = FloatTile<16, 32, 64, 2, 2, 4>;

template <class Tile>
constexpr size_t kSharedBytes = std::max(2 * Tile::kPanels * sizeof(float), kSumsBytes<Tile>);

// A thread's share of the next panel on its way from memory to shared memory, in registers.
template <typename Value, class Tile, int kLines>
class Held {
 public:
  __device__ __forceinline__ void load(const Operand<Value>& operand, bool turned, const TileLines& lines,
                                       int64_t first_k, int64_t inner) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      packs_[i] = Part(chunk(i), turned, operand, lines, first_k, inner).load(operand.packs);
    }
  }

  // As float32 with lines along a row of k.
  template <int kStride>
  __device__ __forceinline__ void store(float* panel, bool turned) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int index = chunk(i);
      const int line = turned ? index % (kLines / kPack) * kPack : index / (Tile::kDepth / kPack);
      const int k = turned ? index / (kLines / kPack) : index % (Tile::kDepth / kPack) * kPack;
      float* to = panel + k * kStride + line;
#pragma unroll
      for (int j = 0; j < kPack; ++j) to[turned ? j : j * kStride] = to_float(packs_[i].values[j]);
    }
  }

 private:
  using Part = Chunk<Value, kLines, Tile::kDepth>;
  static constexpr int kPack = Part::kPack, kCount = Part::kChunks / Tile::kThreads;
  static_assert(Part::kChunks % Tile::kThreads == 0);

  __device__ __forceinline__ static int chunk(int i) { return i * Tile::kThreads + static_cast<int>(threadIdx.x); }

  Pack<Value, kPack> packs_[kCount];
};

// A thread's lines of a tile's side of `kSize`: runs of at most four neighbours, spread over it.
template <int kSize, int kCount>
struct ThreadLines {
  static constexpr int kRun = kCount < 4 ? kCount : 4;

  __device__ __forceinline__ static int at(int thread, int i) {
    return i / kRun * (kSize / (kCount / kRun)) + thread * kRun + i % kRun;
  }

  __device__ __forceinline__ static void load(const float* row, int thread, float (&to)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; i += kRun) {
      const auto run = *reinterpret_cast<const Pack<float, kRun>*>(row + at(thread, i));
#pragma unroll
      for (int j = 0; j < kRun; ++j) to[i + j] = run.values[j];
    }
  }
};

// Wide tiles: bound by rows columns inner multiply-adds. Narrow ones: by reading b's columns inner elements, once.
template <typename A, typename B, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    float_kernel(const Product product, RowRange rows, Refusal refusal) {
  using ThreadRows = ThreadLines<Tile::kRows, Tile::kSumRows>;
  using ThreadColumns = ThreadLines<Tile::kColumns, Tile::kSumColumns>;
  MOE_DYNAMIC_SHARED(float, shared);
  const int thread_row = static_cast<int>(threadIdx.x) / Tile::kThreadColumns;
  const int thread_column = static_cast<int>(threadIdx.x) % Tile::kThreadColumns;
  const bool turned_a = product.a.turned, turned_b = product.b.turned;
  TileWalk<Tile> walk(product, rows, refusal);
  for (TileIndex tile; walk.next(tile);) {
    const Operand<A> a = operand_a<A>(product, tile);
    const Operand<B> b = operand_b<B>(product, tile);
    const TileLines of_a = lines_a(tile), of_b = lines_b(product, tile);
    Held<A, Tile, Tile::kRows> held_a;
    Held<B, Tile, Tile::kColumns> held_b;
    float sums[Tile::kSumRows][Tile::kSumColumns] = {};
    held_a.load(a, turned_a, of_a, 0, tile.inner);
    held_b.load(b, turned_b, of_b, 0, tile.inner);
    float *panel = shared, *other = shared + Tile::kPanels;
#pragma unroll 1
    for (int64_t k = 0; k < tile.inner; k += Tile::kDepth) {
      float* panel_b = panel + Tile::kDepth * Tile::kStrideA;
      held_a.template store<Tile::kStrideA>(panel, turned_a);
      held_b.template store<Tile::kStrideB>(panel_b, turned_b);
      __syncthreads();  // this panel is whole; the other was read before the last one was stored
      held_a.load(a, turned_a, of_a, k + Tile::kDepth, tile.inner);
      held_b.load(b, turned_b, of_b, k + Tile::kDepth, tile.inner);
#pragma unroll 8
      for (int i = 0; i < Tile::kDepth; ++i) {
        float left[Tile::kSumRows], right[Tile::kSumColumns];
        ThreadRows::load(panel + i * Tile::kStrideA, thread_row, left);
        ThreadColumns::load(panel_b + i * Tile::kStrideB, thread_column, right);
#pragma unroll
        for (int r = 0; r < Tile::kSumRows; ++r) {
#pragma unroll
          for (int c = 0; c < Tile::kSumColumns; ++c) sums[r][c] = fmaf(left[r], right[c], sums[r][c]);
        }
      }
      float* const next = other;
      other = panel;
      panel = next;
    }
    __syncthreads();  // the panels are free: the sums go there
#pragma unroll
    for (int r = 0; r < Tile::kSumRows; ++r) {
      float* row = shared + ThreadRows::at(thread_row, r) * kSumsStride<Tile>;
#pragma unroll
      for (int c = 0; c < Tile::kSumColumns; ++c) row[ThreadColumns::at(thread_column, c)] = sums[r][c];
    }
    __syncthreads();
    finish_tile<Tile>(product, tile, shared);
    __syncthreads();
  }
}

template <typename A, typename B>
void launch_tiles(Launch& launch, const Product& product) {
  const auto launch_as = [&]<class Tile>(RowRange rows, Tile) {
    launch(float_kernel<A, B, Tile>, walking_blocks<Tile>(launch, product, rows), Tile::kThreads, kSharedBytes<Tile>,
           product, rows, launch.refusal());
  };
  launch_by_rows(
      product, [&](RowRange rows) { launch_as(rows, NarrowTile()); }, [&](RowRange rows) { launch_as(rows, WideTile()); });
}

}  // namespace

void run_float_product(Launch& launch, const Product& product) {
  if (product.a.dtype == MOE_BFLOAT16) {
    launch_tiles<Bfloat16, float>(launch, product);
  } else if (product.b.dtype == MOE_BFLOAT16) {
    launch_tiles<float, Bfloat16>(launch, product);
  } else {
    launch_tiles<float, float>(launch, product);
  }
}

}  // namespace moe::cuda
