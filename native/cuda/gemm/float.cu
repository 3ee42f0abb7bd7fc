// Products with a float32 operand: float32 multiply-adds. One thread sums an element of c, over k in ascending order,
// whatever the tile.
#include "cuda/gemm/epilogue.h"

namespace moe::cuda {
namespace {

// A block's tile, the depth of a panel, and how many sums down and across it a thread has.
template <int rows, int columns, int depth, int sum_rows, int sum_columns, int unroll, int blocks>
struct FloatTile {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth;
  static constexpr int kSumRows = sum_rows, kSumColumns = sum_columns;
  static constexpr int kUnroll = unroll;  // of k: as much as fits the registers
  static constexpr int kThreadColumns = columns / sum_columns;
  static constexpr int kThreads = rows / sum_rows * kThreadColumns;
  static constexpr int kBlocks = blocks;  // that run on a multiprocessor at once
  // Elements between the rows of k of a panel in shared memory.
  static constexpr int kStrideA = rows + 4, kStrideB = columns + 4;
  static constexpr int kPanels = depth * (kStrideA + kStrideB);  // elements
};

using WideTile = FloatTile<128, 128, 16, 8, 8, 4, 1>;
using MiddleTile = FloatTile<kMiddleRows, 32, 32, 4, 4, 4, 3>;
using NarrowTile = FloatTile<kNarrowRows, 32, 64, 2, 2, 8, 4>;

template <class Tile>
constexpr size_t kSharedBytes = std::max(2 * Tile::kPanels * sizeof(float), kSumsBytes<Tile>);

// A thread's share of the next panel on its way from memory to shared memory, in registers.
template <typename Value, bool transposed, int lines, class Tile>
class Held {
 public:
  __device__ __forceinline__ explicit Held(const Side<Value>& side) : reader_(side) {}

  // `inner` is what is left of the inner dimension from the panel on.
  __device__ __forceinline__ void load(int inner) {
#pragma unroll
    for (int i = 0; i < Reader::kCount; ++i) vectors_[i] = reader_.chunk(i, inner).load(reader_.aligned());
    reader_.advance();
  }

  // As float32 with lines along a row of k.
  template <int kStride>
  __device__ __forceinline__ void store(float* panel) const {
#pragma unroll
    for (int i = 0; i < Reader::kCount; ++i) {
      float* to = panel + Reader::k(i) * kStride + Reader::line(i);
#pragma unroll
      for (int j = 0; j < Reader::kVector; ++j) to[transposed ? j : j * kStride] = to_float(vectors_[i].values[j]);
    }
  }

 private:
  using Reader = PanelReader<Value, transposed, lines, Tile::kDepth, Tile::kThreads>;

  Reader reader_;
  Vector<Value, Reader::kVector> vectors_[Reader::kCount];
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
      const auto run = *reinterpret_cast<const Vector<float, kRun>*>(row + at(thread, i));
#pragma unroll
      for (int j = 0; j < kRun; ++j) to[i + j] = run.values[j];
    }
  }
};

// Wide tiles: bound by rows columns inner multiply-adds. Narrow ones: by reading b's columns inner elements, once.
template <typename A, typename B, bool kTransposedA, bool kTransposedB, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    float_kernel(const Product product, RowRange rows, Refusal refusal) {
  using ThreadRows = ThreadLines<Tile::kRows, Tile::kSumRows>;
  using ThreadColumns = ThreadLines<Tile::kColumns, Tile::kSumColumns>;
  MOE_DYNAMIC_SHARED(float, shared);
  const int thread_row = static_cast<int>(threadIdx.x) / Tile::kThreadColumns;
  const int thread_column = static_cast<int>(threadIdx.x) % Tile::kThreadColumns;
  __shared__ TileWalk<Tile> walk;
  if (threadIdx.x == 0) walk.start();
  while (walk.next(product, rows, refusal)) {
    const TileIndex& tile = walk.tile;
    Held<A, kTransposedA, Tile::kRows, Tile> held_a(side_a<A, kTransposedA>(product, tile));
    Held<B, kTransposedB, Tile::kColumns, Tile> held_b(side_b<B, kTransposedB>(product, tile));
    float sums[Tile::kSumRows][Tile::kSumColumns] = {};
    const int inner = tile.inner;
    held_a.load(inner);
    held_b.load(inner);
    float *panel = shared, *other = shared + Tile::kPanels;
#pragma unroll 1
    for (int k = 0; k < inner; k += Tile::kDepth) {
      float* panel_b = panel + Tile::kDepth * Tile::kStrideA;
      held_a.template store<Tile::kStrideA>(panel);
      held_b.template store<Tile::kStrideB>(panel_b);
      __syncthreads();  // this panel is whole; the other was read before the last one was stored
      held_a.load(inner - k - Tile::kDepth);
      held_b.load(inner - k - Tile::kDepth);
#pragma unroll(Tile::kUnroll)
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
  }
}

template <typename A, typename B, bool kTransposedA, class Tile>
void launch_tiles(Launch& launch, const Product& product, RowRange rows) {
  launch(product.b.transposed ? float_kernel<A, B, kTransposedA, true, Tile>
                              : float_kernel<A, B, kTransposedA, false, Tile>,
         walking_blocks<Tile>(launch, product, rows), Tile::kThreads, kSharedBytes<Tile>, product, rows,
         launch.refusal());
}

template <typename A, typename B>
void launch_kernels(Launch& launch, const Product& product) {
  launch_by_rows(
      product, [&](RowRange rows) { launch_tiles<A, B, false, NarrowTile>(launch, product, rows); },
      [&](RowRange rows) { launch_tiles<A, B, false, MiddleTile>(launch, product, rows); },
      [&](RowRange rows) {
        product.a.transposed ? launch_tiles<A, B, true, WideTile>(launch, product, rows)
                             : launch_tiles<A, B, false, WideTile>(launch, product, rows);
      });
}

}  // namespace

void run_float_product(Launch& launch, const Product& product) {
  if (product.a.dtype == MOE_BFLOAT16) {
    launch_kernels<Bfloat16, float>(launch, product);
  } else if (product.b.dtype == MOE_BFLOAT16) {
    launch_kernels<float, Bfloat16>(launch, product);
  } else {
    launch_kernels<float, float>(launch, product);
  }
}

}  // namespace moe::cuda
