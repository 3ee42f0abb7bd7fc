// CPUID of an x86 processor, and what follows from it. Tests pass the CPUID of other processors.
#pragma once

#include <cstdint>

namespace moe::cpu {

// The registers that CPUID writes.
struct Cpuid {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// The CPUID leaves that are read; zeros for leaves that the processor does not have.
struct Answers {
  Cpuid leaf0, leaf1, leaf7, leaf7_1, extended1;
  unsigned kept = 0;  // XCR0: register sets that the system saves per thread
};

// What processor.h returns for one processor: Highway's targets, and the bits of instructions.
struct Abilities {
  int64_t targets = 0;
  unsigned instructions = 0;
};
Abilities abilities_of(const Answers& answers);

}  // namespace moe::cpu
