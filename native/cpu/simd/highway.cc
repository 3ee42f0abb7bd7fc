// Implements what Highway's headers need from libhwy: the target that dynamic dispatch picks. So libpanamoe.so runs on
// machines without libhwy.
#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "cpu/processor.h"
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
  g_chosen.DeInit();  // the next dispatch chooses again
}

// Called by assertions in Highway's headers; sanitizer builds have more of them.
void Abort(const char* file, int line, const char* format, ...) {
  std::va_list values;
  va_start(values, format);
  std::fprintf(stderr, "Highway at %s:%d: ", file, line);
  std::vfprintf(stderr, format, values);
  std::fputc('\n', stderr);
  va_end(values);
  std::abort();
}

}  // namespace hwy
