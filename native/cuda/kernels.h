// The CUDA backend's kernels; each is defined in the file of its header's name.
#pragma once

#include "src/kernels.h"

namespace moe::cuda {

Fill fill;
Copy cast;
Copy copy;
Add add;
ActivationForward activation_forward;
ActivationBackward activation_backward;
RandomUniform random_uniform;
RandomNormal random_normal;
EmbeddingForward embedding_forward;
EmbeddingBackward embedding_backward;
LayerNormForward layer_norm_forward;
LayerNormBackward layer_norm_backward;
RmsNormForward rms_norm_forward;
RmsNormBackward rms_norm_backward;
Rotary rotary;
AttentionForward attention_forward;
AttentionBackward attention_backward;
CacheAppend cache_append;
AttentionDecode attention_decode;
Gemm gemm;
ColumnSum column_sum;
GemmPackedBytes gemm_packed_bytes;
GemmPack gemm_pack;
GateForward gate_forward;
GateBackward gate_backward;
DispatchForward dispatch_forward;
DispatchBackward dispatch_backward;
ExpertForward expert_forward;
ExpertBackwardInput expert_backward_input;
ExpertBackwardWeights expert_backward_weights;
CombineForward combine_forward;
CombineBackward combine_backward;
CrossEntropy cross_entropy;
LinearCrossEntropy linear_cross_entropy;
AdamwStep adamw_step;
SquareSum square_sum;

}  // namespace moe::cuda
