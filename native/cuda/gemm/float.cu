// GEMM with a float32 operand, for experts and for dense layers that are not skinny (skinny.cu), by float32 fused
// multiply-adds: c [M, N] = a [M, K] b [N, K]^T per group. Panels of a and b pass through registers into two buffers in
// shared memory. One thread sums an element of c over k = 0, 1, 2, ... in every tile, so a row's bits depend neither on
// the tile nor on the other rows. Design: docs/kernels-cuda.md.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gemm*:Expert*'.
// Time: ./panamoe bench grouped-gemm --dtype f32 --device cuda.
#include "cuda/gemm/epilogue.h"

namespace moe::cuda {
namespace {

// A block's tile, the depth of a panel in k, and a thread's sums (down, across).
template <int rows, int columns, int depth, int sum_rows, int sum_columns, int unroll, int blocks>
struct FloatTile {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth;
  static constexpr int kSumRows = sum_rows, kSumColumns = sum_columns;
  static constexpr int kUnroll = unroll;  // unrolling of the loop over k, limited by registers
  static constexpr int kThreadColumns = columns / sum_columns;
  static constexpr int kThreads = rows / sum_rows * kThreadColumns;
  static constexpr int kBlocks = blocks;  // blocks per multiprocessor
  // Stride of k in a panel in shared memory, in elements.
  static constexpr int kStrideA = rows + 4, kStrideB = columns + 4;
  static constexpr int kPanels = depth * (kStrideA + kStrideB);  // elements
};

// Rows of the narrow and middle tiles. With few rows, a product is bound by reading b: small tiles spread it over all
// multiprocessors.
constexpr int32_t kNarrowRows = 16;
constexpr int32_t kMiddleRows = 64;

using WideTile = FloatTile<128, 128, 16, 8, 8, 4, 1>;
using MiddleTile = FloatTile<kMiddleRows, 32, 32, 4, 4, 4, 3>;
using NarrowTile = FloatTile<kNarrowRows, 32, 64, 2, 2, 8, 4>;

template <class Tile>
constexpr size_t kSharedBytes = std::max(2 * Tile::kPanels * sizeof(float), kSumsBytes<Tile>);

// A thread's chunks of the next panel, in registers between global and shared memory.
template <typename Value, bool transposed, int lines, class Tile>
class Held {
 public:
  __device__ __forceinline__ explicit Held(const Side<Value>& side) : reader_(side) {}

  // `inner` is K minus the panel's first k.
  __device__ __forceinline__ void load(int inner) {
#pragma unroll
    for (int i = 0; i < Reader::kCount; ++i) vectors_[i] = reader_.chunk(i, inner).load(reader_.aligned());
    reader_.advance();
  }

  // Stores float32, transposed to [k][line].
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

// A thread's kCount of the kSize lines of a tile: runs of at most four adjacent lines, spread over the tile.
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

// Wide tiles are bound by M N K multiply-adds, narrow ones by reading the N K elements of b once.
template <typename A, typename B, bool kTransposedA, bool kTransposedB, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    float_kernel(const Product product, RowRange rows, Refusal refusal) {
  using ThreadRows = ThreadLines<Tile::kRows, Tile::kSumRows>;
  using ThreadColumns = ThreadLines<Tile::kColumns, Tile::kSumColumns>;
  MOE_DYNAMIC_SHARED(float, shared, kSharedBytes<Tile>);
  const int thread_row = static_cast<int>(threadIdx.x) / Tile::kThreadColumns;
  const int thread_column = static_cast<int>(threadIdx.x) % Tile::kThreadColumns;
  MOE_SHARED(TileWalk<Tile>, walk);
  if (threadIdx.x == 0) walk.start(Tile::kRows);
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
      __syncthreads();  // this panel is stored; all threads have read the other one
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
    __syncthreads();  // the panels are free for the sums
#pragma unroll
    for (int r = 0; r < Tile::kSumRows; ++r) {
      float* row = shared + ThreadRows::at(thread_row, r) * kSumsStride<Tile>;
#pragma unroll
      for (int c = 0; c < Tile::kSumColumns; ++c) row[ThreadColumns::at(thread_column, c)] = sums[r][c];
    }
    __syncthreads();
    finish_tile<Tile>(product, tile, 0, walk.rows(), shared);
  }
}

template <typename A, typename B, bool kTransposedA, class Tile>
void launch_tiles(Launcher& launch, const Product& product, RowRange rows) {
  launch(product.b.transposed ? float_kernel<A, B, kTransposedA, true, Tile>
                              : float_kernel<A, B, kTransposedA, false, Tile>,
         walking_blocks<Tile>(launch, product, rows, Tile::kRows), Tile::kThreads, kSharedBytes<Tile>, product, rows,
         launch.refusal());
}

// Calls launch_narrow, launch_middle or launch_wide with the range of rows that it computes. The host does not know the
// sizes of groups of rows, so it launches two kernels, and each skips the other's groups. Only launch_wide accepts a
// transposed a.
template <typename Narrow, typename Middle, typename Wide>
void launch_by_rows(const Product& product, Narrow&& launch_narrow, Middle&& launch_middle, Wide&& launch_wide) {
  RowRange rows = kEveryGroup;
  if (product.groups == Groups::kOfRows) {
    launch_narrow(RowRange{0, kNarrowRows});
    if (product.rows <= kNarrowRows) return;
    rows.least = kNarrowRows + 1;
  } else if (product.a.transposed) {
    launch_wide(rows);
    return;
  } else if (product.rows <= kNarrowRows) {
    launch_narrow(rows);
    return;
  }
  product.rows <= kMiddleRows ? launch_middle(rows) : launch_wide(rows);
}

template <typename A, typename B>
void launch_kernels(Launcher& launch, const Product& product) {
  launch_by_rows(
      product, [&](RowRange rows) { launch_tiles<A, B, false, NarrowTile>(launch, product, rows); },
      [&](RowRange rows) { launch_tiles<A, B, false, MiddleTile>(launch, product, rows); },
      [&](RowRange rows) {
        product.a.transposed ? launch_tiles<A, B, true, WideTile>(launch, product, rows)
                             : launch_tiles<A, B, false, WideTile>(launch, product, rows);
      });
}

}  // namespace

void run_float_product(Launcher& launch, const Product& product) {
  if (product.a.dtype == MOE_BFLOAT16) {
    launch_kernels<Bfloat16, float>(launch, product);
  } else if (product.b.dtype == MOE_BFLOAT16) {
    launch_kernels<float, Bfloat16>(launch, product);
  } else {
    launch_kernels<float, float>(launch, product);
  }
}

}  // namespace moe::cuda
