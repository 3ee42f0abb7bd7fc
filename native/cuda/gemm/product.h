// What the GEMM's kernels are told: a product of matrices, or one product of each group of rows.
#pragma once

#include <cstdint>

#include "cuda/floating.h"
#include "cuda/gating.h"
#include "cuda/launch.h"

namespace moe::cuda {

// A matrix of lines along which the product keeps its shape (rows of a, columns of b) and the inner dimension that is
// summed. Element (line, k) lies at line * stride + k, or at k * stride + line where it is turned.
struct Matrix {
  const void* data;
  int32_t dtype;
  int64_t stride;
  bool turned;
  bool packs;  // every 16 bytes' worth of neighbours begins at a multiple of 16 bytes
};

// Rows that the epilogue writes: element (row, column) lies at row * stride + column.
struct Output {
  void* data;  // or null
  int32_t dtype;
  int64_t stride;
  bool quads;  // every four neighbours can be written at once
};

// What differs between the groups of a call. kOfRows: group e is rows offsets[e] .. offsets[e + 1] - 1 of a and c, and
// has a b of its own. kOfInner: the same rows of a and b are its inner dimension, and it has a c of its own.
enum class Groups { kOne, kOfRows, kOfInner };

// c = activation(a b^T + bias), or c += a b^T.
struct Product {
  Groups groups;
  int32_t count;           // of groups
  const int32_t* offsets;  // [count + 1], or null for one group
  int32_t rows;            // of a; where groups are of rows, of all of them
  int32_t columns;         // of a b^T; SwiGLU halves them
  int32_t inner;           // where groups are of the inner dimension, of all of them
  Matrix a, b;
  int64_t b_elements;  // of one group's b, where groups are of rows
  const float* bias;   // [count or 1, columns], or null
  int32_t activation;  // moe_activation
  Gating gating;       // of SwiGLU
  bool accumulate;
  Output c, preactivation;

  // Columns of c.
  __host__ __device__ int32_t width() const { return activation == MOE_SWIGLU ? columns / 2 : columns; }
};

// Rows of a tile: few of them ask for memory rather than for arithmetic, and many multiprocessors read faster than few.
constexpr int32_t kNarrowRows = 16;
constexpr int32_t kMiddleRows = 64;

// Bounds on the rows of the groups that a launch takes; the others are left to another one.
struct RowRange {
  int32_t least, most;
};
constexpr RowRange kEveryGroup{0, INT32_MAX};

// A size as the kernels count it; refuses one that they cannot.
int32_t size_of(const char* what, int64_t size);
// `matrix` [.., width] with lines down its last dimension but one, or along its last one when `turned`.
Matrix matrix_of(Tensor matrix, bool turned);
// The rows of `output` [.., columns], or none.
Output output_of(OptionalTensor output);
// Launches the kernels for the product's dtypes.
void run_product(Launch& launch, const Product& product);
// The kernels: bfloat16 times bfloat16 on tensor cores, and every other mix by float32 multiply-adds.
void run_tensor_product(Launch& launch, const Product& product);
void run_float_product(Launch& launch, const Product& product);

// Where it is asked for and can be had, launches Hopper's own kernel for wide tiles of bfloat16 (gemm_hopper.cu).
bool launch_hopper_tiles(Launch& launch, const Product& product, RowRange rows);

// Calls launch_narrow, launch_middle or launch_wide with the rows of the groups that it serves. Where rows are grouped
// only the kernels see the groups' sizes: two are launched, and each takes its own. Only launch_wide gets a turned a.
template <typename Narrow, typename Middle, typename Wide>
void launch_by_rows(const Product& product, Narrow&& launch_narrow, Middle&& launch_middle, Wide&& launch_wide) {
  RowRange rows = kEveryGroup;
  if (product.groups == Groups::kOfRows) {
    launch_narrow(RowRange{0, kNarrowRows});
    if (product.rows <= kNarrowRows) return;
    rows.least = kNarrowRows + 1;
  } else if (product.a.turned) {
    launch_wide(rows);
    return;
  } else if (product.rows <= kNarrowRows) {
    launch_narrow(rows);
    return;
  }
  product.rows <= kMiddleRows ? launch_middle(rows) : launch_wide(rows);
}

// Columns of c that a tile has.
template <class Tile>
__host__ __device__ constexpr int tile_columns(const Product& product) {
  return product.activation == MOE_SWIGLU ? Tile::kColumns / 2 : Tile::kColumns;
}

// Blocks that walk the tiles of a launch: no more than there can be, nor than run at once. One where there is none, for
// the check of the offsets.
template <class Tile>
unsigned walking_blocks(const Launch& launch, const Product& product, RowRange rows) {
  int64_t down = ceil_div(product.rows, Tile::kRows) * product.count;
  if (product.groups == Groups::kOfRows) {
    down = product.rows / Tile::kRows + std::min(product.count, product.rows / std::max(rows.least, 1));
  }
  const int64_t tiles = down * ceil_div(product.width(), tile_columns<Tile>(product));
  const int64_t running = static_cast<int64_t>(launch.processors()) * Tile::kBlocks;
  return static_cast<unsigned>(std::clamp<int64_t>(tiles, product.groups == Groups::kOne ? 0 : 1, running));
}

}  // namespace moe::cuda
