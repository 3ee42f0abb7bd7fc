// The micro-kernel for B in blocks: C[mr x nr] += A[mr x k] B[k x nr], A rounded to int8.
//
//   A[m, k] = a[m, k / 32] x[m, k]             x int8, the scale a float32, rounded as round_rows-inl.h says
//   B[k, n] = d[n, k / g] (u[k, n] - z)        u a code of B; g is 16 or 32
//        or = d[n, k / g] u[k, n] - m[n, k / g]
//   C[m, n] = sum over blocks of g, in order, of a d (sum of x u - z sum of x), or of that with z = 0, less
//             m (a sum of x)
//
// A block's products are summed in int32, exactly; then one product and one multiply-add follow in float32. So the bits
// of a row of C do not depend on the other rows. vpdpbusd sums four products of unsigned by signed bytes (dot_bytes,
// simd/instructions-inl.h); targets without it get the same sums from other instructions.
// Formats: GGUF's (ggml, MIT licence). Layouts: round_rows-inl.h for A, block_traits-inl.h and expand_blocks-inl.h for
// B. Tested by panamoe_test --gtest_filter='BlockGemmTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_BLOCK_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#undef MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_BLOCK_KERNEL_INL_H
#endif

#include "cpu/gemm/expand_blocks-inl.h"
#include "cpu/gemm/micro_kernel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Exact int32 sums of kRows x nr elements of C over one block.
template <bool kInstruction, int kRows>
struct BlockSums {
  hn::Vec<IntTag> v[kRows][2];

  HWY_INLINE BlockSums() {}  // uninitialized, see Sums

  // Starts each row's sums from its word of `from`.
  HWY_INLINE void begin(const float* from) {
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) v[row][0] = v[row][1] = hn::BitCast(IntTag(), hn::Set(FloatTag(), from[row]));
  }

  // sums += four k of A times the codes.
  HWY_INLINE void add(const float* x, CodeVector codes0, CodeVector codes1) {
    const hn::RebindToSigned<CodeTag> signed_bytes;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const auto four = hn::BitCast(signed_bytes, hn::Set(FloatTag(), x[row]));
      v[row][0] = dot_bytes<kInstruction>(codes0, four, v[row][0]);
      v[row][1] = dot_bytes<kInstruction>(codes1, four, v[row][1]);
    }
  }

  // sums += a d v, where `scales` holds each row's a and then each row's -kMagic a. v started from kMagic's bits and so
  // reads as kMagic + v in float32; a (kMagic + v) - kMagic a rounds once, exactly like a v.
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
        const FloatVector product = hn::Mul(hn::Sub(hn::BitCast(d, v[row][j]), hn::Set(d, kMagic)), a);
#endif
        sums.v[row][j] = hn::MulAdd(product, scale[j], sums.v[row][j]);
      }
    }
  }
};

// sums -= m a (sum of x); `totals` holds each row's a (sum of x).
template <int kRows>
HWY_INLINE void subtract_mins(const float* totals, FloatVector m0, FloatVector m1, Sums<kRows, 1>& sums) {
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
    const FloatVector total = hn::Set(FloatTag(), totals[row]);
    sums.v[row][0] = hn::NegMulAdd(total, m0, sums.v[row][0]);
    sums.v[row][1] = hn::NegMulAdd(total, m1, sums.v[row][1]);
  }
}

// sums += A B. kDtype: the dtype of packed B, or 0 if B is expanded.
template <Kernel kKernel, int32_t kDtype, bool kInstruction, int kRows>
HWY_INLINE void accumulate_blocks(int64_t inner, const float* a, const uint8_t* b, Prefetch<uint8_t> next,
                                  Sums<kRows, 1>& sums) {
  constexpr int64_t kWords = kRows * block_row_words(kKernel);
  constexpr int kParts = parts_of(kKernel);
  std::conditional_t<kDtype == 0, ExpandedBlocks<kKernel>, PackedBlocks<kDtype>> blocks(b);
  BlockSums<kInstruction, kRows> block;
  const auto add = [&](int begin, int end) MOE_INLINED {
#pragma GCC unroll 1
    for (int step = begin; step < end; ++step) {
      block.add(a + step * kRows, blocks.codes(step, 0), blocks.codes(step, 1));
    }
  };
#pragma GCC unroll 1
  for (int64_t k = 0; k < inner; k += 32, a += kWords) {
    next.advance(1);
    blocks.advance();
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      block.begin(a + (10 + part) * kRows);
      if (kParts == 1 || part == 0) add(0, 4);
      if (kParts == 1 || part == 1) add(4, 8);
      block.fold(a + 8 * kRows, blocks.scale(part, 0), blocks.scale(part, 1), sums);
      if constexpr (has_mins(kKernel)) {
        const int min = kParts + part;
        subtract_mins(a + (10 + min) * kRows, blocks.scale(min, 0), blocks.scale(min, 1), sums);
      }
    }
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
