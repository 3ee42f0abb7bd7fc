// The CPU backend's kernels; each is defined in the file of its header's name.
#pragma once

#include "src/kernels.h"

namespace moe::cpu {

[[gnu::weak]] Fill fill;
[[gnu::weak]] Copy cast;
[[gnu::weak]] Copy copy;
[[gnu::weak]] Add add;
[[gnu::weak]] ActivationForward activation_forward;
[[gnu::weak]] ActivationBackward activation_backward;
[[gnu::weak]] RandomUniform random_uniform;
[[gnu::weak]] RandomNormal random_normal;
[[gnu::weak]] EmbeddingForward embedding_forward;
[[gnu::weak]] EmbeddingBackward embedding_backward;
[[gnu::weak]] LayerNormForward layer_norm_forward;
[[gnu::weak]] LayerNormBackward layer_norm_backward;
[[gnu::weak]] RmsNormForward rms_norm_forward;
[[gnu::weak]] RmsNormBackward rms_norm_backward;
[[gnu::weak]] Rotary rotary;
[[gnu::weak]] AttentionForward attention_forward;
[[gnu::weak]] AttentionBackward attention_backward;
[[gnu::weak]] CacheAppend cache_append;
[[gnu::weak]] AttentionDecode attention_decode;
[[gnu::weak]] Gemm gemm;
[[gnu::weak]] ColumnSum column_sum;
[[gnu::weak]] GemmPackedBytes gemm_packed_bytes;
[[gnu::weak]] GemmPack gemm_pack;
[[gnu::weak]] GateForward gate_forward;
[[gnu::weak]] GateBackward gate_backward;
[[gnu::weak]] DispatchForward dispatch_forward;
[[gnu::weak]] DispatchBackward dispatch_backward;
[[gnu::weak]] ExpertForward expert_forward;
[[gnu::weak]] ExpertBackwardInput expert_backward_input;
[[gnu::weak]] ExpertBackwardWeights expert_backward_weights;
[[gnu::weak]] CombineForward combine_forward;
[[gnu::weak]] CombineBackward combine_backward;
[[gnu::weak]] CrossEntropy cross_entropy;
[[gnu::weak]] LinearCrossEntropy linear_cross_entropy;
[[gnu::weak]] AdamwStep adamw_step;
[[gnu::weak]] SquareSum square_sum;

}  // namespace moe::cpu
