// The memory of the emulated GPUs. Only kernels and copies can access it, like on a GPU: an access by the host ends the
// process.
#pragma once

#include <cuda_runtime.h>

// begin = 1 lets the host access the memory of all GPUs; 0 ends it. Calls nest.
extern "C" __attribute__((visibility("default"))) void simt_access(int begin);

namespace simt {

// Access to GPU memory while it lives, on any thread.
class MemoryAccess {
 public:
  MemoryAccess() { simt_access(1); }
  ~MemoryAccess() { simt_access(0); }
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;
};

}  // namespace simt
