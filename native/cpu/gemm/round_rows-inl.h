// Rounds the rows of A to int8 where B is in blocks. A packed panel of up to mr rows holds, for each 32 k:
//
//   x [8][rows][4] int8
//   scales a, then -kMagic a, float32 [rows] each
//   for each part of B the sums' start values: the bits of kMagic minus z times the sum of x, int32 [rows]
//   with minima, for each part: a times the sum of x, float32 [rows]
//
// Panels for tiles have 16 rows, padded with zeros: x [16][32] int8; then the other fields for each kFoldRows rows.
//
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_ROUND_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_ROUND_ROWS_INL_H
#undef MOE_CPU_GEMM_ROUND_ROWS_INL_H
#else
#define MOE_CPU_GEMM_ROUND_ROWS_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "cpu/gemm/expand_blocks-inl.h"
#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Blocks of 32 k of a row that are rounded together, so that divisions use whole vectors.
inline constexpr int64_t kRoundedBlocks = 8;
// Rows ahead that A is prefetched: a task reads kc of each row, too short for hardware prefetch. Found by measurement.
inline constexpr int64_t kRowsAhead = 2;

// Scales of up to kRoundedBlocks blocks: the largest magnitude / 127, rounded up to 22 significant bits, so that kMagic
// times it is exact. A block with a non-finite number gets the scale NaN, so that its product is NaN.
struct RowScales {
  alignas(64) float scale[kRoundedBlocks];
  alignas(64) float inverse[kRoundedBlocks];

  HWY_INLINE RowScales(const float* values, int64_t inner) {
    const IntTag bits;
    alignas(64) int32_t largest[kRoundedBlocks] = {};
    for (int64_t k = 0; k < inner; k += 32) {
      // Magnitudes order like their bits, and non-finite ones are the largest.
      auto most = hn::Zero(bits);
      for (int64_t i = k; i < k + 32; i += kLanes) {
        const auto magnitude = hn::And(hn::BitCast(bits, hn::Load(FloatTag(), values + i)), hn::Set(bits, 0x7fffffff));
        most = hn::Max(most, magnitude);
      }
      largest[k / 32] = hn::ReduceMax(bits, most);
    }
    const hn::CappedTag<float, kRoundedBlocks> d;
    const hn::RebindToSigned<decltype(d)> di;
    for (size_t i = 0; i < kRoundedBlocks; i += hn::Lanes(d)) {
      const auto most = hn::BitCast(d, hn::Load(di, largest + i));
      const auto finite = hn::Lt(most, hn::Set(d, std::numeric_limits<float>::infinity()));
      // Below about 2^-120 the scale or its inverse would not be normal: such blocks are rounded to 0.
      const auto rounds = hn::And(finite, hn::Gt(most, hn::Set(d, 0x1p-119f)));
      const auto quotient = hn::BitCast(di, hn::Div(most, hn::Set(d, 127.0f)));
      const auto in_22_bits = hn::And(hn::Add(quotient, hn::Set(di, 3)), hn::Set(di, ~3));
      const auto a = hn::IfThenElseZero(rounds, hn::BitCast(d, in_22_bits));
      hn::Store(hn::IfThenElse(finite, a, hn::Set(d, std::numeric_limits<float>::quiet_NaN())), d, scale + i);
      hn::Store(hn::IfThenElseZero(rounds, hn::Div(hn::Set(d, 1.0f), a)), d, inverse + i);
    }
  }
};

// Rounds 32 numbers to codes. Codes of a non-finite block do not matter.
HWY_INLINE void round_32(const float* values, float inverse, int8_t* codes) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> narrow;
  for (int64_t i = 0; i < 32; i += kLanes) {
    const auto rounded = hn::NearestInt(hn::Mul(hn::Load(d, values + i), hn::Set(d, inverse)));
    hn::StoreU(hn::DemoteTo(narrow, rounded), narrow, codes + i);
  }
}

// The sum of 16 codes. vpsadbw sums unsigned bytes, so codes are raised by 128 first.
HWY_INLINE int32_t sum_of_16(const int8_t* codes) {
  const hn::FixedTag<uint8_t, 16> d;
  const auto raised = hn::Xor(hn::LoadU(d, reinterpret_cast<const uint8_t*>(codes)), hn::Set(d, uint8_t{0x80}));
  const auto eights = hn::SumsOf8(raised);
  return static_cast<int32_t>(hn::GetLane(eights) + hn::ExtractLane(eights, 1)) - 16 * 128;
}

// Position of a row in a packed panel, in 32-bit words: codes are four in every `step`th word from `codes`; other
// fields are one in every `stride`th word from `rest`. The next 32 k are `words` further on.
struct RowPosition {
  int64_t codes, step, rest, stride, words;

  RowPosition(Kernel kernel, int64_t height, int64_t row) {
    if (in_tiles(kernel)) {
      codes = 8 * row, step = 1, stride = kFoldRows, words = block_row_words(kernel) * kTileRows;
      rest = 8 * kTileRows + row / kFoldRows * kFoldRows * (block_row_words(kernel) - 8) + row % kFoldRows;
    } else {
      codes = row, step = height, stride = height, words = block_row_words(kernel) * height;
      rest = 8 * height + row;
    }
  }
};

// Rounds and packs one row at its position in a panel.
template <Kernel kKernel>
void round_row(int32_t dtype, const Operand& a, const RowPosition& position, int64_t inner, float* to) {
  constexpr int kParts = parts_of(kKernel);
  const int32_t offset = block_format(dtype)->offset;
  const auto begin = [&](int32_t total) {
    return std::bit_cast<float>(std::bit_cast<int32_t>(kMagic) - offset * total);
  };
  alignas(64) float values[kRoundedBlocks * 32];
  for (int64_t k = 0; k < inner; k += kRoundedBlocks * 32) {
    const int64_t steps = std::min(kRoundedBlocks * 32, inner - k);
    with_elements(a.at(0, k), [&](const auto* from) {
      if (a.k_stride == 1) {
        constexpr int64_t kLine = 64 / int64_t{sizeof(*from)};
        for (int64_t i = 0; i < steps; i += kLine) __builtin_prefetch(from + kRowsAhead * a.outer_stride + i);
        for (int64_t i = 0; i < steps; i += kLanes) {
          hn::Store(load(FloatTag(), from + i, kLanes), FloatTag(), values + i);
        }
      } else {
        for (int64_t i = 0; i < steps; ++i) values[i] = to_float(from[i * a.k_stride]);
      }
    });
    const RowScales scales(values, steps);
    for (int64_t block = 0; block < steps / 32; ++block, to += position.words) {
      alignas(32) int8_t codes[32];
      round_32(values + 32 * block, scales.inverse[block], codes);
      for (int64_t i = 0; i < 8; ++i) std::memcpy(to + position.codes + i * position.step, codes + 4 * i, 4);
      int32_t totals[2] = {sum_of_16(codes), sum_of_16(codes + 16)};
      if (kParts == 1) totals[0] += totals[1];
      const float scale = scales.scale[block];
      float* rest = to + position.rest;
      rest[0] = scale;
      rest[position.stride] = -kMagic * scale;
      for (int part = 0; part < kParts; ++part) {
        rest[(2 + part) * position.stride] = begin(totals[part]);
        if (has_mins(kKernel)) rest[(2 + kParts + part) * position.stride] = scale * static_cast<float>(totals[part]);
      }
    }
  }
}

// Rounds and packs `height` rows by `inner` k of a. Row by row, because that reads memory in order while the panel
// stays in L1.
inline void round_rows(Kernel kernel, int32_t dtype, const Operand& a, int64_t height, int64_t inner, float* to) {
  if (in_tiles(kernel) && height < kTileRows) {
    std::fill_n(to, inner / 32 * block_row_words(kernel) * kTileRows, 0.0f);
  }
  for (int64_t row = 0; row < height; ++row) {
    const Operand line = a.at(row, 0);
    const RowPosition position(kernel, height, row);
    switch (untiled(kernel)) {
      case Kernel::kByteMins: round_row<Kernel::kByteMins>(dtype, line, position, inner, to); break;
      case Kernel::kByteHalves: round_row<Kernel::kByteHalves>(dtype, line, position, inner, to); break;
      case Kernel::kByteHalfMins: round_row<Kernel::kByteHalfMins>(dtype, line, position, inner, to); break;
      default: round_row<Kernel::kBytes>(dtype, line, position, inner, to);
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
