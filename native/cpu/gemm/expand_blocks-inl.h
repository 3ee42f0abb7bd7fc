// Reads packed B in blocks, 32 k at a time (layout: block_traits-inl.h), and expands or decodes a kc x nr panel in L1;
// reads a row of packed weights for an embedding.
//
// Expanded: one byte per code and float32 scales, unpacked once for all panels of A. Per 32 k: codes [8][nr][4]; scales
// float32 [nr] of each part; then their minima, if the format has some.
//
// Decoded: the float32 numbers that decoding the file gives, bit for bit. So a product with unrounded rows
// (MOE_PACKED_EXACT) has the bits of one with decoded weights.
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#undef MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#else
#define MOE_CPU_GEMM_EXPAND_BLOCKS_INL_H
#endif

#include "cpu/gemm/block_traits-inl.h"
#include "cpu/gemm/pack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Loads bytes and widens them.
template <class Byte>
HWY_INLINE hn::Vec<IntTag> widened(const uint8_t* from) {
  return hn::PromoteTo(IntTag(), hn::LoadU(hn::Rebind<Byte, FloatTag>(), reinterpret_cast<const Byte*>(from)));
}

// Shifts byte lanes left, or right if negative. The caller masks off the bits that come from the neighbouring byte.
HWY_INLINE CodeVector shifted(CodeVector bits, int left) {
  const hn::Repartition<uint16_t, FloatTag> d;
  const auto pairs = hn::BitCast(d, bits);
  return hn::BitCast(CodeTag(), left > 0 ? hn::ShiftLeftSame(pairs, left) : hn::ShiftRightSame(pairs, -left));
}

// Reads a panel of packed B, 32 k at a time.
template <int32_t kDtype>
class PackedBlocks {
 public:
  static constexpr Kernel kKernel = kernel_of(BlockTraits<kDtype>::kFormat);

  explicit PackedBlocks(const uint8_t* panel) : next_(panel) {}

  // Moves to the next 32 k.
  HWY_INLINE void advance() {
    if constexpr (Traits::kSteps > 1) {
      if (left_ == 0) {
        super_ = next_;
        factors_ = super_ + kScaleBytes;
        next_ = factors_ + Traits::kFactors * kNr;
        left_ = Traits::kSteps;
      } else {
        factors_ += Traits::kParts / Traits::kSteps * kNr;
      }
      --left_;
    }
    rows_ = next_;
    next_ += Traits::kRows * kCodeBytes + (Traits::kSteps == 1 ? kScaleBytes : 0);
  }
  // The codes of k = 4 step .. 4 step + 3, for half of the columns. Codes of fewer than eight bits have rows of their
  // low four bits, of the next two, and of the last one, whichever of these their number of bits is the sum of.
  HWY_INLINE CodeVector codes(int step, int half) const {
    constexpr int kBits = Traits::kFormat.bits, kFour = kBits & 4, kSix = kBits & 6;
    const CodeTag d;
    const auto row = [&](int i) { return hn::LoadU(d, rows_ + (2 * i + half) * kCodeBytes / 2); };
    if constexpr (kBits == 8) return Traits::code(row(step));
    CodeVector codes = hn::Zero(d);
    if constexpr (kFour != 0) {
      codes = step < 4 ? hn::And(row(step), hn::Set(d, uint8_t{0x0f})) : hn::ShiftRight<4>(row(step - 4));
    }
    if constexpr ((kBits & 2) != 0) {
      const CodeVector two = shifted(row(kFour + step / 4), kFour - 2 * (step % 4));
      codes = hn::Or(codes, hn::And(two, hn::Set(d, uint8_t{3 << kFour})));
    }
    if constexpr ((kBits & 1) != 0) {
      codes = hn::Or(codes, hn::And(shifted(row(kSix), kSix - step), hn::Set(d, uint8_t{1 << kSix})));
    }
    return Traits::code(codes);
  }
  // The i'th of scales_of(kKernel) scales and minima of these 32 k, for half of the columns.
  HWY_INLINE FloatVector scale(int i, int half) const {
    constexpr int kParts = parts_of(kKernel);
    const int kind = i / kParts, part = i % kParts;
    const uint8_t* of = Traits::kSteps > 1 ? super_ : next_ - kScaleBytes;
    const FloatVector scale = Traits::scale(of + (2 * kind + half) * kNr);
    if constexpr (Traits::kFactors == 0) return scale;
    const IntTag d;
    const uint8_t* factors = factors_ + part * kNr + half * kNr / 2;
    hn::Vec<IntTag> factor;
    if constexpr (!kMins) {
      factor = widened<int8_t>(factors);
    } else if constexpr (Traits::kFactors == Traits::kParts) {  // both factors of a part in a byte
      factor = widened<uint8_t>(factors);
      factor = kind == 0 ? hn::And(factor, hn::Set(d, 15)) : hn::ShiftRight<4>(factor);
    } else {
      factor = widened<uint8_t>(factors + kind * Traits::kParts * kNr);
    }
    return hn::Mul(scale, hn::ConvertTo(FloatTag(), factor));
  }

 private:
  using Traits = BlockTraits<kDtype>;
  static constexpr bool kMins = Traits::kFormat.mins;
  static constexpr int64_t kScaleBytes = 2 * Traits::kKinds * kNr;

  const uint8_t* next_;
  const uint8_t* rows_ = nullptr;     // codes of these 32 k
  const uint8_t* super_ = nullptr;    // scales and minima of the block
  const uint8_t* factors_ = nullptr;  // factors of these 32 k
  int64_t left_ = 0;
};

// Reads an expanded panel; the interface is PackedBlocks'.
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
    for (int i = 0; i < scales_of(blocks.kKernel); ++i, to += 4 * kNr) {
      hn::StoreU(blocks.scale(i, 0), FloatTag(), reinterpret_cast<float*>(to));
      hn::StoreU(blocks.scale(i, 1), FloatTag(), reinterpret_cast<float*>(to) + kWidth);
    }
  }
}

// Decodes `inner` k of a panel to float32 [inner][nr]. Only the last operation rounds: a scale has at most 17 bits in
// formats with minima, so that its product with a code is exact before the minimum is subtracted.
template <int32_t kDtype>
void decode_panel(const uint8_t* from, int64_t inner, float* to) {
  constexpr BlockFormat kFormat = *block_format(kDtype);
  constexpr bool kMins = kFormat.mins;
  constexpr int kParts = parts_of(kernel_of(kFormat));
  const FloatTag d;
  const CodeTag bytes;
  const auto offset = hn::Set(bytes, static_cast<uint8_t>(kFormat.offset));
  PackedBlocks<kDtype> blocks(from);
#pragma GCC unroll 1
  for (int64_t k = 0; k < inner; k += 32, to += 32 * kNr) {
    blocks.advance();
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      FloatVector scale = hn::Zero(d), min = scale;
      float* column = to + half * kNr / 2;
#pragma GCC unroll 8
      for (int step = 0; step < 8; ++step) {
        if (step % (8 / kParts) == 0) {
          const int part = step * kParts / 8;
          scale = blocks.scale(part, half);
          if constexpr (kMins) min = blocks.scale(kParts + part, half);
        }
        const auto codes = hn::BitCast(IntTag(), hn::Sub(blocks.codes(step, half), offset));  // four k, signed bytes
        const auto put = [&](int i, hn::Vec<IntTag> code) {
          const FloatVector number = BlockTraits<kDtype>::number(code);
          hn::StoreU(kMins ? hn::MulSub(number, scale, min) : hn::Mul(number, scale), d, column + (4 * step + i) * kNr);
        };
        put(0, hn::ShiftLeft<24>(codes));
        put(1, hn::ShiftLeft<16>(codes));
        put(2, hn::ShiftLeft<8>(codes));
        put(3, codes);
      }
    }
  }
}

// decode_panel for a dtype known at run time.
inline void decode_panel(int32_t dtype, const uint8_t* from, int64_t inner, float* to) {
  with_block_dtype(dtype, [&](auto format) { decode_panel<format.value>(from, inner, to); });
}

// Reads k .. k + steps of row n of packed weights [N, inner] as float32: decode_panel's numbers if they are in blocks.
// k is a multiple of kBlockSteps, and steps at most that.
inline void unpack_row(Tensor packed, int64_t n, int64_t k, int64_t steps, float* to) {
  const int64_t first = n / kNr * panel_size(packed.dtype, packed.shape[1]) + panel_size(packed.dtype, k);
  const int64_t column = n % kNr;
  if (in_blocks(packed.dtype)) {
    alignas(64) float decoded[kBlockSteps * kNr];
    decode_panel(packed.dtype, static_cast<const uint8_t*>(packed.data) + first, steps, decoded);
    for (int64_t i = 0; i < steps; ++i) to[i] = decoded[i * kNr + column];
  } else if (packed.dtype == MOE_BFLOAT16) {
    const auto* pairs = static_cast<const hwy::bfloat16_t*>(packed.data) + first + 2 * column;
    for (int64_t i = 0; i < steps; ++i) to[i] = to_float(pairs[i / 2 * 2 * kNr + i % 2]);
  } else {
    const auto* panel = static_cast<const float*>(packed.data) + first + column;
    for (int64_t i = 0; i < steps; ++i) to[i] = panel[i * kNr];
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
