// Declares a runtime kernel. NVRTC compiles it once, as an extern "C" function; the emulation compiles several
// instances, each in a namespace.
#pragma once

#if defined(MOE_SIMT)
#define RUNTIME_KERNEL static __global__
#else
#define RUNTIME_KERNEL extern "C" __global__
#endif
