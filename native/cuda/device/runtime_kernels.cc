#include "cuda/device/runtime_kernels.h"

#include "core/error.h"
#include "cuda/device/device.h"

namespace moe::cuda {

RuntimeKernels::Description RuntimeKernels::describe(const moe_runtime_kernel& kernel) {
  return {kernel.kind,       kernel.experts, kernel.top_k,         kernel.score,   kernel.queue_order, kernel.chosen,
          kernel.activation, kernel.x_dtype, kernel.weights_dtype, kernel.y_dtype, kernel.inner};
}

void RuntimeKernels::install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes) {
  static constexpr const char* kNames[][2] = {
      {"gate", nullptr}, {"expert", nullptr}, {"activation_forward", "activation_backward"}};
  // A cubin contains its length. PTX must end with a 0, which the caller's image may lack.
  std::vector<char> terminated(static_cast<const char*>(image), static_cast<const char*>(image) + bytes);
  terminated.push_back('\0');
  cudaLibrary_t library = nullptr;
  const cudaError_t loaded = cudaLibraryLoadData(&library, terminated.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  if (loaded == cudaErrorMemoryAllocation) require(loaded, "loading a runtime kernel");
  if (loaded != cudaSuccess) {
    invalid("image of ", bytes, " bytes cannot be loaded: ", cudaGetErrorString(loaded), " (", cudaGetErrorName(loaded),
            ")");
  }
  RuntimeFunctions functions{};
  for (size_t i = 0; i < functions.size(); ++i) {
    const char* name = kNames[kernel.kind][i];
    if (name != nullptr && cudaLibraryGetKernel(&functions[i], library, name) != cudaSuccess) {
      cudaLibraryUnload(library);
      invalid("image has no kernel '", name, "'");
    }
  }
  libraries_.push_back(library);
  functions_[describe(kernel)] = functions;
}

const RuntimeFunctions* RuntimeKernels::find(const moe_runtime_kernel& kernel) const {
  const auto found = functions_.find(describe(kernel));
  return found == functions_.end() ? nullptr : &found->second;
}

const RuntimeFunctions* RuntimeKernels::custom_activation() const {
  moe_runtime_kernel kernel{};
  kernel.kind = MOE_RUNTIME_ACTIVATION;
  return find(kernel);
}

void RuntimeKernels::unload() {
  for (cudaLibrary_t library : libraries_) cudaLibraryUnload(library);
  libraries_.clear();
  functions_.clear();
}

}  // namespace moe::cuda
