// GEMM of bfloat16 on Hopper's tensor cores, for wide tiles: c [M, N] = a [M, K] b [N, K]^T per group. Warp
// specialization as in CUTLASS: one warp fetches panels by the tensor memory accelerator (TMA), two warpgroups multiply
// them from shared memory by wgmma; the next tile's panels arrive during a tile's epilogue.
//
// Has run on the emulation alone, never on a card, and is off unless PANAMOE_CUDA_WGMMA=1. On a card its sums may
// differ from those of tensor.cu in their last bits: a row's bits would then depend on the number of rows beside it.
// Test: PANAMOE_CUDA_WGMMA=1 PANAMOE_SIMT_ARCH=90 PANAMOE_TEST_BACKEND=simt panamoe_test
// --gtest_filter='Gemm*:Expert*'. Time: PANAMOE_CUDA_WGMMA=1 ./panamoe bench grouped-gemm --dtype bf16 --device cuda.
#include <cuda.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "cuda/gemm/epilogue.h"
#include "cuda/gemm/product.h"
#include "cuda/ptx_hopper.h"

namespace moe::cuda {
namespace {

struct HopperTile {
  static constexpr int kRows = 128, kColumns = 128, kDepth = 64, kStages = 4;
  static constexpr int kThreads = 256;  // of the two warpgroups that multiply 64 rows each
  static constexpr int kBlocks = 1;
  static constexpr int kLines = 64;  // lines of b in one copy; for SwiGLU of the gate or of the up half
  static constexpr int kPanelA = kRows * kDepth, kPanelB = kColumns * kDepth;  // elements
  static constexpr int kStageBytes = (kPanelA + kPanelB) * 2;
};
// Panels begin at multiples of 1024 bytes, the period of the 128-byte swizzle.
constexpr int kPanelAlignment = 1024;
constexpr size_t kSharedBytes =
    kPanelAlignment + size_t{HopperTile::kStages} * HopperTile::kStageBytes + kSumsBytes<HopperTile>;

#if defined(MOE_HOPPER)

// The wgmma descriptor of a panel with rows of 128 bytes in 128-byte swizzle; `block` is the distance in bytes between
// blocks of 64 columns of a transposed panel.
__device__ __forceinline__ uint64_t describe_panel(const void* panel, int block) {
  constexpr uint64_t kSwizzle128Bytes = 1;
  constexpr int kEightRows = 1024;
  return uint64_t{(shared_address(panel) & 0x3ffff) >> 4} | uint64_t(block >> 4) << 16 |
         uint64_t{kEightRows >> 4} << 32 | kSwizzle128Bytes << 62;
}

// A barrier of the threads that multiply.
__device__ __forceinline__ void meet_multipliers() { meet_at_barrier<1, HopperTile::kThreads>(); }

#endif

// Bound by the tensor cores' 2 M N K operations.
template <bool kTransposedB>
__global__ void __launch_bounds__(HopperTile::kThreads + kWarpLanes, HopperTile::kBlocks)
    hopper_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b,
                  const Product product, RowRange rows, Refusal refusal) {
#if defined(MOE_HOPPER)
  using Tile = HopperTile;
  __shared__ TileWalk<Tile> fetched, multiplied;  // both roles walk over the same tiles, fetching ahead
  __shared__ uint64_t full[Tile::kStages], empty[Tile::kStages];
  MOE_DYNAMIC_SHARED(char, shared, kSharedBytes);
  char* stages = shared + (kPanelAlignment - shared_address(shared) % kPanelAlignment) % kPanelAlignment;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  if (threadIdx.x == 0) {
    fetched.start();
    multiplied.start();
    for (int i = 0; i < Tile::kStages; ++i) {
      start_barrier(full + i, 1);
      start_barrier(empty + i, Tile::kThreads / kWarpLanes);
    }
    fence_barrier_starts();
  }
  __syncthreads();
  int step = 0;  // panels so far; the parity of the barriers changes every kStages of them
  if (warp == Tile::kThreads / kWarpLanes) {
    const int up = product.activation == MOE_SWIGLU ? product.width() : Tile::kLines;
    while (true) {
      fetched.find(product, rows, refusal);
      __syncwarp();
      if (!fetched.found) return;
      const TileIndex tile = fetched.tile;
      __syncwarp();
      if (lane != 0) continue;
      for (int k = 0; k < tile.inner; k += Tile::kDepth, ++step) {
        const int stage = step % Tile::kStages;
        char* panel_a = stages + stage * Tile::kStageBytes;
        char* panel_b = panel_a + Tile::kPanelA * 2;
        wait(empty + stage, step / Tile::kStages % 2 ^ 1);
        arrive_with_copies(full + stage, Tile::kStageBytes);
        copy_box(panel_a, map_a, k, tile.begin + tile.row, 0, full + stage);
        for (int half = 0; half < 2; ++half) {
          const int line = tile.column + half * up;
          copy_box(panel_b + half * Tile::kPanelB, map_b, kTransposedB ? line : k, kTransposedB ? k : line, tile.group,
                   full + stage);
        }
      }
    }
  }
  auto* table = reinterpret_cast<float*>(stages + Tile::kStages * Tile::kStageBytes);
  const bool gated = product.activation == MOE_SWIGLU;
  while (true) {
    meet_multipliers();  // the sums of the last tile have been read
    if (warp == 0) multiplied.find(product, rows, refusal);
    meet_multipliers();
    if (!multiplied.found) return;
    const TileIndex& tile = multiplied.tile;
    float sums[16][4] = {};
    const int inner = tile.inner;
    for (int k = 0; k < inner; k += Tile::kDepth, ++step) {
      const int stage = step % Tile::kStages;
      const char* panel_a = stages + stage * Tile::kStageBytes;
      const char* panel_b = panel_a + Tile::kPanelA * 2;
      wait(full + stage, step / Tile::kStages % 2);
      const uint64_t a = describe_panel(panel_a + warp / 4 * 64 * Tile::kDepth * 2, 0);
      const uint64_t b = describe_panel(panel_b, kTransposedB ? Tile::kPanelB : 0);
      begin_products();
#pragma unroll
      for (int i = 0; i < Tile::kDepth / 16; ++i) {
        // 16 of k on: 32 bytes of a row, or 16 rows of a transposed panel.
        multiply_m64n128k16<kTransposedB>(sums, a + (i * 32 >> 4), b + (i * (kTransposedB ? 2048 : 32) >> 4));
      }
      commit_products();
      wait_products<1>(sums);
      if (k > 0 && lane == 0) arrive(empty + (step - 1) % Tile::kStages);
    }
    wait_products<0>(sums);
    if (inner > 0 && lane == 0) arrive(empty + (step - 1) % Tile::kStages);
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const int column = (gated ? i % 8 * 2 + i / 8 : i) * kRun;
      float* to = table + (warp * 16 + lane / 4) * kSumsStride<Tile> + column + lane % 4 * 2;
      *reinterpret_cast<float2*>(to) = make_float2(sums[i][0], sums[i][1]);
      *reinterpret_cast<float2*>(to + 8 * kSumsStride<Tile>) = make_float2(sums[i][2], sums[i][3]);
    }
    meet_multipliers();
    finish_tile<Tile>(product, tile, table);
  }
#endif
}

// The TMA descriptor of a bfloat16 matrix [groups, lines, width], copied in boxes of 64 columns by `box` lines; zeros
// outside the matrix.
CUtensorMap describe_matrix(const void* data, int64_t width, int64_t lines, int64_t groups, uint32_t box) {
  static const auto encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result),
            "looking up cuTensorMapEncodeTiled");
    if (found == nullptr) fail(MOE_UNSUPPORTED, "the driver has no cuTensorMapEncodeTiled, unset PANAMOE_CUDA_WGMMA");
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
  if (result != CUDA_SUCCESS) fail(MOE_DEVICE_FAILED, "describing a matrix to the card failed with ", int{result});
  return map;
}

bool asked_for_wgmma() {
  static const bool asked = [] {
    const char* text = std::getenv("PANAMOE_CUDA_WGMMA");
    return text != nullptr && std::strcmp(text, "1") == 0;
  }();
  return asked;
}

template <bool kTransposedB>
bool launch_tiles(Launch& launch, const Product& product, RowRange rows) {
  // In an image for plain sm_90 the kernel is empty and has no shared memory: only sm_90a has wgmma.
  cudaFuncAttributes attributes{};
  require(cudaFuncGetAttributes(&attributes, hopper_kernel<kTransposedB>), "looking at a kernel");
  if (attributes.sharedSizeBytes == 0) return false;
  const int64_t lines = kTransposedB ? product.inner : product.columns,
                width = kTransposedB ? product.columns : product.inner;
  launch(hopper_kernel<kTransposedB>, walking_blocks<HopperTile>(launch, product, rows),
         HopperTile::kThreads + kWarpLanes, kSharedBytes,
         describe_matrix(product.a.data, product.inner, product.rows, 1, HopperTile::kRows),
         describe_matrix(product.b.data, width, lines, product.count, HopperTile::kLines), product, rows,
         launch.refusal());
  return true;
}

}  // namespace

bool launch_hopper_tiles(Launch& launch, const Product& product, RowRange rows) {
  if (!asked_for_wgmma() || launch.architecture() != 90) return false;
  if (product.groups == Groups::kOfInner || product.a.transposed || !product.a.aligned || !product.b.aligned)
    return false;
  if (product.rows == 0 || product.width() == 0 || product.inner == 0) return false;
  return product.b.transposed ? launch_tiles<true>(launch, product, rows) : launch_tiles<false>(launch, product, rows);
}

}  // namespace moe::cuda
