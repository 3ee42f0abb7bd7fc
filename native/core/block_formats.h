// Block formats of weights (docs/quantization.md): what the ABI and both backends need. Decoding is in BlockTraits of
// cpu/gemm/block_traits-inl.h and cuda/gemm/block_formats.h.
#pragma once

#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "moe/tensor.h"

namespace moe {

struct BlockFormat {
  int32_t dtype;
  const char* name;
  int64_t elements, bytes;     // of a block
  int64_t elements_per_scale;  // elements per scale
  int bits;                    // bits of a packed code
  int32_t offset;              // z: value = scale * (code - z)
  bool mins = false;           // value = scale * code - minimum, one minimum per scale
  int64_t factors = 0;         // bytes of a packed block's factors, if parts of it have factors of its scales
  bool e4m3 = false;           // codes are floats of eight bits, scales float32; rows are not rounded
};

// In the order of moe_dtype.
inline constexpr BlockFormat kBlockFormats[] = {
    {MOE_Q8_0, "Q8_0", 32, 34, 32, 8, 128},
    {MOE_Q4_0, "Q4_0", 32, 18, 32, 4, 8},
    {MOE_Q5_0, "Q5_0", 32, 22, 32, 5, 16},
    {MOE_Q4_K, "Q4_K", 256, 144, 32, 4, 0, true, 16},
    {MOE_Q5_K, "Q5_K", 256, 176, 32, 5, 0, true, 16},
    {MOE_Q6_K, "Q6_K", 256, 210, 16, 6, 32, false, 16},
    {MOE_MXFP4, "MXFP4", 32, 17, 32, 4, 12},  // code = 2 * value + 12
    {MOE_Q8_64, "Q8_64", 64, 66, 64, 8, 128},
    {MOE_Q8_128, "Q8_128", 128, 130, 128, 8, 128},
    {MOE_Q4_1, "Q4_1", 32, 20, 32, 4, 0, true},
    {MOE_Q5_1, "Q5_1", 32, 24, 32, 5, 0, true},
    {MOE_Q2_K, "Q2_K", 256, 84, 16, 2, 0, true, 16},  // two factors a byte
    {MOE_Q3_K, "Q3_K", 256, 110, 16, 3, 4, false, 16},
    {MOE_IQ4_NL, "IQ4_NL", 32, 18, 32, 4, 128},  // code = table + 128
    {MOE_IQ4_XS, "IQ4_XS", 256, 136, 32, 4, 128, false, 8},
    {MOE_FP8_128, "FP8_128", 128, 132, 128, 8, 0, false, 0, true},
};

constexpr bool in_blocks(int32_t dtype) {
  const int64_t index = int64_t{dtype} - kBlockFormats[0].dtype;
  return index >= 0 && index < std::ssize(kBlockFormats);
}
// Only for dtypes in blocks. It returns no null pointer for others, because GCC under sanitizers cannot compare with
// one at compile time.
constexpr const BlockFormat* block_format(int32_t dtype) { return &kBlockFormats[dtype - kBlockFormats[0].dtype]; }
static_assert([] {
  for (const BlockFormat& format : kBlockFormats) {
    if (block_format(format.dtype) != &format) return false;
  }
  return true;
}());

// Calls body(std::integral_constant<int32_t, dtype>) for a dtype in blocks.
template <class Body>
void with_block_dtype(int32_t dtype, Body&& body) {
  [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    ((dtype == kBlockFormats[kIndex].dtype ? body(std::integral_constant<int32_t, kBlockFormats[kIndex].dtype>())
                                           : void()),
     ...);
  }(std::make_index_sequence<std::size(kBlockFormats)>());
}

}  // namespace moe
