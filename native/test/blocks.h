// Weights in blocks for tests: the values of each format, as ggml defines them, in float64.
#pragma once

#include "test/gemm_reference.h"

namespace moe::testing {

struct Format {
  moe_dtype dtype;
  const char* name;
  int64_t elements, bytes;
};
inline constexpr Format kFormats[] = {
    {MOE_Q8_0, "Q8_0", 32, 34},        {MOE_Q4_0, "Q4_0", 32, 18},     {MOE_Q5_0, "Q5_0", 32, 22},
    {MOE_MXFP4, "MXFP4", 32, 17},      {MOE_Q4_K, "Q4_K", 256, 144},   {MOE_Q5_K, "Q5_K", 256, 176},
    {MOE_Q6_K, "Q6_K", 256, 210},      {MOE_Q8_64, "Q8_64", 64, 66},   {MOE_Q8_128, "Q8_128", 128, 130},
    {MOE_Q4_1, "Q4_1", 32, 20},        {MOE_Q5_1, "Q5_1", 32, 24},     {MOE_Q2_K, "Q2_K", 256, 84},
    {MOE_Q3_K, "Q3_K", 256, 110},      {MOE_IQ4_NL, "IQ4_NL", 32, 18}, {MOE_IQ4_XS, "IQ4_XS", 256, 136},
    {MOE_FP8_128, "FP8_128", 128, 132}};

// Whether a CPU rounds rows that are multiplied by these weights.
inline bool rounds_rows(const Format& format) { return format.dtype != MOE_FP8_128; }

// Decodes binary16: 1 sign bit, 5 exponent bits.
inline double from_binary16(const uint8_t* at) {
  const int bits = at[0] | at[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}
inline void put_binary16(uint8_t* at, uint64_t random) {  // 2^-9 to 2^-6, of either sign
  const auto bits = static_cast<uint16_t>((random & 0x83ff) | (6 + random % 3) << 10);
  std::memcpy(at, &bits, 2);
}

// The values of a block, as in ggml-quants.c.
inline void numbers_of(const Format& format, const uint8_t* b, double* y) {
  const auto scales = [&](const uint8_t* s, int j, int& scale, int& min) {
    scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) + (s[j - 4] / 64 << 4);
    min = j < 4 ? s[j + 4] & 63 : s[j + 4] / 16 + (s[j] / 64 << 4);
  };
  const double d = from_binary16(b);
  switch (format.dtype) {
    case MOE_Q8_0:
    case MOE_Q8_64:
    case MOE_Q8_128:
      for (int64_t i = 0; i < format.elements; ++i) y[i] = d * static_cast<int8_t>(b[2 + i]);
      break;
    case MOE_Q4_0:
      for (int i = 0; i < 16; ++i) y[i] = d * (b[2 + i] % 16 - 8), y[i + 16] = d * (b[2 + i] / 16 - 8);
      break;
    case MOE_Q5_0:
      for (int i = 0; i < 32; ++i) {
        const int low = i < 16 ? b[6 + i] % 16 : b[6 + i - 16] / 16;
        y[i] = d * (low + 16 * (b[2 + i / 8] >> i % 8 & 1) - 16);
      }
      break;
    case MOE_FP8_128: {
      float scale = 0;
      std::memcpy(&scale, b, 4);
      for (int i = 0; i < 128; ++i) {
        const int bits = b[4 + i], exponent = bits >> 3 & 15, fraction = bits & 7;
        const double magnitude = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
        y[i] = scale * (bits >> 7 ? -magnitude : magnitude);
      }
      break;
    }
    case MOE_Q4_1:
    case MOE_Q5_1:
      for (int i = 0; i < 32; ++i) {
        const bool five = format.dtype == MOE_Q5_1;
        const int pair = b[(five ? 8 : 4) + i % 16], fifth = five ? b[4 + i / 8] >> i % 8 & 1 : 0;
        y[i] = d * ((i < 16 ? pair % 16 : pair / 16) + 16 * fifth) + from_binary16(b + 2);
      }
      break;
    case MOE_MXFP4: {
      const double table[] = {0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6};
      const double scale = std::ldexp(1, b[0] - 127);
      for (int i = 0; i < 16; ++i) y[i] = scale * table[b[1 + i] % 16], y[i + 16] = scale * table[b[1 + i] / 16];
      break;
    }
    case MOE_Q4_K:
    case MOE_Q5_K: {
      const bool five = format.dtype == MOE_Q5_K;
      for (int i = 0; i < 256; ++i) {
        const int j = i / 32, byte = b[(five ? 48 : 16) + j / 2 * 32 + i % 32];
        int scale, min, code = j % 2 == 0 ? byte % 16 : byte / 16;
        if (five) code += 16 * (b[16 + i % 32] >> j & 1);
        scales(b + 4, j, scale, min);
        y[i] = d * scale * code - from_binary16(b + 2) * min;
      }
      break;
    }
    case MOE_Q2_K:
      for (int i = 0; i < 256; ++i) {
        const int code = b[16 + i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
        y[i] = from_binary16(b + 80) * (b[i / 16] % 16) * code - from_binary16(b + 82) * (b[i / 16] / 16);
      }
      break;
    case MOE_Q3_K:
      for (int i = 0; i < 256; ++i) {
        const int s = i / 16, low = s < 8 ? b[96 + s] % 16 : b[88 + s] / 16, high = b[104 + s % 4] >> s / 4 * 2 & 3;
        const int code = (b[32 + i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3) - (b[i % 32] >> i / 32 & 1 ? 0 : 4);
        y[i] = from_binary16(b + 108) * (low + 16 * high - 32) * code;
      }
      break;
    case MOE_IQ4_NL:
    case MOE_IQ4_XS: {
      const int table[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
      const bool super = format.dtype == MOE_IQ4_XS;
      for (int i = 0; i < format.elements; ++i) {
        const int part = i / 32, byte = b[(super ? 8 : 2) + part * 16 + i % 16];
        const int low = part % 2 == 0 ? b[4 + part / 2] % 16 : b[4 + part / 2] / 16;
        const int scale = super ? low + 16 * (b[2 + part / 4] >> part % 4 * 2 & 3) - 32 : 1;
        y[i] = d * scale * table[i % 32 < 16 ? byte % 16 : byte / 16];
      }
      break;
    }
    default:
      for (int i = 0; i < 256; ++i) {
        const int half = i / 128, p = i % 128 / 32, l = i % 32;
        const int low = b[64 * half + 32 * (p % 2) + l], high = b[128 + 32 * half + l];
        const int code = (p < 2 ? low % 16 : low / 16) + 16 * (high >> 2 * p & 3);
        y[i] = from_binary16(b + 208) * static_cast<int8_t>(b[192 + i / 16]) * (code - 32);
      }
  }
}

// Weights of random bytes with small scales.
inline Tensor random_blocks(const Format& format, const std::vector<int64_t>& shape, uint64_t seed) {
  int64_t bytes = format.bytes;
  for (size_t i = 0; i < shape.size(); ++i) bytes *= i + 1 < shape.size() ? shape[i] : shape[i] / format.elements;
  Tensor blocks(MOE_UINT8, {bytes});
  std::mt19937_64 random(seed);
  auto* at = blocks.data<uint8_t>();
  for (int64_t i = 0; i < bytes; ++i) at[i] = static_cast<uint8_t>(random());
  for (; at < blocks.data<uint8_t>() + bytes; at += format.bytes) {
    switch (format.dtype) {
      case MOE_MXFP4: *at = static_cast<uint8_t>(120 + random() % 5); break;
      case MOE_Q6_K: put_binary16(at + 208, random()); break;
      case MOE_FP8_128: {  // no NaN
        const float scale = std::ldexp(1.0f + static_cast<float>(random() % 1000) / 1000, -12);
        std::memcpy(at, &scale, 4);
        for (int i = 4; i < 132; ++i) at[i] ^= (at[i] & 127) == 127 ? 1 : 0;
        break;
      }
      case MOE_Q3_K: put_binary16(at + 108, random()); break;
      case MOE_Q2_K: put_binary16(at + 80, random()), put_binary16(at + 82, random()); break;
      case MOE_Q4_1:
      case MOE_Q5_1:
      case MOE_Q4_K:
      case MOE_Q5_K: put_binary16(at + 2, random()); [[fallthrough]];
      default: put_binary16(at, random());
    }
  }
  moe_tensor& view = blocks.view();
  view.dtype = format.dtype;
  view.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), view.shape);
  return blocks;
}

// The values of the weights in float64.
inline Tensor numbers_of(const Format& format, const Tensor& blocks) {
  const moe_tensor& view = blocks.view();
  Tensor numbers(MOE_FLOAT64, std::vector<int64_t>(view.shape, view.shape + view.rank));
  for (int64_t i = 0; i < view.bytes / format.bytes; ++i) {
    numbers_of(format, blocks.data<uint8_t>() + i * format.bytes, numbers.data<double>() + i * format.elements);
  }
  return numbers;
}

// Magnitudes of the terms of a b^T, which errors of summation are relative to.
inline std::vector<double> magnitudes(const Tensor& a, const Tensor& b, double of) {
  const auto positive = [](const Tensor& x) {
    Tensor y(MOE_FLOAT64, {x.view().shape[0], x.view().shape[1]});
    for (int64_t i = 0; i < x.count(); ++i) y.set(i, std::abs(x[i]));
    return y;
  };
  std::vector<double> sums = product(positive(a), false, positive(b), true);
  for (double& sum : sums) sum = of * sum + 1e-12;
  return sums;
}

}  // namespace moe::testing
