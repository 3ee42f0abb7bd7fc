// Arguments of a GEMM: one product c = activation(a b^T + bias + addend), or one per group of rows (grouped GEMM).
#pragma once

#include <cstdint>

#include "cuda/device/launcher.h"
#include "cuda/expert/gating.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {

// An operand: lines (M rows of a, or N columns of b) by the inner dimension K. Element (line, k) is at line * stride +
// k, or at k * stride + line if transposed.
struct Matrix {
  const void* data;
  int32_t dtype;
  int64_t stride;
  bool transposed;
  bool aligned;  // lines start at multiples of 16 bytes
};

// A row-major matrix that the epilogue reads or writes: element (row, column) is at row * stride + column.
struct Output {
  void* data;  // or null
  int32_t dtype;
  int64_t stride;
  bool quads;  // one access reaches four adjacent elements
};

// kOne: one product. kOfRows: group e is rows offsets[e] .. offsets[e + 1] - 1 of a and c, with its own b. kOfInner:
// group e sums over k = offsets[e] .. offsets[e + 1] - 1 into its own c (gradients of weights); with a depth, over k =
// e depth .. (e + 1) depth - 1 into one c (splits of a skinny product).
enum class Groups { kOne, kOfRows, kOfInner };

// c = activation(a b^T + bias + addend), or c += a b^T.
struct Product {
  Groups groups;
  int32_t count;           // groups
  const int32_t* offsets;  // [count + 1], or null for one group and for splits
  int32_t rows;            // M; for kOfRows, of all groups together
  int32_t columns;         // N, columns of a b^T; c has half of them for a gated activation
  int32_t inner;           // K; for kOfInner, of all groups together
  Matrix a, b;
  int64_t b_elements;  // elements of one group's b, for kOfRows
  const float* bias;   // [count or 1, columns], or null
  int32_t activation;  // moe_activation
  Gating gating;       // the gated activation's parameters
  bool accumulate;
  Output c, preactivation{}, addend{};
  int32_t depth = 0;       // k per split; 0: no splits
  bool continues = false;  // its offsets are the rest of others, and need not begin at 0

  // Columns of c.
  __host__ __device__ int32_t width() const { return gating.gated ? columns / 2 : columns; }
};

// A launch computes only the groups whose number of rows is in this range.
struct RowRange {
  int32_t least, most;
};
constexpr RowRange kEveryGroup{0, INT32_MAX};

// A size as int32; refuses sizes that overflow the kernels' indices.
int32_t size_of(const char* what, int64_t size);
// `matrix` [.., lines, K] as an operand, or [.., K, lines] if transposed.
Matrix matrix_of(Tensor matrix, bool transposed);
// `output` [.., columns]; its data is null if `output` is null.
Output output_of(OptionalTensor output);
// Computes the product by the kernels for its dtypes.
void run_product(Launcher& launch, const Product& product);
// bfloat16 times bfloat16 by wgmma (hopper.cu); returns false if the GPU lacks it or it does not fit this product. That
// depends on the layer and its operands' alignment, never on the number of rows.
bool run_hopper_product(Launcher& launch, const Product& product);
// bfloat16 by mma.sync (tensor.cu); every other mix that is not skinny by float32 multiply-adds (float.cu).
void run_tensor_product(Launcher& launch, const Product& product);
void run_float_product(Launcher& launch, const Product& product);
// A float32 operand and a layer with few outputs or inputs: on tensor cores, in parts and splits (skinny.cu). is_skinny
// does not depend on the number of tokens.
bool is_skinny(const Product& product);
void run_skinny_product(Launcher& launch, const Product& product);
// Weights in blocks: decoded in registers for mma.sync (block.cu), or first to memory if b is transposed (decoded.cu).
void run_block_product(Launcher& launch, const Product& product);
void run_decoded_product(Launcher& launch, const Product& product);

// Columns of c in a tile.
template <class Tile>
__host__ __device__ constexpr int tile_columns(const Product& product) {
  return product.gating.gated ? Tile::kColumns / 2 : Tile::kColumns;
}

// Blocks of a launch, each of which walks over tiles: at most the number of tiles and of resident blocks. At least one
// if there are groups, to check the offsets.
template <class Tile>
unsigned walking_blocks(const Launcher& launch, const Product& product, RowRange rows, int tile_rows) {
  int64_t down = ceil_div(product.rows, tile_rows) * product.count;
  if (product.groups == Groups::kOfRows) {
    down = product.rows / tile_rows + std::min(product.count, product.rows / std::max(rows.least, 1));
  }
  const int64_t tiles = down * ceil_div(product.width(), tile_columns<Tile>(product));
  const int64_t running = static_cast<int64_t>(launch.processors()) * Tile::kBlocks;
  return static_cast<unsigned>(std::clamp<int64_t>(tiles, product.groups == Groups::kOne ? 0 : 1, running));
}

}  // namespace moe::cuda
