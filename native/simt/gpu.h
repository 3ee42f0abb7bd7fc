// What the emulated GPUs are: four equal ones, of the architecture that PANAMOE_SIMT_ARCH names.
#pragma once

#include <cuda_runtime.h>

namespace simt {

constexpr int kGpus = 4;

// The calling thread's current GPU.
int current_gpu();
// 80, 86, 90 or 100. Throws Error if PANAMOE_SIMT_ARCH is something else. Read at every call: tests change it.
int architecture();
// Whether a launch of this kernel on the current GPU may have so much dynamic shared memory. Static shared memory is
// not counted: the emulation does not know it.
bool allows_shared_bytes(const void* kernel, size_t bytes);

}  // namespace simt
