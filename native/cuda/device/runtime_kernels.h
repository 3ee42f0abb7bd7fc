// Runtime kernels: compiled by NVRTC for one model and installed on a GPU (docs/runtime-kernels.md).
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "core/kernels.h"

namespace moe::cuda {

// The functions of an image: forward and backward of a custom activation; other kinds use only the first.
using RuntimeFunctions = std::array<cudaKernel_t, 2>;

class RuntimeKernels {
 public:
  // Loads an image into the current GPU's context.
  void install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes);
  // The functions of the installed kernel with this description, or null.
  const RuntimeFunctions* find(const moe_runtime_kernel& kernel) const;
  const RuntimeFunctions* custom_activation() const;
  void unload();

 private:
  using Description = std::array<int64_t, 11>;
  static Description describe(const moe_runtime_kernel& kernel);

  std::map<Description, RuntimeFunctions> functions_;
  std::vector<cudaLibrary_t> libraries_;  // replaced ones too, which a graph may still launch
};

// A table whose kernels run an installed runtime kernel if one fits the call, else the kernel of `own`.
Kernels with_runtime_kernels(const Kernels& own);

}  // namespace moe::cuda
