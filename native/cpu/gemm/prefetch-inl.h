// Software prefetch of the panel of B that comes next, spread over the steps that multiply by this one.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PREFETCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PREFETCH_INL_H
#undef MOE_CPU_GEMM_PREFETCH_INL_H
#else
#define MOE_CPU_GEMM_PREFETCH_INL_H
#endif

#include <algorithm>

#include "cpu/gemm/blocking-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Bytes of packed B that the micro-kernel multiplies in one step: one k in float32, two in bfloat16.
inline constexpr int64_t kStepBytes = kNr * 4;

// Steps of a micro-kernel for `steps` k.
template <class Weight>
int64_t micro_steps(int64_t steps) {
  return ceil_div(steps * int64_t{sizeof(Weight)}, 4);
}

// Elements to prefetch into L2: `pace` per step from `position` on. They lie in runs of 2^run_bits adjacent elements,
// `gap` elements apart. Prefetches nothing by default.
template <class Weight>
struct Prefetch {
  const Weight* elements = nullptr;
  int64_t position = 0;
  int64_t pace = 0;
  int run_bits = 62;
  int64_t gap = 0;

  // Prefetches what belongs to the next `steps` steps.
  HWY_INLINE void advance(int64_t steps) {
    // Elements of a cache line; a run may be shorter than a line.
    constexpr int64_t kLine = std::min<int64_t>(64 / sizeof(Weight), kNr);
    const int64_t end = position + steps * pace;
    for (int64_t at = position; at < end; at += kLine) {
      __builtin_prefetch(elements + at + (at >> run_bits) * gap, 0, 2);
    }
    position = end;
  }
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
