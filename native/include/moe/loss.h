/* Cross-entropy, alone and fused with the logits, and distillation. With label smoothing a the target distribution is
 * (1 - a) on the target and a / V on every class (PyTorch). V is at least 1. Refused: a target outside [-1, V), a label
 * smoothing outside [0, 1], a dloss that is not finite. */
#ifndef MOE_LOSS_H
#define MOE_LOSS_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moe_token_losses {
  uint32_t struct_size;
  float label_smoothing;
  float dloss;               /* factor of the gradients */
  float logit_cap;           /* c > 0: logits are c tanh(x / c), and gradients are those of x; 0: no cap */
  const moe_tensor* targets; /* in, int32 [S]; -1 marks a token that does not count */
  const moe_tensor* losses;  /* out, float32 [S], in nats; 0 where the target is -1 */
} moe_token_losses;

/* logits [S, V] float32 or bfloat16, capped already. dlogits [S, V] float32 or bfloat16, or null, receives
 * dloss * d(losses[s]) / d(logits[s]); it may alias logits if their dtypes match. */
MOE_API moe_status moe_cross_entropy(moe_stream stream, const moe_token_losses* tokens, const moe_tensor* logits,
                                     const moe_tensor* dlogits, MOE_HELD);
/* moe_cross_entropy of logits = hidden weights^T, in blocks of rows: [S, V] is never in memory as a whole. hidden,
 * dhidden [S, M], weights [V, M] float32 or bfloat16. dhidden is written and dweights float32 [V, M] is added to; it is
 * null for frozen weights, which may be packed. Both are null in evaluation. */
MOE_API moe_status moe_linear_cross_entropy(moe_stream stream, const moe_token_losses* tokens, const moe_tensor* hidden,
                                            const moe_tensor* weights, const moe_tensor* dhidden,
                                            const moe_tensor* dweights, MOE_HELD);

/* A teacher with logits t, and the temperature T at which they are compared with the student's logits s. */
typedef struct moe_teacher {
  uint32_t struct_size;
  float temperature;             /* more than 0, finite and not subnormal */
  float weight;                  /* factor of the divergence in the gradients, alpha T^2; 0 or more, finite */
  float logit_cap;               /* of hidden weights^T, like moe_token_losses' */
  const moe_tensor* hidden;      /* in, [S, N] float32 or bfloat16; t [S, V] itself if weights is null */
  const moe_tensor* weights;     /* in, [V, N] float32 or bfloat16, row-major or packed; or null */
  const moe_tensor* divergences; /* out, float32 [S]: KL(softmax(t / T) || softmax(s / T)) in nats; 0 where the target
                                    is -1 */
} moe_teacher;

/* moe_linear_cross_entropy with the gradients of dloss * (losses[s] + weight * divergences[s]). At most 512 rows of the
 * teacher's logits are in memory at a time. They may be -inf; a NaN among them gives a NaN divergence. */
MOE_API moe_status moe_linear_distillation(moe_stream stream, const moe_token_losses* tokens,
                                           const moe_teacher* teacher, const moe_tensor* hidden,
                                           const moe_tensor* weights, const moe_tensor* dhidden,
                                           const moe_tensor* dweights, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
