/* Element by element: fill, cast, sum, clamp, activations, and counter-based random numbers.
 * Tensors of one call have the same number of elements, in any shape unless one is said; float32 or bfloat16 each. */
#ifndef MOE_ELEMENTWISE_H
#define MOE_ELEMENTWISE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moe_activation {
  MOE_IDENTITY = 0,
  MOE_RELU = 1,
  MOE_GELU = 2,      /* x * (1 + erf(x / sqrt 2)) / 2 */
  MOE_GELU_TANH = 3, /* the tanh approximation, as in GPT-2 and BERT */
  MOE_SILU = 4,      /* x * sigmoid(x) */
  MOE_SWIGLU = 5     /* silu(g) * u, where g is the first and u the second half of the last dimension */
} moe_activation;

/* Taken where an activation is asked for, on a device that was given one at run time (moe/runtime_kernel.h). One output
 * for each input. */
#define MOE_CUSTOM_ACTIVATION 6

/* y[i] = value */
MOE_API moe_status moe_fill(moe_stream stream, float value, const moe_tensor* y, MOE_HELD);
/* y[i] = x[i], rounded to nearest even where y is bfloat16. A NaN stays one; which, is the backend's. y may be x where
 * both have one dtype. */
MOE_API moe_status moe_cast(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD);
/* y[i] = alpha * a[i] + beta * b[i], computed in float32. y may be a or b of its dtype. */
MOE_API moe_status moe_add(moe_stream stream, float alpha, const moe_tensor* a, float beta, const moe_tensor* b,
                           const moe_tensor* y, MOE_HELD);
/* y[i] = min(max(x[i], -bound), bound): the clip_qkv of OLMoE and DBRX. bound finite and 0 or more, or refused. NaN
 * stays NaN. y may be x of its dtype. */
MOE_API moe_status moe_clamp_forward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* y,
                                     MOE_HELD);
/* dx[i] = dy[i] where |x[i]| <= bound, else 0. dx may be x or dy of its dtype. */
MOE_API moe_status moe_clamp_backward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* dy,
                                      const moe_tensor* dx, MOE_HELD);

/* y = activation(x). x [S, N]; y [S, N], for SwiGLU x [S, 2N]. An activation that is none, and MOE_CUSTOM_ACTIVATION on
 * a device without one, are refused here and wherever one is asked for. */
MOE_API moe_status moe_activation_forward(moe_stream stream, int32_t activation, const moe_tensor* x,
                                          const moe_tensor* y, MOE_HELD);
/* dx = dy * activation'(x). dy has the shape of y; dx that of x, and may be x where both have one dtype. */
MOE_API moe_status moe_activation_backward(moe_stream stream, int32_t activation, const moe_tensor* x,
                                           const moe_tensor* dy, const moe_tensor* dx, MOE_HELD);

/* Philox 4x32-10 of (seed, offset + i): the same numbers on every backend and thread count.
 * Uniform: y[i] in [0, 1), 24 bits. Normal: mean + deviation * N(0, 1) by Box-Muller; both must be finite. */
MOE_API moe_status moe_random_uniform(moe_stream stream, uint64_t seed, uint64_t offset, const moe_tensor* y, MOE_HELD);
MOE_API moe_status moe_random_normal(moe_stream stream, uint64_t seed, uint64_t offset, float mean, float deviation,
                                     const moe_tensor* y, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
