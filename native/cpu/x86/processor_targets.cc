#include "cpu/simd/processor_targets.h"

#include "cpu/x86/cpuid.h"
#include "hwy/highway.h"

namespace moe::cpu {
namespace {

// Everything that the compiler may use in code for AVX2.
bool has_avx2() {
  // SSE3, PCLMUL, SSSE3, FMA, SSE4.1, SSE4.2, AES, AVX, F16C
  if (!has_all(cpuid(1).ecx, bits(0, 1, 9, 12, 19, 20, 25, 28, 29))) return false;
  return has_all(cpuid(7).ebx, bits(3, 5, 8)) &&     // BMI, AVX2, BMI2
         has_all(cpuid(0x80000001).ecx, bits(5)) &&  // LZCNT
         system_keeps(Vectors::k256);
}

// For AVX3: AVX-512 F, DQ, CD, BW, VL.
bool has_avx3() { return has_all(cpuid(7).ebx, bits(16, 17, 28, 30, 31)) && system_keeps(Vectors::k512); }

// For AVX3_ZEN4: VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, POPCNTDQ, BF16. Highway's choice of instructions
// there is for AMD.
bool has_zen4() {
  const Cpuid vendor = cpuid(0);
  return vendor.ebx == signature_AMD_ebx && vendor.ecx == signature_AMD_ecx && vendor.edx == signature_AMD_edx &&
         has_all(cpuid(7).ecx, bits(1, 6, 8, 9, 10, 11, 12, 14)) && has_all(cpuid(7, 1).eax, bits(5));
}

int64_t detect() {
  int64_t targets = HWY_SSE2;
  if (!has_avx2()) return targets;
  targets |= HWY_AVX2;
  if (!has_avx3()) return targets;
  targets |= HWY_AVX3;
  return has_zen4() ? targets | HWY_AVX3_ZEN4 : targets;
}

}  // namespace

int64_t processor_targets() {
  static const int64_t targets = detect();
  return targets;
}

}  // namespace moe::cpu
