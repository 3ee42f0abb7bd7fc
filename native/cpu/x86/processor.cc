#include "cpu/processor.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/x86/cpuid.h"
#include "hwy/highway.h"

namespace moe::cpu {
namespace {

// A word with these bits set.
template <typename... Numbers>
constexpr unsigned bits(Numbers... numbers) {
  return ((1u << numbers) | ...);
}

constexpr bool has_all(unsigned value, unsigned wanted) { return (value & wanted) == wanted; }

// Bits of XCR0: AVX, AVX-512 and AMX state.
constexpr unsigned kVectors256 = bits(1, 2), kVectors512 = kVectors256 | bits(5, 6, 7), kTiles = bits(17, 18);

Cpuid cpuid(unsigned leaf, unsigned subleaf = 0) {
  Cpuid answer;
  __get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
  return answer;
}

// Not by __builtin_cpu_supports: some compilers' libraries lack its data.
Answers ask() {
  Answers answers{cpuid(0), cpuid(1), cpuid(7), cpuid(7, 1), cpuid(0x80000001)};
  if (!has_all(answers.leaf1.ecx, bits(27))) return answers;  // OSXSAVE
  unsigned high;
  asm volatile("xgetbv" : "=a"(answers.kept), "=d"(high) : "c"(0));
  return answers;
}

const Abilities& here() {
  static const Abilities abilities = abilities_of(ask());
  return abilities;
}

// Linux grants tiles to a process on request, once for all threads: they add 8 KB to each thread's state.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool may = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return may;
}

}  // namespace

Abilities abilities_of(const Answers& a) {
  Abilities found{.targets = HWY_SSE2};
  const auto add = [&](Instruction instruction, bool has) {
    if (has) found.instructions |= static_cast<unsigned>(instruction);
  };

  // Everything that the compiler may use for AVX2:
  // SSE3, PCLMUL, SSSE3, FMA, SSE4.1, SSE4.2, POPCNT, AES, AVX, F16C
  if (!has_all(a.leaf1.ecx, bits(0, 1, 9, 12, 19, 20, 23, 25, 28, 29)) ||
      !has_all(a.leaf7.ebx, bits(3, 5, 8)) ||  // BMI, AVX2, BMI2
      !has_all(a.extended1.ecx, bits(5)) ||    // LZCNT
      !has_all(a.kept, kVectors256)) {
    return found;
  }
  found.targets |= HWY_AVX2;
  add(Instruction::kByteDot256, has_all(a.leaf7_1.eax, bits(4)));
  add(Instruction::kX86Level3,
      has_all(a.leaf1.ecx, bits(13, 22)) && has_all(a.extended1.ecx, bits(0)));  // CX16, MOVBE, LAHF

  // AVX3: AVX-512 F, DQ, CD, BW, VL.
  if (!has_all(a.leaf7.ebx, bits(16, 17, 28, 30, 31)) || !has_all(a.kept, kVectors512)) return found;
  found.targets |= HWY_AVX3;
  add(Instruction::kByteDot512, has_all(a.leaf7.ecx, bits(11)));
  const bool tiles = has_all(a.leaf7.edx, bits(24)) && has_all(a.kept, kTiles);
  add(Instruction::kBfloat16Tiles, tiles && has_all(a.leaf7.edx, bits(22)));
  add(Instruction::kInt8Tiles, tiles && has_all(a.leaf7.edx, bits(25)));

  // AVX3_ZEN4: VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, POPCNTDQ, BF16. Highway tunes this target for AMD.
  const Cpuid& vendor = a.leaf0;
  if (vendor.ebx == signature_AMD_ebx && vendor.ecx == signature_AMD_ecx && vendor.edx == signature_AMD_edx &&
      has_all(a.leaf7.ecx, bits(1, 6, 8, 9, 10, 11, 12, 14)) && has_all(a.leaf7_1.eax, bits(5))) {
    found.targets |= HWY_AVX3_ZEN4;
  }
  return found;
}

int64_t processor_targets() { return here().targets; }

bool has(Instruction instruction) {
  if ((here().instructions & static_cast<unsigned>(instruction)) == 0) return false;
  const bool tiles = instruction == Instruction::kBfloat16Tiles || instruction == Instruction::kInt8Tiles;
  return !tiles || may_use_tiles();
}

}  // namespace moe::cpu
