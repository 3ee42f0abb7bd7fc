/* AdamW with decoupled weight decay, and the global gradient norm. */
#ifndef MOE_OPTIMIZER_H
#define MOE_OPTIMIZER_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moe_adamw_config {
  uint32_t struct_size;
  float learning_rate; /* finite, 0 or more; so are epsilon and weight_decay */
  float beta1;         /* in [0, 1); so is beta2 */
  float beta2;
  float epsilon;
  float weight_decay;
  float gradient_scale; /* finite; factor of the gradient (clipping) */
  int64_t step;         /* from 1 */
} moe_adamw_config;

/* One step (PyTorch's order): parameter *= 1 - learning_rate * weight_decay; moments from gradient * gradient_scale;
 * parameter -= learning_rate * m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon).
 * All float32 of equal size, in any shape; `copy` (bfloat16, or null) receives the new parameter rounded. */
MOE_API moe_status moe_adamw_step(moe_stream stream, const moe_adamw_config* config, const moe_tensor* parameter,
                                  const moe_tensor* gradient, const moe_tensor* first_moment,
                                  const moe_tensor* second_moment, const moe_tensor* copy, MOE_HELD);
/* sum[0] = sum of x[i]^2 (sum float32 [1], x float32 or bfloat16 of any shape), accumulated in float64 over blocks of a
 * fixed size: equal bits for every thread count. NaN and infinity pass through. */
MOE_API moe_status moe_square_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* sum, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
