// The table a backend fills: one function per kernel, with checked arguments. Every backend serves every kernel.
#pragma once

#include "core/stream.h"
#include "moe/moe.h"

namespace moe {

using T = const moe_tensor&;  // a required tensor
using N = const moe_tensor*;  // a tensor that may be absent

using Fill = void(Stream&, float value, T y);
using Cast = void(Stream&, T x, T y);
using Copy = void(Stream&, const void* x, int64_t bytes, void* y);
using Add = void(Stream&, float alpha, T a, float beta, T b, T y);
using ClampForward = void(Stream&, float bound, T x, T y);
using ClampBackward = void(Stream&, float bound, T x, T dy, T dx);
using ActivationForward = void(Stream&, moe_activation, T x, T y);
using ActivationBackward = void(Stream&, moe_activation, T x, T dy, T dx);
using RandomUniform = void(Stream&, uint64_t seed, uint64_t offset, T y);
using RandomNormal = void(Stream&, uint64_t seed, uint64_t offset, float mean, float deviation, T y);

using EmbeddingForward = void(Stream&, T ids, T table, N positions, N position_table, T y);
using EmbeddingBackward = void(Stream&, T ids, N positions, T dy, T dtable, N dposition_table);

using LayerNormForward = void(Stream&, T x, T gamma, T beta, float epsilon, T y, N mean, N rstd);
using LayerNormBackward = void(Stream&, T dy, T x, T gamma, T mean, T rstd, T dx, T dgamma, T dbeta);
using RmsNormForward = void(Stream&, T x, T gamma, float epsilon, T y, N rstd);
using RmsNormBackward = void(Stream&, T dy, T x, T gamma, T rstd, T dx, T dgamma);

// Structs of the ABI arrive as copies of the caller's, checked: the members that a kernel needs are not null.
using Rotary = void(Stream&, T x, const moe_rotary_angles&, int direction, T y);
using AttentionForward = void(Stream&, const moe_attention_config&, const moe_attention_inputs&, T out, N logsumexp);
using AttentionBackward = void(Stream&, const moe_attention_config&, const moe_attention_inputs&, T out, T logsumexp,
                               T dout, const moe_attention_gradients&);
using CacheAppend = void(Stream&, T k, T v, const moe_cache_places&);
using AttentionDecode = void(Stream&, const moe_attention_config&, T q, N sinks, const moe_cache_places&, T out);

using Gemm = void(Stream&, bool transpose_a, bool transpose_b, moe_activation, bool accumulate, T a, T b, N bias, T c,
                  N preactivation);
using ColumnSum = void(Stream&, T x, T y);
using GemmPackedBytes = int64_t(moe_dtype, int rank, const int64_t* shape);
using GemmPack = void(Stream&, T weights, T packed);

using GateForward = void(Stream&, const moe_gate_config&, T logits, N used, N bias, N noise, N priority, T scores,
                         T expert, T position, T weight, T choice, T counts, T offsets, T losses);
using GateBackward = void(Stream&, const moe_gate_config&, T logits, N used, T scores, T expert, T choice, T dweight,
                          float dauxiliary, float dz, T dlogits);

using DispatchForward = void(Stream&, T x, T expert, T position, T offsets, T rows);
using DispatchBackward = void(Stream&, T drows, T expert, T position, T offsets, T dx);

using ExpertForward = void(Stream&, moe_activation, T x, T offsets, T weights, N bias, T y, N preactivation);
using ExpertBackwardInput = void(Stream&, T dy, T offsets, T weights, T dx);
using ExpertBackwardWeights = void(Stream&, bool accumulate, T dy, T x, T offsets, T dweights, N dbias);

using CombineForward = void(Stream&, T rows, T expert, T position, T weight, T offsets, N mlp, N coefficient, N skip,
                            T y);
using CombineBackward = void(Stream&, T dy, T rows, T expert, T position, T weight, T offsets, N mlp, N coefficient,
                             T drows, T dweight, N dmlp, N dcoefficient);

using CrossEntropy = void(Stream&, T logits, T targets, float label_smoothing, float dloss, T losses, N dlogits);
using LinearCrossEntropy = void(Stream&, T hidden, T weights, T targets, float label_smoothing, float dloss, T losses,
                                N dhidden, N dweights);

using AdamwStep = void(Stream&, float learning_rate, float beta1, float beta2, float epsilon, float weight_decay,
                       int64_t step, float gradient_scale, T parameter, T gradient, T first_moment, T second_moment,
                       N copy);
using SquareSum = void(Stream&, T x, T sum);

// Signature and name of every kernel: the table below, and what each backend declares and fills it with.
#define MOE_KERNELS(X)                              \
  X(Fill, fill)                                     \
  X(Cast, cast)                                     \
  X(Copy, copy)                                     \
  X(Add, add)                                       \
  X(ClampForward, clamp_forward)                    \
  X(ClampBackward, clamp_backward)                  \
  X(ActivationForward, activation_forward)          \
  X(ActivationBackward, activation_backward)        \
  X(RandomUniform, random_uniform)                  \
  X(RandomNormal, random_normal)                    \
  X(EmbeddingForward, embedding_forward)            \
  X(EmbeddingBackward, embedding_backward)          \
  X(LayerNormForward, layer_norm_forward)           \
  X(LayerNormBackward, layer_norm_backward)         \
  X(RmsNormForward, rms_norm_forward)               \
  X(RmsNormBackward, rms_norm_backward)             \
  X(Rotary, rotary)                                 \
  X(AttentionForward, attention_forward)            \
  X(AttentionBackward, attention_backward)          \
  X(CacheAppend, cache_append)                      \
  X(AttentionDecode, attention_decode)              \
  X(Gemm, gemm)                                     \
  X(ColumnSum, column_sum)                          \
  X(GemmPackedBytes, gemm_packed_bytes)             \
  X(GemmPack, gemm_pack)                            \
  X(GateForward, gate_forward)                      \
  X(GateBackward, gate_backward)                    \
  X(DispatchForward, dispatch_forward)              \
  X(DispatchBackward, dispatch_backward)            \
  X(ExpertForward, expert_forward)                  \
  X(ExpertBackwardInput, expert_backward_input)     \
  X(ExpertBackwardWeights, expert_backward_weights) \
  X(CombineForward, combine_forward)                \
  X(CombineBackward, combine_backward)              \
  X(CrossEntropy, cross_entropy)                    \
  X(LinearCrossEntropy, linear_cross_entropy)       \
  X(AdamwStep, adamw_step)                          \
  X(SquareSum, square_sum)

#define MOE_KERNEL_MEMBER(Signature, name) Signature* name;
#define MOE_KERNEL_DECLARATION(Signature, name) Signature name;
#define MOE_KERNEL_ENTRY(Signature, name) .name = name,

struct Kernels {
  MOE_KERNELS(MOE_KERNEL_MEMBER)
};

}  // namespace moe
