#pragma once

namespace moe::cpu {

struct SimdTarget {
  const char* name;  // Highway's name of the instruction set that run-time dispatch picks
  int vector_bytes;
  bool native_bfloat16;  // vdpbf16ps or the like
};

SimdTarget simd_target();

// Keeps run-time dispatch from anything better than this target, so that one machine can run, test and measure the
// kernels of lesser ones. Null or empty: no limit. A target that the processor or the library lacks is refused.
void limit_simd_target(const char* name);

}  // namespace moe::cpu
