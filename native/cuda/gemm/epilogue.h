// The epilogue of a tile: bias, addend, preactivation, activation, accumulation, rounding.
#pragma once

#include "cuda/expert/activation.h"
#include "cuda/gemm/tile.h"

namespace moe::cuda {

template <typename Value>
__device__ __forceinline__ void load_four(const Output& output, int64_t offset, int count, float (&to)[4]) {
  const Value* from = static_cast<const Value*>(output.data) + offset;
  if (output.quads && count == 4) {
    const auto vector = *reinterpret_cast<const Vector<Value, 4>*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = to_float(vector.values[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = i < count ? to_float(from[i]) : 0.0f;
}

template <typename Value>
__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  Value* to = static_cast<Value*>(output.data) + offset;
  Vector<Value, 4> vector;
#pragma unroll
  for (int i = 0; i < 4; ++i) vector.values[i] = from_float<Value>(from[i]);
  if (output.quads && count == 4) {
    *reinterpret_cast<Vector<Value, 4>*>(to) = vector;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < count) to[i] = vector.values[i];
  }
}

__device__ __forceinline__ void load_four(const Output& output, int64_t offset, int count, float (&to)[4]) {
  if (output.dtype == MOE_BFLOAT16) {
    load_four<Bfloat16>(output, offset, count, to);
  } else {
    load_four<float>(output, offset, count, to);
  }
}

__device__ __forceinline__ void store_four(const Output& output, int64_t offset, int count, const float (&from)[4]) {
  if (output.dtype == MOE_BFLOAT16) {
    store_four<Bfloat16>(output, offset, count, from);
  } else {
    store_four<float>(output, offset, count, from);
  }
}

// Row stride of a tile's sums in shared memory, padded so that a warp writes its fragments without bank conflicts.
template <class Tile>
constexpr int kSumsStride = Tile::kColumns + 8;
template <class Tile>
constexpr size_t kSumsBytes = size_t{Tile::kRows} * kSumsStride<Tile> * sizeof(float);

// Adds bias and addend to four adjacent sums of a row, and saves them as preactivation if the call asks for it.
__device__ __forceinline__ void preactivate(const Product& product, const float* sums, int64_t bias_row, int64_t c_row,
                                            int column, int count, float (&to)[4]) {
  const auto four = *reinterpret_cast<const Vector<float, 4>*>(sums);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = four.values[i];
    if (product.bias != nullptr && i < count) to[i] += product.bias[bias_row * product.columns + column + i];
  }
  const Output &addend = product.addend, &saved = product.preactivation;
  if (addend.data != nullptr) {
    float more[4];
    load_four(addend, c_row * addend.stride + column, count, more);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] += more[i];
  }
  if (saved.data != nullptr) store_four(saved, c_row * saved.stride + column, count, to);
}

// Applies the epilogue to `rows` rows of a tile from its row `first` on: from sums in shared memory to c, four adjacent
// elements at a time per thread.
template <class Tile, int kStride = kSumsStride<Tile>>
__device__ __forceinline__ void finish_tile(const Product& product, const TileIndex& tile, int first, int rows,
                                            const float* sums) {
  const bool gated = product.gating.gated;
  const int width = product.width();
  const int64_t bias_row = product.groups == Groups::kOfRows ? tile.group : 0;
  const int64_t first_row = product.groups == Groups::kOfInner ? int64_t{tile.group} * product.rows : tile.begin;
  const int quads = gated ? Tile::kColumns / 8 : Tile::kColumns / 4;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < rows * quads; i += Tile::kThreads) {
    const int row = i / quads, across = i % quads * 4;
    const int column = tile.column + across;
    if (column >= width) continue;
    const int count = min(width - column, 4);
    const int64_t c_row = first_row + tile.row + first + row;
    const float* from = sums + row * kStride;
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
      load_four(product.c, offset, count, old);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[j] += old[j];
    }
    store_four(product.c, offset, count, values);
  }
}

}  // namespace moe::cuda
