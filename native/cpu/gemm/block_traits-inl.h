// Block formats of B: how GGUF stores a block (ggml, MIT licence), how a packed panel stores it, and packing.
//
// A panel has nr columns; the last panel is padded with zeros. For the k of each block it holds, in this order:
//
//   Q8_0       codes [8][nr][4]; scales binary16 [nr]
//   Q8_64      scales binary16 [nr] of 64 k; twice the codes
//   Q8_128     scales binary16 [nr] of 128 k; four times the codes
//   FP8_128    scales float32 of 128 k, their low halves [nr] and high halves [nr]; four times the codes
//   Q4_0       nibbles [4][nr][4]: the low nibble of a byte is the code of k .. k + 15, the high one of k + 16 ..
//              k + 31; scales binary16 [nr]
//   MXFP4      nibbles like Q4_0; scales bfloat16 [nr]
//   Q4_1       nibbles like Q4_0; scales, then minima, binary16 [nr] each; kernels subtract a minimum
//   Q5_0       nibbles like Q4_0; fifth bits [nr][4]: bit i of byte j is of k + 4 i + j; scales binary16 [nr]
//   Q5_1       nibbles and fifth bits like Q5_0; scales and minima like Q4_1
//   Q4_K       scales and minima of 256 k, binary16 [nr] each; their factors per 32 k, bytes [8][nr] each; eight times
//              the nibbles
//   Q5_K       scales, minima and factors like Q4_K; eight times nibbles and fifth bits
//   Q6_K       scales of 256 k, binary16 [nr]; factors per 16 k, int8 [16][nr]; eight times nibbles and two bits
//              [2][nr][4]: bits 2 i and 2 i + 1 of byte j of row h are of k + 16 h + 4 i + j
//   Q2_K       scales and minima like Q4_K; their factors per 16 k, four bits each, bytes [16][nr]; eight times two
//              bits like Q6_K
//   Q3_K       scales and factors like Q6_K; eight times two bits, and third bits like Q5_0's fifth bits
//   IQ4_NL     like Q4_0
//   IQ4_XS     scales of 256 k, binary16 [nr]; factors per 32 k, int8 [8][nr]; eight times nibbles
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_BLOCK_TRAITS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_BLOCK_TRAITS_INL_H
#undef MOE_CPU_GEMM_BLOCK_TRAITS_INL_H
#else
#define MOE_CPU_GEMM_BLOCK_TRAITS_INL_H
#endif

#include <algorithm>
#include <cstring>

#include "cpu/gemm/blocking-inl.h"
#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using IntTag = hn::RebindToSigned<FloatTag>;
using CodeTag = hn::Repartition<uint8_t, FloatTag>;
using CodeVector = hn::Vec<CodeTag>;

// Bytes of the codes of four k in a panel: two vectors.
inline constexpr int64_t kCodeBytes = 4 * kNr;

// Loads four bytes, the first one into the lowest byte.
HWY_INLINE uint32_t word_at(const uint8_t* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

// Masks of the low one, two, four and six bits of each byte of a word.
inline constexpr uint32_t kBit = 0x01010101, kTwoBits = 0x03030303, kFourBits = 0x0f0f0f0f, kSixBits = 0x3f3f3f3f;

// Packs the nibbles of 32 codes. A byte of `from` already pairs k with k + 16, or holds a nibble of one k at `shift`.
HWY_INLINE void copy_pairs(const uint8_t* from, uint32_t* rows) {
  for (int64_t i = 0; i < 4; ++i) rows[i] = word_at(from + 4 * i);
}
HWY_INLINE void join_pairs(const uint8_t* from, int64_t shift, uint32_t* rows) {
  for (int64_t i = 0; i < 4; ++i) {
    rows[i] = (word_at(from + 4 * i) >> shift & kFourBits) | (word_at(from + 16 + 4 * i) >> shift & kFourBits) << 4;
  }
}
// Packs two bits of each of 32 codes, at `shift` of a byte each.
HWY_INLINE void join_quarters(const uint8_t* from, int64_t shift, uint32_t* rows) {
  for (int64_t h = 0; h < 2; ++h) {
    rows[h] = 0;
    for (int64_t i = 0; i < 4; ++i) rows[h] |= (word_at(from + 16 * h + 4 * i) >> shift & kTwoBits) << 2 * i;
  }
}
// Packs one bit of each, at `shift` of a byte each; or bit i of a word for code i.
HWY_INLINE uint32_t join_bits(const uint8_t* from, int64_t shift) {
  uint32_t row = 0;
  for (int64_t i = 0; i < 8; ++i) row |= (word_at(from + 4 * i) >> shift & kBit) << i;
  return row;
}
HWY_INLINE uint32_t spread_bits(uint32_t bits) {
  uint32_t row = 0;
  for (int64_t i = 0; i < 8; ++i) row |= ((bits >> 4 * i & 15) * 0x00204081 & kBit) << i;  // one bit per byte
  return row;
}

// Defaults of most formats.
template <int32_t kDtype>
struct BlockDefaults {
  static constexpr BlockFormat kFormat = *block_format(kDtype);
  static constexpr int64_t kSteps = kFormat.elements / 32;  // groups of 32 k in a block
  static constexpr int64_t kRows = kFormat.bits;            // rows of codes per 32 k, four bytes a column
  static constexpr int64_t kParts = kFormat.elements / kFormat.elements_per_scale;
  // 16-bit numbers of a block: a scale, a scale and a minimum, or the halves of a scale.
  static constexpr int kKinds = kFormat.mins || kFormat.e4m3 ? 2 : 1;
  static constexpr int64_t kFactors = kFormat.factors;

  // packed_scale: the 16 bits that are packed as a block's scale (i = 0) or minimum (i = 1). scale: nr / 2 packed ones
  // as float32.
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int i) {
    uint16_t bits;
    std::memcpy(&bits, block + 2 * i, 2);
    return bits;
  }
  HWY_INLINE static FloatVector scale(const uint8_t* from) {
    const hn::Rebind<hwy::float16_t, FloatTag> half;
    return hn::PromoteTo(FloatTag(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
  }
  // Maps packed bits to codes.
  HWY_INLINE static CodeVector code(CodeVector bits) { return bits; }
  // The number of a code, less the offset, in the highest byte of each lane.
  HWY_INLINE static FloatVector number(hn::Vec<IntTag> code) {
    return hn::ConvertTo(FloatTag(), hn::ShiftRight<24>(code));
  }
};

// A block format. rows() reads the codes of 32 k of one column, from element k of the block; factors() reads the
// factors of scales and minima. The primary template is Q8, whose codes are int8.
template <int32_t kDtype>
struct BlockTraits : BlockDefaults<kDtype> {
  static_assert(block_format(kDtype)->bits == 8);
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    for (int64_t i = 0; i < 8; ++i) to[i] = word_at(block + 2 + k + 4 * i) ^ 0x80808080;
  }
};

template <>
struct BlockTraits<MOE_FP8_128> : BlockDefaults<MOE_FP8_128> {
  HWY_INLINE static FloatVector scale(const uint8_t* from) {
    const hn::Rebind<uint16_t, FloatTag> half;
    const hn::RebindToUnsigned<FloatTag> d;
    const auto load = [&](const uint8_t* at) {
      return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const uint16_t*>(at)));
    };
    return hn::BitCast(FloatTag(), hn::Or(load(from), hn::ShiftLeft<16>(load(from + 2 * kNr))));
  }
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    for (int64_t i = 0; i < 8; ++i) to[i] = word_at(block + 4 + k + 4 * i);
  }
  // A float32 with e4m3's sign, exponent and fraction bits is the number times 2^-120, also for subnormals.
  HWY_INLINE static FloatVector number(hn::Vec<IntTag> code) {
    const IntTag d;
    const auto nan = hn::Set(d, 0x07f00000);
    const auto bits = hn::And(hn::ShiftRight<4>(code), hn::Set(d, static_cast<int32_t>(0x87f00000)));
    const auto number = hn::Mul(hn::BitCast(FloatTag(), bits), hn::Set(FloatTag(), 0x1p120f));
    return hn::IfThenElse(hn::RebindMask(FloatTag(), hn::Eq(hn::And(bits, nan), nan)), hn::NaN(FloatTag()), number);
  }
};

template <>
struct BlockTraits<MOE_Q4_0> : BlockDefaults<MOE_Q4_0> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) { copy_pairs(block + 2, to); }
};

// Codes of MXFP4's nibbles: twice the E2M1 number, plus 12.
alignas(16) inline constexpr uint8_t kTableCodes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

template <>
struct BlockTraits<MOE_MXFP4> : BlockDefaults<MOE_MXFP4> {
  // 2^(e - 127) / 2, because codes are twice the numbers. The two smallest scales are subnormal.
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int) {
    return block[0] >= 2 ? static_cast<uint16_t>((block[0] - 1) << 7) : 0x40 >> (1 - block[0]);
  }
  HWY_INLINE static FloatVector scale(const uint8_t* from) {
    return load(FloatTag(), reinterpret_cast<const hwy::bfloat16_t*>(from), kLanes);
  }
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) { copy_pairs(block + 1, to); }
  HWY_INLINE static CodeVector code(CodeVector bits) {
    return hn::TableLookupBytes(hn::LoadDup128(CodeTag(), kTableCodes), bits);
  }
};

template <>
struct BlockTraits<MOE_Q5_0> : BlockDefaults<MOE_Q5_0> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) {
    copy_pairs(block + 6, to);
    to[4] = spread_bits(word_at(block + 2));
  }
};

// The minima of Q4_1 and Q5_1 are added; those of panels are subtracted, like those of K formats.
template <int32_t kDtype>
struct AddedMinimum : BlockDefaults<kDtype> {
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int i) {
    return static_cast<uint16_t>(BlockDefaults<kDtype>::packed_scale(block, i) ^ i << 15);
  }
};

template <>
struct BlockTraits<MOE_Q4_1> : AddedMinimum<MOE_Q4_1> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) { copy_pairs(block + 4, to); }
};

template <>
struct BlockTraits<MOE_Q5_1> : AddedMinimum<MOE_Q5_1> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) {
    copy_pairs(block + 8, to);
    to[4] = spread_bits(word_at(block + 4));
  }
};

template <>
struct BlockTraits<MOE_Q4_K> : BlockDefaults<MOE_Q4_K> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    join_pairs(block + 16 + k / 64 * 32, k / 32 % 2 * 4, to);
  }
  // Six bits each: four scales, four minima. The other four of each have their low nibbles in `rest` and their high
  // bits above the first four.
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) {
    const uint32_t scales = word_at(block + 4), mins = word_at(block + 8), rest = word_at(block + 12);
    const uint32_t words[4] = {scales & kSixBits, (rest & kFourBits) | (scales >> 6 & kTwoBits) << 4, mins & kSixBits,
                               (rest >> 4 & kFourBits) | (mins >> 6 & kTwoBits) << 4};
    std::memcpy(to, words, 16);
  }
};

template <>
struct BlockTraits<MOE_Q5_K> : BlockDefaults<MOE_Q5_K> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    BlockTraits<MOE_Q4_K>::rows(block + 32, k, to);
    to[4] = join_bits(block + 16, k / 32);
  }
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) { BlockTraits<MOE_Q4_K>::factors(block, to); }
};

template <>
struct BlockTraits<MOE_Q6_K> : BlockDefaults<MOE_Q6_K> {
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int) {
    return BlockDefaults<MOE_Q6_K>::packed_scale(block + 208, 0);
  }
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    const int64_t half = k / 128, p = k % 128 / 32;
    join_pairs(block + 64 * half + 32 * (p % 2), p / 2 * 4, to);
    join_quarters(block + 128 + 32 * half, 2 * p, to + 4);
  }
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) { std::memcpy(to, block + 192, 16); }
};

template <>
struct BlockTraits<MOE_Q2_K> : BlockDefaults<MOE_Q2_K> {
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int i) {
    return BlockDefaults<MOE_Q2_K>::packed_scale(block + 80, i);
  }
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    join_quarters(block + 16 + k / 128 * 32, k / 32 % 4 * 2, to);
  }
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) { std::memcpy(to, block, 16); }
};

template <>
struct BlockTraits<MOE_Q3_K> : BlockDefaults<MOE_Q3_K> {
  HWY_INLINE static uint16_t packed_scale(const uint8_t* block, int) {
    return BlockDefaults<MOE_Q3_K>::packed_scale(block + 108, 0);
  }
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) {
    join_quarters(block + 32 + k / 128 * 32, k / 32 % 4 * 2, to);
    to[2] = join_bits(block, k / 32);
  }
  // Six bits each, less 32: low nibbles of 16, then their two high bits.
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) {
    for (int64_t p = 0; p < 16; ++p) {
      const int low = block[96 + p % 8] >> p / 8 * 4 & 15, high = block[104 + p % 4] >> p / 4 * 2 & 3;
      to[p] = static_cast<uint8_t>((low | high << 4) - 32);
    }
  }
};

// Codes of IQ4_NL's and IQ4_XS's nibbles: the table's number, plus 128.
alignas(16) inline constexpr uint8_t kNonLinearCodes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                            129, 141, 153, 166, 181, 197, 217, 241};

template <>
struct BlockTraits<MOE_IQ4_NL> : BlockDefaults<MOE_IQ4_NL> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t, uint32_t* to) { copy_pairs(block + 2, to); }
  HWY_INLINE static CodeVector code(CodeVector bits) {
    return hn::TableLookupBytes(hn::LoadDup128(CodeTag(), kNonLinearCodes), bits);
  }
};

template <>
struct BlockTraits<MOE_IQ4_XS> : BlockDefaults<MOE_IQ4_XS> {
  HWY_INLINE static void rows(const uint8_t* block, int64_t k, uint32_t* to) { copy_pairs(block + 8 + k / 2, to); }
  // Six bits each, less 32: two high bits of 8, then their low nibbles.
  HWY_INLINE static void factors(const uint8_t* block, uint8_t* to) {
    for (int64_t p = 0; p < 8; ++p) {
      const int low = block[4 + p / 2] >> p % 2 * 4 & 15, high = block[2 + p / 4] >> p % 4 * 2 & 3;
      to[p] = static_cast<uint8_t>((low | high << 4) - 32);
    }
  }
  HWY_INLINE static CodeVector code(CodeVector bits) { return BlockTraits<MOE_IQ4_NL>::code(bits); }
};

// Packs `width` columns by up to kBlockSteps k of a panel, from rows that are row-major like in a GGUF file. A block of
// 32 k has its codes first; longer ones have their scales and factors first.
template <int32_t kDtype>
void pack_blocks(const uint8_t* rows, int64_t stride, int64_t width, int64_t inner, uint8_t* to) {
  using Traits = BlockTraits<kDtype>;
  constexpr BlockFormat kFormat = Traits::kFormat;
  constexpr int64_t kRowsBytes = Traits::kRows * kCodeBytes, kBytes = kNr * packed_block_bytes(kFormat);
  constexpr int64_t kCodes = Traits::kSteps == 1 ? 0 : kBytes - Traits::kSteps * kRowsBytes;
  constexpr int64_t kScales = Traits::kSteps == 1 ? kRowsBytes : 0;
  constexpr int64_t kQuads = Traits::kRows / 4, kBlocks = kLanes / 4;
  const hn::RebindToUnsigned<FloatTag> d;
  const auto codes_of = [&](int64_t k) {
    return reinterpret_cast<uint32_t*>(to + k / kFormat.elements * kBytes + kCodes +
                                       k % kFormat.elements / 32 * kRowsBytes);
  };
  // Four words of each column, in the order in which transposing blocks of 4 x 4 words transposes all. Formats of two
  // and three bits have no four.
  alignas(64) uint32_t words[kBlockSteps / 32][std::max<int64_t>(kQuads, 1)][kNr][4];
  if (width < kNr) {
    std::memset(words, 0, sizeof(words));
    std::fill_n(to, panel_size(kDtype, inner), uint8_t{0});
  }
  for (int64_t column = 0; column < width; ++column, rows += stride) {
    const int64_t lane = column % kLanes, place = column - lane + lane % 4 * kBlocks + lane / 4;
    for (int64_t k = 0; k < inner; k += 32) {
      const uint8_t* block = rows + k / kFormat.elements * kFormat.bytes;
      uint32_t codes[Traits::kRows];
      Traits::rows(block, k % kFormat.elements, codes);
      for (int64_t i = 0; i < 4 * kQuads; ++i) words[k / 32][i / 4][place][i % 4] = codes[i];
      for (int64_t i = 4 * kQuads; i < Traits::kRows; ++i) codes_of(k)[i * kNr + column] = codes[i];
      if (k % kFormat.elements != 0) continue;
      uint8_t* scales = to + k / kFormat.elements * kBytes + kScales;
      for (int i = 0; i < Traits::kKinds; ++i, scales += 2 * kNr) {
        const uint16_t bits = Traits::packed_scale(block, i);
        std::memcpy(scales + 2 * column, &bits, 2);
      }
      if constexpr (Traits::kFactors > 0) {
        uint8_t factors[Traits::kFactors];
        Traits::factors(block, factors);
        for (int64_t j = 0; j < Traits::kFactors; ++j) scales[j * kNr + column] = factors[j];
      }
    }
  }
  for (int64_t k = 0; k < inner; k += 32) {
    for (int64_t quad = 0; quad < kQuads; ++quad) {
      for (int64_t column = 0; column < kNr; column += kLanes) {
        const uint32_t* from = words[k / 32][quad][column];
        auto v0 = hn::Load(d, from), v1 = hn::Load(d, from + kLanes);
        auto v2 = hn::Load(d, from + 2 * kLanes), v3 = hn::Load(d, from + 3 * kLanes);
        transpose_4x4(d, v0, v1, v2, v3);
        uint32_t* row = codes_of(k) + 4 * quad * kNr + column;
        hn::StoreU(v0, d, row);
        hn::StoreU(v1, d, row + kNr);
        hn::StoreU(v2, d, row + 2 * kNr);
        hn::StoreU(v3, d, row + 3 * kNr);
      }
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
