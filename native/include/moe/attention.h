/* Multi-head, grouped-query and latent attention with learned sinks, and the rotary position embedding (RoPE).
 * Letters: B sequences, L tokens per sequence, T tokens of any sequences, H query heads, G key/value heads (G divides
 * H), D head size.
 * q, out, dq, dout [B, L, H, D]; k, v, dk, dv [B, L, G, D]; float32 or bfloat16, one dtype per call. Query head h reads
 * key/value head g = h / (H / G). Refused: H, G or D of 0, an H that G does not divide, and a config that its comment
 * rules out. MOE_UNSUPPORTED on a CUDA device if D exceeds 576, or 256 in the backward and with a bias. */
#ifndef MOE_ATTENTION_H
#define MOE_ATTENTION_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The angles of each row for moe_rotary. */
typedef struct moe_rotary_angles {
  uint32_t struct_size;
  int32_t interleaved;         /* 0: pairs (i, i + R/2) as in GPT-NeoX and Llama; 1: (2i, 2i + 1) as in GPT-J */
  const moe_tensor* positions; /* int32 [T], in [0, P) */
  const moe_tensor* cosine;    /* float32 [P, R/2]; R <= D dimensions are rotated, the rest is copied */
  const moe_tensor* sine;      /* float32 [P, R/2] */
} moe_rotary_angles;

/* Rotates pairs of x [T, H, D] by the angle of the row's position. direction: 1 forward, -1 backward (the inverse
 * rotation); others are refused, and positions outside [0, P). y [T, H, D] has x's dtype and may alias x. D is any
 * number. */
MOE_API moe_status moe_rotary(moe_stream stream, const moe_tensor* x, const moe_rotary_angles* angles,
                              int32_t direction, const moe_tensor* y, MOE_HELD);

/* The columns of heads that moe_head_copy reads and writes. */
typedef struct moe_head_columns {
  uint32_t struct_size;
  int32_t transpose; /* 1: x is [B, A, X] */
  int64_t from;
  int64_t to;
  int64_t count;
} moe_head_columns;

/* y[a, b, to + c] = x[a, b, from + c], transposed x[b, a, from + c], for c below count. x [A, B, X], y [A, B, Y] of one
 * dtype, float32 or bfloat16; other columns of y keep their values. Refused: columns outside x or y. The absorbed form
 * of latent attention (DeepSeek-V2) assembles its queries with it and orders them by head. Bound by bytes. */
MOE_API moe_status moe_head_copy(moe_stream stream, const moe_head_columns* columns, const moe_tensor* x,
                                 const moe_tensor* y, MOE_HELD);

typedef enum moe_mask {
  MOE_CAUSAL = 0, /* token i attends to tokens j <= i of its sequence */
  MOE_FULL = 1,   /* token i attends to all tokens of its sequence */
  MOE_CHUNKED = 2 /* tokens j <= i of its chunk: chunk c has the positions [c window, (c + 1) window) (Llama 4) */
} moe_mask;

typedef struct moe_attention_config {
  uint32_t struct_size;
  int32_t mask;   /* moe_mask */
  float scale;    /* factor of q . k; finite */
  float soft_cap; /* c > 0: a scaled score s becomes c tanh(s / c) (Gemma 2); 0: no cap. 0 in moe_attention_biased */
  int64_t window; /* 0: no window; n > 0: only the last n causal tokens, j > i - n. 0 with MOE_FULL; above
                   * 0 with MOE_CHUNKED, the size of a chunk */
} moe_attention_config;

typedef struct moe_attention_inputs {
  uint32_t struct_size;
  const moe_tensor* q;
  const moe_tensor* k;
  const moe_tensor* v;
  const moe_tensor* sinks; /* float32 [H] or null: one logit per query head, next to the keys' scaled scores. It takes
                            * a share of the softmax and adds no value (GPT-OSS) */
} moe_attention_inputs;

typedef struct moe_attention_gradients {
  uint32_t struct_size;
  const moe_tensor* dq;
  const moe_tensor* dk;
  const moe_tensor* dv;
  const moe_tensor* dsinks; /* float32 [H], null if sinks is null */
} moe_attention_gradients;

/* out[b,i,h] = sum_j p_j v[b,j,g] over the j that the mask lets i see, with s_j = scale * q[b,i,h] . k[b,j,g], softly
 * capped, and p_j = exp(s_j) / (sum_j exp(s_j) + exp(sinks[h])). logsumexp float32 [B, H, L], the logarithm of that
 * denominator, is saved for the backward, or null. Flash style: no [L, L] tensor. */
MOE_API moe_status moe_attention_forward(moe_stream stream, const moe_attention_config* config,
                                         const moe_attention_inputs* inputs, const moe_tensor* out,
                                         const moe_tensor* logsumexp, MOE_HELD);
/* Writes dq, dk and dv, and adds to dsinks, given dout and the forward's config, inputs, out and logsumexp. */
MOE_API moe_status moe_attention_backward(moe_stream stream, const moe_attention_config* config,
                                          const moe_attention_inputs* inputs, const moe_tensor* out,
                                          const moe_tensor* logsumexp, const moe_tensor* dout,
                                          const moe_attention_gradients* gradients, MOE_HELD);

/* A paged key/value cache, one slot per running sequence, and the cache position of each of T rows. Position p of slot
 * s is entry p % block of block table[s, p / block]; a slot has room for n * block positions, and slots may share
 * blocks. Only table entries of blocks that a call reads or writes must be in [0, blocks); others may have any value,
 * such as -1. A position outside the cache is refused.
 * keys and values have the dtype of the rows that they are used with, or are int8. An int8 code c stands for scale * c,
 * with one scale per position and key/value head: max |x| / 127 of the D elements x; c = x / scale rounded to nearest
 * even, 0 if the scale is 0. If an x is not finite, its D elements are read as NaN or infinity.
 * values may alias keys, and value_scales key_scales, for rows that are both (latent attention); the k and v that are
 * stored must then be one tensor. */
typedef struct moe_cache_places {
  uint32_t struct_size;
  const moe_tensor* keys;         /* [blocks, block, G, D] */
  const moe_tensor* values;       /* [blocks, block, G, D] */
  const moe_tensor* key_scales;   /* float32 [blocks, block, G]; null unless keys are int8 */
  const moe_tensor* value_scales; /* float32 [blocks, block, G]; null unless values are int8 */
  const moe_tensor* table;        /* int32 [slots, n] */
  const moe_tensor* slot;         /* int32 [T] */
  const moe_tensor* position;     /* int32 [T] */
} moe_cache_places;

/* Stores row t of k, v [T, G, D] at (slot[t], position[t]); if rows have one position, the last row wins. D is any
 * number. */
MOE_API moe_status moe_cache_append(moe_stream stream, const moe_tensor* k, const moe_tensor* v,
                                    const moe_cache_places* places, MOE_HELD);
/* Row t of q, out [T, H, D] attends to positions 0..position[t] of its slot (its own key included, appended before),
 * with sinks like moe_attention_forward. The mask must not be MOE_FULL. Prefill and decode of any mix of sequences; a
 * row's bits depend only on its own sequence and equal moe_attention_forward's. Elements of an int8 cache are read as
 * float32, or rounded to q's dtype, whichever the backend's products use. */
MOE_API moe_status moe_attention_decode(moe_stream stream, const moe_attention_config* config, const moe_tensor* q,
                                        const moe_tensor* sinks, const moe_cache_places* places, const moe_tensor* out,
                                        MOE_HELD);

/* A bias of scores by relative position (T5, Raffel et al., arXiv 1910.10683): adds bias[min(max(j - i, -R), R) + R, h]
 * to the scaled score of query head h at position i and the key at position j. */
typedef struct moe_relative_bias {
  uint32_t struct_size;
  const moe_tensor* bias;     /* float32 [2R + 1, H] */
  const moe_tensor* position; /* int32 [T], i of each row: any number */
} moe_relative_bias;

/* moe_attention_decode with a bias and without sinks. A row's bits depend only on its own sequence. A row's `position`
 * in `bias` may differ from the last one that it sees: if all rows of a sequence have its last position in `places`,
 * they see the whole sequence, like an encoder's. */
MOE_API moe_status moe_attention_biased(moe_stream stream, const moe_attention_config* config,
                                        const moe_relative_bias* bias, const moe_tensor* q,
                                        const moe_cache_places* places, const moe_tensor* out, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
