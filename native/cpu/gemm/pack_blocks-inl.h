// Packing for B in blocks: panels of nr columns, the last one filled up with zeros. For each block's k:
//
//   Q8_0       codes [8][nr][4]; scales binary16 [nr]
//   Q8_64      scales of 64 k, binary16 [nr]; twice the codes
//   Q8_128     scales of 128 k; four times the codes
//   Q4_0       the low four bits of codes [4][nr][4], those of k .. k + 15 in the low half of a byte, of k + 16 ..
//              k + 31 in the high one; scales [nr]
//   MXFP4      the same; scales bfloat16 [nr]
//   Q5_0       the low four bits; the fifth ones [nr][4], of k + 4 i + j in bit i of byte j; scales [nr]
//   Q4_K       scale and minimum of 256 k, binary16 [nr] each; factors of each 32 k, bytes [8][nr] each; eight times
//              the low four bits
//   Q5_K       the same; eight times the low four bits and the fifth ones
//   Q6_K       scale of 256 k, binary16 [nr]; factors of each 16 k, int8 [16][nr]; eight times the low four bits, and
//              the fifth and sixth ones [2][nr][4], of k + 16 h + 4 i + j in bits 2 i and 2 i + 1 of byte j of row h
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PACK_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#undef MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#else
#define MOE_CPU_GEMM_PACK_BLOCKS_INL_H
#endif

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Four bytes at `from`, the first one lowest.
HWY_INLINE uint32_t word_at(const uint8_t* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

// Bits of the four bytes of a word.
inline constexpr uint32_t kBit = 0x01010101, kTwoBits = 0x03030303, kFourBits = 0x0f0f0f0f, kSixBits = 0x3f3f3f3f;

// The codes of 32 k of one column, from element `k` of a block on: its words in the rows of codes of a panel.
template <int32_t kDtype>
struct CodeWords {
  static constexpr int64_t kRows = has_byte_codes(kDtype) ? 8 : 4 + high_bits(kDtype);
  uint32_t row[kRows];

  HWY_INLINE CodeWords(const uint8_t* block, int64_t k) {
    if constexpr (has_byte_codes(kDtype)) {
      for (int64_t i = 0; i < 8; ++i) row[i] = word_at(block + 2 + k + 4 * i) ^ 0x80808080;
    } else if constexpr (kDtype == MOE_Q4_0 || kDtype == MOE_MXFP4) {
      copy_pairs(block + (kDtype == MOE_Q4_0 ? 2 : 1));
    } else if constexpr (kDtype == MOE_Q5_0) {
      copy_pairs(block + 6);
      const uint32_t high = word_at(block + 2);
      row[4] = 0;
      for (int64_t i = 0; i < 8; ++i) row[4] |= ((high >> 4 * i & 15) * 0x00204081 & kBit) << i;  // a bit for each byte
    } else if constexpr (kDtype == MOE_Q6_K) {
      const int64_t half = k / 128, p = k % 128 / 32;
      const uint8_t* high = block + 128 + 32 * half;
      join_pairs(block + 64 * half + 32 * (p % 2), p / 2 * 4);
      for (int64_t h = 0; h < 2; ++h) {
        row[4 + h] = 0;
        for (int64_t i = 0; i < 4; ++i) row[4 + h] |= (word_at(high + 16 * h + 4 * i) >> 2 * p & kTwoBits) << 2 * i;
      }
    } else {  // Q4_K, Q5_K
      const int64_t j = k / 32;
      join_pairs(block + (kDtype == MOE_Q4_K ? 16 : 48) + j / 2 * 32, j % 2 * 4);
      if constexpr (kDtype == MOE_Q5_K) {
        row[4] = 0;
        for (int64_t i = 0; i < 8; ++i) row[4] |= (word_at(block + 16 + 4 * i) >> j & kBit) << i;
      }
    }
  }

 private:
  // Bytes that hold the codes of k and k + 16 already.
  HWY_INLINE void copy_pairs(const uint8_t* from) {
    for (int64_t i = 0; i < 4; ++i) row[i] = word_at(from + 4 * i);
  }
  // From the bits at `shift` of 32 bytes.
  HWY_INLINE void join_pairs(const uint8_t* from, int64_t shift) {
    for (int64_t i = 0; i < 4; ++i) {
      row[i] = (word_at(from + 4 * i) >> shift & kFourBits) | (word_at(from + 16 + 4 * i) >> shift & kFourBits) << 4;
    }
  }
};

// Packs what scales the codes of one column's block, where it lies before the codes: of Q4_K, Q5_K and Q6_K.
template <int32_t kDtype>
HWY_INLINE void pack_factors(const uint8_t* block, uint8_t* to) {
  if constexpr (kDtype == MOE_Q6_K) {
    for (int64_t j = 0; j < 16; ++j) to[j * kNr] = block[192 + j];
  } else {
    // Six bits each: of four scales, of four minima; the low bits of the others, whose high ones lie above the first.
    const uint32_t scales = word_at(block + 4), mins = word_at(block + 8), rest = word_at(block + 12);
    const uint32_t factors[4] = {scales & kSixBits, (rest & kFourBits) | (scales >> 6 & kTwoBits) << 4, mins & kSixBits,
                                 (rest >> 4 & kFourBits) | (mins >> 6 & kTwoBits) << 4};
    for (int64_t j = 0; j < 16; ++j) to[j * kNr] = static_cast<uint8_t>(factors[j / 4] >> j % 4 * 8);
  }
}

// Packs one column of a block.
template <int32_t kDtype>
HWY_INLINE void pack_block(const uint8_t* block, int64_t column, uint8_t* to) {
  constexpr int64_t kElements = block_of(kDtype).elements;
  constexpr int64_t kCodes = CodeWords<kDtype>::kRows * 4 * kNr;  // bytes
  uint8_t* codes = to;
  if constexpr (kDtype == MOE_MXFP4) {
    // Half of 2^(e - 127), as the codes are twice the numbers; the smallest are subnormal.
    const uint16_t bits = block[0] >= 2 ? static_cast<uint16_t>((block[0] - 1) << 7) : 0x40 >> (1 - block[0]);
    std::memcpy(to + kCodes + 2 * column, &bits, 2);
  } else if constexpr (kElements == 32) {
    std::memcpy(to + kCodes + 2 * column, block, 2);
  } else if constexpr (has_byte_codes(kDtype)) {
    std::memcpy(to + 2 * column, block, 2);
    codes += 2 * kNr;
  } else if constexpr (kDtype == MOE_Q6_K) {
    std::memcpy(to + 2 * column, block + 208, 2);
    pack_factors<kDtype>(block, to + 2 * kNr + column);
    codes += 18 * kNr;
  } else {
    std::memcpy(to + 2 * column, block, 2);
    std::memcpy(to + 2 * kNr + 2 * column, block + 2, 2);
    pack_factors<kDtype>(block, to + 4 * kNr + column);
    codes += 20 * kNr;
  }
  for (int64_t k = 0; k < kElements; k += 32, codes += kCodes) {
    const CodeWords<kDtype> words(block, k);
    for (int64_t i = 0; i < words.kRows; ++i) std::memcpy(codes + 4 * (i * kNr + column), &words.row[i], 4);
  }
}

// Packs `width` columns by up to kBlockSteps k of a panel, from rows that lie row-major as a GGUF file has them.
template <int32_t kDtype>
void pack_blocks(const uint8_t* rows, int64_t stride, int64_t width, int64_t inner, uint8_t* to) {
  const BlockSize size = block_of(kDtype);
  const int64_t step = panel_size(kDtype, size.elements);
  if (width < kNr) std::fill_n(to, panel_size(kDtype, inner), uint8_t{0});
  for (int64_t column = 0; column < width; ++column, rows += stride) {
    for (int64_t i = 0; i < inner / size.elements; ++i)
      pack_block<kDtype>(rows + i * size.bytes, column, to + i * step);
  }
}

// body(std::integral_constant<int32_t, dtype>)
template <class Body>
void with_block_dtype(int32_t dtype, Body&& body) {
  switch (dtype) {
    case MOE_Q8_0: return body(std::integral_constant<int32_t, MOE_Q8_0>());
    case MOE_Q8_64: return body(std::integral_constant<int32_t, MOE_Q8_64>());
    case MOE_Q8_128: return body(std::integral_constant<int32_t, MOE_Q8_128>());
    case MOE_Q4_0: return body(std::integral_constant<int32_t, MOE_Q4_0>());
    case MOE_Q5_0: return body(std::integral_constant<int32_t, MOE_Q5_0>());
    case MOE_MXFP4: return body(std::integral_constant<int32_t, MOE_MXFP4>());
    case MOE_Q4_K: return body(std::integral_constant<int32_t, MOE_Q4_K>());
    case MOE_Q5_K: return body(std::integral_constant<int32_t, MOE_Q5_K>());
    default: return body(std::integral_constant<int32_t, MOE_Q6_K>());
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
