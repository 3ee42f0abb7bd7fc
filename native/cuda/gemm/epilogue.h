// What the GEMM's kernels do with a tile's sums: bias, preactivation, activation, rounding.
#pragma once

#include "cuda/activation.h"
#include "cuda/gemm/tile.h"

namespace moe::cuda {

template <typename Value>
__device__ __forceinline__ void load_four(const Output& output, int64_t offset, int count, float (&to)[4]) {
  const Value* from = static_cast<const Value*>(output.data) + offset;
  if (output.quads && count == 4) {
    const auto pack = *reinterpret_cast<const Pack<Value, 4>*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = to_float(pack.values[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = i < count ? to_float(from[i]) : 0.0f;
}

template <typename Value>
__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  Value* to = static_cast<Value*>(output.data) + offset;
  Pack<Value, 4> pack;
#pragma unroll
  for (int i = 0; i < 4; ++i) pack.values[i] = from_float<Value>(from[i]);
  if (output.quads && count == 4) {
    *reinterpret_cast<Pack<Value, 4>*>(to) = pack;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < count) to[i] = pack.values[i];
  }
}

__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  if (output.dtype == MOE_BFLOAT16) {
    store_four<Bfloat16>(output, offset, count, from);
  } else {
    store_four<float>(output, offset, count, from);
  }
}

// Elements between the rows of a tile's sums in shared memory: writes of a warp's fragments meet no bank twice.
template <class Tile>
constexpr int kSumsStride = Tile::kColumns + 8;
template <class Tile>
constexpr size_t kSumsBytes = size_t{Tile::kRows} * kSumsStride<Tile> * sizeof(float);

// Sums of four neighbours of a row plus bias; saved for the backward on the way.
__device__ __forceinline__ void preactivate(const Product& product, const float* sums, int64_t bias_row, int64_t c_row,
                                            int column, int count, float (&to)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = sums[i];
    if (product.bias != nullptr && i < count) to[i] += product.bias[bias_row * product.columns + column + i];
  }
  const Output& saved = product.preactivation;
  if (saved.data != nullptr) store_four(saved, c_row * saved.stride + column, count, to);
}

// Rounds a tile's sums from shared memory to c, four neighbours a thread at a time.
template <class Tile>
__device__ __forceinline__ void finish_tile(const Product& product, const TileIndex& tile, const float* sums) {
  const bool gated = product.activation == MOE_SWIGLU;
  const int width = product.width();
  const int64_t bias_row = product.groups == Groups::kOfRows ? tile.group : 0;
  const int64_t first_row = product.groups == Groups::kOfInner ? int64_t{tile.group} * product.rows : tile.begin;
  const int rows = min(tile.rows - tile.row, Tile::kRows);
  const int quads = gated ? Tile::kColumns / 8 : Tile::kColumns / 4;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < rows * quads; i += Tile::kThreads) {
    const int row = i / quads, across = i % quads * 4;
    const int column = tile.column + across;
    if (column >= width) continue;
    const int count = min(width - column, 4);
    const int64_t c_row = first_row + tile.row + row;
    const float* from = sums + row * kSumsStride<Tile>;
    float values[4];
    if (gated) {
      float up[4];
      from += across / kRun * 2 * kRun + across % kRun;
      preactivate(product, from, bias_row, c_row, column, count, values);
      preactivate(product, from + kRun, bias_row, c_row, column + width, count, up);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] = product.gating.value(values[j], up[j]);
    } else {
      preactivate(product, from + across, bias_row, c_row, column, count, values);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] = activate(product.activation, values[j]);
    }
    const int64_t offset = c_row * product.c.stride + column;
    if (product.accumulate) {
      float old[4];
      if (product.c.dtype == MOE_BFLOAT16) {
        load_four<Bfloat16>(product.c, offset, count, old);
      } else {
        load_four<float>(product.c, offset, count, old);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] += old[j];
    }
    store_four(product.c, offset, count, values);
  }
}

}  // namespace moe::cuda
