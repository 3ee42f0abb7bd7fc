/* Samples one token from each row of logits. */
#ifndef MOE_SAMPLE_H
#define MOE_SAMPLE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a row is sampled. A token's weight is round(2^32 exp((x - max x) / temperature)), a whole number, so that sums of
 * weights are exact: the sample depends neither on the order of additions nor on the other rows. Tokens are ordered by
 * logit, the highest first; equal logits by token, the lowest first. min_p, then top_k, then top_p remove tokens from
 * the end of this order. The sample is the first token at which the cumulative weight exceeds uniform times the weight
 * of all remaining tokens. */
typedef struct moe_sampling {
  uint32_t struct_size;
  const moe_tensor* temperature; /* in, float32 [S]; 0 or a normal positive number; 0 takes the first token */
  const moe_tensor* min_p;       /* in, float32 [S], 0 to 1: keeps weights of 2^32 min_p or more */
  const moe_tensor* top_k;       /* in, int32 [S], 0 or more: keeps the first k tokens; 0 keeps all */
  const moe_tensor* top_p;       /* in, float32 [S], 0 to 1: keeps the fewest tokens whose weights reach this part of
                                    top_k's, at least one */
  const moe_tensor* uniform;     /* in, float64 [S], in [0, 1) */
  const moe_tensor* tokens;      /* out, int32 [S]; -1 if a logit is not finite or a setting out of range */
} moe_sampling;

/* logits float32 [S, V], V from 1 to 2^21. */
MOE_API moe_status moe_sample(moe_stream stream, const moe_sampling* sampling, const moe_tensor* logits, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
