// bfloat16 times bfloat16 on tensor cores: mma.m16n8k16 over k in ascending order, whatever the tile, so that a row has
// the same bits in a narrow and in a wide one.
#include "cuda/gemm_tile.h"
#include "cuda/ptx.h"

namespace moe::cuda {
namespace {

// A block's tile, the depth of one stage of its pipeline, and the grid of its warps.
template <int rows, int columns, int depth, int stages, int warp_rows, int warp_columns, int blocks>
struct TensorTile {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth, kStages = stages;
  static constexpr int kWarpColumns = warp_columns;
  static constexpr int kThreads = warp_rows * warp_columns * kWarpLanes;
  static constexpr int kBlocks = blocks;                               // that run on a multiprocessor at once
  static constexpr int kRowSteps = rows / warp_rows / 16;              // fragments of a and c down a warp's part
  static constexpr int kColumnSteps = columns / warp_columns / 16;     // pairs of fragments of b and c across it
  static constexpr int kStage = (rows + columns) * depth;              // elements
  static constexpr size_t kStagesBytes = size_t{2} * kStage * stages;  // of bfloat16
};

// 64 KiB of stages, of which 48 are under way while one is multiplied; 64 sums a thread.
using WideTile = TensorTile<128, 128, 32, 4, 2, 4, 2>;
// 40 KiB of weights under way in a block, in runs of 256 bytes; as many columns as keep all multiprocessors reading.
using NarrowTile = TensorTile<16, 32, 128, 6, 1, 2, 3>;

template <class Tile>
constexpr size_t kSharedBytes = std::max(Tile::kStagesBytes, kSumsBytes<Tile>);

// The element at which 16-byte chunk `chunk` of row `row` lies in a panel of rows of `kChunks` chunks: exchanged so that
// eight rows of one chunk, which a load of fragments reads at once, lie in all 32 banks.
template <int kChunks>
__device__ __forceinline__ int chunk_place(int row, int chunk) {
  const int turn = kChunks >= 8 ? row % 8 : row / (8 / kChunks) % kChunks;
  return (row * kChunks + (chunk ^ turn)) * 8;
}

template <class Tile, int kLines, bool kTurned>
__device__ __forceinline__ void copy_panel(Bfloat16* to, const Operand<Bfloat16>& operand, const TileLines& lines,
                                           int64_t first_k, int64_t inner) {
  using Part = Chunk<Bfloat16, kLines, Tile::kDepth>;
  constexpr int kRowChunks = (kTurned ? kLines : Tile::kDepth) / 8;
  static_assert(Part::kChunks % Tile::kThreads == 0);
#pragma unroll
  for (int i = 0; i < Part::kChunks / Tile::kThreads; ++i) {
    const Part part(i * Tile::kThreads + static_cast<int>(threadIdx.x), kTurned, operand, lines, first_k, inner);
    Bfloat16* place = to + (kTurned ? chunk_place<kRowChunks>(part.k, part.line / 8)
                                    : chunk_place<kRowChunks>(part.line, part.k / 8));
    if (operand.packs) {
      copy_async_16(place, part.from, part.count * 2);
    } else {
      *reinterpret_cast<Pack<Bfloat16, 8>*>(place) = part.load(false);
    }
  }
}

// Four 8 x 8 matrices of a panel's 16 lines from `line` on and 16 of k from `k` on: in pairs along the lines, then along
// k (a's fragment), or the other way round (two fragments of b).
template <class Tile, int kLines, bool kTurned, bool kLinesFirst>
__device__ __forceinline__ void load_fragments(uint32_t (&r)[4], const Bfloat16* panel, int line, int k) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, inside = lane % 8, first = lane / 8 % 2, then = lane / 16;
  const int line_part = kLinesFirst ? first : then, k_part = kLinesFirst ? then : first;
  if constexpr (kTurned) {
    load_matrices_transposed(r, panel + chunk_place<kLines / 8>(k + k_part * 8 + inside, line / 8 + line_part));
  } else {
    load_matrices(r, panel + chunk_place<Tile::kDepth / 8>(line + line_part * 8 + inside, k / 8 + k_part));
  }
}

// Wide tiles: bound by the tensor cores' 2 rows columns inner operations. Narrow ones: by reading b's
// 2 columns inner bytes, once.
template <class Tile, bool kTurnedA, bool kTurnedB>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    tensor_kernel(const Product product, RowRange rows, Refusal refusal) {
  MOE_DYNAMIC_SHARED(Bfloat16, stages);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int warp_row = warp / Tile::kWarpColumns * Tile::kRowSteps * 16;
  const int warp_column = warp % Tile::kWarpColumns * Tile::kColumnSteps * 16;
  TileWalk<Tile> walk(product, rows, refusal);
  for (TileIndex tile; walk.next(tile);) {
    const Operand<Bfloat16> a = operand_a<Bfloat16>(product, tile), b = operand_b<Bfloat16>(product, tile);
    const TileLines of_a = lines_a(tile), of_b = lines_b(product, tile);
    const int64_t steps = (tile.inner + Tile::kDepth - 1) / Tile::kDepth;
    const auto copy_stage = [&](int64_t step) {
      Bfloat16* stage = stages + step % Tile::kStages * Tile::kStage;
      if (step < steps) {
        copy_panel<Tile, Tile::kRows, kTurnedA>(stage, a, of_a, step * Tile::kDepth, tile.inner);
        copy_panel<Tile, Tile::kColumns, kTurnedB>(stage + Tile::kRows * Tile::kDepth, b, of_b, step * Tile::kDepth,
                                                   tile.inner);
      }
      commit_copies();
    };
    float sums[Tile::kRowSteps][2 * Tile::kColumnSteps][4] = {};
#pragma unroll 1
    for (int64_t step = 0; step < Tile::kStages - 1; ++step) copy_stage(step);
#pragma unroll 1
    for (int64_t step = 0; step < steps; ++step) {
      wait_copies<Tile::kStages - 2>();
      __syncthreads();  // the stage is there, and the one before it is free
      copy_stage(step + Tile::kStages - 1);
      const Bfloat16* panel_a = stages + step % Tile::kStages * Tile::kStage;
      const Bfloat16* panel_b = panel_a + Tile::kRows * Tile::kDepth;
#pragma unroll
      for (int k = 0; k < Tile::kDepth; k += 16) {
        uint32_t part_a[Tile::kRowSteps][4];
#pragma unroll
        for (int i = 0; i < Tile::kRowSteps; ++i) {
          load_fragments<Tile, Tile::kRows, kTurnedA, true>(part_a[i], panel_a, warp_row + i * 16, k);
        }
#pragma unroll
        for (int j = 0; j < Tile::kColumnSteps; ++j) {
          uint32_t pair[4];
          load_fragments<Tile, Tile::kColumns, kTurnedB, false>(pair, panel_b, warp_column + j * 16, k);
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
    __syncthreads();  // the stages are free: the sums go there
    auto* table = reinterpret_cast<float*>(stages);
#pragma unroll
    for (int i = 0; i < Tile::kRowSteps; ++i) {
#pragma unroll
      for (int j = 0; j < 2 * Tile::kColumnSteps; ++j) {
        float* to = table + (warp_row + i * 16 + lane / 4) * kSumsStride<Tile> + warp_column + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2*>(to) = make_float2(sums[i][j][0], sums[i][j][1]);
        *reinterpret_cast<float2*>(to + 8 * kSumsStride<Tile>) = make_float2(sums[i][j][2], sums[i][j][3]);
      }
    }
    __syncthreads();
    finish_tile<Tile>(product, tile, table);
    __syncthreads();
  }
}

template <class Tile, bool kTurnedA, bool kTurnedB>
void launch_tiles(Launch& launch, const Product& product, RowRange rows) {
  launch(tensor_kernel<Tile, kTurnedA, kTurnedB>, walking_blocks<Tile>(launch, product, rows), Tile::kThreads,
         kSharedBytes<Tile>, product, rows, launch.refusal());
}

}  // namespace

void run_tensor_product(Launch& launch, const Product& product) {
  const bool turned_a = product.a.turned, turned_b = product.b.turned;
  launch_by_rows(
      product,
      [&](RowRange rows) {
        turned_b ? launch_tiles<NarrowTile, false, true>(launch, product, rows)
                 : launch_tiles<NarrowTile, false, false>(launch, product, rows);
      },
      [&](RowRange rows) {
        if (turned_a) {
          turned_b ? launch_tiles<WideTile, true, true>(launch, product, rows)
                   : launch_tiles<WideTile, true, false>(launch, product, rows);
        } else {
          turned_b ? launch_tiles<WideTile, false, true>(launch, product, rows)
                   : launch_tiles<WideTile, false, false>(launch, product, rows);
        }
      });
}

}  // namespace moe::cuda
