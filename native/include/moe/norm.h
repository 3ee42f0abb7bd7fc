/* LayerNorm and RMSNorm over the last dimension. x, y, dy, dx [S, M] float32 or bfloat16, M at least 1; dgamma, dbeta
 * float32 [M]. Statistics are computed in float32, two passes. A negative or infinite epsilon is refused. */
#ifndef MOE_NORM_H
#define MOE_NORM_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A norm's parameters, and the statistics that its forward saves for the backward (null in inference). RMSNorm has
 * neither beta nor mean. */
typedef struct moe_norm {
  uint32_t struct_size;
  float epsilon;           /* the backward ignores it */
  float gamma_offset;      /* added to gamma: 1 in Gemma, else 0; finite */
  const moe_tensor* gamma; /* float32 [M] */
  const moe_tensor* beta;  /* float32 [M]; the backward ignores it */
  const moe_tensor* mean;  /* float32 [S] */
  const moe_tensor* rstd;  /* float32 [S] */
} moe_norm;

/* y = (x - mean) * rstd * (gamma + gamma_offset) + beta with rstd = 1 / sqrt(variance(x) + epsilon). */
MOE_API moe_status moe_layer_norm_forward(moe_stream stream, const moe_norm* norm, const moe_tensor* x,
                                          const moe_tensor* y, MOE_HELD);
/* dx is written; dgamma and dbeta are added to. */
MOE_API moe_status moe_layer_norm_backward(moe_stream stream, const moe_norm* norm, const moe_tensor* x,
                                           const moe_tensor* dy, const moe_tensor* dx, const moe_tensor* dgamma,
                                           const moe_tensor* dbeta, MOE_HELD);
/* y = x * rstd * (gamma + gamma_offset) with rstd = 1 / sqrt(mean(x^2) + epsilon). */
MOE_API moe_status moe_rms_norm_forward(moe_stream stream, const moe_norm* norm, const moe_tensor* x,
                                        const moe_tensor* y, MOE_HELD);
/* dx is written; dgamma is added to. */
MOE_API moe_status moe_rms_norm_backward(moe_stream stream, const moe_norm* norm, const moe_tensor* x,
                                         const moe_tensor* dy, const moe_tensor* dx, const moe_tensor* dgamma,
                                         MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
