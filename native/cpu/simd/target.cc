#include "cpu/simd/target.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/target.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"
#include "cpu/simd/instructions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

SimdTarget this_target() {
  const bool tiles = uses(kBfloat16Tiles);
  return {tiles ? kTileTarget : hwy::TargetName(HWY_TARGET), static_cast<int>(hn::Lanes(hn::ScalableTag<uint8_t>())),
          tiles || MOE_NATIVE_DOT};
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
namespace {
bool g_limited = false;  // PANAMOE_SIMD limits the targets
}

HWY_EXPORT(this_target);
SimdTarget simd_target() { return HWY_DYNAMIC_DISPATCH(this_target)(); }

bool uses(Instruction instruction) { return !g_limited && has(instruction); }

void limit_simd_target(const char* name) {
  if ((hwy::SupportedTargets() & HWY_TARGETS) == 0) {  // the build was for one processor: cmake/Highway.cmake
    fail(MOE_UNSUPPORTED, "the native library was built for processors with ", hwy::TargetName(HWY_STATIC_TARGET),
         ", and this one lacks it: ./panamoe build makes one for all");
  }
  if (name == nullptr || *name == '\0') return;
  std::string here;
  if (HWY_DYNAMIC_DISPATCH(this_target)().name == std::string_view(kTileTarget)) {
    if (std::string_view(name) == kTileTarget) return;
    here.append(" ").append(kTileTarget);
  }
  for (int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
    const int64_t target = targets & -targets;  // Highway gives better targets lower bits
    if (std::string_view(name) == hwy::TargetName(target)) {
      g_limited = true;
      return hwy::DisableTargets(target - 1);
    }
    here.append(" ").append(hwy::TargetName(target));
  }
  fail(MOE_UNSUPPORTED, "PANAMOE_SIMD is '", name, "', which is not one of:", here);
}
}  // namespace moe::cpu
#endif
