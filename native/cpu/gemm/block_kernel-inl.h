// The micro-kernel for B in blocks: C[mr x nr] += A[mr x k] B[k x nr], A rounded to int8.
//
//   A[m, k] = a[m, k / 32] x[m, k]             x int8, the scale a float32, rounded as pack_blocks-inl.h says
//   B[k, n] = d[n, k / g] (u[k, n] - z)        u a code of B; g is 16 or 32
//        or = d[n, k / g] u[k, n] - m[n, k / g]
//   C[m, n] = sum over blocks of g, in order, of a d (sum of x u - z sum of x), or of that with z = 0, less
//             m (a sum of x)
//
// A block's products are summed in int32, exactly; then come one product and one multiply-add in float32. So the bits
// of a row of C do not depend on the rows beside it. vpdpbusd sums four products of unsigned by signed bytes at once.
// Highway has it from AVX3_DL on; processors of other targets may have it too; elsewhere it is composed, with the same
// sums.
// Formats: GGUF's (ggml, MIT licence); layouts of packed A and B: pack_blocks-inl.h.
// Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_BLOCK_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#undef MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#endif

#include "cpu/gemm/micro_kernel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using IntTag = hn::RebindToSigned<FloatTag>;
using CodeTag = hn::Repartition<uint8_t, FloatTag>;
using CodeVector = hn::Vec<CodeTag>;

// Codes of nr columns for four k: two vectors.
inline constexpr int64_t kCodeBytes = 4 * kNr;

// sum += four products of codes by signed bytes, in each word.
template <bool kInstruction>
HWY_INLINE hn::Vec<IntTag> dot_bytes(CodeVector codes, hn::Vec<hn::RebindToSigned<CodeTag>> x, hn::Vec<IntTag> sum) {
  if constexpr (kInstruction && kMayDotBytes) {
#if HWY_TARGET == HWY_AVX3
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(codes.raw), "v"(x.raw));
#elif HWY_TARGET == HWY_AVX2
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(codes.raw), "x"(x.raw));
#endif
    return sum;
  } else {
    return hn::SumOfMulQuadAccumulate(IntTag(), codes, x, sum);
  }
}

// The exact sums of kRows x nr elements of C over a block.
template <bool kInstruction, int kRows>
struct BlockSums {
  static constexpr int kHeight = kRows;
  hn::Vec<IntTag> v[kRows][2];

  // Each row's sums begin with its word of `from`.
  HWY_INLINE void begin(const float* from) {
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) v[row][0] = v[row][1] = hn::BitCast(IntTag(), hn::Set(FloatTag(), from[row]));
  }

  // += four k of A by the codes.
  HWY_INLINE void add(const float* x, CodeVector codes0, CodeVector codes1) {
    const hn::RebindToSigned<CodeTag> signed_bytes;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const auto four = hn::BitCast(signed_bytes, hn::Set(FloatTag(), x[row]));
      v[row][0] = dot_bytes<kInstruction>(codes0, four, v[row][0]);
      v[row][1] = dot_bytes<kInstruction>(codes1, four, v[row][1]);
    }
  }

  // sums += a d v, for each row's scale a and -kBegin a, which follow each other in `scales`. v began with kBegin's
  // bits, so that they are those of kBegin + v: a (kBegin + v) - kBegin a is rounded once, as a v is.
  HWY_INLINE void fold(const float* scales, FloatVector d0, FloatVector d1, Sums<kRows, 1>& sums) const {
    const FloatTag d;
    const FloatVector scale[2] = {d0, d1};
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const FloatVector a = hn::Set(d, scales[row]);
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
#if HWY_NATIVE_FMA
        const FloatVector product = hn::MulAdd(hn::BitCast(d, v[row][j]), a, hn::Set(d, scales[kRows + row]));
#else
        const FloatVector product = hn::Mul(hn::Sub(hn::BitCast(d, v[row][j]), hn::Set(d, kBegin)), a);
#endif
        sums.v[row][j] = hn::MulAdd(product, scale[j], sums.v[row][j]);
      }
    }
  }
};

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

// += the products of 32 k, whose codes are bytes from `codes` on, or two to a byte: those of 16 k and of the next 16.
template <Kernel kKernel, class BlockSums>
HWY_INLINE void add_block(const float* x, const uint8_t* codes, BlockSums& sums) {
  const CodeTag d;
  constexpr bool kBytesEach =
      kKernel == Kernel::kBytes || kKernel == Kernel::kByteMins || kKernel == Kernel::kByteHalves;
  constexpr int kRows = BlockSums::kHeight;
  constexpr int kSteps = kKernel == Kernel::kByteHalves || !kBytesEach ? 4 : 8;
  const auto low = hn::Set(d, uint8_t{0x0f});
#pragma GCC unroll 1
  for (int step = 0; step < kSteps; ++step, x += kRows, codes += kCodeBytes) {
    const CodeVector c0 = hn::LoadU(d, codes), c1 = hn::LoadU(d, codes + kCodeBytes / 2);
    if constexpr (kBytesEach) {
      sums.add(x, c0, c1);
    } else {
      const auto number = [&](CodeVector nibbles) {
        if constexpr (kKernel == Kernel::kTable) {
          return hn::TableLookupBytes(hn::LoadDup128(d, kTableCodes), nibbles);
        } else {
          return nibbles;
        }
      };
      sums.add(x, number(hn::And(c0, low)), number(hn::And(c1, low)));
      sums.add(x + 4 * kRows, number(hn::ShiftRight<4>(c0)), number(hn::ShiftRight<4>(c1)));
    }
  }
}

template <Kernel kKernel, bool kInstruction, int kRows>
HWY_INLINE void accumulate_blocks(int64_t inner, const float* a, const uint8_t* b, Prefetch<uint8_t> next,
                                  Sums<kRows, 1>& sums) {
  constexpr int64_t kHalf = kNr / 2;  // columns of a vector
  constexpr int64_t kWords = kRows * block_row_words(kKernel);
  constexpr int64_t kBlocks = kBlockSteps / 32;
  BlockSums<kInstruction, kRows> block;
  if constexpr (kKernel == Kernel::kBytes || kKernel == Kernel::kNibbles || kKernel == Kernel::kTable) {
    constexpr int64_t kCodes = kKernel == Kernel::kBytes ? 8 * kCodeBytes : 4 * kCodeBytes;
#pragma GCC unroll 1
    for (int64_t k = 0; k < inner; k += 32, a += kWords) {
      next.advance(1);
      block.begin(a + 10 * kRows);
      add_block<kKernel>(a, b, block);
      b += kCodes;
      if constexpr (kKernel == Kernel::kTable) {
        block.fold(a + 8 * kRows, bfloats(b), bfloats(b + kNr), sums);
      } else {
        block.fold(a + 8 * kRows, halves(b), halves(b + kNr), sums);
      }
      b += 2 * kNr;
    }
  } else if constexpr (kKernel == Kernel::kByteHalves) {
#pragma GCC unroll 1
    for (int64_t k = 0; k < inner; k += kBlockSteps) {
      const FloatVector d0 = halves(b), d1 = halves(b + kNr);
      const uint8_t* scales = b + 2 * kNr;
      b = scales + 2 * kBlocks * kNr;
#pragma GCC unroll 1
      for (int64_t i = 0; i < kBlocks; ++i, a += kWords) {
        next.advance(1);
#pragma GCC unroll 1
        for (int half = 0; half < 2; ++half, scales += kNr, b += 4 * kCodeBytes) {
          block.begin(a + (10 + half) * kRows);
          add_block<kKernel>(a + 4 * half * kRows, b, block);
          block.fold(a + 8 * kRows, hn::Mul(d0, bytes<int8_t>(scales)), hn::Mul(d1, bytes<int8_t>(scales + kHalf)),
                     sums);
        }
      }
    }
  } else {
    constexpr int64_t kCodes = kKernel == Kernel::kByteMins ? 8 * kCodeBytes : 4 * kCodeBytes;
#pragma GCC unroll 1
    for (int64_t k = 0; k < inner; k += kBlockSteps) {
      const uint8_t* super = b;  // the scale and the minimum of 256 k, then those of each 32
      const uint8_t *scales = b + 4 * kNr, *mins = scales + kBlocks * kNr;
      b = mins + kBlocks * kNr;
#pragma GCC unroll 1
      for (int64_t i = 0; i < kBlocks; ++i, a += kWords, b += kCodes, scales += kNr, mins += kNr) {
        next.advance(1);
        block.begin(a + 10 * kRows);
        add_block<kKernel>(a, b, block);
        block.fold(a + 8 * kRows, hn::Mul(halves(super), bytes<uint8_t>(scales)),
                   hn::Mul(halves(super + kNr), bytes<uint8_t>(scales + kHalf)), sums);
        const FloatVector m0 = hn::Mul(halves(super + 2 * kNr), bytes<uint8_t>(mins));
        const FloatVector m1 = hn::Mul(halves(super + 3 * kNr), bytes<uint8_t>(mins + kHalf));
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          const FloatVector total = hn::Set(FloatTag(), a[11 * kRows + row]);
          sums.v[row][0] = hn::NegMulAdd(total, m0, sums.v[row][0]);
          sums.v[row][1] = hn::NegMulAdd(total, m1, sums.v[row][1]);
        }
      }
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
