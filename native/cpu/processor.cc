#include "cpu/processor.h"

#include <cpuid.h>

namespace moe::cpu {

bool waits_for_many_lines() {
  static const bool waits = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_AMD_ebx) return false;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
    return (eax >> 8 & 0xf) + (eax >> 20 & 0xff) == 0x1a;  // base and extended family
  }();
  return waits;
}

}  // namespace moe::cpu
