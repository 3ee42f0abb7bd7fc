/* Load balance of a gate's tokens over the experts: the sums behind load-balancing losses and load statistics, such a
 * loss, and its gradient. The gate itself computes the loss of one batch (moe/gate.h); these calls serve a batch that
 * is spread over ranks, and losses per sequence (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20). Rules:
 * docs/gating.md, Losses. */
#ifndef MOE_BALANCE_H
#define MOE_BALANCE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moe_balance_config {
  uint32_t struct_size;
  int32_t score;             /* moe_score that made the scores */
  int32_t auxiliary_choices; /* choices of a token that count: 1 to K */
  int32_t normalized;        /* 1: divide a token's scores by their sum (a change for sigmoid only); 0: do not */
} moe_balance_config;

/* Sums over the used tokens of each of G sequences of S / G tokens; a whole batch may be one sequence. A used token's
 * first choice is not -1. */
typedef struct moe_balance_sums {
  uint32_t struct_size;
  const moe_tensor* used;    /* int32 [G]: used tokens */
  const moe_tensor* chosen;  /* int32 [G, E]: counted choices of each expert, before dropping */
  const moe_tensor* scores;  /* float64 [G, E]: sums of scores, normalized if the config says so */
  const moe_tensor* entropy; /* float64 [G], or null: entropy of the scores divided by their sum, in nats */
} moe_balance_sums;

/* Writes every tensor of `sums` from the gate's scores float32 [S, E] and choice int32 [S, K], E 1..1024, K 1..16.
 * Sums are float64 over fixed blocks of tokens. Refused: an S that G does not divide, a choice outside [-1, E). */
MOE_API moe_status moe_balance_forward(moe_stream stream, const moe_balance_config* config, const moe_tensor* scores,
                                       const moe_tensor* choice, const moe_balance_sums* sums, MOE_HELD);
/* sums (of one sequence, without entropy) and z float32 [1] of a batch whose P parts several ranks have, added in
 * order. parts float64 [P, E + (E + 3) / 2] holds for each part, one after another: its scores float64 [E], chosen
 * int32 [E], used int32 and z loss float32, a mean over its used tokens. */
MOE_API moe_status moe_balance_join(moe_stream stream, const moe_tensor* parts, const moe_balance_sums* sums,
                                    const moe_tensor* z, MOE_HELD);
/* loss float32 [1] = the sum of the sequences' losses / sequences, where the loss of a sequence is
 *   E / (auxiliary_choices * used^2) * sum_e chosen[e] * scores[e]
 * and 0 without used tokens, in float64. Reads used, chosen and scores of `sums` and auxiliary_choices of the config.
 * `sequences` may count those of other ranks. Refused: an E outside 1..1024, and sequences below 1. */
MOE_API moe_status moe_balance_loss(moe_stream stream, const moe_balance_config* config, const moe_balance_sums* sums,
                                    int64_t sequences, const moe_tensor* loss, MOE_HELD);
/* dlogits [S, E] = dloss * d(sum of the sequences' losses) / d(logits). Reads only `used` and `chosen` of `sums`, which
 * are constants and may be sums over several ranks. scores are the gate's, float32 [S, E], 0 for unused tokens.
 * Refused: a dloss that is not finite. */
MOE_API moe_status moe_balance_backward(moe_stream stream, const moe_balance_config* config, double dloss,
                                        const moe_tensor* scores, const moe_balance_sums* sums,
                                        const moe_tensor* dlogits, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
