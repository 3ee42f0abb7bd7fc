// Matrix products of attention, by warps of 16 rows each: bfloat16 on tensor cores, float32 by fused multiply-adds over
// the inner dimension in order. An element's arithmetic depends only on its own row and column, not on their indices in
// the tiles.
#pragma once

#include "cuda/attention/tile.h"

namespace moe::cuda {

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

// Calls visit with true_type if all `columns` of a warp's sums are needed, so that the usual head sizes have no
// branches between their loads and products.
template <int kTiles, typename Visit>
__device__ __forceinline__ void visit_whole(int columns, Visit&& visit) {
  if (columns >= kTiles * 8) {
    visit(std::true_type{});
  } else {
    visit(std::false_type{});
  }
}

// Columns of bfloat16 rows that a warp can keep in registers.
constexpr int kMostColumnsKept = 144;

// The left factor [16, kColumns] of a warp's products: rows of a tile of heads, or some columns of them. bfloat16
// fragments are read once if they fit the registers; otherwise the tile is read for every product.
template <typename Element, int kHead, int kColumns = kHead,
          bool kFits = std::is_same_v<Element, Bfloat16> && kColumns <= kMostColumnsKept>
struct LeftFactor {
  static constexpr int kStride = HeadShape<Element, kHead>::kStride;
  const Element* rows;

  __device__ __forceinline__ void read(const Element* from, int) { rows = from; }
  // multiply_rows with this left factor.
  template <int kTiles>
  __device__ __forceinline__ void multiply(float (&c)[kTiles][4], const Element* b, int width) const {
    multiply_rows<kStride>(c, rows, b, min(width, kColumns));
  }
};

template <int kHead, int kColumns>
struct LeftFactor<Bfloat16, kHead, kColumns, true> {
  static constexpr int kStride = HeadShape<Bfloat16, kHead>::kStride, kSteps = kColumns / 16;
  uint32_t fragments[kSteps][4];

  __device__ __forceinline__ void read(const Bfloat16* from, int width) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
    const Bfloat16* left = from + lane % 16 * kStride + lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      if (k * 16 < width) load_matrices(fragments[k], left + k * 16);
    }
  }
  template <int kTiles>
  __device__ __forceinline__ void multiply(float (&c)[kTiles][4], const Bfloat16* b, int width) const {
    static_assert(kTiles % 2 == 0);
    const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
    const Bfloat16* right = b + (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
    clear(c);
    visit_whole<kColumns / 8>(width, [&](auto whole) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        if (!decltype(whole)::value && k * 16 >= width) continue;
#pragma unroll
        for (int j = 0; j < kTiles; j += 2) {
          uint32_t pair[4];
          load_matrices(pair, right + j * 8 * kStride + k * 16);
          multiply_m16n8k16(c[j], fragments[k], {pair[0], pair[1]});
          multiply_m16n8k16(c[j + 1], fragments[k], {pair[2], pair[3]});
        }
      }
    });
  }
};

// Row stride, in floats of shared memory, of a product [16, columns] that several warps compute parts of.
constexpr int product_stride(int columns) { return columns + 8; }

template <int kStride, int kTiles>
__device__ __forceinline__ void put_product(const float (&c)[kTiles][4], float* table) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  float* to = table + lane / 4 * kStride + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      *reinterpret_cast<Vector<float, 2>*>(to + i * 4 * kStride + j * 8) = {c[j][i], c[j][i + 1]};
    }
  }
}

template <int kStride, int kTiles>
__device__ __forceinline__ void get_product(float (&c)[kTiles][4], const float* table) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const float* from = table + lane / 4 * kStride + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const auto pair = *reinterpret_cast<const Vector<float, 2>*>(from + i * 4 * kStride + j * 8);
      c[j][i] = pair.values[0];
      c[j][i + 1] = pair.values[1];
    }
  }
}

// c += the product in `table`.
template <int kStride, int kTiles>
__device__ __forceinline__ void add_part(float (&c)[kTiles][4], const float* table) {
  float part[kTiles][4];
  get_product<kStride>(part, table);
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) c[j][i] += part[j][i];
  }
}

// Floats of shared memory that a warp needs to multiply weights [16, 8 kInner] by a tile.
template <typename Element, int kInner>
constexpr int kWeightFloats = std::is_same_v<Element, float> ? kWarpRows * (kInner * 8 + 4) : 0;

// c [16, 8 kTiles] += a [16, 8 kInner] times b [8 kInner, columns], columns padded to 16. fragments(k, rows) returns
// the fragments of a's columns 8 k to 8 k + 15.
template <int kStride, int kInner, int kTiles, typename Fragments>
__device__ __forceinline__ void add_fragments(float (&c)[kTiles][4], Fragments fragments, const Bfloat16* b,
                                              int columns) {
  static_assert(kInner % 2 == 0 && kTiles % 2 == 0);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const Bfloat16* right = b + (lane / 8 % 2 * 8 + lane % 8) * kStride + lane / 16 * 8;
  visit_whole<kTiles>(columns, [&](auto whole) {
#pragma unroll
    for (int k = 0; k < kInner; k += 2) {
      uint32_t rows[4];
      fragments(k, rows);
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

// c [16, 8 kTiles] += weights [16, 8 kInner] times b [8 kInner, columns], columns padded to 16. With bfloat16 the
// weights are rounded to it.
template <int kStride, int kInner, int kTiles>
__device__ __forceinline__ void add_product(float (&c)[kTiles][4], const float (&weights)[kInner][4], const Bfloat16* b,
                                            int columns, float*) {
  const auto rounded = [&](int k, uint32_t(&rows)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      rows[i] = bfloat16_pair(weights[k + i / 2][i % 2 * 2], weights[k + i / 2][i % 2 * 2 + 1]);
    }
  };
  add_fragments<kStride, kInner>(c, rounded, b, columns);
}

// Lanes of a row exchange their weights through `table`, kWeightFloats of shared memory per warp.
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

}  // namespace moe::cuda
