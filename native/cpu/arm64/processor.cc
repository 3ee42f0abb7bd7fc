#include "cpu/processor.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "hwy/highway.h"

namespace moe::cpu {

int64_t processor_targets() {
  // Everything that the compiler may use for NEON_BF16: AES, byte dot products, float16, bfloat16.
  constexpr unsigned long kFirst = HWCAP_AES | HWCAP_ASIMDDP | HWCAP_ASIMDHP, kSecond = HWCAP2_BF16;
  const bool bf16 = (getauxval(AT_HWCAP) & kFirst) == kFirst && (getauxval(AT_HWCAP2) & kSecond) == kSecond;
  return bf16 ? HWY_NEON_WITHOUT_AES | HWY_NEON_BF16 : HWY_NEON_WITHOUT_AES;
}

bool has(Instruction) { return false; }

}  // namespace moe::cpu
