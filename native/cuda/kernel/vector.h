// Rows read and written in vectors. A thread takes `count` adjacent elements, by accesses of up to 16 bytes if the rows
// are aligned, else one by one. Bits do not depend on it.
#pragma once

#include <type_traits>

#include "cuda/kernel/floating.h"

namespace moe::cuda {

template <typename Value, int count>
inline constexpr int kPiece = count < kVectorOf<Value> ? count : kVectorOf<Value>;

// Loads elements i .. i + count - 1 of a row of `width` as float32; `outside` past its end, which vectorized rows never
// reach.
template <bool vectorized, int count, typename Value>
__device__ __forceinline__ void load_floats(const Value* row, int64_t i, int64_t width, float (&to)[count],
                                            float outside = 0) {
  if constexpr (vectorized) {
    constexpr int piece = kPiece<Value, count>;
#pragma unroll
    for (int k = 0; k < count; k += piece) {
      const auto vector = *reinterpret_cast<const Vector<Value, piece>*>(row + i + k);
#pragma unroll
      for (int j = 0; j < piece; ++j) to[k + j] = to_float(vector.values[j]);
    }
  } else {
#pragma unroll
    for (int k = 0; k < count; ++k) to[k] = i + k < width ? to_float(row[i + k]) : outside;
  }
}

// Vectors of bfloat16 are stored by __stwb, because the compiler splits a plain store.
template <bool vectorized, int count, typename Value>
__device__ __forceinline__ void store_floats(Value* row, int64_t i, int64_t width, const float (&from)[count]) {
  if constexpr (vectorized) {
    constexpr int piece = kPiece<Value, count>;
#pragma unroll
    for (int k = 0; k < count; k += piece) {
      if constexpr (std::is_same_v<Value, float>) {
        Vector<float, piece> vector;
#pragma unroll
        for (int j = 0; j < piece; ++j) vector.values[j] = from[k + j];
        *reinterpret_cast<Vector<float, piece>*>(row + i + k) = vector;
      } else if constexpr (piece == 8) {
        __stwb(reinterpret_cast<uint4*>(row + i + k),
               make_uint4(bfloat16_pair(from[k], from[k + 1]), bfloat16_pair(from[k + 2], from[k + 3]),
                          bfloat16_pair(from[k + 4], from[k + 5]), bfloat16_pair(from[k + 6], from[k + 7])));
      } else {
        static_assert(piece == 4);
        __stwb(reinterpret_cast<uint2*>(row + i + k),
               make_uint2(bfloat16_pair(from[k], from[k + 1]), bfloat16_pair(from[k + 2], from[k + 3])));
      }
    }
  } else {
#pragma unroll
    for (int k = 0; k < count; ++k) {
      if (i + k < width) row[i + k] = from_float<Value>(from[k]);
    }
  }
}

// Calls visit(std::bool_constant): whether rows of `width` that start at these pointers may be vectorized. Null
// pointers are ignored.
template <int count, typename Visit, typename... Values>
void visit_vectorized(int64_t width, Visit&& visit, const Values*... rows) {
  const bool aligned =
      ((reinterpret_cast<uintptr_t>(rows) % (sizeof(Values) * static_cast<size_t>(kPiece<Values, count>)) == 0) && ...);
  if (aligned && width % count == 0) {
    visit(std::true_type{});
  } else {
    visit(std::false_type{});
  }
}

// Threads for a row of `width` if each takes `held` vectors of `count`: a power of two, whole warps, at most `most`.
inline unsigned row_threads(int64_t width, int count, int held, unsigned most) {
  unsigned threads = 32;
  while (threads < most && int64_t{threads} * count * held < width) threads *= 2;
  return threads;
}

}  // namespace moe::cuda
