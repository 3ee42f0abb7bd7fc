// Uniform, normal and Gumbel numbers and the router's jitter, from the counter-based generator Philox 4x32-10 (Salmon
// et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). y has any shape, float32 or bfloat16.
//
// Element i depends only on the seed and on n = offset + i (mod 2^64):
//   key     = (low word of seed, high word of seed)
//   counter = (low word of n / 4, high word of n / 4, 0, 0), word = lane n % 4 of its block.
//   uniform = (word >> 8) * 2^-24; truncated, not rounded, to bfloat16, so that it stays below 1
//   normal  = mean + deviation * z, computed in float64 and rounded once. Lanes (0, 1) and (2, 3) of a block pair up
//             as (a, b): r = sqrt(-2 ln((a + 1) * 2^-32)), angle = 2 pi * b * 2^-32,
//             z = r cos(angle) in the even lane, r sin(angle) in the odd one (Box and Muller 1958).
//   Gumbel  = -ln(-ln u) in float64, rounded once; u the uniform number, or the least normal float32 if it is 0
//   jitter  = x (1 - epsilon + 2 epsilon u), each operation rounded to float32
// Test: panamoe_test --gtest_filter='Random*'. Time: ./panamoe bench train-step.
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace moe::cpu {
namespace {

constexpr int64_t kGrain = 4096;  // elements that are worth waking a thread for

std::array<uint32_t, 4> philox(uint64_t seed, uint64_t block) {
  std::array<uint32_t, 4> c{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0};
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(p0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

float uniform_of(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

uint16_t round_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// y[i] = lanes(words of block n / 4, i - n % 4)[n % 4].
template <typename Lanes>
void generate(Stream& stream, uint64_t seed, uint64_t offset, Tensor y, Lanes&& lanes) {
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const uint64_t n = offset + static_cast<uint64_t>(i);
      const std::array<float, 4> values = lanes(philox(seed, n / 4), i - static_cast<int64_t>(n % 4));
      for (uint64_t lane = n % 4; lane < 4 && i < end; ++lane, ++i) {
        if (y.dtype == MOE_BFLOAT16) {
          static_cast<uint16_t*>(y.data)[i] = round_to_bfloat16(values[lane]);
        } else {
          static_cast<float*>(y.data)[i] = values[lane];
        }
      }
    }
  });
}

}  // namespace

void random_uniform(Stream& stream, uint64_t seed, uint64_t offset, Tensor y) {
  const uint32_t mask = y.dtype == MOE_BFLOAT16 ? 0xffff0000u : 0xffffffffu;
  generate(stream, seed, offset, y, [mask](const std::array<uint32_t, 4>& words, int64_t) {
    std::array<float, 4> values;
    for (int lane = 0; lane < 4; ++lane) {
      values[lane] = std::bit_cast<float>(std::bit_cast<uint32_t>(uniform_of(words[lane])) & mask);
    }
    return values;
  });
}

void random_normal(Stream& stream, uint64_t seed, uint64_t offset, float mean, float deviation, Tensor y) {
  generate(stream, seed, offset, y, [&](const std::array<uint32_t, 4>& words, int64_t) {
    std::array<float, 4> values;
    for (int lane = 0; lane < 4; lane += 2) {
      const double radius = std::sqrt(-2.0 * std::log((words[lane] + 1.0) * 0x1p-32));
      const double angle = 2.0 * std::numbers::pi * (words[lane + 1] * 0x1p-32);
      values[lane] = static_cast<float>(mean + deviation * (radius * std::cos(angle)));
      values[lane + 1] = static_cast<float>(mean + deviation * (radius * std::sin(angle)));
    }
    return values;
  });
}

void random_gumbel(Stream& stream, uint64_t seed, uint64_t offset, Tensor y) {
  generate(stream, seed, offset, y, [](const std::array<uint32_t, 4>& words, int64_t) {
    std::array<float, 4> values;
    for (int lane = 0; lane < 4; ++lane) {
      const double u = std::max(uniform_of(words[lane]), FLT_MIN);
      values[lane] = static_cast<float>(-std::log(-std::log(u)));
    }
    return values;
  });
}

void jitter(Stream& stream, uint64_t seed, uint64_t offset, float epsilon, Tensor x, Tensor y) {
  const float low = 1 - epsilon, width = 2 * epsilon;
  const int64_t count = element_count(x);
  const auto* narrow = x.dtype == MOE_BFLOAT16 ? static_cast<const uint16_t*>(x.data) : nullptr;
  const auto* wide = static_cast<const float*>(x.data);
  generate(stream, seed, offset, y, [=](const std::array<uint32_t, 4>& words, int64_t first) {
    std::array<float, 4> values{};
    for (int64_t i = std::max<int64_t>(first, 0); i < std::min(first + 4, count); ++i) {
      const float value = narrow == nullptr ? wide[i] : std::bit_cast<float>(uint32_t{narrow[i]} << 16);
      const auto lane = static_cast<size_t>(i - first);
      values[lane] = value * (low + width * uniform_of(words[lane]));
    }
    return values;
  });
}

}  // namespace moe::cpu
