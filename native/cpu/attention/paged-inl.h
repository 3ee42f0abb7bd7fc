// Keys and values of a sequence in the blocks of a paged cache. Part of each Highway target.
// Tested by panamoe_test --gtest_filter='AttentionDecode*'; timed by attention_bench --only decode.
#if defined(MOE_CPU_ATTENTION_PAGED_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ATTENTION_PAGED_INL_H
#undef MOE_CPU_ATTENTION_PAGED_INL_H
#else
#define MOE_CPU_ATTENTION_PAGED_INL_H
#endif

#include <span>

#include "cpu/attention/int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Part of a tile: `count` rows, `stride` apart, from the tile's row `row` on; the first one starts at element `start`.
struct Part {
  int64_t row, count, start;
};

// An int8 tensor [blocks, block, G, D] and its scales [blocks, block, G], or null.
struct Int8Elements {
  const int8_t* elements = nullptr;
  const float* scales = nullptr;

  static Int8Elements of(Tensor tensor, OptionalTensor scales) {
    if (tensor.dtype != MOE_INT8) return {};
    return {static_cast<const int8_t*>(tensor.data), static_cast<const float*>(scales->data)};
  }
};

// One head's rows: row i is row i % block of the block table[i / block]. A whole sequence is one block.
struct PagedRows {
  Floats floats;
  Int8Elements int8;  // used instead of floats if not null
  int64_t start;      // element of the head in the first row of block 0
  int64_t stride;     // elements between two rows
  const int32_t* table;
  int64_t block;

  // The elements if they are float32, else null.
  const float* as_float32() const { return int8.elements == nullptr ? floats.as_float32() : nullptr; }

  // Copies the rows of parts, `offset` elements further on, to their rows of a tile [.., row_words(head_size)].
  template <bool kPairs>
  void load(std::span<const Part> parts, int64_t offset, int64_t head_size, float* tile) const {
    if (!kPairs && int8.elements != nullptr) {
      load_int8(parts, offset, head_size, tile);
      return;
    }
    for (const Part& part : parts) {
      load_rows<kPairs>(HeadRows{floats, part.start + offset, stride}, part.count, head_size, part.count,
                        tile + part.row * row_words<kPairs>(head_size));
    }
  }

  HWY_NOINLINE void load_int8(std::span<const Part> parts, int64_t offset, int64_t head_size, float* tile) const {
    const int64_t heads = stride / head_size, width = whole_vectors(head_size);
    for (const Part& part : parts) {
      const int64_t begin = part.start + offset;
      const float* scale = int8.scales + begin / head_size;
      for (int64_t r = 0; r < part.count; ++r) {
        dequantise(int8.elements + begin + r * stride, scale[r * heads], head_size, tile + (part.row + r) * width);
      }
    }
  }

  // Cuts the tile of rows [begin, end) at block boundaries; returns the number of parts, at most end - begin.
  int64_t cut(int64_t begin, int64_t end, Part* parts) const {
    int64_t count = 0;
    for (int64_t row = begin, next; row < end; row = next) {
      const int64_t entry = row / block;
      next = std::min(end, (entry + 1) * block);
      parts[count++] = {row - begin, next - row, start + ((table[entry] - entry) * block + row) * stride};
    }
    return count;
  }
};

// tile [end - begin, row_words(columns)] = rows [begin, end) of x, at most kKeys.
template <bool kPairs>
void load_rows(const PagedRows& x, int64_t begin, int64_t end, int64_t columns, float* tile) {
  Part parts[kKeys];
  x.load<kPairs>({parts, static_cast<size_t>(x.cut(begin, end, parts))}, 0, columns, tile);
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
