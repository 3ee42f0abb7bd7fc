// How a kernel compiled at run time is declared: NVRTC compiles it once, under the name that is asked for; the
// emulation many times, in a namespace each.
#pragma once

#if defined(MOE_SIMT)
#define RUNTIME_KERNEL static __global__
#else
#define RUNTIME_KERNEL extern "C" __global__
#endif
