#include "cuda/kernels.h"

#include "cuda/device.h"
#include "cuda/runtime_kernels.h"

namespace moe::cuda {
namespace {

constexpr Kernels kKernels{
    .fill = fill,
    .cast = cast,
    .copy = copy,
    .add = add,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .random_uniform = random_uniform,
    .random_normal = random_normal,
    .embedding_forward = embedding_forward,
    .embedding_backward = embedding_backward,
    .layer_norm_forward = layer_norm_forward,
    .layer_norm_backward = layer_norm_backward,
    .rms_norm_forward = rms_norm_forward,
    .rms_norm_backward = rms_norm_backward,
    .rotary = rotary,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .cache_append = cache_append,
    .attention_decode = attention_decode,
    .gemm = gemm,
    .column_sum = column_sum,
    .gemm_packed_bytes = gemm_packed_bytes,
    .gemm_pack = gemm_pack,
    .gate_forward = gate_forward,
    .gate_backward = gate_backward,
    .dispatch_forward = dispatch_forward,
    .dispatch_backward = dispatch_backward,
    .expert_forward = expert_forward,
    .expert_backward_input = expert_backward_input,
    .expert_backward_weights = expert_backward_weights,
    .combine_forward = combine_forward,
    .combine_backward = combine_backward,
    .cross_entropy = cross_entropy,
    .linear_cross_entropy = linear_cross_entropy,
    .adamw_step = adamw_step,
    .square_sum = square_sum,
};

}  // namespace

const Kernels& CudaDevice::kernels() const {
  static const Kernels kernels = with_runtime_kernels(kKernels);
  return kernels;
}

}  // namespace moe::cuda
