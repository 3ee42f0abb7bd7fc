// What Highway's own library does for its headers: it holds the target that dynamic dispatch picks. Here, so that
// libpanamoe.so runs on machines without libhwy.
#include <atomic>
#include <cstdint>

#include "cpu/simd/processor_targets.h"
#include "hwy/highway.h"

namespace hwy {
namespace {
constinit ChosenTarget g_chosen;
constinit std::atomic<int64_t> g_disabled = 0;
}  // namespace

ChosenTarget& GetChosenTarget() { return g_chosen; }

int64_t SupportedTargets() { return moe::cpu::processor_targets() & ~g_disabled; }

void DisableTargets(int64_t targets) {
  g_disabled = targets;
  g_chosen.DeInit();  // the next dispatch picks anew
}

}  // namespace hwy
