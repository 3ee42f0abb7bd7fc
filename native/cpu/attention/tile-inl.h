// The dense building blocks of attention: float32 tiles in L1, products of two tiles, masks.
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
#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Keys per block; blocks start at multiples of kKeys. Results depend on this block size and on no other.
inline constexpr int64_t kKeys = 32;
// Queries per tile, one per lane; a lane's arithmetic does not depend on the other lanes.
inline constexpr int64_t kQueries = 64;

inline int64_t lanes() { return static_cast<int64_t>(hn::Lanes(FloatTag())); }
inline int64_t whole_vectors(int64_t count) { return (count + lanes() - 1) / lanes() * lanes(); }

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

// tile [padded_rows, whole_vectors(columns)] = x [rows, columns], padded with zeros.
inline void load_rows(HeadRows x, int64_t rows, int64_t columns, int64_t padded_rows, float* tile) {
  const FloatTag d;
  const int64_t width = whole_vectors(columns);
  for (int64_t r = 0; r < rows; ++r, x.start += x.stride, tile += width) {
    for_each_vector(d, 0, columns,
                    [&](int64_t c, size_t n) { hn::StoreU(x.tensor.load(d, x.start + c, n), d, tile + c); });
  }
  std::fill_n(tile, (padded_rows - rows) * width, 0.0f);
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

// y [columns, rows] = factor * the transpose of x [rows, columns]; rows a multiple of the lanes, columns of 4.
inline void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float factor, float* y,
                      int64_t y_stride) {
  const FloatTag d;
  const hn::RepartitionToWide<FloatTag> wide;
  const FloatVector scale = hn::Set(d, factor);
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
      hn::StoreU(hn::Mul(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), scale), d, to);
      hn::StoreU(hn::Mul(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), scale), d, to + y_stride);
      hn::StoreU(hn::Mul(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), scale), d, to + 2 * y_stride);
      hn::StoreU(hn::Mul(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), scale), d, to + 3 * y_stride);
    }
  }
}

// Element (r, k) of the left factor of a product, or of its transpose.
struct LeftFactor {
  const float* data;
  int64_t row_stride;
  int64_t inner_stride;
};

enum class Start { kZero, kSum, kScaledSum };  // initial c: 0, c, or c times a factor per column

// Loops over sums must be unrolled, or the compiler would keep the sums in memory.
template <Start kStart, int kRows, int kVectors>
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
    if constexpr (kStart == Start::kZero) s = hn::Zero(d);
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
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
  each([&](FloatVector& s, int r, int v) { hn::StoreU(s, d, c + r * c_stride + v * lanes()); });
}

using ProductRegisters = void(LeftFactor, const float*, int64_t, int64_t, float*, int64_t, const float*);

// Rows of `vectors` vectors of sums that fit into registers next to the right vectors and one left vector: 16
// registers, or 32 with AVX-512.
constexpr int most_rows(int vectors) {
  if (HWY_TARGET <= HWY_AVX3) return vectors == 4 ? 6 : 12;
  return vectors == 4 ? 2 : 6;
}

template <Start kStart, int kVectors, int... kRowsLessOne>
constexpr std::array<ProductRegisters*, sizeof...(kRowsLessOne)> products_by_rows(
    std::integer_sequence<int, kRowsLessOne...>) {
  return {product_registers<kStart, kRowsLessOne + 1, kVectors>...};
}

// c [rows, kVectors vectors] = start + a [rows, inner] b [inner, kVectors vectors]
template <Start kStart, int kVectors>
void product_columns(int64_t rows, int64_t inner, LeftFactor a, const float* b, int64_t b_stride, float* c,
                     int64_t c_stride, const float* factors) {
  constexpr int64_t kMostRows = most_rows(kVectors);
  static constexpr auto kByRows = products_by_rows<kStart, kVectors>(std::make_integer_sequence<int, kMostRows>());
  for (int64_t row = 0; row < rows;) {
    const int64_t rest = rows - row, tiles = (rest + kMostRows - 1) / kMostRows, take = (rest + tiles - 1) / tiles;
    const LeftFactor rows_of_a{a.data + row * a.row_stride, a.row_stride, a.inner_stride};
    kByRows[static_cast<size_t>(take - 1)](rows_of_a, b, b_stride, inner, c + row * c_stride, c_stride, factors);
    row += take;
  }
}

// c [rows, columns] = start + a [rows, inner] b [inner, columns], columns whole vectors. Each element is one chain of
// fused multiply-adds over the inner dimension in order, for every tile shape.
template <Start kStart>
void product(int64_t rows, int64_t columns, int64_t inner, LeftFactor a, const float* b, int64_t b_stride, float* c,
             int64_t c_stride, const float* factors = nullptr) {
  const auto by_columns = [&](auto vectors, int64_t column) {
    product_columns<kStart, vectors.value>(rows, inner, a, b + column, b_stride, c + column, c_stride,
                                           factors == nullptr ? nullptr : factors + column);
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
  Sight sight;
  bool causal;

  static KeyRange causal_of(int64_t position, int64_t queries, Sight sight) {
    return {position, queries, position + queries, sight, true};
  }
  // All keys of a sequence of `length` tokens.
  static KeyRange of(const moe_attention_config& config, int64_t position, int64_t queries, int64_t length) {
    if (config.mask == MOE_FULL) return {position, queries, length, {0}, false};
    return causal_of(position, queries, Sight::of(config));
  }
  int64_t first_seen() const { return sight.first(position); }
  int64_t begin() const { return first_seen() / kKeys * kKeys; }
  int64_t keys(int64_t block) const { return std::min(kKeys, end - block); }
  // The first column, rounded down to a whole vector, whose query may see a key of the block.
  int64_t first_column(int64_t block) const {
    return causal ? std::max<int64_t>(0, block - position) / lanes() * lanes() : 0;
  }
  bool masked(int64_t block) const {
    return causal && (block + keys(block) - 1 > position || sight.end(block) < position + queries);
  }
};

// Sets scores [keys of the block, kQueries] to minus infinity where a query of the columns [first, last) may not see a
// key.
inline void mask_scores(float* scores, const KeyRange& range, int64_t block, int64_t first, int64_t last) {
  const FloatTag d;
  const FloatVector hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t key = block; key < block + range.keys(block); ++key, scores += kQueries) {
    const int64_t begin = std::clamp<int64_t>(key - range.position, 0, kQueries);
    const int64_t end = std::min<int64_t>(range.sight.end(key) - range.position, kQueries);
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
