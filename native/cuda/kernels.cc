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
    .gemm = gemm,
    .column_sum = column_sum,
    .gemm_packed_bytes = gemm_packed_bytes,
    .gemm_pack = gemm_pack,
    .expert_forward = expert_forward,
    .expert_backward_input = expert_backward_input,
    .expert_backward_weights = expert_backward_weights,
};

}  // namespace

const Kernels& CudaDevice::kernels() const { return kKernels; }

}  // namespace moe::cuda
