// Runtime kernels without NVRTC: some instances of cuda/runtime_kernel, compiled with the emulation. A test installs
// the name of an instance as its image. Test only.
#include <cuda_runtime.h>

#include <map>
#include <string>

#include "cuda/expert/activation.h"
#include "cuda/kernel/reduce.h"
#include "cuda/runtime_kernel/activation.h"
#include "cuda/runtime_kernel/element.h"
#include "cuda/runtime_kernel/expert.h"
#include "cuda/runtime_kernel/gate.h"
#include "custom_activation.h"

#define KERNEL_NAME gate_8_1
#define KERNEL_EXPERTS 8
#define KERNEL_TOP_K 1
#define KERNEL_SCORE MOE_SOFTMAX
#define KERNEL_QUEUE_ORDER MOE_TOKEN_MAJOR
#define KERNEL_CHOSEN 0
#include "simt/gate_instance.h"

#define KERNEL_NAME gate_12_10
#define KERNEL_EXPERTS 12
#define KERNEL_TOP_K 10
#define KERNEL_SCORE MOE_SOFTMAX
#define KERNEL_QUEUE_ORDER MOE_TOKEN_MAJOR
#define KERNEL_CHOSEN 1
#include "simt/gate_instance.h"

#define KERNEL_NAME gate_70_5
#define KERNEL_EXPERTS 70
#define KERNEL_TOP_K 5
#define KERNEL_SCORE MOE_SIGMOID
#define KERNEL_QUEUE_ORDER MOE_CHOICE_MAJOR
#define KERNEL_CHOSEN 1
#include "simt/gate_instance.h"

#define KERNEL_NAME gate_1024_16
#define KERNEL_EXPERTS 1024
#define KERNEL_TOP_K 16
#define KERNEL_SCORE MOE_SOFTMAX
#define KERNEL_QUEUE_ORDER MOE_CHOICE_MAJOR
#define KERNEL_CHOSEN 0
#include "simt/gate_instance.h"

#define KERNEL_NAME expert_64_gelu
#define KERNEL_INNER 64
#define KERNEL_ACTIVATION 3  // MOE_GELU_TANH
#define KERNEL_X float
#define KERNEL_W float
#define KERNEL_Y float
#include "simt/expert_instance.h"

#define KERNEL_NAME expert_264_swiglu
#define KERNEL_INNER 264
#define KERNEL_ACTIVATION 5  // MOE_SWIGLU
#define KERNEL_X bfloat16
#define KERNEL_W bfloat16
#define KERNEL_Y bfloat16
#include "simt/expert_instance.h"

#define KERNEL_NAME expert_72_geglu
#define KERNEL_INNER 72
#define KERNEL_ACTIVATION 6  // MOE_GEGLU_TANH
#define KERNEL_X bfloat16
#define KERNEL_W float
#define KERNEL_Y float
#include "simt/expert_instance.h"

#define KERNEL_NAME expert_520_custom
#define KERNEL_INNER 520
#define KERNEL_ACTIVATION 7  // MOE_CUSTOM_ACTIVATION
#define KERNEL_X float
#define KERNEL_W bfloat16
#define KERNEL_Y float
#include "simt/expert_instance.h"

namespace custom_activation {
#include "cuda/runtime_kernel/activation.cu"
}

struct SimtKernel {
  // Copies the arguments, like a launch does, and returns what each thread runs.
  std::function<std::function<void()>(void** arguments)> bind;
};

struct SimtLibrary {
  std::map<std::string, SimtKernel> kernels;
};

namespace {

template <typename... Parameters, size_t... i>
std::function<void()> bound(void (*kernel)(Parameters...), void** arguments, std::index_sequence<i...>) {
  return [kernel, values = std::tuple<Parameters...>(*static_cast<Parameters*>(arguments[i])...)] {
    std::apply(kernel, values);
  };
}

template <typename... Parameters>
SimtKernel kernel_of(void (*kernel)(Parameters...)) {
  return {[kernel](void** arguments) { return bound(kernel, arguments, std::index_sequence_for<Parameters...>()); }};
}

SimtLibrary gate_of(moe::cuda::runtime_kernel::Gate* kernel) { return {{{"gate", kernel_of(kernel)}}}; }
SimtLibrary expert_of(moe::cuda::runtime_kernel::Expert* kernel) { return {{{"expert", kernel_of(kernel)}}}; }
SimtLibrary activation_of(moe::cuda::runtime_kernel::CustomForward* forward,
                          moe::cuda::runtime_kernel::CustomBackward* backward) {
  return {{{"activation_forward", kernel_of(forward)}, {"activation_backward", kernel_of(backward)}}};
}

const std::map<std::string, SimtLibrary>& libraries() {
  static const std::map<std::string, SimtLibrary> all{
      {"gate_8_1", gate_of(gate_8_1::gate)},
      {"gate_12_10", gate_of(gate_12_10::gate)},
      {"gate_70_5", gate_of(gate_70_5::gate)},
      {"gate_1024_16", gate_of(gate_1024_16::gate)},
      {"expert_64_gelu", expert_of(expert_64_gelu::expert)},
      {"expert_264_swiglu", expert_of(expert_264_swiglu::expert)},
      {"expert_72_geglu", expert_of(expert_72_geglu::expert)},
      {"expert_520_custom", expert_of(expert_520_custom::expert)},
      {"activation", activation_of(custom_activation::activation_forward, custom_activation::activation_backward)},
  };
  return all;
}

}  // namespace

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* image, cudaJitOption*, void**, unsigned,
                                cudaLibraryOption*, void**, unsigned) {
  const auto found = libraries().find(static_cast<const char*>(image));
  if (found == libraries().end()) return cudaErrorInvalidKernelImage;
  *library = &found->second;
  return cudaSuccess;
}

cudaError_t cudaLibraryUnload(cudaLibrary_t) { return cudaSuccess; }

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  const auto found = library->kernels.find(name);
  if (found == library->kernels.end()) return cudaErrorSymbolNotFound;
  *kernel = &found->second;
  return cudaSuccess;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void** arguments) {
  simt::Shape shape{};
  if (const cudaError_t error = simt::check_launch(*config, kernel, shape); error != cudaSuccess) return error;
  return simt::enqueue(config->stream, [=, run = static_cast<cudaKernel_t>(kernel)->bind(arguments)] {
    simt::Block::run_grid(shape, simt::next_seed(), run);
  });
}
