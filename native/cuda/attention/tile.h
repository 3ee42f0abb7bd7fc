// Tiles of rows in shared memory, from which attention is built.
#pragma once

#include <limits>
#include <type_traits>

#include "core/check.h"
#include "cuda/kernel/floating.h"
#include "cuda/kernel/ptx.h"
#include "cuda/kernel/reduce.h"

namespace moe::cuda {

// Rows of a warp's left factor. A lane holds elements of a product [16, 8 n] in the layout of mma.m16n8k16: with g =
// lane / 4 and t = lane % 4, c[j] holds (g, 8 j + 2 t), the next column, and the same two columns 8 rows below.
constexpr int kWarpRows = 16;

// Rows of latent attention in released models (DeepSeek-V2): 512 of the latent, 64 of the rotated key.
constexpr int kMostHeadSize = 576;
constexpr int kMostTrainedHeadSize = 256;  // of the backward
constexpr int kWideRows = 32;              // of a tile of wider heads

// Shared memory that a block can have on every supported GPU: that of sm_86, sm_89 and sm_120. Tiles that need more are
// launched narrower there.
constexpr size_t kSharedOfEveryGpu = 99 << 10;

// How heads of up to kHead elements are cut: kColumnWarps warps share the rows of a tile, and each keeps the sums of
// kColumns columns. Rows of a tile are kStride apart, so that ldmatrix and reads along rows have no bank conflicts.
template <typename Element, int kHead, int kWarpsOfARow = kHead <= 128 ? 1 : kHead / 128>
struct HeadShape {
  static constexpr int kColumnWarps = kWarpsOfARow;
  static constexpr int kColumns = kHead / kColumnWarps;
  static constexpr int kColumnTiles = kColumns / 8;
  static constexpr int kStride = kHead + kVectorOf<Element>;
};

// Calls visit with the smallest instantiated head size that holds `head_size`, as an integral_constant.
template <int kMost, typename Visit>
void visit_head_size(int64_t head_size, Visit&& visit) {
  if (head_size > kMost) {
    fail(MOE_UNSUPPORTED, "the head size is ", head_size, ", CUDA has up to ", kMost,
         kMost < kMostHeadSize ? " in the backward of attention: train this model on a CPU" : " in attention");
  }
  if (head_size <= 64) {
    visit(std::integral_constant<int, 64>{});
  } else if (head_size <= 128) {
    visit(std::integral_constant<int, 128>{});
  } else if (head_size <= kMostTrainedHeadSize) {
    visit(std::integral_constant<int, kMostTrainedHeadSize>{});
  } else if constexpr (kMost > kMostTrainedHeadSize) {
    visit(std::integral_constant<int, kMost>{});
  }
}

// Which keys of a sequence a query sees (core/visible_keys.h).
struct SeenKeys {
  int window;  // without one, a number that no distance of two positions reaches
  bool chunked, full;

  static SeenKeys of(const moe_attention_config& config) {
    constexpr int kMost = std::numeric_limits<int>::max();
    return {config.window == 0 || config.window > kMost ? kMost : static_cast<int>(config.window),
            config.mask == MOE_CHUNKED, config.mask == MOE_FULL};
  }
  // The first and the last key that the query at `position` sees.
  __device__ __forceinline__ int first(int position) const {
    return chunked ? position - position % window : max(0, position - window + 1);
  }
  __device__ __forceinline__ int last(int position, int length) const { return full ? length - 1 : position; }
  // The first query that sees a key, and one after the last.
  __device__ __forceinline__ int first_query(int key) const { return full ? 0 : key; }
  __device__ __forceinline__ int end_of_queries(int key, int length) const {
    const int from = chunked ? key - key % window : key;
    return full || window >= length - from ? length : from + window;
  }
};

__device__ __forceinline__ int padded_width(int head_size) { return (head_size + 15) / 16 * 16; }

// Fills `count` rows of a tile; address(row) is where a row begins, null for a row of zeros. Columns from head_size to
// its padded width become 0. With vectors, copies are asynchronous: commit and wait before the next barrier.
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

// load_tile for rows [D] of int8 elements with one scale each; row(r) is the index of row r, -1 for zeros.
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

// Writes rows of a tile to address(row); null skips a row.
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

// Stores the lane's elements of a warp's product, times `factor`, in the warp's rows of a tile.
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

}  // namespace moe::cuda
