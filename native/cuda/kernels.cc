#include "cuda/kernels.h"

#include "cuda/device.h"
#include "cuda/runtime_kernels.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // until every kernel is here
namespace moe::cuda {
namespace {

constexpr Kernels kKernels{
    .fill = fill,
    .cast = cast,
    .copy = copy,
    .add = add,
};

}  // namespace

const Kernels& CudaDevice::kernels() const {
  static const Kernels kernels = with_runtime_kernels(kKernels);
  return kernels;
}

}  // namespace moe::cuda
