// The micro-kernel: C[mr x nr] += A[mr x k] B[k x nr], a panel of A by a panel of B, with the sums in registers.
//
// Each sum is one chain over k = 0, 1, 2, ... of fused multiply-adds (kDot: of dot products of two), for every panel
// height. So the bits of a row of C do not depend on the other rows.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_MICRO_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_MICRO_KERNEL_INL_H
#undef MOE_CPU_GEMM_MICRO_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_MICRO_KERNEL_INL_H
#endif

#include <array>
#include <type_traits>
#include <utility>

#include "cpu/gemm/prefetch-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One panel of B, or kPanels adjacent ones.
template <class Weight>
struct BPanels {
  const Weight* panel[2];
  int64_t k_stride = kNr;  // elements between two k; larger if float32 B is read unpacked
};

// Up to this many rows give too few independent sums to hide the latency of a multiply-add, so vectors narrower than
// AVX-512 take two panels of B side by side. With AVX-512 a cache line is one multiply-add: memory is the limit.
inline constexpr int64_t kLatencyRows = 3;
inline constexpr bool kSideBySide = kLanes < 16;

// The sums of kRows x (kPanels nr) elements of C.
template <int kRows, int kPanels>
struct Sums {
  static constexpr int kVectors = 2 * kPanels;
  FloatVector v[kRows][kVectors];

  // Uninitialized. GCC compiles an implicit constructor without the target's attributes, which NEON's vectors forbid.
  HWY_INLINE Sums() {}

  // sums += the outer product of a column of A and a row of B.
  HWY_INLINE void add(const float* a, const FloatVector (&b)[kVectors]) {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const FloatVector scale = hn::Set(FloatTag(), a[row]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) v[row][j] = hn::MulAdd(scale, b[j], v[row][j]);
    }
  }
};

// Lambdas that capture sums by reference must be inlined; a call would keep the sums in memory.
#define MOE_INLINED __attribute__((always_inline))

// Steps per burst of prefetches. With narrow vectors, address arithmetic competes with the multiply-adds for issue
// slots; AVX-512 has slots to spare, and bursts slow it.
inline constexpr int64_t kPrefetchSteps = HWY_TARGET <= HWY_AVX3 ? 1 : 4;
// Distance, in 32-bit words, at which packed A is prefetched from L2.
inline constexpr int64_t kAWordsAhead = 64;

// Calls step(i) for i = 0 .. steps - 1; a step reads kWords words of packed A. Not unrolled, because the compiler would
// move sums between registers.
template <int kWords, int kPanels, class Weight, class Step>
HWY_INLINE void for_each_step(int64_t steps, const float* a, const BPanels<Weight>& b, Prefetch<Weight> next,
                              Step&& step) {
  Prefetch<Weight> second = next;
  if (kPanels == 2) second.elements += b.panel[1] - b.panel[0];
  int64_t i = 0;
  for (; i + kPrefetchSteps <= steps; i += kPrefetchSteps) {
    next.advance(kPrefetchSteps);
    if (kPanels == 2) second.advance(kPrefetchSteps);
#pragma GCC unroll 8
    for (int64_t word = 0; word < kPrefetchSteps * kWords; word += 16) {
      __builtin_prefetch(a + i * kWords + word + kAWordsAhead);
    }
#pragma GCC unroll 1
    for (int64_t j = i; j < i + kPrefetchSteps; ++j) step(j);
  }
  for (; i < steps; ++i) step(i);
}

template <Kernel kKernel, int kRows, int kPanels>
HWY_INLINE void accumulate(int64_t inner, const float* a, const BPanels<Weight<kKernel>>& b,
                           const Prefetch<Weight<kKernel>>& next, Sums<kRows, kPanels>& sums) {
  const FloatTag d;
  constexpr int kVectors = 2 * kPanels;
  if constexpr (kKernel == Kernel::kFloat) {
    const int64_t stride = kPanels == 1 ? b.k_stride : kNr;
    for_each_step<kRows, kPanels>(inner, a, b, next, [&](int64_t k) MOE_INLINED {
      FloatVector row[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) row[j] = hn::LoadU(d, b.panel[j / 2] + k * stride + j % 2 * kLanes);
      sums.add(a + k * kRows, row);
    });
  } else if constexpr (kKernel == Kernel::kWiden) {
    const hn::RebindToUnsigned<FloatTag> du;
    const auto high = hn::Set(du, 0xffff0000u);
    const auto add = [&](int64_t k, auto odd) MOE_INLINED {
      FloatVector row[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const hwy::bfloat16_t* from = b.panel[j / 2] + (k - odd) * kNr;
        // Hides from the compiler that it loads pairs twice: keeping them in registers would spill sums.
        if (odd) asm("" : "+r"(from));
        const auto pairs = hn::LoadU(du, reinterpret_cast<const uint32_t*>(from) + j % 2 * kLanes);
        row[j] = hn::BitCast(d, odd ? hn::And(pairs, high) : hn::ShiftLeft<16>(pairs));
      }
      sums.add(a + k * kRows, row);
    };
    for_each_step<2 * kRows, kPanels>(inner / 2, a, b, next, [&](int64_t step) MOE_INLINED {
      add(2 * step, std::false_type());
      add(2 * step + 1, std::true_type());
    });
    if (inner % 2 != 0) add(inner - 1, std::false_type());
  } else {
#if MOE_NATIVE_DOT
    const hn::Repartition<hwy::bfloat16_t, FloatTag> db;
    FloatVector unused = hn::Zero(d);  // Highway's second accumulator, for targets without the instruction
    for_each_step<kRows, kPanels>(ceil_div(inner, 2), a, b, next, [&](int64_t step) MOE_INLINED {
      hn::Vec<decltype(db)> row_pairs[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        row_pairs[j] = hn::LoadU(db, b.panel[j / 2] + 2 * (step * kNr + j % 2 * kLanes));
      }
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
        const auto pair = hn::BitCast(db, hn::Set(d, a[step * kRows + row]));
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          sums.v[row][j] = hn::ReorderWidenMulAccumulate(d, pair, row_pairs[j], sums.v[row][j], unused);
        }
      }
    });
#endif
  }
}

// B in blocks: defined in block_kernel-inl.h. kInstruction: the processor has the byte dot product kByteDot.
template <Kernel kKernel, int32_t kDtype, bool kInstruction, int kRows>
void accumulate_blocks(int64_t inner, const float* a, const uint8_t* b, Prefetch<uint8_t> next, Sums<kRows, 1>& sums);

// How a micro-kernel writes its sums.
enum class Write {
  kStore,
  kAdd,     // to the elements of C
  kStream,  // past the caches (non-temporal); rows must be aligned to a vector
};

// Where the sums [kRows, kPanels nr] start from and go to, float32.
struct Target {
  const float* before;  // the sums over earlier k; null for the first
  int64_t before_stride;
  float* sums;
  int64_t stride;
  Write write;
};

// target.sums = A B + target.before. kDtype: the dtype of B if the kernel reads packed blocks.
template <Kernel kKernel, int kRows, int kPanels, int32_t kDtype>
HWY_NOINLINE void micro_kernel(int64_t inner, const float* a, const BPanels<Weight<kKernel>>& b,
                               const Prefetch<Weight<kKernel>>& next, const Target& target) {
  const FloatTag d;
  Sums<kRows, kPanels> sums;
  const auto each = [&](auto&& body) MOE_INLINED {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (int j = 0; j < 2 * kPanels; ++j) body(sums.v[row][j], row, j * kLanes);
    }
  };
  if (target.before == nullptr) {
    each([&](FloatVector& v, int, int64_t) MOE_INLINED { v = hn::Zero(d); });
  } else {
    each([&](FloatVector& v, int row, int64_t j)
             MOE_INLINED { v = hn::LoadU(d, target.before + row * target.before_stride + j); });
  }
  if constexpr (multiplies_blocks(kKernel)) {
    if (kByteDot != Instruction::kNone && uses(kByteDot)) {
      accumulate_blocks<kKernel, kDtype, true>(inner, a, b.panel[0], next, sums);
    } else {
      accumulate_blocks<kKernel, kDtype, false>(inner, a, b.panel[0], next, sums);
    }
  } else {
    accumulate<kKernel, kRows, kPanels>(inner, a, b, next, sums);
  }
  const auto each_target = [&](auto&& write) MOE_INLINED {
    each([&](FloatVector v, int row, int64_t j) MOE_INLINED { write(v, target.sums + row * target.stride + j); });
  };
  switch (target.write) {
    case Write::kStore: return each_target([&](FloatVector v, float* to) { hn::StoreU(v, d, to); });
    case Write::kAdd:
      return each_target([&](FloatVector v, float* to) { hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to); });
    case Write::kStream: return each_target([&](FloatVector v, float* to) { hn::Stream(v, d, to); });
  }
}

template <Kernel kKernel>
using MicroKernel = void(int64_t, const float*, const BPanels<Weight<kKernel>>&, const Prefetch<Weight<kKernel>>&,
                         const Target&);

// The micro-kernels for panels of 1, 2, ... rows.
template <Kernel kKernel, int kPanels, int32_t kDtype, int... kRowsLessOne>
constexpr std::array<MicroKernel<kKernel>*, sizeof...(kRowsLessOne)> micro_kernels(
    std::integer_sequence<int, kRowsLessOne...>) {
  return {micro_kernel<kKernel, kRowsLessOne + 1, kPanels, kDtype>...};
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
