// The structs of moe/attention.h as arguments: `moe_cache_append(stream, k, v, cache_places(...))`.
#pragma once

#include "moe/attention.h"

namespace moe::testing {

// A struct that is passed by its address within one expression.
template <typename Struct>
struct Passed {
  Struct value;
  operator const Struct*() const { return &value; }
};

inline Passed<moe_attention_config> attention_config(float scale, int64_t window = 0, int32_t mask = MOE_CAUSAL) {
  return {{sizeof(moe_attention_config), mask, scale, window}};
}

inline Passed<moe_attention_inputs> attention_inputs(const moe_tensor* q, const moe_tensor* k, const moe_tensor* v,
                                                     const moe_tensor* sinks = nullptr) {
  return {{sizeof(moe_attention_inputs), q, k, v, sinks}};
}

inline Passed<moe_attention_gradients> attention_gradients(const moe_tensor* dq, const moe_tensor* dk,
                                                           const moe_tensor* dv, const moe_tensor* dsinks = nullptr) {
  return {{sizeof(moe_attention_gradients), dq, dk, dv, dsinks}};
}

inline Passed<moe_cache_places> cache_places(const moe_tensor* keys, const moe_tensor* values, const moe_tensor* slot,
                                             const moe_tensor* position) {
  return {{sizeof(moe_cache_places), keys, values, slot, position}};
}

inline Passed<moe_rotary_angles> rotary_angles(const moe_tensor* positions, const moe_tensor* cosine,
                                               const moe_tensor* sine, int32_t interleaved = 0) {
  return {{sizeof(moe_rotary_angles), interleaved, positions, cosine, sine}};
}

}  // namespace moe::testing
