// What x86 processors say of themselves. Not by __builtin_cpu_supports, for which not every compiler's library has the
// data.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace moe::cpu {

struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// The answer to a leaf; zeros if the processor does not know it.
inline Cpuid cpuid(unsigned leaf, unsigned subleaf = 0) {
  Cpuid answer;
  __get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
  return answer;
}

// A register's bits of these numbers.
template <typename... Numbers>
constexpr unsigned bits(Numbers... numbers) {
  return ((1u << numbers) | ...);
}

constexpr bool has_all(unsigned value, unsigned wanted) { return (value & wanted) == wanted; }

// The vector registers that the system keeps for each thread.
enum class Vectors : unsigned { k256 = bits(1, 2), k512 = bits(1, 2, 5, 6, 7) };

inline bool system_keeps(Vectors vectors) {
  if (!has_all(cpuid(1).ecx, bits(27))) return false;  // OSXSAVE
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return has_all(low, static_cast<unsigned>(vectors));
}

}  // namespace moe::cpu
