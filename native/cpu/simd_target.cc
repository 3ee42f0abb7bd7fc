#include "cpu/simd_target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd_target.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// Highway says so itself from 1.1 on.
#ifndef HWY_NATIVE_DOT_BF16
#define HWY_NATIVE_DOT_BF16 (HWY_TARGET <= HWY_AVX3_ZEN4)
#endif

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

SimdTarget this_target() {
  return {hwy::TargetName(HWY_TARGET), static_cast<int>(hn::Lanes(hn::ScalableTag<uint8_t>())),
          HWY_NATIVE_DOT_BF16 != 0};
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(this_target);
SimdTarget simd_target() { return HWY_DYNAMIC_DISPATCH(this_target)(); }
}  // namespace moe::cpu
#endif
