/* The gate: router logits -> top-k experts per token, their weights, each route's position in its expert's queue,
 * expert counts, auxiliary losses. One pass over the logits; the result is a flat table of routes, never a one-hot
 * tensor (DeepSpeed-MoE, section 5.4). Exact rules: docs/gating.md. */
#ifndef MOE_GATE_H
#define MOE_GATE_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moe_score { MOE_SOFTMAX = 0, MOE_SIGMOID = 1 } moe_score;

typedef enum moe_drop_policy {
  MOE_DROPLESS = 0,         /* every route is kept */
  MOE_DROP_POSITION = 1,    /* the first `capacity` routes of an expert's queue are kept */
  MOE_DROP_PROBABILITY = 2, /* the `capacity` routes with the highest score are kept; ties go to the earlier token */
  MOE_DROP_PRIORITY = 3,    /* random token selection: the routes with the highest `priority` are kept */
  MOE_DROP_BEST_SCORE = 4   /* batch-prioritised routing (V-MoE): the routes of the tokens with the highest best score
                             * are kept; in a choice-major queue all first choices come before all second ones */
} moe_drop_policy;

typedef enum moe_queue_order {
  MOE_TOKEN_MAJOR = 0, /* an expert's queue is filled token by token */
  MOE_CHOICE_MAJOR = 1 /* all first choices, then all second choices, ... (GShard, DeepSpeed top-2) */
} moe_queue_order;

typedef enum moe_normalization {
  MOE_RAW = 0,      /* weight = score (Switch, DeepSpeed top-1) */
  MOE_CHOSEN = 1,   /* score / sum over the k chosen experts, before dropping (Mixtral) */
  MOE_SURVIVORS = 2 /* score / sum over the kept routes (DeepSpeed top-2, top-k) */
} moe_normalization;

typedef enum moe_group_score { MOE_GROUP_MAXIMUM = 0, MOE_GROUP_TOP2_SUM = 1 } moe_group_score;

typedef struct moe_gate_config {
  uint32_t struct_size;
  int32_t top_k;         /* 1..16, at most the number of experts */
  int32_t score;         /* moe_score */
  int32_t drop_policy;   /* moe_drop_policy */
  int32_t queue_order;   /* moe_queue_order */
  int32_t normalization; /* moe_normalization */
  int64_t capacity;      /* routes an expert keeps; ignored when dropless */
  int32_t groups;        /* experts are chosen within the best `chosen_groups` of `groups` equal groups; 1 and 1: off */
  int32_t chosen_groups;
  int32_t group_score;         /* moe_group_score */
  int32_t auxiliary_choices;   /* choices that the auxiliary loss counts: 1 (GShard), or top_k */
  int32_t noise_first_choice;  /* the first choice that noise acts on: 0 all, 1 from the second on (DeepSpeed top-2) */
  float normalization_epsilon; /* lower bound of the denominator: max(sum, epsilon) */
  float weight_scale;          /* every weight is multiplied by it (routed_scaling_factor) */
  float denominator_offset;    /* added to the denominator before the bound (1e-20 in DeepSeek-V3) */
} moe_gate_config;

/* Sets all but struct_size to the defaults: top-1, softmax, dropless, token-major, raw, no groups, auxiliary over the
 * first choice. */
MOE_API moe_status moe_gate_config_default(moe_gate_config* config);

/* Letters: S tokens, E experts (1..1024), K = top_k. What the gate reads. */
typedef struct moe_gate_inputs {
  uint32_t struct_size;
  const moe_tensor* logits;   /* float32 [S, E] */
  const moe_tensor* used;     /* uint8 [S] or null: 0 marks padding, which takes no slot and enters no count or loss */
  const moe_tensor* bias;     /* float32 [E] or null: added to the scores for the choice only (DeepSeek-V3) */
  const moe_tensor* noise;    /* float32 [S, E] or null: added to the logits for the choice only (Gumbel) */
  const moe_tensor* priority; /* float32 [S, E] or null: needed by MOE_DROP_PRIORITY */
} moe_gate_inputs;

/* What the gate decides: the table of routes that dispatch and combine read. */
typedef struct moe_routes {
  uint32_t struct_size;
  const moe_tensor* scores;   /* float32 [S, E]: softmax or sigmoid of the logits */
  const moe_tensor* expert;   /* int32 [S, K]: the expert of each route, best first; -1 dropped */
  const moe_tensor* position; /* int32 [S, K]: its position in the expert's queue of kept routes, from 0; -1 dropped */
  const moe_tensor* weight;   /* float32 [S, K]: its combine weight; 0 dropped */
  const moe_tensor* choice;   /* int32 [S, K]: the expert chosen before dropping, for the backward; -1 padding */
  const moe_tensor* counts;   /* int32 [E]: routes an expert was asked for, before dropping */
  const moe_tensor* offsets;  /* int32 [E + 1]: first row of each expert when dispatched; offsets[E] = routes kept */
  const moe_tensor* losses;   /* float32 [2]: auxiliary loss, z loss */
} moe_routes;

/* The derivatives that enter the gate's backward, and the one that leaves it. */
typedef struct moe_gate_gradients {
  uint32_t struct_size;
  float dauxiliary;          /* dL/d(auxiliary loss) */
  float dz;                  /* dL/d(z loss) */
  const moe_tensor* dweight; /* in, float32 [S, K] */
  const moe_tensor* dlogits; /* out, float32 [S, E] */
  /* in, or both null: int32 [1] used tokens and int32 [1, E] counted choices of the batch, of which these tokens are a
   * part. Both losses are means over it; if null, over these tokens. */
  const moe_tensor* batch_used;
  const moe_tensor* batch_chosen;
} moe_gate_gradients;

/* Fills every table of `routes`. With means over the used tokens, the auxiliary loss is
 * E * sum_e mean_s(score) * mean_s(chosen) / auxiliary_choices and the z loss is mean_s(logsumexp(logits)^2). Ties go
 * to the lowest expert. Refused: a config that does not fit itself or E; bias and noise together; of the used tokens a
 * logit that is NaN or inf, a token whose logits are all -inf, and a noise or priority that is not finite; a bias that
 * is not finite. */
MOE_API moe_status moe_gate_forward(moe_stream stream, const moe_gate_config* config, const moe_gate_inputs* inputs,
                                    const moe_routes* routes, MOE_HELD);
/* dlogits from dweight, dauxiliary and dz, with the forward's config, its logits and used, and its scores, expert and
 * choice. Refused: a config as above, a choice outside [-1, E), and an expert that is neither -1 nor the choice. No
 * gradient passes through the choice, the counts, the noise or the bias. */
MOE_API moe_status moe_gate_backward(moe_stream stream, const moe_gate_config* config, const moe_gate_inputs* inputs,
                                     const moe_routes* routes, const moe_gate_gradients* gradients, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
