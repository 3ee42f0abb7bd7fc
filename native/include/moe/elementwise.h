/* Element by element: fill, cast, sum, clamp, soft cap, exponential, activations, and counter-based random numbers.
 * Tensors of one call have the same number of elements, in any shape unless a comment gives one; float32 or bfloat16
 * each. */
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
  MOE_GELU_TANH = 3, /* the tanh approximation of GPT-2 and BERT */
  MOE_SILU = 4,      /* x * sigmoid(x) */
  MOE_SWIGLU = 5,    /* silu(g) * u, where g is the first and u the second half of the last dimension */
  MOE_GEGLU_TANH = 6 /* gelu_tanh(g) * u, of the same halves (Gemma) */
} moe_activation;

/* An elementwise activation installed at run time (moe/runtime_kernel.h). Devices without one refuse it. */
#define MOE_CUSTOM_ACTIVATION 7

/* An activation and its parameters. SwiGLU of a row's first half g and second half u is
 *   g' = min(g, limit), u' = clamp(u, -limit, limit), y = (u' + up_offset) * g' * sigmoid(alpha * g')
 * Its derivative is 0 where a value is clamped. silu(g) * u has limit INFINITY, alpha 1, up_offset 0; every other kind
 * must have these too. GPT-OSS has 7, 1.702 and 1. Refused: an unknown kind, a limit that is NaN or not above 0, an
 * alpha or up_offset that is not finite, and parameters for another kind than SwiGLU. */
typedef struct moe_activation_config {
  uint32_t struct_size;
  int32_t kind; /* moe_activation, or MOE_CUSTOM_ACTIVATION */
  float limit;
  float alpha;
  float up_offset;
} moe_activation_config;

/* Sets all but struct_size to the defaults: MOE_IDENTITY, limit INFINITY, alpha 1, up_offset 0. */
MOE_API moe_status moe_activation_config_default(moe_activation_config* config);

/* y[i] = value */
MOE_API moe_status moe_fill(moe_stream stream, float value, const moe_tensor* y, MOE_HELD);
/* y[i] = x[i], rounded to nearest even if y is bfloat16. NaN stays NaN; its payload is unspecified. y may alias x if
 * their dtypes match. */
MOE_API moe_status moe_cast(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD);
/* y[i] = alpha * a[i] + beta * b[i], computed in float32. y may alias a or b if their dtypes match. */
MOE_API moe_status moe_add(moe_stream stream, float alpha, const moe_tensor* a, float beta, const moe_tensor* b,
                           const moe_tensor* y, MOE_HELD);
/* y[i] = min(max(x[i], -bound), bound): the clip_qkv of OLMoE and DBRX. Refused: a bound that is not finite or below 0.
 * NaN stays NaN. y may alias x if their dtypes match. */
MOE_API moe_status moe_clamp_forward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* y,
                                     MOE_HELD);
/* dx[i] = dy[i] where |x[i]| <= bound, else 0. dx may alias x or dy if their dtypes match. */
MOE_API moe_status moe_clamp_backward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* dy,
                                      const moe_tensor* dx, MOE_HELD);
/* y[i] = cap * tanh(x[i] / cap): the logits of Gemma. Refused: a cap that is not finite or not above 0. NaN stays NaN.
 * y may alias x if their dtypes match. */
MOE_API moe_status moe_soft_cap(moe_stream stream, float cap, const moe_tensor* x, const moe_tensor* y, MOE_HELD);
/* y[i] = exp(min(x[i], bound)): the scale of a cosine router. Refused: a bound that is not finite or above 88, where
 * float32 overflows. NaN stays NaN. y may alias x if their dtypes match. */
MOE_API moe_status moe_exp_forward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* y, MOE_HELD);
/* dx[i] = dy[i] * exp(x[i]) where x[i] <= bound, else 0. dx may alias x or dy if their dtypes match. */
MOE_API moe_status moe_exp_backward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* dy,
                                    const moe_tensor* dx, MOE_HELD);

/* y = activation(x). y [S, N]; x [S, N], for a gated activation [S, 2N]. */
MOE_API moe_status moe_activation_forward(moe_stream stream, const moe_activation_config* activation,
                                          const moe_tensor* x, const moe_tensor* y, MOE_HELD);
/* dx = dy * activation'(x). dy has the shape of y; dx has the shape of x and may alias x if their dtypes match. */
MOE_API moe_status moe_activation_backward(moe_stream stream, const moe_activation_config* activation,
                                           const moe_tensor* x, const moe_tensor* dy, const moe_tensor* dx, MOE_HELD);

/* Philox 4x32-10 of (seed, offset + i): the same numbers on every backend and thread count.
 * Uniform: y[i] = u[i] in [0, 1), 24 bits. Normal: mean + deviation * N(0, 1) by Box-Muller; both must be finite.
 * Gumbel: -log(-log(u[i])); the largest of logits plus Gumbel noise is a sample of their softmax. */
MOE_API moe_status moe_random_uniform(moe_stream stream, uint64_t seed, uint64_t offset, const moe_tensor* y, MOE_HELD);
MOE_API moe_status moe_random_normal(moe_stream stream, uint64_t seed, uint64_t offset, float mean, float deviation,
                                     const moe_tensor* y, MOE_HELD);
MOE_API moe_status moe_random_gumbel(moe_stream stream, uint64_t seed, uint64_t offset, const moe_tensor* y, MOE_HELD);
/* y[i] = x[i] * (1 - epsilon + 2 * epsilon * u[i]) in float32: the router's multiplicative jitter (Switch Transformer).
 * The backward is the same call with dy for x. Refused: an epsilon outside [0, 1). y may alias x if their dtypes
 * match. */
MOE_API moe_status moe_jitter(moe_stream stream, uint64_t seed, uint64_t offset, float epsilon, const moe_tensor* x,
                              const moe_tensor* y, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
