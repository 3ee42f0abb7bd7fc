// The pieces attention is made of: tiles of rows in shared memory, and their products by warps of 16 rows each.
// bfloat16 products go through tensor cores; float32 ones are fused multiply-adds over the inner dimension in order.
// An element's arithmetic depends on its own row and column alone, wherever in the tiles those lie.
#pragma once

#include <limits>
#include <type_traits>

#include "core/check.h"
#include "cuda/floating.h"
#include "cuda/ptx.h"
#include "cuda/reduce.h"

namespace moe::cuda {

// Rows of a warp's left factor. What a lane owns of a product [16, 8 n] is laid out as mma.m16n8k16 has it: with
// g = lane / 4, t = lane % 4, c[j] holds (g, 8 j + 2 t), its right neighbour, and the two 8 rows below.
constexpr int kWarpRows = 16;

constexpr int kMostHeadSize = 256;

// Shared memory that a block can have on every supported card: what sm_86, sm_89 and sm_120 have. Tiles that need more
// are launched narrower there.
constexpr size_t kSharedOfEveryCard = 99 << 10;

// The score of a key that is not seen.
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// How heads of up to kHead elements are cut: a warp keeps sums for kColumns of them, so kColumnWarps warps share the
// rows of a tile. Rows of a tile lie kStride apart, so that neither ldmatrix nor reads along them conflict in banks.
template <typename Element, int kHead>
struct HeadShape {
  static constexpr int kColumns = kHead < 128 ? kHead : 128;
  static constexpr int kColumnWarps = kHead / kColumns;
  static constexpr int kColumnTiles = kColumns / 8;
  static constexpr int kStride = kHead + kVectorOf<Element>;
};

// Calls visit with the smallest instantiated head size that holds `head_size`, as an integral_constant.
template <typename Visit>
void visit_head_size(int64_t head_size, Visit&& visit) {
  if (head_size > kMostHeadSize) {
    fail(MOE_UNSUPPORTED, "the head size is ", head_size, ", this backend's attention has up to ", kMostHeadSize);
  }
  if (head_size <= 64) {
    visit(std::integral_constant<int, 64>{});
  } else if (head_size <= 128) {
    visit(std::integral_constant<int, 128>{});
  } else {
    visit(std::integral_constant<int, 256>{});
  }
}

// No window as a number that no distance of two positions reaches.
inline int window_or_most(int64_t window) {
  constexpr int kMost = std::numeric_limits<int>::max();
  return window == 0 || window > kMost ? kMost : static_cast<int>(window);
}

// The last key that a query at `position` of a sequence sees, its own under a causal mask.
__device__ __forceinline__ int last_key(bool full, int position, int length) { return full ? length - 1 : position; }

__device__ __forceinline__ int padded_width(int head_size) { return (head_size + 15) / 16 * 16; }

// Fills `count` rows of a tile; address(row) is where a row begins, null for a row of zeros. Columns from head_size to
// its padded width become 0. In vectors the copies are asynchronous: commit and wait before the next barrier.
template <int kHead, typename Element, typename Address>
__device__ __forceinline__ void load_tile(Element* tile, int count, int head_size, bool aligned, Address address) {
  constexpr int kStride = HeadShape<Element, kHead>::kStride, kVector = kVectorOf<Element>;
  const int width = padded_width(head_size);
  if (aligned) {
    constexpr int kVectors = kHead / kVector;
    for (int i = static_cast<int>(threadIdx.x); i < count * kVectors; i += static_cast<int>(blockDim.x)) {
      const int row = i / kVectors, column = i % kVectors * kVector;
      if (column >= width) continue;
      const Element* from = address(row);
      const bool filled = from != nullptr && column < head_size;
      Element* to = tile + row * kStride + column;
      if (filled) {
        copy_async_16(to, from + column);
      } else {
        *reinterpret_cast<Vector<uint32_t, 4>*>(to) = {};
      }
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < count * kHead; i += static_cast<int>(blockDim.x)) {
      const int row = i / kHead, column = i % kHead;
      if (column >= width) continue;
      const Element* from = address(row);
      tile[row * kStride + column] = from != nullptr && column < head_size ? from[column] : from_float<Element>(0.0f);
    }
  }
}

// As load_tile, of rows [D] of int8 elements with a scale each; row(r) is which of them row r is, -1 for zeros.
template <int kHead, typename Element, typename Row>
__device__ __forceinline__ void load_int8_tile(Element* tile, int count, int head_size, bool aligned,
                                               const int8_t* elements, const float* scales, Row row_of) {
  constexpr int kStride = HeadShape<Element, kHead>::kStride, kVector = kVectorOf<Element>;
  constexpr int kVectors = kHead / kVector;
  const int width = padded_width(head_size);
  for (int i = static_cast<int>(threadIdx.x); i < count * kVectors; i += static_cast<int>(blockDim.x)) {
    const int row = i / kVectors, column = i % kVectors * kVector;
    if (column >= width) continue;
    const int64_t at = row_of(row);
    const float scale = at < 0 ? 0 : scales[at];
    Vector<int8_t, kVector> read{};
    if (at >= 0) {
      const int8_t* from = elements + at * head_size + column;
      if (aligned && column < head_size) {
        read = *reinterpret_cast<const Vector<int8_t, kVector>*>(from);
      } else {
#pragma unroll
        for (int e = 0; e < kVector; ++e) {
          if (column + e < head_size) read.values[e] = from[e];
        }
      }
    }
    Vector<Element, kVector> to;
#pragma unroll
    for (int e = 0; e < kVector; ++e) to.values[e] = from_float<Element>(__fmul_rn(read.values[e], scale));
    *reinterpret_cast<Vector<Element, kVector>*>(tile + row * kStride + column) = to;
  }
}

// Writes rows of a tile to where address(row) says, null for nowhere.
template <int kHead, typename Element, typename Address>
__device__ __forceinline__ void store_tile(const Element* tile, int count, int head_size, bool aligned,
                                           Address address) {
  constexpr int kStride = HeadShape<Element, kHead>::kStride, kVector = kVectorOf<Element>;
  if (aligned) {
    constexpr int kVectors = kHead / kVector;
    for (int i = static_cast<int>(threadIdx.x); i < count * kVectors; i += static_cast<int>(blockDim.x)) {
      const int row = i / kVectors, column = i % kVectors * kVector;
      if (column >= head_size) continue;
      Element* to = address(row);
      if (to == nullptr) continue;
      using Bits = Vector<uint32_t, 4>;
      *reinterpret_cast<Bits*>(to + column) = *reinterpret_cast<const Bits*>(tile + row * kStride + column);
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < count * kHead; i += static_cast<int>(blockDim.x)) {
      const int row = i / kHead, column = i % kHead;
      if (column >= head_size) continue;
      Element* to = address(row);
      if (to != nullptr) to[column] = tile[row * kStride + column];
    }
  }
}

// The lane's elements of a warp's product, times `factor`, into the warp's rows of a tile.
template <int kStride, int kTiles, typename Element>
__device__ __forceinline__ void store_product(const float (&c)[kTiles][4], const float (&factor)[2], Element* tile) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  Element* to = tile + lane / 4 * kStride + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i / 2 * 8 * kStride + j * 8 + i % 2] = from_float<Element>(c[j][i] * factor[i / 2]);
  }
}

template <int kTiles>
__device__ __forceinline__ void clear(float (&c)[kTiles][4]) {
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) c[j][i] = 0;
  }
}

// c [16, 8 kTiles] = a [16, width] times the transpose of b [8 kTiles, width]; width a multiple of 16.
template <int kStride, int kTiles>
__device__ __forceinline__ void multiply_rows(float (&c)[kTiles][4], const Bfloat16* a, const Bfloat16* b, int width) {
  static_assert(kTiles % 2 == 0);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const Bfloat16* left = a + lane % 16 * kStride + lane / 16 * 8;
  const Bfloat16* right = b + (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
  clear(c);
#pragma unroll 4
  for (int k = 0; k < width; k += 16) {
    uint32_t rows[4];
    load_matrices(rows, left + k);
#pragma unroll
    for (int j = 0; j < kTiles; j += 2) {
      uint32_t pair[4];
      load_matrices(pair, right + j * 8 * kStride + k);
      multiply_m16n8k16(c[j], rows, {pair[0], pair[1]});
      multiply_m16n8k16(c[j + 1], rows, {pair[2], pair[3]});
    }
  }
}

template <int kStride, int kTiles>
__device__ __forceinline__ void multiply_rows(float (&c)[kTiles][4], const float* a, const float* b, int width) {
  using Four = Vector<float, 4>;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const float* left = a + lane / 4 * kStride;
  const float* right = b + lane % 4 * 2 * kStride;
  clear(c);
  for (int k = 0; k < width; k += 4) {
    const Four upper = *reinterpret_cast<const Four*>(left + k);
    const Four lower = *reinterpret_cast<const Four*>(left + 8 * kStride + k);
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const Four column = *reinterpret_cast<const Four*>(right + (j * 8 + n) * kStride + k);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          c[j][n] = fmaf(upper.values[e], column.values[e], c[j][n]);
          c[j][n + 2] = fmaf(lower.values[e], column.values[e], c[j][n + 2]);
        }
      }
    }
  }
}

// Floats of shared memory that a warp needs to multiply weights [16, 8 kInner] by a tile.
template <typename Element, int kInner>
constexpr int kWeightFloats = std::is_same_v<Element, float> ? kWarpRows * (kInner * 8 + 4) : 0;

// Calls visit with true_type where all `columns` of a warp's sums are asked for, so that the usual head sizes have no
// branches between their loads and products.
template <int kTiles, typename Visit>
__device__ __forceinline__ void visit_whole(int columns, Visit&& visit) {
  if (columns >= kTiles * 8) {
    visit(std::true_type{});
  } else {
    visit(std::false_type{});
  }
}

// c [16, 8 kTiles] += weights [16, 8 kInner] times b [8 kInner, columns], columns padded to 16.
// bfloat16 rounds the weights to its type.
template <int kStride, int kInner, int kTiles>
__device__ __forceinline__ void add_product(float (&c)[kTiles][4], const float (&weights)[kInner][4], const Bfloat16* b,
                                            int columns, float*) {
  static_assert(kInner % 2 == 0 && kTiles % 2 == 0);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const Bfloat16* right = b + (lane / 8 % 2 * 8 + lane % 8) * kStride + lane / 16 * 8;
  visit_whole<kTiles>(columns, [&](auto whole) {
#pragma unroll
    for (int k = 0; k < kInner; k += 2) {
      const uint32_t rows[4] = {
          bfloat16_pair(weights[k][0], weights[k][1]), bfloat16_pair(weights[k][2], weights[k][3]),
          bfloat16_pair(weights[k + 1][0], weights[k + 1][1]), bfloat16_pair(weights[k + 1][2], weights[k + 1][3])};
#pragma unroll
      for (int j = 0; j < kTiles; j += 2) {
        if (!decltype(whole)::value && j * 8 >= columns) continue;
        uint32_t pair[4];
        load_matrices_transposed(pair, right + k * 8 * kStride + j * 8);
        multiply_m16n8k16(c[j], rows, {pair[0], pair[1]});
        multiply_m16n8k16(c[j + 1], rows, {pair[2], pair[3]});
      }
    }
  });
}

// The lanes of a row trade their weights through `table`, kWeightFloats of the warp's own.
template <int kStride, int kInner, int kTiles>
__device__ __forceinline__ void add_product(float (&c)[kTiles][4], const float (&weights)[kInner][4], const float* b,
                                            int columns, float* table) {
  using Four = Vector<float, 4>;
  constexpr int kRow = kInner * 8 + 4;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  float* row = table + lane / 4 * kRow;
  const float* right = b + lane % 4 * 2;
  __syncwarp();
#pragma unroll
  for (int j = 0; j < kInner; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) row[i / 2 * 8 * kRow + j * 8 + lane % 4 * 2 + i % 2] = weights[j][i];
  }
  __syncwarp();
  visit_whole<kTiles>(columns, [&](auto whole) {
    for (int k = 0; k < kInner * 8; k += 4) {
      const Four upper = *reinterpret_cast<const Four*>(row + k);
      const Four lower = *reinterpret_cast<const Four*>(row + 8 * kRow + k);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          if (!decltype(whole)::value && j * 8 >= columns) continue;
          const auto pair = *reinterpret_cast<const Vector<float, 2>*>(right + (k + e) * kStride + j * 8);
#pragma unroll
          for (int n = 0; n < 2; ++n) {
            c[j][n] = fmaf(upper.values[e], pair.values[n], c[j][n]);
            c[j][n + 2] = fmaf(lower.values[e], pair.values[n], c[j][n + 2]);
          }
        }
      }
    }
  });
}

// Over the four lanes that share a row of a product.
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ __forceinline__ float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

}  // namespace moe::cuda
