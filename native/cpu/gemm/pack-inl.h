// Packing: operands rearranged into the order in which the GEMM kernels read them.
//
// a: panels of up to kPanelRows rows, each [inner][rows of the panel] of float32; for dot products of pairs
// [ceil(inner / 2)][rows of the panel][2] of bfloat16, the last pair filled up with zeros; for tiles panels of 32 rows,
// each [ceil(inner / 32)][rows, filled up to 16 or 32][32] of bfloat16.
// b: panels of kPanelColumns columns, the last one filled up with zeros. float32: [inner][kPanelColumns].
// bfloat16: pairs of k, [ceil(inner / 2)][kPanelColumns][2], so that one shift and one mask widen two steps of k.
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

// Elements that one thread packs at least, for telling work that is worth waking others for.
inline constexpr int64_t kPackedPerNanosecond = 2;

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

// Four vectors as rows of 4 x 4 blocks of words, each block turned.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void turn_blocks(D d, V& v0, V& v1, V& v2, V& v3) {
  const hn::RepartitionToWide<D> dw;
  const auto a = hn::BitCast(dw, hn::InterleaveLower(d, v0, v1)), b = hn::BitCast(dw, hn::InterleaveUpper(d, v0, v1));
  const auto c = hn::BitCast(dw, hn::InterleaveLower(d, v2, v3)), e = hn::BitCast(dw, hn::InterleaveUpper(d, v2, v3));
  v0 = hn::BitCast(d, hn::InterleaveLower(dw, a, c));
  v1 = hn::BitCast(d, hn::InterleaveUpper(dw, a, c));
  v2 = hn::BitCast(d, hn::InterleaveLower(dw, b, e));
  v3 = hn::BitCast(d, hn::InterleaveUpper(dw, b, e));
}

// to[j * kPanelColumns + i] = from[i * stride + j] for kPanelColumns lines i of `words` 32-bit words j. At most eight
// lines at a time, because lines a power of two apart share few places in the L1 cache. Meanwhile asks for what is
// next.
template <class Weight>
void turn_panel(const uint32_t* from, int64_t stride, int64_t words, uint32_t* to, Prefetch<Weight> next) {
  const hn::CappedTag<uint32_t, 8> d;
  const hn::CappedTag<uint32_t, 4> block;
  constexpr int64_t kLines = hn::MaxLanes(d);
  constexpr int64_t kTurns = kLines * 4 * int64_t{sizeof(uint32_t)} / kTurnBytes;
  // Four words of a line, and beside them those of the line four further on.
  const auto words_of = [&](const uint32_t* line) {
    if constexpr (kLines == 8) {
      return hn::Combine(d, hn::LoadU(block, line + 4 * stride), hn::LoadU(block, line));
    } else {
      return hn::LoadU(d, line);
    }
  };
  for (int64_t i = 0; i < kPanelColumns; i += kLines) {
    int64_t j = 0;
    for (; j + 4 <= words; j += 4) {
      const uint32_t* corner = from + i * stride + j;
      auto v0 = words_of(corner), v1 = words_of(corner + stride);
      auto v2 = words_of(corner + 2 * stride), v3 = words_of(corner + 3 * stride);
      next.ask(kTurns);
      turn_blocks(d, v0, v1, v2, v3);
      uint32_t* target = to + j * kPanelColumns + i;
      hn::StoreU(v0, d, target);
      hn::StoreU(v1, d, target + kPanelColumns);
      hn::StoreU(v2, d, target + 2 * kPanelColumns);
      hn::StoreU(v3, d, target + 3 * kPanelColumns);
    }
    for (; j < words; ++j) {
      for (int64_t line = i; line < i + kLines; ++line) to[j * kPanelColumns + line] = from[line * stride + j];
    }
  }
}

// to[k * height + line] = a(line, k)
inline void pack_rows(const Operand& a, int64_t height, int64_t inner, float* to) {
  const hn::CappedTag<float, 4> d;
  with_elements(a, [&](const auto* from) {
    int64_t done = 0;  // steps of k
    if (kMasked && a.line_stride == 1) {
      const FloatTag df;
      for (; done < inner; ++done) {
        store(df, load(df, from + done * a.inner_stride, height), to + done * height, height);
      }
      return;
    }
    if (height == 1 && a.inner_stride == 1) {
      for (; done + 4 <= inner; done += 4) hn::StoreU(load(d, from + done, 4), d, to + done);
    }
    // Four lines at a time, the last four overlapping those before.
    for (int64_t first = 0; height >= 4 && first < height; first += 4) {
      const int64_t line = std::min(first, height - 4);
      const auto* corner = from + line * a.line_stride;
      float* target = to + line;
      if (a.line_stride == 1) {
        for (done = 0; done < inner; ++done) {
          hn::StoreU(load(d, corner + done * a.inner_stride, 4), d, target + done * height);
        }
      } else {
        for (done = 0; done + 4 <= inner; done += 4) {
          auto v0 = load(d, corner + done, 4), v1 = load(d, corner + a.line_stride + done, 4);
          auto v2 = load(d, corner + 2 * a.line_stride + done, 4), v3 = load(d, corner + 3 * a.line_stride + done, 4);
          if (done % 16 == 0) {  // lines are too short for the processor to foresee the next ones
            for (int64_t ahead = 4; ahead < 8; ++ahead) __builtin_prefetch(corner + ahead * a.line_stride + done);
          }
          turn_blocks(d, v0, v1, v2, v3);
          hn::StoreU(v0, d, target + done * height);
          hn::StoreU(v1, d, target + (done + 1) * height);
          hn::StoreU(v2, d, target + (done + 2) * height);
          hn::StoreU(v3, d, target + (done + 3) * height);
        }
      }
    }
    for (int64_t k = done; k < inner; ++k) {
      for (int64_t line = 0; line < height; ++line) {
        to[k * height + line] = to_float(from[line * a.line_stride + k * a.inner_stride]);
      }
    }
  });
}

// The same in pairs of k, a float32 word each; a is bfloat16.
inline void pack_row_pairs(const Operand& a, int64_t height, int64_t inner, float* to) {
  if (a.inner_stride == 1 && a.line_stride % 2 == 0 && inner % 2 == 0 && reinterpret_cast<uintptr_t>(a.data) % 4 == 0) {
    // Neighbours along k are a word already.
    pack_rows({a.data, MOE_FLOAT32, false, a.line_stride / 2, 1}, height, inner / 2, to);
    return;
  }
  const auto* from = static_cast<const uint16_t*>(a.data);
  for (int64_t k = 0; k < inner; k += 2, to += height) {
    const uint16_t* even = from + k * a.inner_stride;
    const uint16_t* odd = even + a.inner_stride;
    const bool last = k + 1 == inner;
    if (kMasked && a.line_stride == 1 && !last) {
      const hn::ScalableTag<uint32_t> d;
      const hn::Rebind<uint16_t, decltype(d)> dh;
      const auto low = hn::PromoteTo(d, hn::LoadN(dh, even, height));
      const auto high = hn::PromoteTo(d, hn::LoadN(dh, odd, height));
      hn::StoreN(hn::Or(low, hn::ShiftLeft<16>(high)), d, reinterpret_cast<uint32_t*>(to), height);
      continue;
    }
    for (int64_t line = 0; line < height; ++line) {
      const uint32_t high = last ? 0 : odd[line * a.line_stride];
      to[line] = std::bit_cast<float>(high << 16 | even[line * a.line_stride]);
    }
  }
}

#if MOE_TILES
// One tile: `height` lines and `steps` steps of k of a, which is bfloat16. Whatever it has not is 0.
inline void pack_row_tile(const Operand& a, int64_t height, int64_t steps, uint16_t* to) {
  const auto* from = static_cast<const uint16_t*>(a.data);
  if (height < kTileRows || steps < kTileSteps) std::fill_n(to, kTileRows * kTileSteps, uint16_t{0});
  if (a.inner_stride == 1) {
    const hn::CappedTag<uint16_t, kTileSteps> d;
    for (int64_t line = 0; line < height; ++line, from += a.line_stride, to += kTileSteps) {
      hn::StoreN(hn::LoadN(d, from, steps), d, to, steps);
    }
    return;
  }
  if (height < kTileRows || steps < kTileSteps) {
    for (int64_t k = 0; k < steps; ++k) {
      for (int64_t line = 0; line < height; ++line) to[line * kTileSteps + k] = from[k * a.inner_stride + line];
    }
    return;
  }
  // Lines lie side by side: vectors of their pairs of k, turned four by four.
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> dh;
  const hn::CappedTag<uint32_t, 4> block;
  static_assert(hn::MaxLanes(d) == kTileRows);
  for (int64_t k = 0; k < kTileSteps; k += 8) {
    const auto pairs = [&](int64_t step) {
      const uint16_t* even = from + (k + step) * a.inner_stride;
      const auto high = hn::PromoteTo(d, hn::LoadU(dh, even + a.inner_stride));
      return hn::Or(hn::PromoteTo(d, hn::LoadU(dh, even)), hn::ShiftLeft<16>(high));
    };
    auto v0 = pairs(0), v1 = pairs(2), v2 = pairs(4), v3 = pairs(6);
    turn_blocks(d, v0, v1, v2, v3);
    // Block b of v_i is line 4 b + i.
    const auto put = [&](auto v, int64_t first) {
      alignas(64) uint32_t lines[kTileRows];
      hn::Store(v, d, lines);
      for (int64_t line = 0; line < kTileRows; line += 4) {
        hn::StoreU(hn::Load(block, lines + line), block,
                   reinterpret_cast<uint32_t*>(to + (line + first) * kTileSteps + k));
      }
    };
    put(v0, 0);
    put(v1, 1);
    put(v2, 2);
    put(v3, 3);
  }
}

// A panel of `height` rows; a is bfloat16.
inline void pack_row_tiles(const Operand& a, int64_t height, int64_t inner, float* to) {
  auto* tile = reinterpret_cast<uint16_t*>(to);
  for (int64_t k = 0; k < inner; k += kTileSteps) {
    for (int64_t row = 0; row < height; row += kTileRows, tile += kTileRows * kTileSteps) {
      pack_row_tile(a.at(row, k), std::min(kTileRows, height - row), std::min(kTileSteps, inner - k), tile);
    }
  }
}
#endif

// Whether a panel of `width` columns of b is turned, vectors at a time: its columns lie along k, and are of the panel's
// dtype. In bfloat16 two neighbours along k are the pair that a panel holds.
template <class Weight>
bool turns_columns(const Operand& b, int64_t width) {
  if (b.inner_stride != 1 || width != kPanelColumns) return false;
  if (std::is_same_v<Weight, float>) return b.dtype == MOE_FLOAT32;
  return b.dtype == MOE_BFLOAT16 && b.line_stride % 2 == 0 && reinterpret_cast<uintptr_t>(b.data) % 4 == 0;
}

// `inner` steps of k of a panel of `width` columns of b. Where they are turned, it asks for `next` meanwhile.
inline void pack_columns(const Operand& b, int64_t width, int64_t inner, float* to, const Prefetch<float>& next = {}) {
  const FloatTag d;
  if (turns_columns<float>(b, width)) {
    turn_panel(static_cast<const uint32_t*>(b.data), b.line_stride, inner, reinterpret_cast<uint32_t*>(to), next);
    return;
  }
  with_elements(b, [&](const auto* from) {
    if (b.line_stride == 1 && width == kPanelColumns) {
      for (int64_t k = 0; k < inner; ++k, from += b.inner_stride, to += kPanelColumns) {
        hn::StoreU(load(d, from, kLanes), d, to);
        hn::StoreU(load(d, from + kLanes, kLanes), d, to + kLanes);
      }
      return;
    }
    for (int64_t k = 0; k < inner; ++k, from += b.inner_stride, to += kPanelColumns) {
      for (int64_t column = 0; column < width; ++column) to[column] = to_float(from[column * b.line_stride]);
      std::fill(to + width, to + kPanelColumns, 0.0f);
    }
  });
}

inline void pack_columns(const Operand& b, int64_t width, int64_t inner, hwy::bfloat16_t* to,
                         const Prefetch<hwy::bfloat16_t>& next = {}) {
  int64_t done = 0;
  if (turns_columns<hwy::bfloat16_t>(b, width)) {
    turn_panel(static_cast<const uint32_t*>(b.data), b.line_stride / 2, inner / 2, reinterpret_cast<uint32_t*>(to),
               next);
    done = inner / 2 * 2;
  } else if (b.dtype == MOE_BFLOAT16 && width == kPanelColumns && b.line_stride == 1) {
    const hn::ScalableTag<uint16_t> d;
    static_assert(hn::MaxLanes(d) == kPanelColumns);
    const auto* from = static_cast<const uint16_t*>(b.data);
    for (; done + 2 <= inner; done += 2) {
      const auto even = hn::LoadU(d, from + done * b.inner_stride);
      const auto odd = hn::LoadU(d, from + (done + 1) * b.inner_stride);
      hn::StoreInterleaved2(even, odd, d, reinterpret_cast<uint16_t*>(to) + done * kPanelColumns);
    }
  }
  const hn::CappedTag<float, 1> one;
  with_elements(b, [&](const auto* from) {
    for (int64_t k = done; k < panel_size(MOE_BFLOAT16, inner) / kPanelColumns; ++k) {
      for (int64_t column = 0; column < kPanelColumns; ++column) {
        const float value =
            column < width && k < inner ? to_float(from[column * b.line_stride + k * b.inner_stride]) : 0.0f;
        store(one, hn::Set(one, value), to + (k / 2 * kPanelColumns + column) * 2 + k % 2, 1);
      }
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
