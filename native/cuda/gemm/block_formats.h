// Weights in blocks, in GGUF's layout (docs/quantization.md): value = scale * code, minus a minimum in some formats.
// Codes are integers of at most eight bits, or floats of eight bits, which bfloat16 holds exactly.
#pragma once

#include <cstdint>

#include "core/block_formats.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {

// Four bytes from any address, assembled from two aligned words; the second one is always read.
__device__ __forceinline__ uint32_t word_at(const unsigned char* at) {
  const auto skipped = static_cast<unsigned>(reinterpret_cast<uintptr_t>(at) % 4);
  const auto* words = reinterpret_cast<const uint32_t*>(at - skipped);
  return static_cast<uint32_t>((uint64_t{words[1]} << 32 | words[0]) >> (8 * skipped));
}

// Decodes binary16: 1 sign bit, 5 exponent bits.
__device__ __forceinline__ float from_binary16(const unsigned char* at) {
  const uint32_t bits = *reinterpret_cast<const uint16_t*>(at), magnitude = bits & 0x7fff, sign = (bits & 0x8000) << 16;
  if (magnitude >= 0x7c00) return __uint_as_float(sign | 0x7f800000 | magnitude << 13);  // infinite or NaN
  return __uint_as_float(sign | magnitude << 13) * 0x1p112f;
}

// Two adjacent bfloat16, and their bits.
__device__ __forceinline__ __nv_bfloat162 pair_of(uint32_t bits) {
  __nv_bfloat162 pair;
  memcpy(&pair, &bits, sizeof(bits));
  return pair;
}
__device__ __forceinline__ uint32_t bits_of(__nv_bfloat162 pair) {
  uint32_t bits;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

// bfloat16 128 + x for the bytes x = `first`, first + 1 of four, each below 128: 0x43 in the high byte.
__device__ __forceinline__ uint32_t widened(uint32_t bytes, int first) {
  return __byte_perm(bytes, 0x43434343, first == 0 ? 0x4140 : 0x4342);
}
// Subtracts `offset` from both, in bfloat16.
template <uint32_t offset>
__device__ __forceinline__ uint32_t offset_pair(uint32_t bytes, int first) {
  return bits_of(__hsub2(pair_of(widened(bytes, first)), pair_of((0x4300 + offset) * 0x00010001)));
}

// Codes k .. k + 3 of 32: low nibbles hold the first 16 codes, high nibbles the others.
__device__ __forceinline__ uint32_t four_nibbles(const unsigned char* bytes, int k) {
  return word_at(bytes + k % 16) >> k / 16 * 4 & 0x0f0f0f0f;
}

// Defaults of most formats: kElements per block of kBytes; kElementsPerScale of them, or more, share a scale, and with
// kMins a minimum. BlockTraits adds codes(): codes k .. k + 3, one byte each, k a multiple of 4; and pair(): two of
// them in bfloat16. Blocks of even size start at even addresses.
template <int32_t dtype>
struct BlockDefaults {
  static constexpr BlockFormat kFormat = *block_format(dtype);
  static constexpr int kElements = kFormat.elements, kBytes = kFormat.bytes,
                       kElementsPerScale = kFormat.elements_per_scale < 32 ? 16 : 32;
  static constexpr bool kMins = kFormat.mins;
  __device__ __forceinline__ static float scale(const unsigned char* block, int) { return from_binary16(block); }
  __device__ __forceinline__ static uint32_t pair(uint32_t codes, int first) {
    return offset_pair<kFormat.offset>(codes, first);
  }
};

// A block format; the primary template's codes are int8.
template <int32_t dtype>
struct BlockTraits : BlockDefaults<dtype> {
  static_assert(block_format(dtype)->bits == 8);
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) { return word_at(block + 2 + k); }
  // The sign bit turns 128 into 256: 128 + the other seven bits, minus that.
  __device__ __forceinline__ static uint32_t pair(uint32_t codes, int first) {
    const uint32_t bits = widened(codes, first);
    return bits_of(__hsub2(pair_of(bits & 0xff7fff7f), pair_of(bits & 0xff80ff80)));
  }
};

template <>
struct BlockTraits<MOE_FP8_128> : BlockDefaults<MOE_FP8_128> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int) {
    return __uint_as_float(word_at(block));
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) { return word_at(block + 4 + k); }
  // A bfloat16 with e4m3's sign, exponent and fraction bits is the number times 2^-120, also for subnormals. NaN
  // becomes 480.
  __device__ __forceinline__ static uint32_t pair(uint32_t codes, int first) {
    const uint32_t bits = widened(codes, first);
    return bits_of(__hmul2(pair_of((bits & 0x00800080) << 8 | (bits & 0x007f007f) << 4), pair_of(0x7b807b80)));
  }
};

template <>
struct BlockTraits<MOE_Q4_0> : BlockDefaults<MOE_Q4_0> {
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_nibbles(block + 2, k);
  }
};

// Fifth bits of codes k .. k + 3: bit k of a word, and the next ones.
__device__ __forceinline__ uint32_t four_fifth_bits(const unsigned char* word, int k) {
  return ((word_at(word) >> k & 15) * 0x00204081 & 0x01010101) << 4;  // the product moves bits a byte apart
}

template <>
struct BlockTraits<MOE_Q5_0> : BlockDefaults<MOE_Q5_0> {
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_nibbles(block + 6, k) | four_fifth_bits(block + 2, k);
  }
};

// The minima of Q4_1 and Q5_1 are added.
template <>
struct BlockTraits<MOE_Q4_1> : BlockDefaults<MOE_Q4_1> {
  __device__ __forceinline__ static float min(const unsigned char* block, int) { return -from_binary16(block + 2); }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_nibbles(block + 4, k);
  }
};

template <>
struct BlockTraits<MOE_Q5_1> : BlockDefaults<MOE_Q5_1> {
  __device__ __forceinline__ static float min(const unsigned char* block, int) { return -from_binary16(block + 2); }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_nibbles(block + 8, k) | four_fifth_bits(block + 4, k);
  }
};

// Codes are twice the E2M1 numbers, and scales half, so that the largest scale is finite.
template <>
struct BlockTraits<MOE_MXFP4> : BlockDefaults<MOE_MXFP4> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int) {
    const uint32_t exponent = block[0];
    return __uint_as_float(exponent >= 2 ? (exponent - 1) << 23 : 0x00200000u << exponent);
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_nibbles(block + 1, k);
  }
  // A bfloat16 with E2M1's sign, exponent and fraction bits is the number times 2^-127, also for subnormals.
  __device__ __forceinline__ static uint32_t pair(uint32_t codes, int first) {
    const uint32_t bits = widened(codes, first);
    return bits_of(__hmul2(pair_of((bits & 0x00080008) << 12 | (bits & 0x00070007) << 6), pair_of(0x7f007f00)));
  }
};

// Factor j of eight scales, or of eight minima: six bits each in 12 bytes.
__device__ __forceinline__ float six_bits(const unsigned char* factors, int j, bool of_min) {
  if (j < 4) return static_cast<float>(factors[of_min ? j + 4 : j] & 63);
  const int low = of_min ? factors[j + 4] >> 4 : factors[j + 4] & 15;
  return static_cast<float>(low | factors[of_min ? j : j - 4] >> 6 << 4);
}

// The two formats of 256 elements with one scale and one minimum per 32.
template <int32_t dtype>
struct SixBitFactors : BlockDefaults<dtype> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int k) {
    return from_binary16(block) * six_bits(block + 4, k / 32, false);
  }
  __device__ __forceinline__ static float min(const unsigned char* block, int k) {
    return from_binary16(block + 2) * six_bits(block + 4, k / 32, true);
  }
};

template <>
struct BlockTraits<MOE_Q4_K> : SixBitFactors<MOE_Q4_K> {
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return word_at(block + 16 + k / 64 * 32 + k % 32) >> k / 32 % 2 * 4 & 0x0f0f0f0f;
  }
};

template <>
struct BlockTraits<MOE_Q5_K> : SixBitFactors<MOE_Q5_K> {
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return BlockTraits<MOE_Q4_K>::codes(block + 32, k) | (word_at(block + 16 + k % 32) >> k / 32 & 0x01010101) << 4;
  }
};

// Two bits of each of four codes of 256: part k / 32 % 4 of the bytes of 128.
__device__ __forceinline__ uint32_t four_quarters(const unsigned char* bytes, int k) {
  return word_at(bytes + k / 128 * 32 + k % 32) >> k / 32 % 4 * 2 & 0x03030303;
}

template <>
struct BlockTraits<MOE_Q6_K> : BlockDefaults<MOE_Q6_K> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int k) {
    return from_binary16(block + 208) * static_cast<float>(static_cast<int8_t>(block[192 + k / 16]));
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    const int half = k / 128, part = k / 32 % 4;
    const uint32_t low = word_at(block + 64 * half + 32 * (part % 2) + k % 32) >> part / 2 * 4 & 0x0f0f0f0f;
    return low | four_quarters(block + 128, k) << 4;
  }
};

template <>
struct BlockTraits<MOE_Q2_K> : BlockDefaults<MOE_Q2_K> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int k) {
    return from_binary16(block + 80) * static_cast<float>(block[k / 16] & 15);
  }
  __device__ __forceinline__ static float min(const unsigned char* block, int k) {
    return from_binary16(block + 82) * static_cast<float>(block[k / 16] >> 4);
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_quarters(block + 16, k);
  }
};

template <>
struct BlockTraits<MOE_Q3_K> : BlockDefaults<MOE_Q3_K> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int k) {
    const int part = k / 16, low = block[96 + part % 8] >> part / 8 * 4 & 15;
    const int high = block[104 + part % 4] >> part / 4 * 2 & 3;
    return from_binary16(block + 108) * static_cast<float>((low | high << 4) - 32);
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return four_quarters(block + 32, k) | (word_at(block + k % 32) >> k / 32 & 0x01010101) << 2;
  }
};

// Codes of IQ4_NL and IQ4_XS are int8 numbers, which four bits of 16 look up.
template <int32_t dtype>
struct NonLinear : BlockDefaults<dtype> {
  __device__ __forceinline__ static uint32_t look_up(uint32_t nibbles) {
    // A byte permutation looks up three bits in eight bytes; the fourth bit chooses one of two.
    const uint32_t pairs = nibbles | nibbles >> 4, chosen = __byte_perm(pairs, 0, 0x4420) & 0x7777;
    const uint32_t low = __byte_perm(0xbfad9881, 0xf6eaddcf, chosen),
                   high = __byte_perm(0x26190d01, 0x71594535, chosen);
    const uint32_t of_high = (nibbles >> 3 & 0x01010101) * 0xff;
    return (low & ~of_high) | (high & of_high);
  }
  __device__ __forceinline__ static uint32_t pair(uint32_t codes, int first) {
    return BlockTraits<MOE_Q8_0>::pair(codes, first);
  }
};

template <>
struct BlockTraits<MOE_IQ4_NL> : NonLinear<MOE_IQ4_NL> {
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return look_up(four_nibbles(block + 2, k));
  }
};

template <>
struct BlockTraits<MOE_IQ4_XS> : NonLinear<MOE_IQ4_XS> {
  __device__ __forceinline__ static float scale(const unsigned char* block, int k) {
    const int part = k / 32, low = block[4 + part / 2] >> part % 2 * 4 & 15;
    const int high = block[2 + part / 4] >> part % 4 * 2 & 3;
    return from_binary16(block) * static_cast<float>((low | high << 4) - 32);
  }
  __device__ __forceinline__ static uint32_t codes(const unsigned char* block, int k) {
    return look_up(four_nibbles(block + 8 + k / 32 * 16, k % 32));
  }
};

// The numbers i .. i + 3 of a row of blocks, i a multiple of 4: those of decoding the file, bit for bit.
template <class Format>
__device__ __forceinline__ void decode_four(const unsigned char* row, int64_t i, float (&to)[4]) {
  const unsigned char* block = row + i / Format::kElements * Format::kBytes;
  const int k = static_cast<int>(i % Format::kElements);
  const uint32_t codes = Format::codes(block, k);
  const float scale = Format::scale(block, k);
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const uint32_t pair = Format::pair(codes, j / 2 * 2);
    const float code = __uint_as_float(j % 2 == 0 ? pair << 16 : pair & 0xffff0000);
    to[j] = scale * code;
    if constexpr (Format::kMins) to[j] = fmaf(scale, code, -Format::min(block, k));
  }
}

}  // namespace moe::cuda
