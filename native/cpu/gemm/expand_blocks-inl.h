// Reading packed B in blocks: 32 k after 32 k as pack_blocks-inl.h left them, or expanded before, a panel of kc at a
// time, to a byte a code and float32 scales in L1. Then the micro-kernel has nothing to unpack, and panels of A share
// what it takes.
//
// Expanded B: for each 32 k, codes [8][nr][4]; scales float32 [nr]; for kByteMins as many minima, for kByteHalves the
// scales of the second 16 k.
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#undef MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#else
#define MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#endif

#include <type_traits>

#include "cpu/gemm/blocking-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using IntTag = hn::RebindToSigned<FloatTag>;
using CodeTag = hn::Repartition<uint8_t, FloatTag>;
using CodeVector = hn::Vec<CodeTag>;

// Codes of nr columns for four k: two vectors.
inline constexpr int64_t kCodeBytes = 4 * kNr;

// A vector of binary16, bfloat16, or bytes, as float32.
HWY_INLINE FloatVector halves(const uint8_t* from) {
  const FloatTag d;
  const hn::Rebind<hwy::float16_t, FloatTag> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}
HWY_INLINE FloatVector bfloats(const uint8_t* from) {
  return load(FloatTag(), reinterpret_cast<const hwy::bfloat16_t*>(from), kLanes);
}
template <class Byte>
HWY_INLINE FloatVector bytes(const uint8_t* from) {
  const IntTag d;
  const hn::Rebind<Byte, FloatTag> narrow;
  return hn::ConvertTo(FloatTag(), hn::PromoteTo(d, hn::LoadU(narrow, reinterpret_cast<const Byte*>(from))));
}

// Twice the numbers of MXFP4's four bits, plus 12.
alignas(16) inline constexpr uint8_t kTableCodes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Bits of byte lanes moved to the left, or to the right; those that come from a neighbour have to be masked off.
HWY_INLINE CodeVector moved(CodeVector bits, int left) {
  const hn::Repartition<uint16_t, FloatTag> d;
  const auto pairs = hn::BitCast(d, bits);
  return hn::BitCast(CodeTag(), left >= 0 ? hn::ShiftLeftSame(pairs, left) : hn::ShiftRightSame(pairs, -left));
}

// Reads a panel of packed B, 32 k after 32 k.
template <int32_t kDtype>
class PackedBlocks {
 public:
  static constexpr int kScales = kDtype == MOE_Q4_K || kDtype == MOE_Q5_K || kDtype == MOE_Q6_K ? 2 : 1;

  explicit PackedBlocks(const uint8_t* panel) : next_(panel) {}

  // Goes on to the next 32 k.
  HWY_INLINE void advance() {
    if constexpr (kBlocks > 1) {
      if (left_ == 0) {
        super_ = next_;
        factors_ = super_ + (kMins ? 4 : 2) * kNr;
        next_ = factors_ + (kScales == 2 ? 2 * kBlocks * kNr : 0);
        left_ = kBlocks;
      } else {
        factors_ += (kMins ? 1 : 2) * kNr;
      }
      --left_;
    }
    rows_ = next_;
    next_ += kRows * kCodeBytes + (kBlocks == 1 ? 2 * kNr : 0);
  }
  // The codes of four k from k = 4 step on, of half of the columns.
  HWY_INLINE CodeVector codes(int step, int half) const {
    const CodeTag d;
    const auto row = [&](int i) { return hn::LoadU(d, rows_ + (2 * i + half) * kCodeBytes / 2); };
    if constexpr (has_byte_codes(kDtype)) return row(step);
    CodeVector codes = step < 4 ? hn::And(row(step), hn::Set(d, uint8_t{0x0f})) : hn::ShiftRight<4>(row(step - 4));
    if constexpr (kDtype == MOE_MXFP4) {
      codes = hn::TableLookupBytes(hn::LoadDup128(d, kTableCodes), codes);
    } else if constexpr (kDtype == MOE_Q5_0 || kDtype == MOE_Q5_K) {
      codes = hn::Or(codes, hn::And(moved(row(4), 4 - step), hn::Set(d, uint8_t{0x10})));
    } else if constexpr (kDtype == MOE_Q6_K) {
      codes = hn::Or(codes, hn::And(moved(row(4 + step / 4), 4 - 2 * (step % 4)), hn::Set(d, uint8_t{0x30})));
    }
    return codes;
  }
  // Scales of half of the columns; i = 1: their minima, or the scales of the second 16 k.
  HWY_INLINE FloatVector scale(int i, int half) const {
    constexpr int64_t kWidth = kNr / 2;
    const uint8_t* of = kBlocks > 1 ? super_ + (kMins ? 2 * i : 0) * kNr : next_ - 2 * kNr;
    if constexpr (kDtype == MOE_MXFP4) return bfloats(of + half * kNr);
    const FloatVector scale = halves(of + half * kNr);
    if constexpr (kMins) return hn::Mul(scale, bytes<uint8_t>(factors_ + i * kBlocks * kNr + half * kWidth));
    if constexpr (kScales == 2) return hn::Mul(scale, bytes<int8_t>(factors_ + i * kNr + half * kWidth));
    return scale;
  }

 private:
  static constexpr bool kMins = kDtype == MOE_Q4_K || kDtype == MOE_Q5_K;
  static constexpr int64_t kBlocks = block_of(kDtype).elements / 32;  // of 32 k that share a scale
  static constexpr int64_t kRows = has_byte_codes(kDtype) ? 8 : 4 + high_bits(kDtype);

  const uint8_t* next_;
  const uint8_t* rows_ = nullptr;     // of codes
  const uint8_t* super_ = nullptr;    // scale, and minimum, of kBlocks
  const uint8_t* factors_ = nullptr;  // of these 32
  int64_t left_ = 0;
};

// The same of an expanded one.
template <Kernel kKernel>
class ExpandedBlocks {
 public:
  explicit ExpandedBlocks(const uint8_t* panel) : next_(panel) {}
  HWY_INLINE void advance() {
    at_ = next_;
    next_ += expanded_size(kKernel, 32);
  }
  HWY_INLINE CodeVector codes(int step, int half) const {
    return hn::LoadU(CodeTag(), at_ + (2 * step + half) * kCodeBytes / 2);
  }
  HWY_INLINE FloatVector scale(int i, int half) const {
    return hn::LoadU(FloatTag(), reinterpret_cast<const float*>(at_ + 8 * kCodeBytes) + (2 * i + half) * kNr / 2);
  }

 private:
  const uint8_t* next_;
  const uint8_t* at_ = nullptr;
};

// Expands `inner` k of a panel.
template <int32_t kDtype>
void expand_panel(const uint8_t* from, int64_t inner, uint8_t* to) {
  constexpr int64_t kWidth = kNr / 2;
  PackedBlocks<kDtype> blocks(from);
  for (int64_t k = 0; k < inner; k += 32) {
    blocks.advance();
#pragma GCC unroll 8
    for (int step = 0; step < 8; ++step, to += kCodeBytes) {
      hn::StoreU(blocks.codes(step, 0), CodeTag(), to);
      hn::StoreU(blocks.codes(step, 1), CodeTag(), to + kCodeBytes / 2);
    }
#pragma GCC unroll 2
    for (int i = 0; i < blocks.kScales; ++i, to += 4 * kNr) {
      hn::StoreU(blocks.scale(i, 0), FloatTag(), reinterpret_cast<float*>(to));
      hn::StoreU(blocks.scale(i, 1), FloatTag(), reinterpret_cast<float*>(to) + kWidth);
    }
  }
}

// body(std::integral_constant<int32_t, dtype>) for a format whose blocks kKernel multiplies.
template <Kernel kKernel, class Body>
HWY_INLINE auto with_blocks(int32_t dtype, Body&& body) {
  if constexpr (kKernel == Kernel::kByteHalves) {
    return body(std::integral_constant<int32_t, MOE_Q6_K>());
  } else if constexpr (kKernel == Kernel::kByteMins) {
    return dtype == MOE_Q4_K ? body(std::integral_constant<int32_t, MOE_Q4_K>())
                             : body(std::integral_constant<int32_t, MOE_Q5_K>());
  } else {
    switch (dtype) {
      case MOE_Q8_0: return body(std::integral_constant<int32_t, MOE_Q8_0>());
      case MOE_Q8_64: return body(std::integral_constant<int32_t, MOE_Q8_64>());
      case MOE_Q8_128: return body(std::integral_constant<int32_t, MOE_Q8_128>());
      case MOE_Q4_0: return body(std::integral_constant<int32_t, MOE_Q4_0>());
      case MOE_Q5_0: return body(std::integral_constant<int32_t, MOE_Q5_0>());
      default: return body(std::integral_constant<int32_t, MOE_MXFP4>());
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
