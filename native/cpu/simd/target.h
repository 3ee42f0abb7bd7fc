// The instruction set that the kernels use: Highway's target, or AVX-512 with tiles.
#pragma once

#include "cpu/processor.h"

namespace moe::cpu {

// The name of AVX-512 with AMX tiles, which multiply bfloat16.
inline constexpr const char* kTileTarget = "AMX";

struct SimdTarget {
  const char* name;  // kTileTarget, or Highway's name of the target that dynamic dispatch picks
  int vector_bytes;
  bool native_bfloat16;  // the target multiplies bfloat16: vdpbf16ps, tiles, bfdot
};

SimdTarget simd_target();

// True if kernels may use the instruction: the processor has it and dynamic dispatch is not limited.
bool uses(Instruction instruction);

// Limits dynamic dispatch to this target, so that one machine can test and measure the kernels of older processors.
// Null or empty: no limit. Throws Error for a target that the processor or the library does not have.
void limit_simd_target(const char* name);

}  // namespace moe::cpu
