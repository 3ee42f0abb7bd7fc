/* Cross-entropy, alone and fused with the logits. targets int32 [S]; -1 marks a token that does not count.
 * losses float32 [S] receives the token losses in nats (0 where the target is -1). With label smoothing a the target
 * distribution is (1 - a) on the target and a / V on every class (PyTorch). V is at least 1. A target outside [-1, V),
 * a label smoothing outside [0, 1] and a dloss that is not finite are refused. */
#ifndef MOE_LOSS_H
#define MOE_LOSS_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* logits [S, V] float32 or bfloat16; dlogits [S, V], likewise, or null = dloss * d(losses[s]) / d(logits[s]); it may be
 * logits where both have one dtype. */
MOE_API moe_status moe_cross_entropy(moe_stream stream, const moe_tensor* logits, const moe_tensor* targets,
                                     float label_smoothing, float dloss, const moe_tensor* losses,
                                     const moe_tensor* dlogits, MOE_HELD);
/* The same over logits = hidden weights^T, computed in blocks of rows so that [S, V] never stands in memory whole.
 * hidden [S, M], weights [V, M] float32 or bfloat16; dhidden [S, M], likewise, is written and dweights float32 [V, M]
 * added to, or both are null, in evaluation. */
MOE_API moe_status moe_linear_cross_entropy(moe_stream stream, const moe_tensor* hidden, const moe_tensor* weights,
                                            const moe_tensor* targets, float label_smoothing, float dloss,
                                            const moe_tensor* losses, const moe_tensor* dhidden,
                                            const moe_tensor* dweights, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
