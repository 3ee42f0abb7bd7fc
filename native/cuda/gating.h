// SwiGLU and its gradients on a float32 gate g and up half u.
#pragma once

#include "core/activation.h"
#include "cuda/activation.h"

namespace moe::cuda {

// Parameters of SwiGLU. `plain` is uniform over a launch, so that silu(g) * u costs only one branch more.
struct Gating {
  bool plain;
  float limit, alpha, up_offset;

  explicit Gating(const moe_activation_config& config)
      : plain(is_plain(config)), limit(config.limit), alpha(config.alpha), up_offset(config.up_offset) {}

  // y = (u' + up_offset) g' sigmoid(alpha g') with g' = min(g, limit), u' = clamp(u, -limit, limit). Clamps keep NaN.
  __device__ __forceinline__ float value(float g, float u) const {
    if (plain) return activate(MOE_SILU, g) * u;
    const float gate = below(g);
    return gate * sigmoid(alpha * gate) * up(u);
  }

  // Replaces g and u by their gradients; dy is the gradient of y.
  __device__ __forceinline__ void gradient(float dy, float& g, float& u) const {
    if (plain) {
      const float gate = g;
      g = dy * u * activation_slope(MOE_SILU, gate);
      u = dy * activate(MOE_SILU, gate);
      return;
    }
    const float gate = below(g), scaled = alpha * gate, s = sigmoid(scaled);
    g = g > limit ? 0.0f : dy * up(u) * (s * fmaf(scaled, 1.0f - s, 1.0f));
    u = fabsf(u) > limit ? 0.0f : dy * (gate * s);
  }

 private:
  __device__ __forceinline__ float below(float x) const { return x > limit ? limit : x; }
  __device__ __forceinline__ float up(float u) const { return (u < -limit ? -limit : below(u)) + up_offset; }
};

}  // namespace moe::cuda
