/* Combine: the weighted sum of a token's expert rows, back in token order, in choice order; fused with the residual
 * branch of a Residual MoE and with the skip connection.
 *
 *   y[s] = skip[s] + c0 * sum_k weight[s,k] * rows[row(s,k)] + c1 * mlp[s],   (c0, c1) = softmax(coefficient[s])
 *
 * Without mlp and coefficient (null together) c0 = 1 and the last term is absent; skip may be null.
 * rows [R, M]; expert, position int32 [S, K]; weight float32 [S, K]; offsets int32 [E + 1]; mlp, skip, y [S, M];
 * coefficient float32 [S, 2], the raw output of the coefficient layer (DeepSpeed: index 0 MoE, index 1 MLP). rows, mlp,
 * skip, y and their gradients float32 or bfloat16. The table of routes is judged as by dispatch (moe/dispatch.h). */
#ifndef MOE_COMBINE_H
#define MOE_COMBINE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y may be mlp or skip of its dtype. */
MOE_API moe_status moe_combine_forward(moe_stream stream, const moe_tensor* rows, const moe_tensor* expert,
                                       const moe_tensor* position, const moe_tensor* weight, const moe_tensor* offsets,
                                       const moe_tensor* mlp, const moe_tensor* coefficient, const moe_tensor* skip,
                                       const moe_tensor* y, MOE_HELD);
/* drows [R, M] (rows past offsets[E] left as they are), dweight float32 [S, K] (0 for dropped routes), and with a
 * residual branch dmlp [S, M], dcoefficient float32 [S, 2], which are null without one. The gradient of skip is dy
 * [S, M] itself. */
MOE_API moe_status moe_combine_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* rows,
                                        const moe_tensor* expert, const moe_tensor* position, const moe_tensor* weight,
                                        const moe_tensor* offsets, const moe_tensor* mlp, const moe_tensor* coefficient,
                                        const moe_tensor* drows, const moe_tensor* dweight, const moe_tensor* dmlp,
                                        const moe_tensor* dcoefficient, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
