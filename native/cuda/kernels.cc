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
    .rotary = rotary,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .cache_append = cache_append,
    .attention_decode = attention_decode,
};

}  // namespace

const Kernels& CudaDevice::kernels() const { return kKernels; }

}  // namespace moe::cuda
