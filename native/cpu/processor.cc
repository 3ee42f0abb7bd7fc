#include "cpu/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace moe::cpu {
namespace {

bool is_amd_family(unsigned wanted) {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_AMD_ebx) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (eax >> 8 & 0xf) + (eax >> 20 & 0xff) == wanted;  // base and extended family
#else
  return wanted == 0;
#endif
}

}  // namespace

bool waits_for_many_lines() {
  static const bool waits = is_amd_family(0x1a);
  return waits;
}

}  // namespace moe::cpu
