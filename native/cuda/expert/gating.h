// SwiGLU and GeGLU, and their gradients, on a float32 gate g and up half u.
#pragma once

#include "core/activation.h"
#include "cuda/expert/activation.h"

namespace moe::cuda {

// Parameters of a gated activation. `plain` is uniform over a launch, so that activation(g) * u costs only one branch
// more.
struct Gating {
  bool gated;  // whether the activation is gated at all
  bool plain;
  int32_t gate;  // activation of the gate, if plain
  float limit, alpha, up_offset;

  explicit Gating(const moe_activation_config& config)
      : gated(is_gated(config.kind)),
        plain(is_plain(config)),
        gate(config.kind == MOE_GEGLU_TANH ? MOE_GELU_TANH : MOE_SILU),
        limit(config.limit),
        alpha(config.alpha),
        up_offset(config.up_offset) {}

  // y = (u' + up_offset) g' sigmoid(alpha g') with g' = min(g, limit), u' = clamp(u, -limit, limit). Clamps keep NaN.
  __device__ __forceinline__ float value(float g, float u) const {
    if (plain) return activate(gate, g) * u;
    const float clamped = below(g);
    return clamped * sigmoid(alpha * clamped) * up(u);
  }

  // Replaces g and u by their gradients; dy is the gradient of y.
  __device__ __forceinline__ void gradient(float dy, float& g, float& u) const {
    if (plain) {
      const float x = g;
      g = dy * u * activation_slope(gate, x);
      u = dy * activate(gate, x);
      return;
    }
    const float clamped = below(g), scaled = alpha * clamped, s = sigmoid(scaled);
    g = g > limit ? 0.0f : dy * up(u) * (s * fmaf(scaled, 1.0f - s, 1.0f));
    u = fabsf(u) > limit ? 0.0f : dy * (clamped * s);
  }

 private:
  __device__ __forceinline__ float below(float x) const { return x > limit ? limit : x; }
  __device__ __forceinline__ float up(float u) const { return (u < -limit ? -limit : below(u)) + up_offset; }
};

}  // namespace moe::cuda
