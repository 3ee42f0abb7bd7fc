// float32 and bfloat16 elements for runtime kernels, without CUDA's headers, which NVRTC does not include.
#pragma once

#include <cuda_runtime.h>
#if defined(MOE_SIMT)
#include <cuda_bf16.h>
#endif
#include "cuda/runtime_kernel/kernel.h"

struct bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bfloat16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

__device__ __forceinline__ float read(moe::cuda::runtime_kernel::Elements from, long long i) {
  return from.narrow ? to_float(static_cast<const bfloat16*>(from.data)[i]) : static_cast<const float*>(from.data)[i];
}

// Rounded to nearest even.
__device__ __forceinline__ void store_float(float value, float* to) { *to = value; }
__device__ __forceinline__ void store_float(float value, bfloat16* to) {
#if defined(MOE_SIMT)
  to->bits = __float2bfloat16_rn(value).bits;
#else
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(value));
#endif
}

constexpr int kEight = 8;

// Loads eight adjacent elements by 16-byte accesses.
__device__ __forceinline__ void load_eight(const float* from, float (&to)[kEight]) {
  const float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
  to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
  to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
}
__device__ __forceinline__ void load_eight(const bfloat16* from, float (&to)[kEight]) {
  const uint4 vector = *reinterpret_cast<const uint4*>(from);
  const unsigned pairs[] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
  for (int i = 0; i < kEight / 2; ++i) {
    to[2 * i] = __uint_as_float(pairs[i] << 16);
    to[2 * i + 1] = __uint_as_float(pairs[i] & 0xffff0000u);
  }
}
