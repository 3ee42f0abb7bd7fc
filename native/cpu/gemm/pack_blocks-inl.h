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

#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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
