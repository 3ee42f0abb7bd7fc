#pragma once

namespace moe::cpu {

struct SimdTarget {
  const char* name;  // Highway's name of the instruction set that run-time dispatch picks
  int vector_bytes;
  bool native_bfloat16;  // vdpbf16ps or the like
};

SimdTarget simd_target();

}  // namespace moe::cpu
