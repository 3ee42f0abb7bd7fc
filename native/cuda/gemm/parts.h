// float32 operands for tensor cores: a value is the sum of three bfloat16 parts (8 + 8 + 8 bits), split on the way from
// a panel to the registers. float32 times float32 sums the six products of parts down to 2^-24, bfloat16 times float32
// all three. Source: Henry, Tang, Heinecke (arXiv 1904.06376).
#pragma once

#include "cuda/gemm/tile.h"
#include "cuda/kernel/ptx.h"

namespace moe::cuda {

// Number of bfloat16 parts of a value.
template <typename Value>
constexpr int kParts = std::is_same_v<Value, float> ? 3 : 1;
// Products of parts i and j count if i + j <= kMostOrder; the others are below 2^-25 of the whole product.
constexpr int kMostOrder = 2;

__device__ __forceinline__ void split(const Vector<Bfloat16, 2>& pair, uint32_t (&parts)[1]) {
  memcpy(&parts[0], &pair, sizeof(pair));
}
// Each part is the rounded remainder of the parts before. An infinite value gives NaN.
__device__ __forceinline__ void split(const Vector<float, 2>& pair, uint32_t (&parts)[3]) {
  float first = pair.values[0], second = pair.values[1];
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    parts[i] = bfloat16_pair(first, second);
    first -= __uint_as_float(parts[i] << 16);
    second -= __uint_as_float(parts[i] & 0xffff0000u);
  }
}

// A panel of an operand in shared memory, in the order of memory: `lines` by the tile's depth in k. Rows are padded, so
// that a warp reads a fragment without bank conflicts.
template <typename Value, bool transposed, int lines, class Tile>
struct Panel {
  using Reader = PanelReader<Value, transposed, lines, Tile::kDepth, Tile::kThreads>;
  static constexpr int kStride =
      transposed ? lines + (std::is_same_v<Value, float> ? 4 : 8) : Tile::kDepth + 8;  // elements
  static constexpr int kBytes = (transposed ? Tile::kDepth : lines) * kStride * static_cast<int>(sizeof(Value));

  // Starts the copies of the reader's panel, then advances the reader; `inner` is K minus the panel's first k.
  __device__ __forceinline__ static void copy(Reader& reader, Value* panel, int inner) {
#pragma unroll
    for (int i = 0; i < Reader::kCount; ++i) {
      const Chunk<Value> chunk = reader.chunk(i, inner);
      const int line = Reader::line(i), k = Reader::k(i);
      Value* target = panel + (transposed ? k * kStride + line : line * kStride + k);
      if (reader.aligned()) {
        copy_async_16(target, chunk.from, chunk.count * static_cast<int>(sizeof(Value)));
      } else {
        *reinterpret_cast<Vector<Value, Reader::kVector>*>(target) = chunk.load(false);
      }
    }
    reader.advance();
  }

  // Loads the lane's part of a fragment for mma.m16n8k16, of 8 lines (two words) or 16 (four): elements (line, k) and
  // (line, k + 1); for 16 lines also those at line + 8; then all of these at k + 8.
  template <int words>
  __device__ __forceinline__ static void load(const Value* panel, int line, int k,
                                              uint32_t (&fragment)[kParts<Value>][words]) {
    constexpr int kEights = words / 2;
#pragma unroll
    for (int word = 0; word < words; ++word) {
      const int at_line = line + word % kEights * 8, at_k = k + word / kEights * 8;
      uint32_t parts[kParts<Value>];
      if constexpr (transposed) {
        const Value* at = panel + at_k * kStride + at_line;
        split(Vector<Value, 2>{{at[0], at[kStride]}}, parts);
      } else {
        split(*reinterpret_cast<const Vector<Value, 2>*>(panel + at_line * kStride + at_k), parts);
      }
#pragma unroll
      for (int part = 0; part < kParts<Value>; ++part) fragment[part][word] = parts[part];
    }
  }
};

// Calls multiply(i, j) for each counting product of part i of a and part j of b, the smallest products first.
template <typename A, typename B, typename Multiply>
__device__ __forceinline__ void for_each_product(Multiply&& multiply) {
#pragma unroll
  for (int order = kMostOrder; order >= 0; --order) {
#pragma unroll
    for (int i = 0; i < kParts<A>; ++i) {
      if (order - i >= 0 && order - i < kParts<B>) multiply(i, order - i);
    }
  }
}

}  // namespace moe::cuda
