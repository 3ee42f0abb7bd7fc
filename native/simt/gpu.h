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
// Whether this kernel may have this much dynamic shared memory on the current GPU.
bool allows_shared_bytes(const void* kernel, size_t bytes);
// Bytes of static and dynamic shared memory that a block of this kernel may have together on the current GPU: 48 KiB,
// or the GPU's limit if the kernel has asked for more dynamic memory.
size_t most_shared_bytes(const void* kernel);

}  // namespace simt
