/* AdamW with decoupled weight decay, and the global gradient norm. */
#ifndef MOE_OPTIMIZER_H
#define MOE_OPTIMIZER_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One step (PyTorch's order): parameter *= 1 - learning_rate * weight_decay; moments from gradient * gradient_scale;
 * parameter -= learning_rate * m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon).
 * All float32 of equal size, in any shape; `copy` (bfloat16, or null) receives the new parameter rounded. Refused: a
 * beta outside [0, 1), a learning rate, epsilon or weight decay that is negative or not finite, a gradient scale that
 * is not finite, a step below 1. */
MOE_API moe_status moe_adamw_step(moe_stream stream, float learning_rate, float beta1, float beta2, float epsilon,
                                  float weight_decay, int64_t step, float gradient_scale, const moe_tensor* parameter,
                                  const moe_tensor* gradient, const moe_tensor* first_moment,
                                  const moe_tensor* second_moment, const moe_tensor* copy, MOE_HELD);
/* sum[0] = sum of x[i]^2 (sum float32 [1], x float32 or bfloat16 of any shape), accumulated in float64 blocks of a
 * fixed size: the same on every thread count. NaN and infinity pass through. */
MOE_API moe_status moe_square_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* sum, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
