// What is asked from memory while something else is packed or multiplied.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_PREFETCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PREFETCH_INL_H
#undef MOE_CPU_GEMM_PREFETCH_INL_H
#else
#define MOE_CPU_GEMM_PREFETCH_INL_H
#endif

#include <algorithm>

#include "cpu/gemm/panel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// Bytes of a panel that a turn of the kernels multiplies: one step of k in float32, two in bfloat16.
inline constexpr int64_t kTurnBytes = kPanelColumns * 4;

// Turns that ask for their share at once: address arithmetic takes instructions away from the multiply-adds. Zen 4 and
// 5 have instructions to spare, and wait longer for lines that are asked for in bursts.
inline constexpr int64_t kTurnsAtOnce = HWY_TARGET == HWY_AVX3_ZEN4 ? 1 : 4;

// The elements to ask for: from `position` on, `pace` of them a turn, counted through runs of 2^run_bits elements that
// lie side by side, with `gap` elements between. `past_caches` is past L2 and L3 into L1. By default nothing.
template <class Weight>
struct Prefetch {
  const Weight* elements = nullptr;
  int64_t position = 0;
  int64_t pace = 0;
  int run_bits = 0;
  int64_t gap = 0;
  bool past_caches = false;

  // The share of so many turns.
  HWY_INLINE void ask(int64_t turns) {
    // Elements of a line; a run may be shorter.
    constexpr int64_t kLine = std::min<int64_t>(64 / sizeof(Weight), kPanelColumns);
    const int64_t end = position + turns * pace;
    for (int64_t at = position; at < end; at += kLine) {
      const Weight* element = elements + at + (at >> run_bits) * gap;
      past_caches ? __builtin_prefetch(element, 0, 0) : __builtin_prefetch(element, 0, 2);
    }
    position = end;
  }
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
