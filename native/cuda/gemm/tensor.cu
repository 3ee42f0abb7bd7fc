// GEMM of bfloat16 times bfloat16 on tensor cores: c [M, N] = a [M, K] b [N, K]^T per group. A pipeline of asynchronous
// copies (cp.async) fills stages of panels in shared memory; warps multiply fragments by mma.m16n8k16, k in ascending
// order in every tile, so a row's bits depend neither on the tile nor on the other rows. Design: docs/kernels-cuda.md.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gemm*:Expert*'.
// Time: ./panamoe bench grouped-gemm --dtype bf16 --device cuda.
#include "cuda/gemm/epilogue.h"
#include "cuda/gemm/tiles.h"
#include "cuda/kernel/ptx.h"

namespace moe::cuda {
namespace {

// Bytes of a block's stages: two blocks fit the 163 KiB of sm_80, one the 99 KiB of sm_86. All stages except the one
// being multiplied are in flight: 40 KiB of weights if a tile has few rows.
constexpr int kStagesBytes = 64 << 10;

// A tile of up to `rows` rows: depth of its panels in k, and the grid of warps that multiply it.
template <int rows, int columns, int depth, int warp_rows, int warp_columns>
struct Shape {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth;
  static constexpr int kWarpColumns = warp_columns;
  static constexpr int kThreads = warp_rows * warp_columns * kWarpLanes;
  static constexpr int kRowSteps = rows / warp_rows / 16;           // fragments of a and c down a warp's part
  static constexpr int kColumnSteps = columns / warp_columns / 16;  // pairs of fragments of b and c across it
  static constexpr int kStage = (rows + columns) * depth;           // elements
  static constexpr int kStages = kStagesBytes / 2 / kStage;
};

// The tiles of a kernel: columns, maximum rows, and the shape of a tile with fewer rows. Slim ones are for products
// with few tiles.
struct WideTile {
  static constexpr int kColumns = tiles::kWideColumns, kLeastRows = 32, kRows = tiles::kMma.most, kThreads = 256,
                       kBlocks = 2;
  template <int rows>
  using For = Shape<rows, kColumns, 32, 2, 4>;
};
struct SlimTile {
  static constexpr int kColumns = tiles::kSlimColumns, kLeastRows = 16, kRows = tiles::kSlimRows, kThreads = 128,
                       kBlocks = 2;
  template <int rows>
  using For = Shape<rows, kColumns, 64, rows == 16 ? 1 : 2, rows == 16 ? 4 : 2>;
};
// A tile's sums overwrite the stages.
template <class Tile>
constexpr size_t kSharedBytes = std::max<size_t>(kStagesBytes, kSumsBytes<Tile>);

// The element at which chunk `chunk` (16 bytes) of row `row` starts in a panel with kChunks chunks per row. Chunks are
// swizzled, so that the eight rows of a chunk, which ldmatrix reads at once, are in different banks.
template <int kChunks>
__device__ __forceinline__ int chunk_offset(int row, int chunk) {
  const int swizzle = kChunks >= 8 ? row % 8 : row / (8 / kChunks) % kChunks;
  return (row * kChunks + (chunk ^ swizzle)) * 8;
}

template <class Tile, int lines, bool transposed>
using Reader = PanelReader<Bfloat16, transposed, lines, Tile::kDepth, Tile::kThreads>;

// Starts the copies of the reader's panel, then advances the reader; `inner` is K minus the panel's first k.
template <class Tile, int kLines, bool kTransposed>
__device__ __forceinline__ void copy_panel(Reader<Tile, kLines, kTransposed>& reader, Bfloat16* to, int inner) {
  constexpr int kRowChunks = (kTransposed ? kLines : Tile::kDepth) / 8;
#pragma unroll
  for (int i = 0; i < reader.kCount; ++i) {
    if (!reader.reads()) break;
    const Chunk<Bfloat16> chunk = reader.chunk(i, inner);
    const int line = reader.line(i), k = reader.k(i);
    Bfloat16* target =
        to + (kTransposed ? chunk_offset<kRowChunks>(k, line / 8) : chunk_offset<kRowChunks>(line, k / 8));
    if (reader.aligned()) {
      copy_async_16(target, chunk.from, chunk.count * 2);
    } else {
      *reinterpret_cast<Vector<Bfloat16, 8>*>(target) = chunk.load(false);
    }
  }
  reader.advance();
}

// Loads four 8 x 8 matrices: 16 lines of a panel from `line` on by 16 k from `k` on. Their order is lines first (a
// fragment of a) or k first (two fragments of b).
template <class Tile, int kLines, bool kTransposed, bool kLinesFirst>
__device__ __forceinline__ void load_fragments(uint32_t (&r)[4], const Bfloat16* panel, int line, int k) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int inside = lane % 8, first = lane / 8 % 2, then = lane / 16;
  const int line_part = kLinesFirst ? first : then, k_part = kLinesFirst ? then : first;
  if constexpr (kTransposed) {
    load_matrices_transposed(r, panel + chunk_offset<kLines / 8>(k + k_part * 8 + inside, line / 8 + line_part));
  } else {
    load_matrices(r, panel + chunk_offset<Tile::kDepth / 8>(line + line_part * 8 + inside, k / 8 + k_part));
  }
}

// Multiplies a tile by its shape, and leaves its sums in shared memory.
template <class Tile, bool kTransposedA, bool kTransposedB, class Sums>
__device__ __forceinline__ void multiply_shape(const Product& product, const TileIndex& tile, Bfloat16* stages) {
  static_assert(Tile::kThreads == Sums::kThreads);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int warp_row = warp / Tile::kWarpColumns * Tile::kRowSteps * 16;
  const int warp_column = warp % Tile::kWarpColumns * Tile::kColumnSteps * 16;
  Reader<Tile, Tile::kRows, kTransposedA> a(side_a<Bfloat16, kTransposedA>(product, tile));
  Reader<Tile, Tile::kColumns, kTransposedB> b(side_b<Bfloat16, kTransposedB>(product, tile));
  const int inner = tile.inner, steps = inner / Tile::kDepth + (inner % Tile::kDepth != 0);
  const auto copy_stage = [&](int step) {
    Bfloat16* stage = stages + step % Tile::kStages * Tile::kStage;
    if (step < steps) {
      const int left = inner - step * Tile::kDepth;
      copy_panel<Tile, Tile::kRows, kTransposedA>(a, stage, left);
      copy_panel<Tile, Tile::kColumns, kTransposedB>(b, stage + Tile::kRows * Tile::kDepth, left);
    }
    commit_copies();
  };
  float sums[Tile::kRowSteps][2 * Tile::kColumnSteps][4] = {};
#pragma unroll 1
  for (int step = 0; step < Tile::kStages - 1; ++step) copy_stage(step);
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_copies<Tile::kStages - 2>();
    __syncthreads();  // this stage is loaded, the previous one is free
    copy_stage(step + Tile::kStages - 1);
    const Bfloat16* panel_a = stages + step % Tile::kStages * Tile::kStage;
    const Bfloat16* panel_b = panel_a + Tile::kRows * Tile::kDepth;
#pragma unroll
    for (int k = 0; k < Tile::kDepth; k += 16) {
      uint32_t part_a[Tile::kRowSteps][4];
#pragma unroll
      for (int i = 0; i < Tile::kRowSteps; ++i) {
        load_fragments<Tile, Tile::kRows, kTransposedA, true>(part_a[i], panel_a, warp_row + i * 16, k);
      }
#pragma unroll
      for (int j = 0; j < Tile::kColumnSteps; ++j) {
        uint32_t pair[4];
        load_fragments<Tile, Tile::kColumns, kTransposedB, false>(pair, panel_b, warp_column + j * 16, k);
        const uint32_t left[2] = {pair[0], pair[1]}, right[2] = {pair[2], pair[3]};
#pragma unroll
        for (int i = 0; i < Tile::kRowSteps; ++i) {
          multiply_m16n8k16(sums[i][2 * j], part_a[i], left);
          multiply_m16n8k16(sums[i][2 * j + 1], part_a[i], right);
        }
      }
    }
  }
  wait_copies<0>();
  __syncthreads();  // the stages' memory is free for the sums
  auto* table = reinterpret_cast<float*>(stages);
#pragma unroll
  for (int i = 0; i < Tile::kRowSteps; ++i) {
#pragma unroll
    for (int j = 0; j < 2 * Tile::kColumnSteps; ++j) {
      float* to = table + (warp_row + i * 16 + lane / 4) * kSumsStride<Sums> + warp_column + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(to) = make_float2(sums[i][j][0], sums[i][j][1]);
      *reinterpret_cast<float2*>(to + 8 * kSumsStride<Sums>) = make_float2(sums[i][j][2], sums[i][j][3]);
    }
  }
}

// The shape for a tile with `rows` rows, at least kRows; each has the same chain of sums.
template <class Tile, bool kTransposedA, bool kTransposedB, int kRows>
__device__ __forceinline__ void multiply(const Product& product, const TileIndex& tile, int rows, Bfloat16* stages) {
  if constexpr (kRows < Tile::kRows) {
    if (rows > kRows) return multiply<Tile, kTransposedA, kTransposedB, 2 * kRows>(product, tile, rows, stages);
  }
  multiply_shape<typename Tile::template For<kRows>, kTransposedA, kTransposedB, Tile>(product, tile, stages);
}

// Large groups are bound by the tensor cores' 2 M N K operations, small ones by reading the 2 N K bytes of b once. A
// tile has up to `tile_rows` rows.
template <class Tile, bool kTransposedA, bool kTransposedB>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    tensor_kernel(const Product product, int tile_rows, Refusal refusal) {
  MOE_DYNAMIC_SHARED(Bfloat16, stages, kSharedBytes<Tile>);
  MOE_SHARED(TileWalk<Tile>, walk);
  if (threadIdx.x == 0) walk.start(tile_rows);
  while (walk.next(product, kEveryGroup, refusal)) {
    constexpr int kLeastRows = kTransposedA ? Tile::kRows : Tile::kLeastRows;  // a transposed a has one shape
    multiply<Tile, kTransposedA, kTransposedB, kLeastRows>(product, walk.tile, walk.rows(), stages);
    __syncthreads();
    finish_tile<Tile>(product, walk.tile, 0, walk.rows(), reinterpret_cast<float*>(stages));
  }
}

template <class Tile, bool kTransposedA>
void launch_tiles(Launcher& launch, const Product& product, int tile_rows) {
  launch(product.b.transposed ? tensor_kernel<Tile, kTransposedA, true> : tensor_kernel<Tile, kTransposedA, false>,
         walking_blocks<Tile>(launch, product, kEveryGroup, tile_rows), Tile::kThreads, kSharedBytes<Tile>, product,
         tile_rows, launch.refusal());
}

}  // namespace

void run_tensor_product(Launcher& launch, const Product& product) {
  if (product.a.transposed) return launch_tiles<WideTile, true>(launch, product, WideTile::kRows);
  const tiles::Tile tile =
      tiles::choose(tiles::kMma, {product.rows, product.columns, product.count}, true, launch.processors());
  tile.columns == SlimTile::kColumns ? launch_tiles<SlimTile, false>(launch, product, tile.rows)
                                     : launch_tiles<WideTile, false>(launch, product, tile.rows);
}

}  // namespace moe::cuda
