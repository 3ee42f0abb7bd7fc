// Activation functions and their derivatives on one float32: the functions of cpu/simd/activation-inl.h. Every fused
// multiply-add is an explicit fmaf, so that the GEMM's epilogue and the elementwise kernels give the same bits whatever
// the compiler contracts.
#pragma once

#include <cuda_runtime.h>

#include "moe/elementwise.h"

namespace moe::cuda {

// 1 / (1 + exp(-x))
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// exp(-x^2 / 2)
__device__ __forceinline__ float gaussian(float x) { return expf(x * -0.5f * x); }

// The normal distribution function, (1 + erf(x / sqrt 2)) / 2, given gaussian(x). The tail is gaussian(x) times a
// polynomial in s = 1 / (1 + 0.31 |x|), a minimax fit of erfcx(|x| / sqrt 2) / 2 with relative error 3.3e-7.
__device__ __forceinline__ float normal_cdf(float x, float gauss) {
  const float s = 1.0f / fmaf(fabsf(x), 0.31f, 1.0f);
  float poly = 0.03584194556f;
  poly = fmaf(poly, s, -0.1416054517f);
  poly = fmaf(poly, s, 0.1550692767f);
  poly = fmaf(poly, s, -0.01490462478f);
  poly = fmaf(poly, s, 0.1101107523f);
  poly = fmaf(poly, s, 0.1077709198f);
  poly = fmaf(poly, s, 0.1240603700f);
  poly = fmaf(poly, s, 0.1236569062f);
  poly *= s;
  return x < 0 ? poly * gauss : fmaf(-poly, gauss, 1.0f);
}

// gelu_tanh is x sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3); this is 2u.
__device__ __forceinline__ float gelu_tanh_argument(float x) { return x * fmaf(x * x, 0.0713548163f, 1.5957691216f); }

// activation(x) of every kind that is not gated.
__device__ __forceinline__ float activate(int32_t kind, float x) {
  switch (kind) {
    case MOE_RELU: return x < 0 ? 0.0f : x;  // NaN stays NaN
    case MOE_GELU: return x * normal_cdf(x, gaussian(x));
    case MOE_GELU_TANH: return x * sigmoid(gelu_tanh_argument(x));
    case MOE_SILU: return x * sigmoid(x);
    default: return x;
  }
}

// activation'(x) of every kind that is not gated.
__device__ __forceinline__ float activation_slope(int32_t kind, float x) {
  switch (kind) {
    case MOE_RELU: return x > 0 ? 1.0f : 0.0f;
    case MOE_GELU: {
      const float gauss = gaussian(x);
      return fmaf(x * gauss, 0.3989422804f, normal_cdf(x, gauss));
    }
    case MOE_GELU_TANH: {
      const float y = x < -20.0f ? -20.0f : x > 20.0f ? 20.0f : x;  // 0 or 1 from here on, and x^2 must not overflow
      const float s = sigmoid(gelu_tanh_argument(y));
      return fmaf(y * s * (1.0f - s), fmaf(y * y, 0.2140644488f, 1.5957691216f), s);
    }
    case MOE_SILU: {
      const float s = sigmoid(x);
      return s * fmaf(x, 1.0f - s, 1.0f);
    }
    default: return 1.0f;
  }
}

}  // namespace moe::cuda
