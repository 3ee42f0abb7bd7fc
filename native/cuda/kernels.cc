#include "cuda/kernels.h"

#include "cuda/device.h"

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

const Kernels& CudaDevice::kernels() const { return kKernels; }

}  // namespace moe::cuda
