// The structs of the ABI as arguments of one call: moe_gemm(stream, form(0, 1), a, b, c, Epilogue(MOE_GELU)).
#pragma once

#include <cmath>

#include "moe/moe.h"

namespace moe::testing {

// A struct of the ABI that lives until the call it is made for has returned.
template <typename Struct>
struct Passed {
  Struct value;
  operator const Struct*() const { return &value; }
  operator Struct() const { return value; }
};

using View = const moe_tensor*;  // may be null

inline Passed<moe_activation_config> activation_of(int32_t kind, float limit = INFINITY, float alpha = 1,
                                                   float up_offset = 0) {
  return {{sizeof(moe_activation_config), kind, limit, alpha, up_offset}};
}
inline Passed<moe_gemm_config> form(int32_t transpose_a, int32_t transpose_b, int32_t accumulate = 0) {
  return {{sizeof(moe_gemm_config), transpose_a, transpose_b, accumulate}};
}
class Epilogue {
 public:
  explicit Epilogue(moe_activation_config activation, View bias = nullptr, View preactivation = nullptr,
                    View addend = nullptr)
      : activation_(activation), value_{sizeof(moe_epilogue), nullptr, bias, preactivation, addend} {}
  explicit Epilogue(int32_t kind, View bias = nullptr, View preactivation = nullptr, View addend = nullptr)
      : Epilogue(activation_of(kind).value, bias, preactivation, addend) {}
  operator const moe_epilogue*() const {
    value_.activation = &activation_;
    return &value_;
  }

 private:
  moe_activation_config activation_;
  mutable moe_epilogue value_;
};

inline Passed<moe_gate_inputs> gate_inputs(View logits, View used, View bias, View noise, View priority) {
  return {{sizeof(moe_gate_inputs), logits, used, bias, noise, priority}};
}
inline Passed<moe_gate_gradients> gate_gradients(float dauxiliary, float dz, View dweight, View dlogits,
                                                 View batch_used = nullptr, View batch_chosen = nullptr) {
  return {{sizeof(moe_gate_gradients), dauxiliary, dz, dweight, dlogits, batch_used, batch_chosen}};
}
inline Passed<moe_routes> all_routes(View scores, View expert, View position, View weight, View choice, View counts,
                                     View offsets, View losses) {
  return {{sizeof(moe_routes), scores, expert, position, weight, choice, counts, offsets, losses}};
}
// The part of the table that the gate's backward reads.
inline Passed<moe_routes> chosen_routes(View scores, View expert, View choice) {
  return {{sizeof(moe_routes), scores, expert, nullptr, nullptr, choice, nullptr, nullptr, nullptr}};
}
// The part of the table that dispatch and combine read.
inline Passed<moe_routes> table_of(View expert, View position, View offsets, View weight = nullptr) {
  return {{sizeof(moe_routes), nullptr, expert, position, weight, nullptr, nullptr, offsets, nullptr}};
}
inline Passed<moe_balance_config> balance_config(int32_t score, int32_t auxiliary_choices, int32_t normalized) {
  return {{sizeof(moe_balance_config), score, auxiliary_choices, normalized}};
}
inline Passed<moe_balance_sums> balance_sums(View used, View chosen, View scores, View entropy = nullptr) {
  return {{sizeof(moe_balance_sums), used, chosen, scores, entropy}};
}
inline Passed<moe_combine_inputs> combine_inputs(View rows, View mlp, View coefficient, View skip = nullptr) {
  return {{sizeof(moe_combine_inputs), rows, mlp, coefficient, skip}};
}
inline Passed<moe_combine_gradients> combine_gradients(View drows, View dweight, View dmlp, View dcoefficient) {
  return {{sizeof(moe_combine_gradients), drows, dweight, dmlp, dcoefficient}};
}
// Whether an activation makes an output of two halves of columns.
inline bool is_gated(int32_t activation) { return activation == MOE_SWIGLU || activation == MOE_GEGLU_TANH; }

inline Passed<moe_norm> norm(float epsilon, View gamma, View beta, View mean, View rstd, float gamma_offset = 0) {
  return {{sizeof(moe_norm), epsilon, gamma_offset, gamma, beta, mean, rstd}};
}
inline Passed<moe_token_losses> tokens_of(float label_smoothing, float dloss, View targets, View losses,
                                          float logit_cap = 0) {
  return {{sizeof(moe_token_losses), label_smoothing, dloss, logit_cap, targets, losses}};
}
inline Passed<moe_teacher> teacher_of(float temperature, float weight, View hidden, View weights, View divergences,
                                      float logit_cap = 0) {
  return {{sizeof(moe_teacher), temperature, weight, logit_cap, hidden, weights, divergences}};
}
inline Passed<moe_sampling> sampling(View temperature, View min_p, View top_k, View top_p, View uniform, View tokens) {
  return {{sizeof(moe_sampling), temperature, min_p, top_k, top_p, uniform, tokens}};
}
inline Passed<moe_adamw_config> adamw(float learning_rate, float beta1, float beta2, float epsilon, float weight_decay,
                                      int64_t step, float gradient_scale) {
  return {{sizeof(moe_adamw_config), learning_rate, beta1, beta2, epsilon, weight_decay, gradient_scale, step}};
}

inline Passed<moe_attention_config> attention_config(float scale, int64_t window = 0, int32_t mask = MOE_CAUSAL,
                                                     float soft_cap = 0) {
  return {{sizeof(moe_attention_config), mask, scale, soft_cap, window}};
}

inline Passed<moe_attention_inputs> attention_inputs(const moe_tensor* q, const moe_tensor* k, const moe_tensor* v,
                                                     const moe_tensor* sinks = nullptr) {
  return {{sizeof(moe_attention_inputs), q, k, v, sinks}};
}

inline Passed<moe_attention_gradients> attention_gradients(const moe_tensor* dq, const moe_tensor* dk,
                                                           const moe_tensor* dv, const moe_tensor* dsinks = nullptr) {
  return {{sizeof(moe_attention_gradients), dq, dk, dv, dsinks}};
}

inline Passed<moe_cache_places> cache_places(View keys, View values, View table, View slot, View position) {
  return {{sizeof(moe_cache_places), keys, values, nullptr, nullptr, table, slot, position}};
}

inline Passed<moe_cache_places> int8_places(View keys, View values, View key_scales, View value_scales, View table,
                                            View slot, View position) {
  return {{sizeof(moe_cache_places), keys, values, key_scales, value_scales, table, slot, position}};
}

inline Passed<moe_relative_bias> relative_bias(View bias, View position) {
  return {{sizeof(moe_relative_bias), bias, position}};
}

inline Passed<moe_head_columns> head_columns(int32_t transpose, int64_t from, int64_t to, int64_t count) {
  return {{sizeof(moe_head_columns), transpose, from, to, count}};
}
inline Passed<moe_rotary_angles> rotary_angles(const moe_tensor* positions, const moe_tensor* cosine,
                                               const moe_tensor* sine, int32_t interleaved = 0) {
  return {{sizeof(moe_rotary_angles), interleaved, positions, cosine, sine}};
}

}  // namespace moe::testing
