// The emulated GPUs: four equal ones of the architecture in PANAMOE_SIMT_ARCH.
#pragma once

#include <cuda_runtime.h>

namespace simt {

constexpr int kGpus = 4;

// The calling thread's current GPU.
int current_gpu();
// 80, 86, 90 or 100. Throws Error if PANAMOE_SIMT_ARCH is something else. Reads it at every call, because tests change
// it.
int architecture();
// Whether this kernel may have this much dynamic shared memory on the current GPU. Static shared memory does not count,
// because the emulation does not know it.
bool allows_shared_bytes(const void* kernel, size_t bytes);

}  // namespace simt
