// Gradients of scores in GPU memory, stored by one kernel of the backward for the other: tiles of keys by queries. A
// tile is a sequence of 8 x 8 blocks, so that warps write and read whole blocks.
#pragma once

#include <algorithm>

#include "cuda/attention/products.h"

namespace moe::cuda {

constexpr int kBlockElements = 8 * 8;

// The order of one head's tiles: by tile of keys. Pairs of tiles that do not see each other are not stored.
struct ScoreTiles {
  int tiles;  // tiles of keys, equal to tiles of queries
  int most;   // maximum tiles of queries that see a tile of keys
  bool full;

  __host__ __device__ int64_t at(int keys, int queries) const {
    if (full) return int64_t{keys} * tiles + queries;
    const int64_t cut =
        keys > tiles - most ? keys - (tiles - most) : 0;  // the last tiles of keys are seen by fewer queries
    return int64_t{keys} * most - cut * (cut - 1) / 2 + queries - keys;
  }
  __host__ __device__ int64_t count() const { return at(tiles, full ? 0 : tiles); }
};

inline ScoreTiles score_tiles(int length, int rows, int window, bool full) {
  const int tiles = (length + rows - 1) / rows;
  return {tiles, full || window >= length ? tiles : std::min(tiles, (window + rows - 2) / rows + 1), full};
}

// Copies `count` elements, whole vectors at multiples of 16 bytes.
template <typename Element>
__device__ __forceinline__ void copy_array(Element* to, const Element* from, int count) {
  constexpr int kVector = kVectorOf<Element>;
  for (int i = static_cast<int>(threadIdx.x) * kVector; i < count; i += static_cast<int>(blockDim.x) * kVector) {
    copy_async_16(to + i, from + i);
  }
}

// Stores a product [16, 8 kTiles] into a tile with rows of kBlocks blocks; `to` is the product's first block.
template <int kBlocks, int kTiles, typename Element>
__device__ __forceinline__ void store_blocks(const float (&c)[kTiles][4], Element* to) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      Element* pair = to + (i / 2 * kBlocks + j) * kBlockElements + lane * 2;
      if constexpr (std::is_same_v<Element, float>) {
        *reinterpret_cast<Vector<float, 2>*>(pair) = {c[j][i], c[j][i + 1]};
      } else {
        *reinterpret_cast<uint32_t*>(pair) = bfloat16_pair(c[j][i], c[j][i + 1]);
      }
    }
  }
}

// add_product with the transpose of weights [8 kInner, 16], whose first block is `weights`.
template <int kBlocks, int kStride, int kInner, int kTiles>
__device__ __forceinline__ void add_transposed(float (&c)[kTiles][4], const Bfloat16* weights, const Bfloat16* b,
                                               int columns, float*) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const Bfloat16* left = weights + (lane / 16 * kBlocks + lane / 8 % 2) * kBlockElements + lane % 8 * 8;
  const auto read = [&](int k, uint32_t(&rows)[4]) {
    load_matrices_transposed(rows, left + k * kBlocks * kBlockElements);
  };
  add_fragments<kStride, kInner>(c, read, b, columns);
}

template <int kBlocks, int kStride, int kInner, int kTiles>
__device__ __forceinline__ void add_transposed(float (&c)[kTiles][4], const float* weights, const float* b, int columns,
                                               float* table) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  float rows[kInner][4];
#pragma unroll
  for (int j = 0; j < kInner; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      rows[j][i] = weights[(j * kBlocks + i / 2) * kBlockElements + (lane % 4 * 2 + i % 2) * 8 + lane / 4];
    }
  }
  add_product<kStride>(c, rows, b, columns, table);
}

}  // namespace moe::cuda
