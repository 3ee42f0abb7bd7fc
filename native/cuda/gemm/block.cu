// GEMM with weights in blocks: c [M, N] = activation(a [M, K] b [N, K]^T + bias) per group, a float32 or bfloat16.
// Blocks keep their file format in memory and in shared memory; a lane decodes codes in registers for mma.m16n8k16,
// whose products of codes and a's bfloat16 parts (parts.h) are exact. The sum over k that share a scale (32 or 16) is
// scaled and added in float32, k in ascending order for every number of rows, so a row has the same bits alone and in a
// batch. Design: docs/kernels-cuda.md. Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='BlockGemm*'.
// Time: ./panamoe bench grouped-gemm --quantize q4_k --device cuda.
//
// A tile: 64 lines of b are mma's rows, up to 64 rows of a its columns.
//
//                 rows of a (j: eights)         shared memory: kCount stages of
//                 0   8  16  ...   56             line 0:  [phase|block|block|...|pad]   kStride bytes,
//   warp 0  16 lines  |   |   |   |   |           line 1:  [phase|block|block|...|pad]   an odd number
//   warp 1  16 lines  |   |   |   |   |           ...                                    of 16-byte chunks
//   warp 2  16 lines  |   |   |   |   |           line 63: [phase|block|block|...|pad]
//   warp 3  16 lines  |   |   |   |   |         a stage holds 256 k of each line; copies start at multiples of 16
//   bytes,
//                                               so a line's first block is `phase` bytes behind its first chunk.
//   rows of a go from memory to registers.      After the last stage the same memory holds the tile's sums.
//
// A lane has lines down and down + 8 of its warp's sixteen (down = lane / 4), k four .. four + 3 of each sixteen
// (four = lane % 4 * 4) of lines and rows, and row down of each eight rows.
#include "cuda/gemm/block_formats.h"
#include "cuda/gemm/epilogue.h"
#include "cuda/gemm/parts.h"
#include "cuda/kernel/ptx.h"

namespace moe::cuda {
namespace {

// A warp has 16 of the tile's columns, which are rows of b, and all of its rows.
struct BlockTile {
  static constexpr int kRows = 64, kColumns = 64, kThreads = kColumns / 16 * kWarpLanes, kBlocks = 4;
  static constexpr int kRowSteps = kRows / 8;
};
constexpr int kDepth = 256;  // k of a stage, whole blocks of every format

// Maximum bytes of a block's stages: four blocks fit sm_90, and one the 99 KiB of sm_86.
constexpr int kStagesBytes = 56 << 10;

// A stage: for each line of the tile, the aligned 16-byte chunks that contain its blocks.
template <class Format>
struct BlockStage {
  static constexpr int kSpan = kDepth / Format::kElements * Format::kBytes;
  static constexpr int kChunks = (kSpan + 15 + 15) / 16;
  // An odd number of chunks, so that lanes read eight lines without bank conflicts. word_at reads past its word.
  static constexpr int kStride = ((kSpan + 15 + 4 + 15) / 16 | 1) * 16;
  static constexpr int kBytes = BlockTile::kColumns * kStride;
  static constexpr int kCount = std::clamp(kStagesBytes / kBytes, 2, 4);
  static constexpr size_t kSharedBytes = std::max(size_t{kCount} * kBytes, kSumsBytes<BlockTile>);
};

// The lines of b of a tile.
template <class Format>
struct Lines {
  const unsigned char* first;
  int64_t bytes;  // bytes of a line
  int left;       // lines from here on; gated: lines of the gate
  int up;         // gated: lines from a gate line to its up line; else 0

  __device__ Lines(const Product& product, const TileIndex& tile)
      : bytes(int64_t{product.inner} / Format::kElements * Format::kBytes),
        left(product.width() - tile.column),
        up(product.gating.gated ? product.width() : 0) {
    first = static_cast<const unsigned char*>(product.b.data) +
            tile.group * (product.b_elements / Format::kElements * Format::kBytes) + tile.column * bytes;
  }

  // The line's first byte, or null outside the matrix.
  __device__ __forceinline__ const unsigned char* at(int line) const {
    const int skipped = up != 0 ? line_in_half(line) : line;
    if (skipped >= left) return nullptr;
    return first + (skipped + (up != 0 && line_is_up(line) ? up : 0)) * bytes;
  }

  // Starts the copies of blocks from byte `begin` of each line. Chunks start at multiples of 16, even if lines do not.
  // Nothing outside the matrix is copied; sums of what shared memory holds there are not used.
  __device__ __forceinline__ void copy(unsigned char* stage, int64_t begin) const {
    using Stage = BlockStage<Format>;
    const int span = static_cast<int>(min(bytes - begin, int64_t{Stage::kSpan}));
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < BlockTile::kColumns * Stage::kChunks; i += BlockTile::kThreads) {
      const int line = i / Stage::kChunks, offset = i % Stage::kChunks * 16;
      const unsigned char* from = at(line);
      if (from == nullptr) continue;
      from += begin;
      const int skipped = phase(from), filled = min(span + skipped - offset, 16);
      if (filled > 0) copy_async_16(stage + line * Stage::kStride + offset, from - skipped + offset, filled);
    }
  }

  // Bytes from a multiple of 16 to this address.
  __device__ __forceinline__ static int phase(const unsigned char* at) {
    return static_cast<int>(reinterpret_cast<uintptr_t>(at) % 16);
  }
};

// The rows of a of a tile.
template <typename Value>
struct Rows {
  const Value* first;
  int64_t row_stride, k_stride;
  bool vectors;

  __device__ Rows(const Product& product, const TileIndex& tile)
      : row_stride(product.a.transposed ? 1 : product.a.stride),
        k_stride(product.a.transposed ? product.a.stride : 1),
        vectors(product.a.aligned && !product.a.transposed) {
    first = static_cast<const Value*>(product.a.data) + (int64_t{tile.begin} + tile.row) * row_stride;
  }

  // Loads elements k .. k + 3 of a row as a fragment of mma.
  __device__ __forceinline__ void load(int row, int k, uint32_t (&fragment)[kParts<Value>][2]) const {
    const Value* from = first + row * row_stride + k * k_stride;
    Vector<Value, 4> four;
    if (vectors) {
      four = *reinterpret_cast<const Vector<Value, 4>*>(from);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) four.values[i] = from[i * k_stride];
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t parts[kParts<Value>];
      split(Vector<Value, 2>{{four.values[2 * i], four.values[2 * i + 1]}}, parts);
#pragma unroll
      for (int part = 0; part < kParts<Value>; ++part) fragment[part][i] = parts[part];
    }
  }
};

// sums += lines rows, the smallest parts of the rows first.
template <int parts>
__device__ __forceinline__ void multiply_parts(float (&sums)[4], const uint32_t (&lines)[4],
                                               const uint32_t (&rows)[parts][2]) {
#pragma unroll
  for (int part = parts - 1; part >= 0; --part) multiply_m16n8k16(sums, lines, rows[part]);
}

// 32 k of a lane's two lines, decoded into mma's layout: a fragment for each 16 k.
template <class Format>
struct Slice {
  static constexpr int kScales = 32 / Format::kElementsPerScale;
  uint32_t codes[2][4];
  float scales[2][kScales], mins[2][kScales];  // by line; mins are negated

  // `blocks`: the blocks of the two lines; `inside`: the first k within them; `four`: the lane's first k of 16.
  __device__ __forceinline__ void decode(const unsigned char* const (&blocks)[2], int inside, int four) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t bytes = Format::codes(blocks[i], inside + 16 * half + four);
        codes[half][i] = Format::pair(bytes, 0);
        codes[half][i + 2] = Format::pair(bytes, 2);
        if (half == kScales) continue;
        scales[i][half] = Format::scale(blocks[i], inside + 16 * half);
        if constexpr (Format::kMins) mins[i][half] = -Format::min(blocks[i], inside + 16 * half);
      }
    }
  }

  // sums += factors * (left rows) for each scale's k.
  template <int parts>
  __device__ __forceinline__ static void add(float (&sums)[4], const uint32_t (&left)[2][4],
                                             const uint32_t (&rows)[2][parts][2], const float (&factors)[2][kScales]) {
    float products[4] = {};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      multiply_parts(products, left[half], rows[half]);
      if (kScales == 1 && half == 0) continue;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[i] = fmaf(factors[i / 2][kScales == 1 ? 0 : half], products[i], sums[i]);
        products[i] = 0;
      }
    }
  }

  // sums += the slice times eight rows. A minimum multiplies the sum of a row, which is a product with ones.
  template <int parts>
  __device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&rows)[2][parts][2]) const {
    add(sums, codes, rows, scales);
    if constexpr (Format::kMins) {
      constexpr uint32_t kOnes = 0x3f803f80;
      add(sums, {{kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes, kOnes, kOnes}}, rows, mins);
    }
  }
};

// Few rows are bound by reading the blocks once and by decoding them; each further 64 rows decode them again.
template <class Format, typename A>
__global__ void __launch_bounds__(BlockTile::kThreads, BlockTile::kBlocks)
    block_kernel(const Product product, Refusal refusal) {
  using Tile = BlockTile;
  using Stage = BlockStage<Format>;
  MOE_DYNAMIC_SHARED(unsigned char, stages, Stage::kSharedBytes);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int down = lane / 4, four = lane % 4 * 4, line = warp * 16 + down;
  MOE_SHARED(TileWalk<Tile>, walk);
  if (threadIdx.x == 0) walk.start(Tile::kRows);
  while (walk.next(product, kEveryGroup, refusal)) {
    const TileIndex& tile = walk.tile;
    const Lines<Format> lines(product, tile);
    const Rows<A> rows(product, tile);
    const int height = walk.rows(), inner = tile.inner, steps = inner / kDepth + (inner % kDepth != 0);
    const auto copy_stage = [&](int step) {
      if (step < steps) lines.copy(stages + step % Stage::kCount * Stage::kBytes, int64_t{step} * Stage::kSpan);
      commit_copies();
    };
    float sums[Tile::kRowSteps][4] = {};
#pragma unroll 1
    for (int step = 0; step < Stage::kCount - 1; ++step) copy_stage(step);
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
      wait_copies<Stage::kCount - 2>();
      __syncthreads();  // this stage is loaded, the previous one is free
      copy_stage(step + Stage::kCount - 1);
      const unsigned char* stage_lines[2];  // the lane's
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const unsigned char* from = lines.at(line + 8 * i);
        stage_lines[i] = stages + step % Stage::kCount * Stage::kBytes + (line + 8 * i) * Stage::kStride +
                         (from == nullptr ? 0 : lines.phase(from + int64_t{step} * Stage::kSpan));
      }
      const int begin = step * kDepth, depth = min(inner - begin, kDepth);
#pragma unroll 1
      for (int k = 0; k < depth; k += 32) {
        const int skipped = k / Format::kElements * Format::kBytes;
        Slice<Format> slice;
        slice.decode({stage_lines[0] + skipped, stage_lines[1] + skipped}, k % Format::kElements, four);
#pragma unroll
        for (int j = 0; j < Tile::kRowSteps; ++j) {
          if (j * 8 >= height) break;
          uint32_t parts[2][kParts<A>][2] = {};
          if (j * 8 + down < height) {
            rows.load(j * 8 + down, begin + k + four, parts[0]);
            rows.load(j * 8 + down, begin + k + 16 + four, parts[1]);
          }
          __syncwarp();
          slice.multiply(sums[j], parts);
        }
      }
    }
    wait_copies<0>();
    __syncthreads();  // the stages' memory is free for the sums
    auto* table = reinterpret_cast<float*>(stages);
#pragma unroll
    for (int j = 0; j < Tile::kRowSteps; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        table[(j * 8 + lane % 4 * 2 + i % 2) * kSumsStride<Tile> + line + i / 2 * 8] = sums[j][i];
      }
    }
    __syncthreads();
    finish_tile<Tile>(product, tile, 0, height, table);
  }
}

template <class Format, typename A>
void launch_kernel(Launcher& launch, const Product& product) {
  launch(block_kernel<Format, A>, walking_blocks<BlockTile>(launch, product, kEveryGroup, BlockTile::kRows),
         BlockTile::kThreads, BlockStage<Format>::kSharedBytes, product, launch.refusal());
}

template <class Format>
void launch_format(Launcher& launch, const Product& product) {
  product.a.dtype == MOE_BFLOAT16 ? launch_kernel<Format, Bfloat16>(launch, product)
                                  : launch_kernel<Format, float>(launch, product);
}

}  // namespace

void run_block_product(Launcher& launch, const Product& product) {
  with_block_dtype(product.b.dtype, [&](auto dtype) { launch_format<BlockTraits<dtype.value>>(launch, product); });
}

}  // namespace moe::cuda
