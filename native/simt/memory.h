// The memory of the emulated GPUs. Kernels and copies can access it; the host cannot, as on a GPU: its access ends
// the process.
#pragma once

#include <cuda_runtime.h>

// Lets the host access the memory of all GPUs, until as many calls have ended it (0) as have begun it (1).
extern "C" __attribute__((visibility("default"))) void simt_access(int begin);

namespace simt {

// An access, in whatever thread.
class MemoryAccess {
 public:
  MemoryAccess() { simt_access(1); }
  ~MemoryAccess() { simt_access(0); }
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;
};

}  // namespace simt
