// The kernels that a card was given at run time, and which calls they serve.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "core/kernels.h"

namespace moe::cuda {

// The functions of one image: of an activation forward and backward, of all else the first one only.
using RuntimeFunctions = std::array<cudaKernel_t, 2>;

class RuntimeKernels {
 public:
  // Loads an image into the current card's context.
  void install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes);
  // The functions of the kernel of this description, or null.
  const RuntimeFunctions* find(const moe_runtime_kernel& kernel) const;
  const RuntimeFunctions* custom_activation() const;
  void unload();

 private:
  using Description = std::array<int64_t, 11>;
  static Description describe(const moe_runtime_kernel& kernel);

  std::map<Description, RuntimeFunctions> functions_;
  std::vector<cudaLibrary_t> libraries_;  // a replaced one as well: a graph may still launch it
};

// The card's own kernels, with run-time ones in their place where the card has one that fits the call.
Kernels with_runtime_kernels(const Kernels& own);

}  // namespace moe::cuda
