// Decoding packed B in blocks to float32, a panel of kc at a time into L1: the numbers that decoding a file gives, bit
// for bit. So products with rows that are not rounded (MOE_PACKED_EXACT) have the bits of those with decoded weights.
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_DECODE_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_DECODE_BLOCKS_INL_H
#undef MOE_CPU_GEMM_DECODE_BLOCKS_INL_H
#else
#define MOE_CPU_GEMM_DECODE_BLOCKS_INL_H
#endif

#include "cpu/gemm/expand_blocks-inl.h"
#include "cpu/gemm/pack_blocks-inl.h"
#include "cpu/gemm/round_rows-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Decodes `inner` k of a panel to float32 [inner][nr]. Only the last operation rounds: a scale has at most 19 bits, and
// in Q4_K and Q5_K, where it is multiplied by a code of 5 bits before a minimum is taken off, 17.
template <int32_t kDtype>
void decode_panel(const uint8_t* from, int64_t inner, float* to) {
  constexpr bool kMins = kDtype == MOE_Q4_K || kDtype == MOE_Q5_K, kHalves = kDtype == MOE_Q6_K;
  const FloatTag d;
  const CodeTag bytes;
  const auto offset = hn::Set(bytes, static_cast<uint8_t>(code_offset(kDtype)));
  PackedBlocks<kDtype> blocks(from);
#pragma GCC unroll 1
  for (int64_t k = 0; k < inner; k += 32, to += 32 * kNr) {
    blocks.advance();
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      FloatVector scale = blocks.scale(0, half);
      const FloatVector min = kMins ? blocks.scale(1, half) : hn::Zero(d);
      float* column = to + half * kNr / 2;
#pragma GCC unroll 8
      for (int step = 0; step < 8; ++step) {
        if (kHalves && step == 4) scale = blocks.scale(1, half);
        const auto codes = hn::BitCast(IntTag(), hn::Sub(blocks.codes(step, half), offset));  // four k, signed bytes
        const auto put = [&](int i, hn::Vec<IntTag> code) {
          const FloatVector number = hn::ConvertTo(d, code);
          hn::StoreU(kMins ? hn::MulSub(number, scale, min) : hn::Mul(number, scale), d, column + (4 * step + i) * kNr);
        };
        put(0, hn::ShiftRight<24>(hn::ShiftLeft<24>(codes)));
        put(1, hn::ShiftRight<24>(hn::ShiftLeft<16>(codes)));
        put(2, hn::ShiftRight<24>(hn::ShiftLeft<8>(codes)));
        put(3, hn::ShiftRight<24>(codes));
      }
    }
  }
}

// The same of a format known at run time.
inline void decode_panel(int32_t dtype, const uint8_t* from, int64_t inner, float* to) {
  with_block_dtype(dtype, [&](auto format) { decode_panel<format.value>(from, inner, to); });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
