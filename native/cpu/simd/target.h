// The instruction set that the kernels use: Highway's target, or AVX-512 with tiles.
#pragma once

namespace moe::cpu {

// The name of AVX-512 with tiles (Intel AMX), which multiply bfloat16.
inline constexpr const char* kTileTarget = "AMX";

struct SimdTarget {
  const char* name;  // kTileTarget, or Highway's name of the target that dynamic dispatch picks
  int vector_bytes;
  bool native_bfloat16;  // vdpbf16ps, tiles or the like
};

SimdTarget simd_target();

// True if the GEMM uses tiles (Intel AMX) for bfloat16.
bool multiplies_in_tiles();

// The same for weights in blocks.
bool multiplies_blocks_in_tiles();

// True if the GEMM of int8 sums four products at once where Highway's target has no instruction for it.
bool multiplies_bytes();

// Limits dynamic dispatch to this target, so that one machine can test and measure the kernels of older processors.
// Null or empty: no limit. Throws Error for a target that the processor or the library does not have.
void limit_simd_target(const char* name);

}  // namespace moe::cpu
