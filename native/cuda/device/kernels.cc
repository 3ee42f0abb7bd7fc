#include "cuda/device/kernels.h"

#include "cuda/device/device.h"
#include "cuda/device/runtime_kernels.h"

namespace moe::cuda {
namespace {

constexpr Kernels kKernels{MOE_KERNELS(MOE_KERNEL_ENTRY)};

}  // namespace

const Kernels& CudaDevice::kernels() const {
  static const Kernels kernels = with_runtime_kernels(kKernels);
  return kernels;
}

}  // namespace moe::cuda
