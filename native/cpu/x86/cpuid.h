// What x86 processors say of themselves, and what follows from it. Tests give the answers of other processors.
#pragma once

#include <cstdint>

namespace moe::cpu {

// The registers that CPUID answers in.
struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// The leaves that are asked for; zeros where the processor does not know one.
struct Answers {
  Cpuid leaf0, leaf1, leaf7, leaf7_1, extended1;
  unsigned kept = 0;  // XCR0: the registers that the system keeps for each thread
};

// Of processor.h, for one processor: Highway's targets, and the bits of instructions.
struct Abilities {
  int64_t targets = 0;
  unsigned instructions = 0;
};
Abilities abilities_of(const Answers& answers);

}  // namespace moe::cpu
