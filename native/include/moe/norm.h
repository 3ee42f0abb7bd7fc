/* LayerNorm and RMSNorm over the last dimension. x, y, dy, dx [S, M] float32 or bfloat16, M at least 1; gamma, beta,
 * dgamma, dbeta float32 [M]; mean, rstd float32 [S]; epsilon finite, 0 or more. Statistics are computed in float32, two
 * passes. */
#ifndef MOE_NORM_H
#define MOE_NORM_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = (x - mean) * rstd * gamma + beta; mean and rstd are saved for the backward, or null in inference. */
MOE_API moe_status moe_layer_norm_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* gamma,
                                          const moe_tensor* beta, float epsilon, const moe_tensor* y,
                                          const moe_tensor* mean, const moe_tensor* rstd, MOE_HELD);
/* From dy and what the forward saved: dx is written, dgamma and dbeta are added to. */
MOE_API moe_status moe_layer_norm_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* x,
                                           const moe_tensor* gamma, const moe_tensor* mean, const moe_tensor* rstd,
                                           const moe_tensor* dx, const moe_tensor* dgamma, const moe_tensor* dbeta,
                                           MOE_HELD);
/* y = x * rstd * gamma with rstd = 1 / sqrt(mean(x^2) + epsilon); rstd may be null in inference. */
MOE_API moe_status moe_rms_norm_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* gamma, float epsilon,
                                        const moe_tensor* y, const moe_tensor* rstd, MOE_HELD);
/* From dy and what the forward saved: dx is written, dgamma is added to. */
MOE_API moe_status moe_rms_norm_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* x,
                                         const moe_tensor* gamma, const moe_tensor* rstd, const moe_tensor* dx,
                                         const moe_tensor* dgamma, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
