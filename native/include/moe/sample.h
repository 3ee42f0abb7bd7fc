/* Tokens drawn from logits, one for each row. */
#ifndef MOE_SAMPLE_H
#define MOE_SAMPLE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How each row is drawn from. A token's weight is round(2^32 exp((x - max x) / temperature)), a whole number, so that
 * sums of weights are exact: a draw depends neither on the order of adding nor on the other rows. Tokens are ordered by
 * logit, the highest first; equal ones by token, the lowest first. min_p, then top_k, then top_p leave out tokens at
 * the end of this order. The token is the first one at which the weights so far are more than uniform times the weight
 * of all that are left. */
typedef struct moe_sampling {
  uint32_t struct_size;
  const moe_tensor* temperature; /* in, float32 [S]; 0 or a normal positive number: 0 takes the first token */
  const moe_tensor* min_p;       /* in, float32 [S], 0 to 1: only weights of 2^32 min_p or more */
  const moe_tensor* top_k;       /* in, int32 [S], 0 or more: only the first k tokens; 0 for all */
  const moe_tensor* top_p;       /* in, float32 [S], 0 to 1: only the fewest whose weights reach this part of what
                                    top_k left, at least one */
  const moe_tensor* uniform;     /* in, float64 [S], in [0, 1) */
  const moe_tensor* tokens;      /* out, int32 [S]; -1 where a logit is not finite or a setting out of range */
} moe_sampling;

/* logits float32 [S, V], V from 1 to 2^21. */
MOE_API moe_status moe_sample(moe_stream stream, const moe_sampling* sampling, const moe_tensor* logits, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
