// Packing for B in blocks: B rearranged into panels, the rows of A rounded to int8.
//
// A: panels of up to mr rows, for each 32 k: x [8][rows][4] int8; the scales a and -kBegin a, float32 [rows] each; what
//    sums begin with, the bits of kBegin less z times the sum of x, int32 [rows]; for kByteHalves, whose sums are of 16
//    k, the second ones' [rows]; for B with minima a times the sum of x, float32 [rows].
// B: panels of nr columns, the last one filled up with zeros. For each block's k:
//    Q8_0       codes [8][nr][4]; scales binary16 [nr]
//    Q8_64      scales of 64 k, binary16 [nr]; twice the codes
//    Q8_128     scales of 128 k; four times the codes
//    Q4_0       the low four bits of codes [4][nr][4], those of k .. k + 15 in the low half of a byte, of k + 16 ..
//               k + 31 in the high one; scales [nr]
//    MXFP4      the same; scales bfloat16 [nr]
//    Q5_0       the low four bits; the fifth ones [nr][4], of k + 4 i + j in bit i of byte j; scales [nr]
//    Q4_K       scale and minimum of 256 k, binary16 [nr] each; factors of each 32 k, bytes [8][nr] each; eight times
//               the low four bits
//    Q5_K       the same; eight times the low four bits and the fifth ones
//    Q6_K       scale of 256 k, binary16 [nr]; factors of each 16 k, int8 [16][nr]; eight times the low four bits, and
//               the fifth and sixth ones [2][nr][4], of k + 16 h + 4 i + j in bits 2 i and 2 i + 1 of byte j of row h
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PACK_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#undef MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#else
#define MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"
#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// z: what is taken off the codes of a format without minima.
constexpr int32_t code_offset(int32_t dtype) {
  switch (dtype) {
    case MOE_Q8_0:
    case MOE_Q8_64:
    case MOE_Q8_128: return 128;
    case MOE_Q4_0: return 8;
    case MOE_Q5_0: return 16;
    case MOE_Q6_K: return 32;
    case MOE_MXFP4: return 12;
    default: return 0;
  }
}

// The least number of 22 bits that is not below x, so that kBegin times it is exact; x is finite and not negative.
inline float in_22_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 3) & ~uint32_t{3});
}

// Rounds 32 numbers to codes times a scale, the largest magnitude / 127 in 22 bits; gives the scale. Where a number is
// not finite no scale is either, so that the product is not.
HWY_INLINE float round_32(const float* from, int8_t* codes) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> narrow;
  FloatVector most = hn::Zero(d), sum = hn::Zero(d);
  for (int64_t i = 0; i < 32; i += kLanes) {
    const FloatVector x = hn::LoadU(d, from + i);
    most = hn::Max(most, hn::Abs(x));
    sum = hn::Add(sum, hn::Sub(x, x));  // NaN where x is not finite
  }
  const float largest = hn::ReduceMax(d, most);
  const bool finite = hn::ReduceSum(d, sum) == 0;
  // Numbers below about 2^-120 have no scale, or no inverse of one, that is normal: they are rounded to 0.
  const float a = finite && largest > 0x1p-119f ? in_22_bits(largest / 127) : 0;
  const FloatVector inverse = hn::Set(d, a > 0 ? 1 / a : 0);
  for (int64_t i = 0; i < 32; i += kLanes) {
    const auto rounded = hn::NearestInt(hn::Mul(finite ? hn::LoadU(d, from + i) : hn::Zero(d), inverse));
    hn::StoreU(hn::DemoteTo(narrow, rounded), narrow, codes + i);
  }
  return finite ? a : std::numeric_limits<float>::quiet_NaN();
}

// The sum of 16 codes. vpsadbw sums eight unsigned bytes, so they are raised by 128 first.
HWY_INLINE int32_t sum_of_16(const int8_t* codes) {
  const hn::FixedTag<uint8_t, 16> d;
  const auto raised = hn::Xor(hn::LoadU(d, reinterpret_cast<const uint8_t*>(codes)), hn::Set(d, uint8_t{0x80}));
  const auto eights = hn::SumsOf8(raised);
  return static_cast<int32_t>(hn::GetLane(eights) + hn::ExtractLane(eights, 1)) - 16 * 128;
}

// Packs `height` rows and `inner` k of a, rounded.
inline void round_rows(Kernel kernel, int32_t dtype, const Operand& a, int64_t height, int64_t inner, float* to) {
  const int64_t words = block_row_words(kernel) * height;
  const bool mins = kernel == Kernel::kByteMins;
  const int32_t offset = code_offset(dtype);
  for (int64_t k = 0; k < inner; k += 32, to += words) {
    for (int64_t row = 0; row < height; ++row) {
      alignas(64) float values[32];
      alignas(64) int8_t codes[32];
      with_elements(a.at(row, k), [&](const auto* from) {
        if (a.k_stride == 1) {
          for (int64_t i = 0; i < 32; i += kLanes)
            hn::Store(load(FloatTag(), from + i, kLanes), FloatTag(), values + i);
        } else {
          for (int64_t i = 0; i < 32; ++i) values[i] = to_float(from[i * a.k_stride]);
        }
      });
      const float scale = round_32(values, codes);
      const int32_t sum[2] = {sum_of_16(codes), sum_of_16(codes + 16)};
      for (int64_t step = 0; step < 8; ++step) std::memcpy(to + step * height + row, codes + 4 * step, 4);
      float* rest = to + 8 * height + row;
      const auto begin = [&](int32_t total) {
        return std::bit_cast<float>(std::bit_cast<int32_t>(kBegin) - offset * total);
      };
      rest[0] = scale;
      rest[height] = -kBegin * scale;
      rest[2 * height] = begin(kernel == Kernel::kByteHalves ? sum[0] : sum[0] + sum[1]);
      if (kernel == Kernel::kByteHalves) rest[3 * height] = begin(sum[1]);
      if (mins) rest[3 * height] = scale * static_cast<float>(sum[0] + sum[1]);
    }
  }
}

// The codes of 32 k from element `k` of a block on, 0 or more each.
inline void codes_of(int32_t dtype, const uint8_t* block, int64_t k, uint8_t* codes) {
  const auto nibbles = [&](const uint8_t* from) {
    for (int64_t i = 0; i < 16; ++i) codes[i] = from[i] & 15, codes[i + 16] = from[i] >> 4;
  };
  switch (dtype) {
    case MOE_Q8_0:
    case MOE_Q8_64:
    case MOE_Q8_128:
      for (int64_t i = 0; i < 32; ++i) codes[i] = block[2 + k + i] ^ 0x80;
      return;
    case MOE_Q4_0: return nibbles(block + 2);
    case MOE_MXFP4: return nibbles(block + 1);
    case MOE_Q5_0: {
      nibbles(block + 6);
      uint32_t high;
      std::memcpy(&high, block + 2, 4);
      for (int64_t i = 0; i < 32; ++i) codes[i] |= static_cast<uint8_t>((high >> i & 1) << 4);
      return;
    }
    case MOE_Q4_K:
    case MOE_Q5_K: {
      const int64_t j = k / 32;
      const uint8_t* low = block + (dtype == MOE_Q4_K ? 16 : 48) + j / 2 * 32;
      for (int64_t i = 0; i < 32; ++i) codes[i] = low[i] >> j % 2 * 4 & 15;
      if (dtype == MOE_Q4_K) return;
      for (int64_t i = 0; i < 32; ++i) codes[i] |= static_cast<uint8_t>((block[16 + i] >> j & 1) << 4);
      return;
    }
    default: {  // Q6_K
      const int64_t half = k / 128, p = k % 128 / 32;
      const uint8_t *low = block + 64 * half + 32 * (p % 2), *high = block + 128 + 32 * half;
      for (int64_t i = 0; i < 32; ++i) {
        codes[i] = static_cast<uint8_t>((low[i] >> p / 2 * 4 & 15) | (high[i] >> 2 * p & 3) << 4);
      }
    }
  }
}

// The factors of a scale and a minimum, six bits each, of block j of 32 in Q4_K and Q5_K.
inline void factors_of(const uint8_t* s, int64_t j, uint8_t& scale, uint8_t& min) {
  if (j < 4) {
    scale = s[j] & 63, min = s[j + 4] & 63;
  } else {
    scale = static_cast<uint8_t>((s[j + 4] & 15) | s[j - 4] >> 6 << 4);
    min = static_cast<uint8_t>(s[j + 4] >> 4 | s[j] >> 6 << 4);
  }
}

// Packs the codes of 32 k of one column of a panel, whose bytes are zeros.
inline void pack_codes(int32_t dtype, const uint8_t* codes, int64_t column, uint8_t* to) {
  const auto byte = [&](int64_t row, int64_t k) -> uint8_t& { return to[row * 4 * kNr + 4 * column + k % 4]; };
  const int bits = high_bits(dtype);
  for (int64_t k = 0; k < 32; ++k) {
    const int64_t step = k / 4;
    if (has_byte_codes(dtype)) {
      byte(step, k) = codes[k];
      continue;
    }
    byte(step % 4, k) |= static_cast<uint8_t>((codes[k] & 15) << step / 4 * 4);
    const int64_t at = step * bits;  // of the high bits in a row of them
    if (bits > 0) byte(4 + at / 8, k) |= static_cast<uint8_t>(codes[k] >> 4 << at % 8);
  }
}

// Packs `width` columns by `inner` k as a panel, from rows that lie row-major as a GGUF file has them.
inline void pack_blocks(int32_t dtype, const uint8_t* rows, int64_t stride, int64_t width, int64_t inner, uint8_t* to) {
  const BlockSize size = block_of(dtype);
  const int64_t step = panel_size(dtype, size.elements);
  const int64_t code_bytes = (has_byte_codes(dtype) ? 32 : 16 + 4 * high_bits(dtype)) * kNr;
  std::fill_n(to, panel_size(dtype, inner), uint8_t{0});
  uint8_t codes[32];
  for (int64_t k = 0; k < inner; k += size.elements, rows += size.bytes, to += step) {
    for (int64_t column = 0; column < width; ++column) {
      const uint8_t* block = rows + column * stride;
      uint8_t* to_codes = to;
      if (size.elements == 32) {
        uint8_t* scale = to + code_bytes + 2 * column;
        if (dtype == MOE_MXFP4) {
          // Half of 2^(e - 127), as the codes are twice the numbers; the smallest are subnormal.
          const uint16_t bits = block[0] >= 2 ? static_cast<uint16_t>((block[0] - 1) << 7) : 0x40 >> (1 - block[0]);
          std::memcpy(scale, &bits, 2);
        } else {
          std::memcpy(scale, block, 2);
        }
      } else if (has_byte_codes(dtype)) {
        std::memcpy(to + 2 * column, block, 2);
        to_codes = to + 2 * kNr;
      } else if (dtype == MOE_Q6_K) {
        std::memcpy(to + 2 * column, block + 208, 2);
        for (int64_t j = 0; j < 16; ++j) to[(2 + j) * kNr + column] = block[192 + j];
        to_codes = to + 18 * kNr;
      } else {
        std::memcpy(to + 2 * column, block, 2);
        std::memcpy(to + 2 * kNr + 2 * column, block + 2, 2);
        for (int64_t j = 0; j < 8; ++j) {
          factors_of(block + 4, j, to[(4 + j) * kNr + column], to[(12 + j) * kNr + column]);
        }
        to_codes = to + 20 * kNr;
      }
      for (int64_t i = 0; i < size.elements; i += 32) {
        codes_of(dtype, block, i, codes);
        pack_codes(dtype, codes, column, to_codes + i / 32 * code_bytes);
      }
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
