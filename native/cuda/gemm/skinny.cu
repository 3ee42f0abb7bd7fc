// GEMM of a layer with few outputs or inputs and a float32 operand, such as the router: c [M, N] = activation(a [M, K]
// b [N, K]^T + bias), or c += a b^T, on tensor cores, by the bfloat16 parts of float32 values (parts.h). K is cut into
// splits, so that few tokens fill the GPU: a split is one chain of mma.m16n8k16 over k, and the block that finishes a
// tile's last split adds all splits in order. Neither depends on the number of rows, so a row has the same bits alone
// and in a batch. Design: docs/kernels-cuda.md. Source: CUTLASS, split-K.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gemm*'. Time: ./panamoe bench gate --device cuda.
#include "cuda/gemm/skinny.h"

#include "cuda/gemm/epilogue.h"
#include "cuda/gemm/parts.h"
#include "cuda/kernel/last_block.h"
#include "cuda/kernel/ptx.h"

namespace moe::cuda {
namespace {

// Bytes of a block's panels: they fit the 99 KiB of sm_86, and two blocks fit sm_90.
constexpr int kPanelBytes = 96 << 10;

// A block's tile, its depth in k and its grid of warps.
template <int rows, int columns, int depth, int warp_rows, int warp_columns, int unroll, int blocks>
struct SkinnyTile {
  static constexpr int kRows = rows, kColumns = columns, kDepth = depth;
  static constexpr int kWarpColumns = warp_columns;
  static constexpr int kThreads = warp_rows * warp_columns * kWarpLanes;
  static constexpr int kUnroll = unroll;                           // unrolled steps of 16 k, limited by registers
  static constexpr int kBlocks = blocks;                           // blocks per multiprocessor, see kResident
  static constexpr int kRowSteps = rows / warp_rows / 16;          // fragments of a and c down a warp's part
  static constexpr int kColumnSteps = columns / warp_columns / 8;  // fragments of b and c across it
  static_assert(skinny::kDepth % depth == 0);
};
using WideTile = SkinnyTile<skinny::kWide.rows, skinny::kWide.columns, 32, 2, 4, 1, 2>;
using MiddleTile = SkinnyTile<skinny::kMiddle.rows, skinny::kMiddle.columns, 32, 2, 2, 2, 3>;
using SmallTile = SkinnyTile<skinny::kSmall.rows, skinny::kSmall.columns, 64, 2, 2, 4, 3>;

template <class PanelA, class PanelB, class Tile>
struct Stages {
  static constexpr int kBytes = PanelA::kBytes + PanelB::kBytes;
  static constexpr int kCount = std::clamp(kPanelBytes / kBytes, 2, 4);
  static constexpr size_t kSharedBytes = std::max(size_t{kCount} * kBytes, kSumsBytes<Tile>);
};

// Blocks per multiprocessor. Six products of a wide tile need more registers than two blocks leave on sm_80.
template <typename A, typename B, class Tile>
constexpr int kResident = kParts<A> == kParts<B> ? Tile::kBlocks - 1 : Tile::kBlocks;

// The sums of splits before they are added: [splits, M, stride], columns in the order of a tile's lines.
struct SplitSums {
  float* values;      // null if there is one split
  int stride;         // a multiple of 8
  unsigned* tickets;  // one per tile of c

  template <class Tile>
  __device__ unsigned* ticket(const Product& product, const TileIndex& tile) const {
    const int width = tile_columns<Tile>(product), across = (product.width() + width - 1) / width;
    return tickets + int64_t{tile.row / Tile::kRows} * across + tile.column / width;
  }

  // Calls visit(index in the first split, index in the tile's table) for four adjacent elements at a time.
  template <class Tile, typename Visit>
  __device__ __forceinline__ void for_each_quad(const Product& product, const TileIndex& tile, float* table,
                                                Visit&& visit) const {
    constexpr int kQuads = Tile::kColumns / 4;
    const int first = product.gating.gated ? tile.column * 2 : tile.column;
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kQuads; i += Tile::kThreads) {
      const int row = i / kQuads, line = i % kQuads * 4;
      if (tile.row + row >= tile.rows || first + line >= stride) continue;
      visit(reinterpret_cast<float4*>(values + int64_t{tile.row + row} * stride + first + line),
            reinterpret_cast<float4*>(table + row * kSumsStride<Tile> + line));
    }
  }
};

// Stores the sums of a tile's split. The last split to arrive adds all splits in order into the table and returns true.
// Bound by reading the splits from the L2 cache, 32 KiB in flight.
template <class Tile>
__device__ __forceinline__ bool add_splits(const Product& product, const SplitSums& splits, const TileIndex& tile,
                                           float* table) {
  const int64_t step = int64_t{product.rows} * splits.stride / 4;
  splits.for_each_quad<Tile>(product, tile, table,
                             [&](float4* kept, const float4* sums) { kept[tile.group * step] = *sums; });
  if (!is_last_block(splits.ticket<Tile>(product, tile), product.count)) return false;
  splits.for_each_quad<Tile>(product, tile, table, [&](const float4* kept, float4* sums) {
    float4 sum = *kept;
#pragma unroll 8
    for (int split = 1; split < product.count; ++split) {
      const float4 other = kept[split * step];
      sum.x += other.x, sum.y += other.y, sum.z += other.z, sum.w += other.w;
    }
    *sums = sum;
  });
  return true;
}

// Few rows are bound by latency and by reading the 4 N K bytes of weights, many by the tensor cores' 6 M N K operations
// (12 M N K of float32 times float32) and by reading M K and N K elements once per tile from the L2 cache.
template <typename A, typename B, bool kTransposedA, bool kTransposedB, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, kResident<A, B, Tile>)
    skinny_kernel(const Product product, const SplitSums splits, Refusal refusal) {
  using PanelA = Panel<A, kTransposedA, Tile::kRows, Tile>;
  using PanelB = Panel<B, kTransposedB, Tile::kColumns, Tile>;
  using Pipeline = Stages<PanelA, PanelB, Tile>;
  MOE_DYNAMIC_SHARED(unsigned char, stages, Pipeline::kSharedBytes);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int warp_row = warp / Tile::kWarpColumns * Tile::kRowSteps * 16;
  const int warp_column = warp % Tile::kWarpColumns * Tile::kColumnSteps * 8;
  const int down = lane / 4, pair = lane % 4 * 2;  // the lane's position in a fragment
  MOE_SHARED(TileWalk<Tile>, walk);
  if (threadIdx.x == 0) walk.start(Tile::kRows);
  while (walk.next(product, kEveryGroup, refusal)) {
    const TileIndex& tile = walk.tile;
    typename PanelA::Reader reader_a(side_a<A, kTransposedA>(product, tile));
    typename PanelB::Reader reader_b(side_b<B, kTransposedB>(product, tile));
    const int inner = tile.inner, steps = inner / Tile::kDepth + (inner % Tile::kDepth != 0);
    // With a gated activation, every warp has lines of both halves.
    const bool outside =
        tile.row + warp_row >= tile.rows || (!product.gating.gated && tile.column + warp_column >= product.columns);
    const auto copy_stage = [&](int step) {
      unsigned char* stage = stages + step % Pipeline::kCount * Pipeline::kBytes;
      if (step < steps) {
        const int left = inner - step * Tile::kDepth;
        PanelA::copy(reader_a, reinterpret_cast<A*>(stage), left);
        PanelB::copy(reader_b, reinterpret_cast<B*>(stage + PanelA::kBytes), left);
      }
      commit_copies();
    };
    float sums[Tile::kRowSteps][Tile::kColumnSteps][4] = {};
#pragma unroll 1
    for (int step = 0; step < Pipeline::kCount - 1; ++step) copy_stage(step);
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
      wait_copies<Pipeline::kCount - 2>();
      __syncthreads();  // this stage is loaded, the previous one is free
      copy_stage(step + Pipeline::kCount - 1);
      if (outside) continue;
      const unsigned char* stage = stages + step % Pipeline::kCount * Pipeline::kBytes;
      const A* panel_a = reinterpret_cast<const A*>(stage);
      const B* panel_b = reinterpret_cast<const B*>(stage + PanelA::kBytes);
#pragma unroll(Tile::kUnroll)
      for (int k = 0; k < Tile::kDepth; k += 16) {
        const auto load_a = [&](int i, uint32_t(&a)[kParts<A>][4]) {
          PanelA::load(panel_a, warp_row + i * 16 + down, k + pair, a);
        };
        const auto load_b = [&](int j, uint32_t(&b)[kParts<B>][2]) {
          PanelB::load(panel_b, warp_column + j * 8 + down, k + pair, b);
        };
        // Registers hold all fragments of the operand with fewer parts; the other operand's are split when used.
        if constexpr (kParts<A> < kParts<B>) {
          uint32_t a[Tile::kRowSteps][kParts<A>][4];
#pragma unroll
          for (int i = 0; i < Tile::kRowSteps; ++i) load_a(i, a[i]);
#pragma unroll
          for (int j = 0; j < Tile::kColumnSteps; ++j) {
            uint32_t b[kParts<B>][2];
            load_b(j, b);
            for_each_product<A, B>([&](int of_a, int of_b) {
#pragma unroll
              for (int i = 0; i < Tile::kRowSteps; ++i) multiply_m16n8k16(sums[i][j], a[i][of_a], b[of_b]);
            });
          }
        } else {
          uint32_t b[Tile::kColumnSteps][kParts<B>][2];
#pragma unroll
          for (int j = 0; j < Tile::kColumnSteps; ++j) load_b(j, b[j]);
#pragma unroll
          for (int i = 0; i < Tile::kRowSteps; ++i) {
            uint32_t a[kParts<A>][4];
            load_a(i, a);
            for_each_product<A, B>([&](int of_a, int of_b) {
#pragma unroll
              for (int j = 0; j < Tile::kColumnSteps; ++j) multiply_m16n8k16(sums[i][j], a[of_a], b[j][of_b]);
            });
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
      for (int j = 0; j < Tile::kColumnSteps; ++j) {
        float* to = table + (warp_row + i * 16 + down) * kSumsStride<Tile> + warp_column + j * 8 + pair;
        *reinterpret_cast<float2*>(to) = make_float2(sums[i][j][0], sums[i][j][1]);
        *reinterpret_cast<float2*>(to + 8 * kSumsStride<Tile>) = make_float2(sums[i][j][2], sums[i][j][3]);
      }
    }
    __syncthreads();
    if (splits.values != nullptr) {
      if (!add_splits<Tile>(product, splits, tile, table)) continue;
      if (threadIdx.x == 0) walk.tile.group = 0;  // all splits share one c
      __syncthreads();
    }
    finish_tile<Tile>(product, tile, 0, walk.rows(), table);
  }
}

template <typename A, typename B, bool kTransposedA, bool kTransposedB, class Tile>
void launch_kernel(Launcher& launch, const Product& product) {
  using Pipeline =
      Stages<Panel<A, kTransposedA, Tile::kRows, Tile>, Panel<B, kTransposedB, Tile::kColumns, Tile>, Tile>;
  SplitSums splits{};
  if (product.depth != 0) {
    const int64_t tiles = ceil_div(product.rows, Tile::kRows) * ceil_div(product.width(), tile_columns<Tile>(product));
    const int64_t halves = product.gating.gated ? 2 : 1;
    splits.stride = static_cast<int>(ceil_div(product.width(), kRun) * kRun * halves);
    splits.values = launch.take<float>(int64_t{product.count} * product.rows * splits.stride);
    splits.tickets = launch.tickets(tiles);
  }
  launch(skinny_kernel<A, B, kTransposedA, kTransposedB, Tile>,
         walking_blocks<Tile>(launch, product, kEveryGroup, Tile::kRows), Tile::kThreads, Pipeline::kSharedBytes,
         product, splits, launch.refusal());
}

template <typename A, typename B, class Tile>
void launch_tiles(Launcher& launch, const Product& product) {
  if (product.a.transposed) {
    product.b.transposed ? launch_kernel<A, B, true, true, Tile>(launch, product)
                         : launch_kernel<A, B, true, false, Tile>(launch, product);
  } else {
    product.b.transposed ? launch_kernel<A, B, false, true, Tile>(launch, product)
                         : launch_kernel<A, B, false, false, Tile>(launch, product);
  }
}

template <typename A, typename B>
void launch_kernels(Launcher& launch, const Product& product) {
  switch (skinny::tile_for(product.rows, product.columns, product.count, launch.processors()).rows) {
    case skinny::kWide.rows: return launch_tiles<A, B, WideTile>(launch, product);
    case skinny::kMiddle.rows: return launch_tiles<A, B, MiddleTile>(launch, product);
    default: return launch_tiles<A, B, SmallTile>(launch, product);
  }
}

void launch_dtypes(Launcher& launch, const Product& product) {
  if (product.a.dtype == MOE_BFLOAT16) {
    launch_kernels<Bfloat16, float>(launch, product);
  } else if (product.b.dtype == MOE_BFLOAT16) {
    launch_kernels<float, Bfloat16>(launch, product);
  } else {
    launch_kernels<float, float>(launch, product);
  }
}

}  // namespace

bool is_skinny(const Product& product) {
  if (product.groups != Groups::kOne) return false;
  const int32_t side = product.a.transposed ? product.rows : product.inner;
  return std::min(product.columns, side) <= skinny::kMostWidth;
}

void run_skinny_product(Launcher& launch, const Product& product) {
  const auto depth = static_cast<int32_t>(
      product.a.transposed ? skinny::gradient_split_depth(product.rows, product.columns, product.inner)
                           : skinny::split_depth(product.columns, product.inner));
  const auto splits = static_cast<int32_t>(ceil_div(product.inner, depth));
  if (splits <= 1) return launch_dtypes(launch, product);
  Product of_splits = product;
  of_splits.groups = Groups::kOfInner;
  of_splits.count = splits;
  of_splits.depth = depth;
  launch_dtypes(launch, of_splits);
}

}  // namespace moe::cuda
