// The table of kernels that every backend fills completely. abi/ has checked the arguments. Structs are checked copies
// of the caller's; members that a kernel needs are not null.
#pragma once

#include "core/stream.h"
#include "moe/moe.h"

namespace moe {

using Tensor = const moe_tensor&;
using OptionalTensor = const moe_tensor*;  // null if absent

using Fill = void(Stream&, float value, Tensor y);
using Cast = void(Stream&, Tensor x, Tensor y);
using Copy = void(Stream&, const void* x, int64_t bytes, void* y);
using Add = void(Stream&, float alpha, Tensor a, float beta, Tensor b, Tensor y);
using ClampForward = void(Stream&, float bound, Tensor x, Tensor y);
using ClampBackward = void(Stream&, float bound, Tensor x, Tensor dy, Tensor dx);
using ExpForward = void(Stream&, float bound, Tensor x, Tensor y);
using SoftCap = void(Stream&, float cap, Tensor x, Tensor y);
using ExpBackward = void(Stream&, float bound, Tensor x, Tensor dy, Tensor dx);
using ActivationForward = void(Stream&, const moe_activation_config&, Tensor x, Tensor y);
using ActivationBackward = void(Stream&, const moe_activation_config&, Tensor x, Tensor dy, Tensor dx);
using RandomUniform = void(Stream&, uint64_t seed, uint64_t offset, Tensor y);
using RandomNormal = void(Stream&, uint64_t seed, uint64_t offset, float mean, float deviation, Tensor y);
using RandomGumbel = void(Stream&, uint64_t seed, uint64_t offset, Tensor y);
using Jitter = void(Stream&, uint64_t seed, uint64_t offset, float epsilon, Tensor x, Tensor y);

using EmbeddingForward = void(Stream&, Tensor ids, Tensor table, OptionalTensor positions,
                              OptionalTensor position_table, Tensor y);
using EmbeddingBackward = void(Stream&, Tensor ids, OptionalTensor positions, Tensor dy, Tensor dtable,
                               OptionalTensor dposition_table);

using LayerNormForward = void(Stream&, const moe_norm&, Tensor x, Tensor y);
using LayerNormBackward = void(Stream&, const moe_norm&, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta);
using RmsNormForward = void(Stream&, const moe_norm&, Tensor x, Tensor y);
using RmsNormBackward = void(Stream&, const moe_norm&, Tensor x, Tensor dy, Tensor dx, Tensor dgamma);

using Rotary = void(Stream&, Tensor x, const moe_rotary_angles&, int direction, Tensor y);
using HeadCopy = void(Stream&, const moe_head_columns&, Tensor x, Tensor y);
using AttentionForward = void(Stream&, const moe_attention_config&, const moe_attention_inputs&, Tensor out,
                              OptionalTensor logsumexp);
using AttentionBackward = void(Stream&, const moe_attention_config&, const moe_attention_inputs&, Tensor out,
                               Tensor logsumexp, Tensor dout, const moe_attention_gradients&);
using CacheAppend = void(Stream&, Tensor k, Tensor v, const moe_cache_places&);
using AttentionDecode = void(Stream&, const moe_attention_config&, Tensor q, OptionalTensor sinks,
                             const moe_cache_places&, Tensor out);
using AttentionBiased = void(Stream&, const moe_attention_config&, const moe_relative_bias&, Tensor q,
                             const moe_cache_places&, Tensor out);

// The epilogue's activation is never null.
using Gemm = void(Stream&, const moe_gemm_config&, Tensor a, Tensor b, Tensor c, const moe_epilogue&);
using ColumnSum = void(Stream&, Tensor x, Tensor y);
// For floating weights of rank 2 or 3 without negative sizes; -1 if the bytes overflow the address space.
using GemmPackedBytes = int64_t(moe_dtype, int rank, const int64_t* shape);
using GemmPack = void(Stream&, Tensor weights, Tensor packed);

using GateForward = void(Stream&, const moe_gate_config&, const moe_gate_inputs&, const moe_routes&);
using GateBackward = void(Stream&, const moe_gate_config&, const moe_gate_inputs&, const moe_routes&,
                          const moe_gate_gradients&);

using BalanceForward = void(Stream&, const moe_balance_config&, Tensor scores, Tensor choice, const moe_balance_sums&);
using BalanceJoin = void(Stream&, Tensor parts, const moe_balance_sums&, Tensor z);
using BalanceLoss = void(Stream&, const moe_balance_config&, const moe_balance_sums&, int64_t sequences, Tensor loss);
using BalanceBackward = void(Stream&, const moe_balance_config&, double dloss, Tensor scores, const moe_balance_sums&,
                             Tensor dlogits);

using DispatchForward = void(Stream&, Tensor x, const moe_routes&, Tensor rows);
using DispatchBackward = void(Stream&, Tensor drows, const moe_routes&, Tensor dx);

using BlockCopy = void(Stream&, const moe_blocks&, Tensor x, Tensor y);
using SlotStarts = void(Stream&, int64_t rows, Tensor offsets, Tensor slots, Tensor starts);
using SlotRoutes = void(Stream&, int64_t counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets);

using ExpertForward = void(Stream&, Tensor x, Tensor offsets, Tensor weights, Tensor y, const moe_epilogue&);
using ExpertBackwardInput = void(Stream&, Tensor dy, Tensor offsets, Tensor weights, Tensor dx);
using ExpertBackwardWeights = void(Stream&, bool accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights,
                                   OptionalTensor dbias);

using CombineForward = void(Stream&, const moe_combine_inputs&, const moe_routes&, Tensor y);
using CombineBackward = void(Stream&, Tensor dy, const moe_combine_inputs&, const moe_routes&,
                             const moe_combine_gradients&);

using CrossEntropy = void(Stream&, const moe_token_losses&, Tensor logits, OptionalTensor dlogits);
// Also implements moe_linear_distillation; the teacher is null if absent.
using LinearCrossEntropy = void(Stream&, const moe_token_losses&, const moe_teacher*, Tensor hidden, Tensor weights,
                                OptionalTensor dhidden, OptionalTensor dweights);

using AdamwStep = void(Stream&, const moe_adamw_config&, Tensor parameter, Tensor gradient, Tensor first_moment,
                       Tensor second_moment, OptionalTensor copy);
using SquareSum = void(Stream&, Tensor x, Tensor sum);

using Sample = void(Stream&, const moe_sampling&, Tensor logits);

// Signature and name of every kernel; generates the table, its declarations and its entries.
#define MOE_KERNELS(X)                              \
  X(Fill, fill)                                     \
  X(Cast, cast)                                     \
  X(Copy, copy)                                     \
  X(Add, add)                                       \
  X(ClampForward, clamp_forward)                    \
  X(ClampBackward, clamp_backward)                  \
  X(SoftCap, soft_cap)                              \
  X(ExpForward, exp_forward)                        \
  X(ExpBackward, exp_backward)                      \
  X(ActivationForward, activation_forward)          \
  X(ActivationBackward, activation_backward)        \
  X(RandomUniform, random_uniform)                  \
  X(RandomNormal, random_normal)                    \
  X(RandomGumbel, random_gumbel)                    \
  X(Jitter, jitter)                                 \
  X(EmbeddingForward, embedding_forward)            \
  X(EmbeddingBackward, embedding_backward)          \
  X(LayerNormForward, layer_norm_forward)           \
  X(LayerNormBackward, layer_norm_backward)         \
  X(RmsNormForward, rms_norm_forward)               \
  X(RmsNormBackward, rms_norm_backward)             \
  X(Rotary, rotary)                                 \
  X(HeadCopy, head_copy)                            \
  X(AttentionForward, attention_forward)            \
  X(AttentionBackward, attention_backward)          \
  X(CacheAppend, cache_append)                      \
  X(AttentionDecode, attention_decode)              \
  X(AttentionBiased, attention_biased)              \
  X(Gemm, gemm)                                     \
  X(ColumnSum, column_sum)                          \
  X(GemmPackedBytes, gemm_packed_bytes)             \
  X(GemmPack, gemm_pack)                            \
  X(GateForward, gate_forward)                      \
  X(GateBackward, gate_backward)                    \
  X(BalanceForward, balance_forward)                \
  X(BalanceJoin, balance_join)                      \
  X(BalanceLoss, balance_loss)                      \
  X(BalanceBackward, balance_backward)              \
  X(DispatchForward, dispatch_forward)              \
  X(DispatchBackward, dispatch_backward)            \
  X(BlockCopy, block_copy)                          \
  X(SlotStarts, slot_starts)                        \
  X(SlotRoutes, slot_routes)                        \
  X(ExpertForward, expert_forward)                  \
  X(ExpertBackwardInput, expert_backward_input)     \
  X(ExpertBackwardWeights, expert_backward_weights) \
  X(CombineForward, combine_forward)                \
  X(CombineBackward, combine_backward)              \
  X(CrossEntropy, cross_entropy)                    \
  X(LinearCrossEntropy, linear_cross_entropy)       \
  X(AdamwStep, adamw_step)                          \
  X(SquareSum, square_sum)                          \
  X(Sample, sample)

#define MOE_KERNEL_MEMBER(Signature, name) Signature* name;
#define MOE_KERNEL_DECLARATION(Signature, name) Signature name;
#define MOE_KERNEL_ENTRY(Signature, name) .name = name,

struct Kernels {
  MOE_KERNELS(MOE_KERNEL_MEMBER)
};

}  // namespace moe
