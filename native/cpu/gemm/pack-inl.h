// Packing: rearranges A and B into panels, in the order in which micro-kernels read them.
//
// A: panels of up to mr rows. kFloat and kWiden: [K][rows] of float32. kDot: [ceil(K / 2)][rows][2] of bfloat16, the
// last pair padded with zeros. kAmx: [ceil(K / 32)][rows, padded to 16 or 32][32] of bfloat16.
// B: panels of nr columns, the last one padded with zeros. float32: [K][nr]. bfloat16: pairs of k,
// [ceil(K / 2)][nr][2], so that one shift and one mask widen two k.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PACK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PACK_INL_H
#undef MOE_CPU_GEMM_PACK_INL_H
#else
#define MOE_CPU_GEMM_PACK_INL_H
#endif

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cpu/gemm/prefetch-inl.h"
#include "cpu/simd/floating-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Elements that one thread packs per nanosecond, a low estimate: decides whether a call is worth waking other threads.
inline constexpr int64_t kPackedPerNanosecond = 2;

// AVX-512: a column of a panel of A fits one vector, and masked loads and stores are as fast as full ones.
inline constexpr bool kMasked = HWY_TARGET <= HWY_AVX3;

HWY_INLINE float to_float(float value) { return value; }
HWY_INLINE float to_float(hwy::bfloat16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(std::bit_cast<uint16_t>(value)) << 16);
}

// body(pointer to the operand's elements)
template <class Body>
HWY_INLINE void with_elements(const Operand& operand, Body&& body) {
  operand.dtype == MOE_BFLOAT16 ? body(static_cast<const hwy::bfloat16_t*>(operand.data))
                                : body(static_cast<const float*>(operand.data));
}

// Transposes each 4 x 4 block of four vectors of words.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void transpose_4x4(D d, V& v0, V& v1, V& v2, V& v3) {
  const hn::RepartitionToWide<D> dw;
  const auto a = hn::BitCast(dw, hn::InterleaveLower(d, v0, v1)), b = hn::BitCast(dw, hn::InterleaveUpper(d, v0, v1));
  const auto c = hn::BitCast(dw, hn::InterleaveLower(d, v2, v3)), e = hn::BitCast(dw, hn::InterleaveUpper(d, v2, v3));
  v0 = hn::BitCast(d, hn::InterleaveLower(dw, a, c));
  v1 = hn::BitCast(d, hn::InterleaveUpper(dw, a, c));
  v2 = hn::BitCast(d, hn::InterleaveLower(dw, b, e));
  v3 = hn::BitCast(d, hn::InterleaveUpper(dw, b, e));
}

// to[j * nr + i] = from[i * stride + j] for nr rows i of `words` 32-bit words j. At most eight rows at a time, because
// rows a power of two apart map to few sets of L1. Prefetches `next` meanwhile.
template <class Weight>
void transpose_panel(const uint32_t* from, int64_t stride, int64_t words, uint32_t* to, Prefetch<Weight> next) {
  const hn::CappedTag<uint32_t, 8> d;
  [[maybe_unused]] const hn::CappedTag<uint32_t, 4> block;
  constexpr int64_t kLines = hn::MaxLanes(d);
  constexpr int64_t kSteps = kLines * 4 * int64_t{sizeof(uint32_t)} / kStepBytes;
  // Four words of a row; 256-bit vectors add four words of row + 4 in their upper half.
  const auto words_of = [&](const uint32_t* line) {
#if HWY_CAP_GE256
    return hn::Combine(d, hn::LoadU(block, line + 4 * stride), hn::LoadU(block, line));
#else
    return hn::LoadU(d, line);
#endif
  };
  for (int64_t i = 0; i < kNr; i += kLines) {
    int64_t j = 0;
    for (; j + 4 <= words; j += 4) {
      const uint32_t* corner = from + i * stride + j;
      auto v0 = words_of(corner), v1 = words_of(corner + stride);
      auto v2 = words_of(corner + 2 * stride), v3 = words_of(corner + 3 * stride);
      next.advance(kSteps);
      transpose_4x4(d, v0, v1, v2, v3);
      uint32_t* target = to + j * kNr + i;
      hn::StoreU(v0, d, target);
      hn::StoreU(v1, d, target + kNr);
      hn::StoreU(v2, d, target + 2 * kNr);
      hn::StoreU(v3, d, target + 3 * kNr);
    }
    for (; j < words; ++j) {
      for (int64_t line = i; line < i + kLines; ++line) to[j * kNr + line] = from[line * stride + j];
    }
  }
}

// to[k * height + row] = a(row, k)
inline void pack_rows(const Operand& a, int64_t height, int64_t inner, float* to) {
  const hn::CappedTag<float, 4> d;
  with_elements(a, [&](const auto* from) {
    int64_t done = 0;  // k that are packed
    if (kMasked && a.outer_stride == 1) {
      const FloatTag df;
      for (; done < inner; ++done) {
        store(df, load(df, from + done * a.k_stride, height), to + done * height, height);
      }
      return;
    }
    if (height == 1 && a.k_stride == 1) {
      for (; done + 4 <= inner; done += 4) hn::StoreU(load(d, from + done, 4), d, to + done);
    }
    // Four rows at a time; the last four overlap the ones before.
    for (int64_t first = 0; height >= 4 && first < height; first += 4) {
      const int64_t row = std::min(first, height - 4);
      const auto* corner = from + row * a.outer_stride;
      float* target = to + row;
      if (a.outer_stride == 1) {
        for (done = 0; done < inner; ++done) {
          hn::StoreU(load(d, corner + done * a.k_stride, 4), d, target + done * height);
        }
      } else {
        for (done = 0; done + 4 <= inner; done += 4) {
          auto v0 = load(d, corner + done, 4), v1 = load(d, corner + a.outer_stride + done, 4);
          auto v2 = load(d, corner + 2 * a.outer_stride + done, 4), v3 = load(d, corner + 3 * a.outer_stride + done, 4);
          if (done % 16 == 0) {  // rows are too short for hardware prefetch of the next ones
            for (int64_t ahead = 4; ahead < 8; ++ahead) __builtin_prefetch(corner + ahead * a.outer_stride + done);
          }
          transpose_4x4(d, v0, v1, v2, v3);
          hn::StoreU(v0, d, target + done * height);
          hn::StoreU(v1, d, target + (done + 1) * height);
          hn::StoreU(v2, d, target + (done + 2) * height);
          hn::StoreU(v3, d, target + (done + 3) * height);
        }
      }
    }
    for (int64_t k = done; k < inner; ++k) {
      for (int64_t row = 0; row < height; ++row) {
        to[k * height + row] = to_float(from[row * a.outer_stride + k * a.k_stride]);
      }
    }
  });
}

// to[k / 2 * height + row] = the pair a(row, k), a(row, k + 1); a is bfloat16.
inline void pack_row_pairs(const Operand& a, int64_t height, int64_t inner, float* to) {
  if (a.k_stride == 1 && a.outer_stride % 2 == 0 && inner % 2 == 0 && reinterpret_cast<uintptr_t>(a.data) % 4 == 0) {
    // Two adjacent k already are one 32-bit word.
    pack_rows({a.data, MOE_FLOAT32, false, a.outer_stride / 2, 1}, height, inner / 2, to);
    return;
  }
  const auto* from = static_cast<const uint16_t*>(a.data);
  for (int64_t k = 0; k < inner; k += 2, to += height) {
    const uint16_t* even = from + k * a.k_stride;
    const uint16_t* odd = even + a.k_stride;
    const bool last = k + 1 == inner;
    if (kMasked && a.outer_stride == 1 && !last) {
      const hn::ScalableTag<uint32_t> d;
      const hn::Rebind<uint16_t, decltype(d)> dh;
      const auto low = hn::PromoteTo(d, hn::LoadN(dh, even, height));
      const auto high = hn::PromoteTo(d, hn::LoadN(dh, odd, height));
      hn::StoreN(hn::Or(low, hn::ShiftLeft<16>(high)), d, reinterpret_cast<uint32_t*>(to), height);
      continue;
    }
    for (int64_t row = 0; row < height; ++row) {
      const uint32_t high = last ? 0 : odd[row * a.outer_stride];
      to[row] = std::bit_cast<float>(high << 16 | even[row * a.outer_stride]);
    }
  }
}

#if MOE_TILES
// Packs one tile: `height` rows by `steps` k of bfloat16 a, padded with zeros.
inline void pack_row_tile(const Operand& a, int64_t height, int64_t steps, uint16_t* to) {
  const auto* from = static_cast<const uint16_t*>(a.data);
  if (height < kTileRows || steps < kTileSteps) std::fill_n(to, kTileRows * kTileSteps, uint16_t{0});
  if (a.k_stride == 1) {
    const hn::CappedTag<uint16_t, kTileSteps> d;
    for (int64_t row = 0; row < height; ++row, from += a.outer_stride, to += kTileSteps) {
      hn::StoreN(hn::LoadN(d, from, steps), d, to, steps);
    }
    return;
  }
  if (height < kTileRows || steps < kTileSteps) {
    for (int64_t k = 0; k < steps; ++k) {
      for (int64_t row = 0; row < height; ++row) to[row * kTileSteps + k] = from[k * a.k_stride + row];
    }
    return;
  }
  // Adjacent rows: transposes vectors of their pairs of k, four by four.
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> dh;
  const hn::CappedTag<uint32_t, 4> block;
  static_assert(hn::MaxLanes(d) == kTileRows);
  for (int64_t k = 0; k < kTileSteps; k += 8) {
    const auto pairs = [&](int64_t step) {
      const uint16_t* even = from + (k + step) * a.k_stride;
      const auto high = hn::PromoteTo(d, hn::LoadU(dh, even + a.k_stride));
      return hn::Or(hn::PromoteTo(d, hn::LoadU(dh, even)), hn::ShiftLeft<16>(high));
    };
    auto v0 = pairs(0), v1 = pairs(2), v2 = pairs(4), v3 = pairs(6);
    transpose_4x4(d, v0, v1, v2, v3);
    // Block b of v_i is row 4 b + i.
    const auto put = [&](auto v, int64_t first) {
      alignas(64) uint32_t pairs_of[kTileRows];
      hn::Store(v, d, pairs_of);
      for (int64_t row = 0; row < kTileRows; row += 4) {
        hn::StoreU(hn::Load(block, pairs_of + row), block,
                   reinterpret_cast<uint32_t*>(to + (row + first) * kTileSteps + k));
      }
    };
    put(v0, 0);
    put(v1, 1);
    put(v2, 2);
    put(v3, 3);
  }
}

// Packs a panel of `height` rows of bfloat16 a.
inline void pack_row_tiles(const Operand& a, int64_t height, int64_t inner, float* to) {
  auto* tile = reinterpret_cast<uint16_t*>(to);
  for (int64_t k = 0; k < inner; k += kTileSteps) {
    for (int64_t row = 0; row < height; row += kTileRows, tile += kTileRows * kTileSteps) {
      pack_row_tile(a.at(row, k), std::min(kTileRows, height - row), std::min(kTileSteps, inner - k), tile);
    }
  }
}
#endif

// Whether packing a panel of b only transposes 32-bit words: the panel is full, k is adjacent, no conversion. Two
// adjacent bfloat16 are one pair of the panel.
template <class Weight>
bool is_transposed(const Operand& b, int64_t width) {
  if (b.k_stride != 1 || width != kNr) return false;
  if (std::is_same_v<Weight, float>) return b.dtype == MOE_FLOAT32;
  return b.dtype == MOE_BFLOAT16 && b.outer_stride % 2 == 0 && reinterpret_cast<uintptr_t>(b.data) % 4 == 0;
}

// Packs `width` columns by `inner` k of b into a panel. Prefetches `next` meanwhile if the panel is full.
inline void pack_columns(const Operand& b, int64_t width, int64_t inner, float* to, Prefetch<float> next = {}) {
  const FloatTag d;
  if (is_transposed<float>(b, width)) {
    transpose_panel(static_cast<const uint32_t*>(b.data), b.outer_stride, inner, reinterpret_cast<uint32_t*>(to), next);
    return;
  }
  with_elements(b, [&](const auto* from) {
    if (b.outer_stride == 1 && width == kNr) {
      for (int64_t k = 0; k < inner; ++k, from += b.k_stride, to += kNr) {
        next.advance(1);
        hn::StoreU(load(d, from, kLanes), d, to);
        hn::StoreU(load(d, from + kLanes, kLanes), d, to + kLanes);
      }
      return;
    }
    for (int64_t k = 0; k < inner; ++k, from += b.k_stride, to += kNr) {
      for (int64_t column = 0; column < width; ++column) to[column] = to_float(from[column * b.outer_stride]);
      std::fill(to + width, to + kNr, 0.0f);
    }
  });
}

inline void pack_columns(const Operand& b, int64_t width, int64_t inner, hwy::bfloat16_t* to,
                         Prefetch<hwy::bfloat16_t> next = {}) {
  int64_t done = 0;
  if (is_transposed<hwy::bfloat16_t>(b, width)) {
    transpose_panel(static_cast<const uint32_t*>(b.data), b.outer_stride / 2, inner / 2,
                    reinterpret_cast<uint32_t*>(to), next);
    done = inner / 2 * 2;
  } else if (b.dtype == MOE_BFLOAT16 && width == kNr && b.outer_stride == 1) {
    const hn::ScalableTag<uint16_t> d;
    static_assert(hn::MaxLanes(d) == kNr);
    const auto* from = static_cast<const uint16_t*>(b.data);
    for (; done + 2 <= inner; done += 2) {
      next.advance(1);
      const auto even = hn::LoadU(d, from + done * b.k_stride);
      const auto odd = hn::LoadU(d, from + (done + 1) * b.k_stride);
      hn::StoreInterleaved2(even, odd, d, reinterpret_cast<uint16_t*>(to) + done * kNr);
    }
  }
  const hn::CappedTag<float, 1> one;
  with_elements(b, [&](const auto* from) {
    for (int64_t k = done; k < panel_size(MOE_BFLOAT16, inner) / kNr; ++k) {
      for (int64_t column = 0; column < kNr; ++column) {
        const float value =
            column < width && k < inner ? to_float(from[column * b.outer_stride + k * b.k_stride]) : 0.0f;
        store(one, hn::Set(one, value), to + (k / 2 * kNr + column) * 2 + k % 2, 1);
      }
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
