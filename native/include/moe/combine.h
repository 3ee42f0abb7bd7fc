/* Combine: the weighted sum of a token's expert rows, back in token order, in choice order; fused with the residual
 * branch of a Residual MoE and with the skip connection.
 *
 *   y[s] = skip[s] + c0 * sum_k weight[s,k] * rows[row(s,k)] + c1 * mlp[s],   (c0, c1) = softmax(coefficient[s])
 *
 * Without mlp and coefficient (null together) c0 = 1 and the last term is absent; skip may be null. Reads expert,
 * position, weight and offsets of the table of routes; dispatch.h says which tables are refused. */
#ifndef MOE_COMBINE_H
#define MOE_COMBINE_H

#include "moe/gate.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moe_combine_inputs {
  uint32_t struct_size;
  const moe_tensor* rows;        /* [R, M] float32 or bfloat16 */
  const moe_tensor* mlp;         /* [S, M] float32 or bfloat16, or null */
  const moe_tensor* coefficient; /* float32 [S, 2], raw output of the coefficient layer: MoE, MLP; or null */
  const moe_tensor* skip;        /* [S, M] float32 or bfloat16, or null; the backward ignores it */
} moe_combine_inputs;

/* Gradients of the inputs of the same names. dmlp and dcoefficient are null without a residual branch. */
typedef struct moe_combine_gradients {
  uint32_t struct_size;
  const moe_tensor* drows;        /* [R, M]; rows past offsets[E] are left as they are */
  const moe_tensor* dweight;      /* float32 [S, K]; 0 for dropped routes */
  const moe_tensor* dmlp;         /* [S, M] */
  const moe_tensor* dcoefficient; /* float32 [S, 2] */
} moe_combine_gradients;

/* y [S, M] float32 or bfloat16 may alias mlp or skip if their dtypes match. */
MOE_API moe_status moe_combine_forward(moe_stream stream, const moe_combine_inputs* inputs, const moe_routes* routes,
                                       const moe_tensor* y, MOE_HELD);
/* The gradient of skip is dy [S, M] itself. */
MOE_API moe_status moe_combine_backward(moe_stream stream, const moe_tensor* dy, const moe_combine_inputs* inputs,
                                        const moe_routes* routes, const moe_combine_gradients* gradients, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
