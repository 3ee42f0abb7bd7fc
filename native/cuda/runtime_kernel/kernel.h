// What the files of runtime kernels share. RUNTIME_KERNEL declares one. NVRTC compiles it once, as an extern "C"
// function; the emulation compiles several instances, each in a namespace.
#pragma once

#if defined(MOE_SIMT)
#define RUNTIME_KERNEL static __global__
#else
#define RUNTIME_KERNEL extern "C" __global__
#endif

namespace moe::cuda::runtime_kernel {

// Elements in memory: float32, or bfloat16 if narrow is 1.
struct Elements {
  void* data;
  int narrow;
};

}  // namespace moe::cuda::runtime_kernel
