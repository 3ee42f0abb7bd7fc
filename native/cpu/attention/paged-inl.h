// Keys and values of a sequence in the blocks of a paged cache. Part of each Highway target.
// Tested by panamoe_test --gtest_filter='AttentionDecode*'; timed by attention_bench --only decode.
#if defined(MOE_CPU_ATTENTION_PAGED_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ATTENTION_PAGED_INL_H
#undef MOE_CPU_ATTENTION_PAGED_INL_H
#else
#define MOE_CPU_ATTENTION_PAGED_INL_H
#endif

#include "cpu/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Rows of a tile that lie `stride` apart: `count` from the tile's row `row` on, the first at element `start`.
struct Part {
  int64_t row, count, start;
};

// One head's rows: row i lies in block table[i / block], at i % block. A whole sequence is one block.
struct PagedRows {
  Floats tensor;
  int64_t start;   // of the head in the first row of block 0
  int64_t stride;  // from row to row
  const int32_t* table;
  int64_t block;

  // Cuts the tile of rows [begin, end) where blocks end; the result is the number of parts, at most end - begin.
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

// tile [end - begin, whole_vectors(columns)] = rows [begin, end) of x, at most kKeys.
inline void load_rows(const PagedRows& x, int64_t begin, int64_t end, int64_t columns, float* tile) {
  Part parts[kKeys];
  for (int64_t i = 0, count = x.cut(begin, end, parts); i < count; ++i) {
    const Part& part = parts[i];
    load_rows(HeadRows{x.tensor, part.start, x.stride}, part.count, columns, part.count,
              tile + part.row * whole_vectors(columns));
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
