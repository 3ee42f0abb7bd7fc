#pragma once

namespace moe::cpu {

// The name of AVX-512 with tiles beside it (Intel AMX), in which products of bfloat16 are multiplied.
inline constexpr const char* kTileTarget = "AMX";

struct SimdTarget {
  const char* name;  // kTileTarget, or Highway's name of the instruction set that run-time dispatch picks
  int vector_bytes;
  bool native_bfloat16;  // vdpbf16ps, tiles or the like
};

SimdTarget simd_target();

// Whether products of bfloat16 are multiplied in tiles (Intel AMX) where the vectors are of 512 bits.
bool multiplies_in_tiles();

// Keeps run-time dispatch from anything better than this target, so that one machine can run, test and measure the
// kernels of lesser ones. Null or empty: no limit. A target that the processor or the library lacks is refused.
void limit_simd_target(const char* name);

}  // namespace moe::cpu
