// The dense building blocks of attention: tiles in L1, products of two tiles, masks. A tile has 32-bit words: floats,
// or kPairs of bfloat16 that follow each other in a product's inner dimension, where the processor multiplies those.
// Part of each Highway target.
// Tested by panamoe_test --gtest_filter='Attention*'; timed by attention_bench.
#if defined(MOE_CPU_ATTENTION_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ATTENTION_TILE_INL_H
#undef MOE_CPU_ATTENTION_TILE_INL_H
#else
#define MOE_CPU_ATTENTION_TILE_INL_H
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/check.h"
#include "core/kernels.h"
#include "core/visible_keys.h"
#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Keys per block; blocks start at multiples of kKeys. Results depend on this block size and on no other.
inline constexpr int64_t kKeys = 32;
// Queries per tile, one per lane; a lane's arithmetic does not depend on the other lanes.
inline constexpr int64_t kQueries = 64;
// Scores s are multiplied by log2(e), because 2^s takes fewer instructions than e^s.
inline constexpr float kLog2E = 1.44269504f;

inline int64_t lanes() { return static_cast<int64_t>(hn::Lanes(FloatTag())); }
inline int64_t whole_vectors(int64_t count) { return (count + lanes() - 1) / lanes() * lanes(); }

using HalfTag = hn::Repartition<uint16_t, FloatTag>;  // bfloat16 as bits

// Words of `count` elements of a product's inner dimension, and of a row of them, padded to whole vectors.
template <bool kPairs>
constexpr int64_t words(int64_t count) {
  return kPairs ? (count + 1) / 2 : count;
}
template <bool kPairs>
int64_t row_words(int64_t count) {
  return whole_vectors(words<kPairs>(count));
}

// body(true_type) if the tensors are bfloat16 and this target multiplies pairs, else body(false_type).
template <class Body>
void with_pairs([[maybe_unused]] bool bfloat16, Body&& body) {
#if MOE_NATIVE_DOT
  if (bfloat16) return body(std::true_type());
#endif
  body(std::false_type());
}

// Cuts a thread's scratch memory into tiles.
class Tiles {
 public:
  explicit Tiles(float* memory) : next_(memory) {}
  float* take(int64_t count) { return std::exchange(next_, next_ + count); }

 private:
  float* next_;
};

// One head's rows in a tensor of many heads: row i begins at element start + i * stride.
struct HeadRows {
  Floats tensor;
  int64_t start;
  int64_t stride;
  HeadRows from(int64_t row) const { return {tensor, start + row * stride, stride}; }
};

// tile [padded_rows, row_words(columns)] = x [rows, columns], padded with zeros.
template <bool kPairs = false>
inline void load_rows(HeadRows x, int64_t rows, int64_t columns, int64_t padded_rows, float* tile) {
  const int64_t width = row_words<kPairs>(columns);
  const FloatTag d;
  [[maybe_unused]] const HalfTag dh;
  for (int64_t r = 0; r < rows; ++r, x.start += x.stride, tile += width) {
    if constexpr (kPairs) {
      const uint16_t* from = x.tensor.as_bfloat16() + x.start;
      for_each_vector(dh, 0, columns, [&](int64_t c, size_t n) {
        const auto read = n == hn::Lanes(dh) ? hn::LoadU(dh, from + c) : hn::LoadN(dh, from + c, n);
        hn::StoreU(read, dh, reinterpret_cast<uint16_t*>(tile) + c);
      });
    } else {
      for_each_vector(d, 0, columns,
                      [&](int64_t c, size_t n) { hn::StoreU(x.tensor.load(d, x.start + c, n), d, tile + c); });
    }
  }
  std::fill_n(tile, (padded_rows - rows) * width, 0.0f);
}

// Asks for the tile of rows from `first` on ahead of its use: a head's rows are far from each other, so that the
// processor does not foresee them. Past the last row, asks for the next head's first rows.
inline void prefetch_rows(HeadRows x, int64_t first, int64_t length, int64_t columns) {
  if (first >= length) {
    x.start += columns;
    first = 0;
  }
  x = x.from(first);
  for (int64_t r = first; r < std::min(first + kQueries, length); ++r, x.start += x.stride) {
    x.tensor.prefetch(x.start, columns);
  }
}

// Rows 2 r and 2 r + 1 of a tile of bfloat16, as row r of pairs [words(rows), whole_vectors(columns)]. An odd last row
// is followed by zeros in the tile.
inline void pair_rows(const float* tile, int64_t rows, int64_t columns, float* pairs) {
  const HalfTag dh;
  const int64_t stride = 2 * row_words<true>(columns), width = whole_vectors(columns);
  const auto* from = reinterpret_cast<const uint16_t*>(tile);
  for (int64_t r = 0; r < rows; r += 2, from += 2 * stride, pairs += width) {
    for (int64_t c = 0; c < width; c += 2 * lanes()) {
      const auto even = hn::LoadU(dh, from + c), odd = hn::LoadU(dh, from + stride + c);
      hn::StoreU(hn::InterleaveWholeLower(dh, even, odd), dh, reinterpret_cast<uint16_t*>(pairs + c));
      if (c + lanes() == width) continue;
      hn::StoreU(hn::InterleaveWholeUpper(dh, even, odd), dh, reinterpret_cast<uint16_t*>(pairs + c + lanes()));
    }
  }
}

// The lanes of a, then of b, rounded to bfloat16.
HWY_INLINE hn::Vec<HalfTag> round_both(FloatVector a, FloatVector b) {
  return hn::BitCast(HalfTag(), hn::OrderedDemote2To(hn::Repartition<hwy::bfloat16_t, FloatTag>(), a, b));
}

// x [rows, columns] = factor * tile [rows, whole_vectors(columns)].
inline void store_rows(const float* tile, float factor, int64_t rows, int64_t columns, HeadRows x) {
  const FloatTag d;
  const int64_t width = whole_vectors(columns);
  for (int64_t r = 0; r < rows; ++r, x.start += x.stride, tile += width) {
    for_each_vector(d, 0, columns, [&](int64_t c, size_t n) {
      x.tensor.store(d, hn::Mul(hn::LoadU(d, tile + c), hn::Set(d, factor)), x.start + c, n);
    });
  }
}

// One vector whose 128-bit block b holds the four floats at x + 4 b stride.
template <class D>
HWY_INLINE hn::Vec<D> load_blocks(D d, const float* x, int64_t stride) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return hn::LoadU(d, x);
  } else {
    const hn::Half<D> half;
    const int64_t upper = static_cast<int64_t>(hn::MaxLanes(D())) / 2 * stride;
    return hn::Combine(d, load_blocks(half, x + upper, stride), load_blocks(half, x, stride));
  }
}

// y [columns, rows] = the transpose of x [rows, columns]; rows a multiple of the lanes, columns of 4.
inline void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* y, int64_t y_stride) {
  const FloatTag d;
  const hn::RepartitionToWide<FloatTag> wide;
  for (int64_t r = 0; r < rows; r += lanes()) {
    for (int64_t c = 0; c < columns; c += 4) {
      const float* from = x + r * x_stride + c;
      const FloatVector row0 = load_blocks(d, from, x_stride), row1 = load_blocks(d, from + x_stride, x_stride);
      const FloatVector row2 = load_blocks(d, from + 2 * x_stride, x_stride);
      const FloatVector row3 = load_blocks(d, from + 3 * x_stride, x_stride);
      const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, row0, row1));
      const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, row2, row3));
      const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, row0, row1));
      const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, row2, row3));
      float* to = y + c * y_stride + r;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, to + y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, to + 2 * y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, to + 3 * y_stride);
    }
  }
}

// Element (r, k) of the left factor of a product, or of its transpose.
struct LeftFactor {
  const float* data;
  int64_t row_stride;
  int64_t inner_stride;
};

// sum + a b: one product of floats, or the two of a pair.
template <bool kPairs>
HWY_INLINE FloatVector multiply_add(FloatVector a, FloatVector b, FloatVector sum) {
#if MOE_NATIVE_DOT
  if constexpr (kPairs) {
    const hn::Repartition<hwy::bfloat16_t, FloatTag> db;
    FloatVector unused = hn::Zero(FloatTag());  // Highway's second accumulator, for targets without the instruction
    return hn::ReorderWidenMulAccumulate(FloatTag(), hn::BitCast(db, a), hn::BitCast(db, b), sum, unused);
  }
#endif
  return hn::MulAdd(a, b, sum);
}

// c = factors[0] a b,  c + a b,  factors[column] c + a b
enum class Start { kScaledProduct, kSum, kScaledSum };

// Loops over sums must be unrolled, or the compiler would keep the sums in memory.
template <Start kStart, bool kPairs, int kRows, int kVectors>
HWY_NOINLINE void product_registers(LeftFactor a, const float* b, int64_t b_stride, int64_t inner, float* c,
                                    int64_t c_stride, const float* factors) {
  const FloatTag d;
  FloatVector sum[kRows][kVectors];
  const auto each = [&](auto&& body) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) body(sum[r][v], r, v);
    }
  };
  each([&](FloatVector& s, int r, int v) {
    const float* start = c + r * c_stride + v * lanes();
    if constexpr (kStart == Start::kScaledProduct) s = hn::Zero(d);
    if constexpr (kStart == Start::kSum) s = hn::LoadU(d, start);
    if constexpr (kStart == Start::kScaledSum) s = hn::Mul(hn::LoadU(d, start), hn::LoadU(d, factors + v * lanes()));
  });
  for (int64_t k = 0; k < inner; ++k, b += b_stride, a.data += a.inner_stride) {
    FloatVector right[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes());
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const FloatVector left = hn::Set(d, a.data[r * a.row_stride]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add<kPairs>(left, right[v], sum[r][v]);
    }
  }
  each([&](FloatVector& s, int r, int v) {
    if constexpr (kStart == Start::kScaledProduct) s = hn::Mul(s, hn::Set(d, *factors));
    hn::StoreU(s, d, c + r * c_stride + v * lanes());
  });
}

using ProductRegisters = void(LeftFactor, const float*, int64_t, int64_t, float*, int64_t, const float*);

// Rows of `vectors` vectors of sums that fit into registers next to the right vectors and one left vector: 16
// registers, or 32 with AVX-512.
constexpr int most_rows(int vectors) {
  if (HWY_TARGET <= HWY_AVX3) return vectors == 4 ? 6 : 12;
  return vectors == 4 ? 2 : 6;
}

template <Start kStart, bool kPairs, int kVectors, int... kRowsLessOne>
constexpr std::array<ProductRegisters*, sizeof...(kRowsLessOne)> products_by_rows(
    std::integer_sequence<int, kRowsLessOne...>) {
  return {product_registers<kStart, kPairs, kRowsLessOne + 1, kVectors>...};
}

// c [rows, kVectors vectors] = kStart of a [rows, inner] b [inner, kVectors vectors]
template <Start kStart, bool kPairs, int kVectors>
void product_columns(int64_t rows, int64_t inner, LeftFactor a, const float* b, int64_t b_stride, float* c,
                     int64_t c_stride, const float* factors) {
  constexpr int64_t kMostRows = most_rows(kVectors);
  static constexpr auto kByRows =
      products_by_rows<kStart, kPairs, kVectors>(std::make_integer_sequence<int, kMostRows>());
  const int64_t tiles = (rows + kMostRows - 1) / kMostRows, more = rows % tiles;  // the first tiles have a row more
  for (int64_t row = 0, tile = 0; tile < tiles; ++tile) {
    const int64_t take = rows / tiles + (tile < more ? 1 : 0);
    const LeftFactor rows_of_a{a.data + row * a.row_stride, a.row_stride, a.inner_stride};
    kByRows[static_cast<size_t>(take - 1)](rows_of_a, b, b_stride, inner, c + row * c_stride, c_stride, factors);
    row += take;
  }
}

// c [rows, columns] = kStart of a [rows, inner] b [inner, columns], columns whole vectors, inner in words. Each element
// is one chain of fused multiply-adds, or products of pairs, over the inner dimension in order, for every tile shape.
template <Start kStart, bool kPairs>
void product(int64_t rows, int64_t columns, int64_t inner, LeftFactor a, const float* b, int64_t b_stride, float* c,
             int64_t c_stride, const float* factors = nullptr) {
  const auto by_columns = [&](auto vectors, int64_t column) {
    product_columns<kStart, kPairs, vectors.value>(rows, inner, a, b + column, b_stride, c + column, c_stride,
                                                   kStart == Start::kScaledSum ? factors + column : factors);
    return vectors.value * lanes();
  };
  const bool four = HWY_TARGET <= HWY_AVX3 || rows <= most_rows(4);
  for (int64_t column = 0; column < columns;) {
    const int64_t left = (columns - column) / lanes();
    column += left >= 4 && four ? by_columns(std::integral_constant<int, 4>(), column)
              : left >= 2       ? by_columns(std::integral_constant<int, 2>(), column)
                                : by_columns(std::integral_constant<int, 1>(), column);
  }
}

// Caps scores [rows, columns], rows `stride` apart, softly. 0: no cap.
inline void cap_scores(float* scores, int64_t rows, int64_t columns, int64_t stride, float cap) {
  const FloatTag d;
  const FloatVector most = hn::Set(d, cap);
  for (int64_t r = 0; cap > 0 && r < rows; ++r, scores += stride) {
    for (int64_t c = 0; c < columns; c += lanes()) {
      hn::StoreU(softly_capped(hn::LoadU(d, scores + c), most), d, scores + c);
    }
  }
}

// The keys [begin(), end) that a tile of queries at positions [position, position + queries) may see, and which key
// blocks need a mask.
struct KeyRange {
  int64_t position, queries, end;
  VisibleKeys visible;
  bool causal;

  static KeyRange causal_of(int64_t position, int64_t queries, VisibleKeys visible) {
    return {position, queries, position + queries, visible, true};
  }
  // All keys of a sequence of `length` tokens.
  static KeyRange of(const moe_attention_config& config, int64_t position, int64_t queries, int64_t length) {
    if (config.mask == MOE_FULL) return {position, queries, length, {0}, false};
    return causal_of(position, queries, VisibleKeys::of(config));
  }
  int64_t first_seen() const { return visible.first(position); }
  int64_t begin() const { return first_seen() / kKeys * kKeys; }
  int64_t keys(int64_t block) const { return std::min(kKeys, end - block); }
  // The first column, rounded down to a whole vector, whose query may see a key of the block.
  int64_t first_column(int64_t block) const {
    return causal ? std::max<int64_t>(0, block - position) / lanes() * lanes() : 0;
  }
  bool masked(int64_t block) const {
    return causal && (block + keys(block) - 1 > position || visible.end(block) < position + queries);
  }
};

// Sets scores [keys of the block, kQueries] to minus infinity where a query of the columns [first, last) may not see a
// key.
inline void mask_scores(float* scores, const KeyRange& range, int64_t block, int64_t first, int64_t last) {
  const FloatTag d;
  const FloatVector hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t key = block; key < block + range.keys(block); ++key, scores += kQueries) {
    const int64_t begin = std::clamp<int64_t>(key - range.position, 0, kQueries);
    const int64_t end = std::min<int64_t>(range.visible.end(key) - range.position, kQueries);
    for (int64_t c = first; c < last; c += lanes()) {
      const FloatVector query = hn::Iota(d, static_cast<float>(c));
      const auto seen = hn::And(hn::Ge(query, hn::Set(d, static_cast<float>(begin))),
                                hn::Lt(query, hn::Set(d, static_cast<float>(end))));
      hn::StoreU(hn::IfThenElse(seen, hn::LoadU(d, scores + c), hidden), d, scores + c);
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
