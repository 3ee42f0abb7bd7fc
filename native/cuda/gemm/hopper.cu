// GEMM of bfloat16 on Hopper's tensor cores: c [M, N] = a [M, K] b [N, K]^T per group. Warp specialization like in
// CUTLASS: one warp fetches panels by the tensor memory accelerator (TMA), one or two warpgroups multiply them from
// shared memory by wgmma; panels of the next tile load during a tile's epilogue. Operands are swapped: 64 lines of b
// (weights) are wgmma's rows, and rows of a (tokens) its columns, of which there can be as few as 8. One instruction
// serves all sizes, k in ascending order, so a row's bits depend neither on the tile nor on the other rows. Design:
// docs/kernels-cuda.md.
//
// A block's threads                     Its shared memory, from a multiple of 1024 bytes on
//   warpgroup 0: columns 0 .. 63          stage 0: b [kColumns lines][64 k], a [kMostRows lines][64 k]
//   warpgroup 1: columns 64 .. 127        stage 1: the same; and so on, kStages of them: the ring
//   last warpgroup: one warp fetches      table [kPassRows][kColumns + 4] of float32: sums of 32 rows at a time
// A panel's line is 128 bytes, swizzled; a transposed b has panels [64 k][64 columns] instead. A stage goes round:
//   fetcher:   wait empty[s] -> expect bytes on full[s] -> TMA copies ---.
//   multiplier: arrive empty[s] <- wgmma of stage s is done <- wait full[s]
// Both walk the same tiles in the same order; barriers' parities change each time round the ring.
//
// Tested on the emulation only, never on a GPU.
// Test: PANAMOE_SIMT_ARCH=90 PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gemm*:Expert*'.
// Time: ./panamoe bench grouped-gemm --dtype bf16 --device cuda, again with PANAMOE_CUDA_WGMMA=0.
#include <cuda.h>

#include <cstdio>

#include "core/error.h"
#include "cuda/device/setting.h"
#include "cuda/gemm/epilogue.h"
#include "cuda/gemm/product.h"
#include "cuda/gemm/tiles.h"
#include "cuda/kernel/ptx_hopper.h"

namespace moe::cuda {
namespace {

// A tile: 64 columns of c per warpgroup that multiplies, by up to `most_rows` rows.
template <int warpgroups, int most_rows, int stages, int blocks>
struct HopperTile {
  static constexpr int kColumns = 64 * warpgroups, kMostRows = most_rows, kDepth = 64, kStages = stages;
  static constexpr int kThreads = 128 * warpgroups;  // threads that multiply; one warp of another warpgroup fetches
  static constexpr int kBlocks = blocks;             // blocks per multiprocessor
  static constexpr int kLineBytes = kDepth * 2;      // bytes of a panel's line: the 128 bytes of the swizzle
  static constexpr int kBytesB = kColumns * kLineBytes, kStageBytes = kBytesB + kMostRows * kLineBytes;
  // The sums pass through shared memory, kPassRows rows at a time, padded so that the lanes of a warp, which hold eight
  // columns of four pairs of rows, write without bank conflicts.
  static constexpr int kPassRows = 32, kSumsStride = kColumns + 4;
};
// 64 KiB of weights in flight per multiprocessor, and 128 KiB of tokens in the largest tile.
using WideTile = HopperTile<tiles::kWideColumns / 64, tiles::kWgmma.most, 4, 1>;
// 96 KiB of weights in flight, for products with few tiles.
using SlimTile = HopperTile<tiles::kSlimColumns / 64, tiles::kSlimRows, 6, 2>;

// Panels begin at multiples of 1024 bytes, the period of the 128-byte swizzle.
constexpr int kPanelAlignment = 1024;
template <class Tile>
constexpr size_t kSharedBytes = kPanelAlignment + size_t{Tile::kStages} * Tile::kStageBytes +
                                size_t{Tile::kPassRows} * Tile::kSumsStride * sizeof(float);

// Lines per copy of a's panel: few rows are copied by 8 lines, more by 64.
constexpr int kFewLines = 8, kManyLines = 64;
// Copies of b's panel. A gated activation has one for the gate and one for the up half; columns of a transposed b are
// copied by 64.
template <class Tile, bool kTransposedB>
constexpr int kCopiesB = kTransposedB ? Tile::kColumns / 64 : 2;

#if defined(MOE_HOPPER)

// The ring of panels in shared memory, with its barriers.
template <class Tile>
struct Ring {
  char* stages;
  uint64_t *full, *empty;

  __device__ __forceinline__ char* panel_b(int stage) const { return stages + stage * Tile::kStageBytes; }
  __device__ __forceinline__ char* panel_a(int stage) const { return panel_b(stage) + Tile::kBytesB; }
};

// Multiplies a tile of up to kRows rows: sums of the warp's 16 columns of c. `step` counts all panels so far; the
// parity of the barriers changes every kStages panels.
template <class Tile, bool kTransposedB, int kRows>
__device__ __forceinline__ void multiply_rows(const Ring<Tile>& ring, int inner, int& step, float (*sums)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warpgroup = static_cast<int>(threadIdx.x) / 128;
  for (int k = 0; k < inner; k += Tile::kDepth, ++step) {
    const int stage = step % Tile::kStages;
    wait(ring.full + stage, step / Tile::kStages % 2);
    const uint64_t a = describe_panel(ring.panel_a(stage));
    const uint64_t b = describe_panel(ring.panel_b(stage) + warpgroup * 64 * Tile::kLineBytes);
    begin_products();
#pragma unroll
    for (int i = 0; i < Tile::kDepth / 16; ++i) {
      // Advance by 16 k: 32 bytes of a line, or 16 lines of a transposed panel.
      multiply_m64k16<kRows, kTransposedB>(sums, b + (i * (kTransposedB ? 2048 : 32) >> 4), a + (i * 32 >> 4));
    }
    commit_products();
    wait_products<1, kRows>(sums);
    if (k > 0 && lane == 0) arrive(ring.empty + (step - 1) % Tile::kStages);
  }
  wait_products<0, kRows>(sums);
  if (lane == 0) arrive(ring.empty + (step - 1) % Tile::kStages);
}

// The instruction for a tile with `rows` rows; each has the same chain of sums.
template <class Tile, bool kTransposedB, int kRows = tiles::kWgmma.least>
__device__ __forceinline__ void multiply(const Ring<Tile>& ring, int rows, int inner, int& step, float (*sums)[4]) {
  if constexpr (kRows < Tile::kMostRows) {
    if (rows > kRows) return multiply<Tile, kTransposedB, 2 * kRows>(ring, rows, inner, step, sums);
  }
  multiply_rows<Tile, kTransposedB, kRows>(ring, inner, step, sums);
}

// Registers per thread: fetching threads give theirs to the sums of a tile. Together they are all of a
// multiprocessor's.
constexpr int kFetchingRegisters = 40;
template <class Tile>
constexpr int kRegisters = (65536 / Tile::kBlocks / 128 - kFetchingRegisters) / (Tile::kThreads / 128) / 8 * 8;

// A barrier of the threads that multiply.
template <class Tile>
__device__ __forceinline__ void meet_multipliers() {
  meet_at_barrier<1, Tile::kThreads>();
}

#endif

// TMA descriptors: for b, and for a in boxes of few and of many lines.
struct Maps {
  CUtensorMap b, few, many;
};

// Small groups are bound by reading the 2 N K bytes of b once, large ones by the tensor cores' 2 M N K operations. A
// tile has up to `tile_rows` rows.
template <class Tile, bool kTransposedB>
__global__ void __launch_bounds__(Tile::kThreads + 128, Tile::kBlocks)
    hopper_kernel(const __grid_constant__ Maps maps, const Product product, int tile_rows, Refusal refusal) {
#if defined(MOE_HOPPER)
  MOE_SHARED(TileWalk<Tile>, fetched);  // both roles walk the same tiles; fetching is ahead
  MOE_SHARED(TileWalk<Tile>, multiplied);
  MOE_SHARED(uint64_t, full, [Tile::kStages]);
  MOE_SHARED(uint64_t, empty, [Tile::kStages]);
  MOE_DYNAMIC_SHARED(char, shared, kSharedBytes<Tile>);
  const Ring<Tile> ring{shared + (kPanelAlignment - shared_address(shared) % kPanelAlignment) % kPanelAlignment, full,
                        empty};
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  if (threadIdx.x == 0) {
    fetched.start(tile_rows);
    multiplied.start(tile_rows);
    for (int i = 0; i < Tile::kStages; ++i) {
      start_barrier(full + i, 1);
      start_barrier(empty + i, Tile::kThreads / kWarpLanes);
    }
    fence_barrier_starts();
  }
  __syncthreads();
  const bool gated = product.gating.gated;
  int step = 0;
  if (warp >= Tile::kThreads / kWarpLanes) {
    give_registers<kFetchingRegisters>();
    if (warp > Tile::kThreads / kWarpLanes) return;
    constexpr int kCopies = kCopiesB<Tile, kTransposedB>;
    const int next = gated ? product.width() : Tile::kColumns / kCopies;  // line of the next copy
    while (true) {
      fetched.find(product, kEveryGroup, refusal);
      __syncwarp();
      if (!fetched.found) return;
      const TileIndex tile = fetched.tile;
      const int left = fetched.rows();
      __syncwarp();
      if (lane != 0) continue;
      int rows = tiles::kWgmma.least;  // rows that are multiplied
      while (rows < left) rows *= 2;
      const bool few = rows < kManyLines;
      const int lines = few ? kFewLines : kManyLines;
      for (int k = 0; k < tile.inner; k += Tile::kDepth, ++step) {
        const int stage = step % Tile::kStages;
        wait(empty + stage, step / Tile::kStages % 2 ^ 1);
        arrive_with_copies(full + stage, Tile::kBytesB + rows * Tile::kLineBytes);
        for (int i = 0; i < kCopies; ++i) {
          const int line = tile.column + i * next;
          copy_box(ring.panel_b(stage) + i * (Tile::kBytesB / kCopies), maps.b, kTransposedB ? line : k,
                   kTransposedB ? k : line, tile.group, full + stage);
        }
        for (int row = 0; row < rows; row += lines) {
          copy_box(ring.panel_a(stage) + row * Tile::kLineBytes, few ? maps.few : maps.many, k,
                   tile.begin + tile.row + row, 0, full + stage);
        }
      }
    }
  }
  take_registers<kRegisters<Tile>>();
  auto* table = reinterpret_cast<float*>(ring.panel_b(Tile::kStages));
  // The lane's first column of c in the tile, and the distance to its second one.
  const int line = warp * 16 + lane / 4, half = Tile::kColumns / 2;
  const int column = gated ? line % half / kRun * 2 * kRun + line / half * kRun + line % kRun : line;
  const int second = gated ? 2 * kRun : kRun;
  while (true) {
    meet_multipliers<Tile>();  // the previous tile's sums have been read
    if (warp == 0) multiplied.find(product, kEveryGroup, refusal);
    meet_multipliers<Tile>();
    if (!multiplied.found) return;
    const TileIndex& tile = multiplied.tile;
    const int rows = multiplied.rows();
    float sums[Tile::kMostRows / 8][4] = {};  // of eight rows of c each
    multiply<Tile, kTransposedB>(ring, rows, tile.inner, step, sums);
#pragma unroll 1
    for (int first = 0; first < rows; first += Tile::kPassRows) {
      if (first > 0) meet_multipliers<Tile>();  // the previous pass's sums have been read
#pragma unroll
      for (int i = 0; i < Tile::kMostRows / 8; ++i) {
        if (i * 8 / Tile::kPassRows * Tile::kPassRows != first) continue;
        float* to = table + (i * 8 % Tile::kPassRows + lane % 4 * 2) * Tile::kSumsStride + column;
        to[0] = sums[i][0];
        to[Tile::kSumsStride] = sums[i][1];
        to[second] = sums[i][2];
        to[second + Tile::kSumsStride] = sums[i][3];
      }
      meet_multipliers<Tile>();
      finish_tile<Tile, Tile::kSumsStride>(product, tile, first, min(rows - first, Tile::kPassRows), table);
    }
  }
#endif
}

// 0: always use mma.sync. 1: report on standard error that wgmma is used.
constexpr char kVariable[] = "PANAMOE_CUDA_WGMMA";

// The TMA descriptor of a bfloat16 matrix [groups, lines, width], copied in boxes of 64 columns by `box` lines, with
// zeros outside the matrix.
CUtensorMap describe_matrix(const void* data, int64_t width, int64_t lines, int64_t groups, uint32_t box) {
  static const auto encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result),
            "looking up cuTensorMapEncodeTiled");
    if (found == nullptr) fail(MOE_UNSUPPORTED, "the driver has no cuTensorMapEncodeTiled, set PANAMOE_CUDA_WGMMA=0");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  const cuuint64_t sizes[3] = {static_cast<cuuint64_t>(width), static_cast<cuuint64_t>(lines),
                               static_cast<cuuint64_t>(groups)};
  const cuuint64_t strides[2] = {sizes[0] * 2, sizes[0] * sizes[1] * 2};
  const cuuint32_t boxes[3] = {64, box, 1}, steps[3] = {1, 1, 1};
  CUtensorMap map{};
  const CUresult result = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(data), sizes, strides,
                                 boxes, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) fail(MOE_DEVICE_FAILED, "describing a matrix to the GPU failed with ", int{result});
  return map;
}

template <class Tile, bool kTransposedB>
bool launch_tiles(Launcher& launch, const Product& product, int tile_rows) {
  // In an image for plain sm_90 the kernel is empty and uses no shared memory: only sm_90a has wgmma.
  static const bool built = [] {
    cudaFuncAttributes attributes{};
    require(cudaFuncGetAttributes(&attributes, hopper_kernel<Tile, kTransposedB>), "looking at a kernel");
    return attributes.sharedSizeBytes != 0;
  }();
  if (!built) return false;
  static const bool said =
      setting(kVariable).value_or(false) && std::fputs("panamoe: products of bfloat16 by wgmma\n", stderr) >= 0;
  static_cast<void>(said);
  const int64_t lines = kTransposedB ? product.inner : product.columns,
                width = kTransposedB ? product.columns : product.inner;
  const uint32_t lines_of_b = kTransposedB ? Tile::kDepth : Tile::kColumns / kCopiesB<Tile, kTransposedB>;
  launch(hopper_kernel<Tile, kTransposedB>, walking_blocks<Tile>(launch, product, kEveryGroup, tile_rows),
         Tile::kThreads + 128, kSharedBytes<Tile>,
         Maps{describe_matrix(product.b.data, width, lines, product.count, lines_of_b),
              describe_matrix(product.a.data, product.inner, product.rows, 1, kFewLines),
              describe_matrix(product.a.data, product.inner, product.rows, 1, kManyLines)},
         product, tile_rows, launch.refusal());
  return true;
}

}  // namespace

bool run_hopper_product(Launcher& launch, const Product& product) {
  static const bool off = !setting(kVariable).value_or(true);
  if (off || launch.architecture() != 90) return false;
  if (product.groups == Groups::kOfInner || product.a.transposed || !product.a.aligned || !product.b.aligned)
    return false;
  if (product.rows == 0 || product.width() == 0 || product.inner == 0 || product.count == 0) return false;
  // A transposed b would be copied in halves of 32 columns, narrower than the swizzle.
  const bool may_be_slim = !product.b.transposed || !product.gating.gated;
  const tiles::Tile tile =
      tiles::choose(tiles::kWgmma, {product.rows, product.columns, product.count}, may_be_slim, launch.processors());
  if (tile.columns == SlimTile::kColumns) {
    return product.b.transposed ? launch_tiles<SlimTile, true>(launch, product, tile.rows)
                                : launch_tiles<SlimTile, false>(launch, product, tile.rows);
  }
  return product.b.transposed ? launch_tiles<WideTile, true>(launch, product, tile.rows)
                              : launch_tiles<WideTile, false>(launch, product, tile.rows);
}

}  // namespace moe::cuda
