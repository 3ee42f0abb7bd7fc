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
    .gate_forward = gate_forward,
    .gate_backward = gate_backward,
    .dispatch_forward = dispatch_forward,
    .dispatch_backward = dispatch_backward,
    .combine_forward = combine_forward,
    .combine_backward = combine_backward,
};

}  // namespace

const Kernels& CudaDevice::kernels() const { return kKernels; }

}  // namespace moe::cuda
