/* Causal attention, multi-head and grouped-query, and the rotary position embedding (RoPE).
 * Letters: B sequences, L tokens a sequence, H query heads, G key/value heads (G divides H), D head size.
 * q, out, dq, dout [B, L, H, D]; k, v, dk, dv [B, L, G, D]; float32 or bfloat16, one dtype a call.
 * Query head h reads key/value head h / (H / G). No heads, H that is no multiple of G, a scale that is not finite and a
 * window below 0 are refused. MOE_UNSUPPORTED on a CUDA device where D exceeds 256. */
#ifndef MOE_ATTENTION_H
#define MOE_ATTENTION_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rotates pairs of x [S, N, D] by the angle of the row's position: cosine, sine float32 [P, R/2], R <= D rotated
 * dimensions, the rest copied. positions int32 [S] in [0, P). interleaved 0: pairs (i, i + R/2) as in GPT-NeoX and
 * Llama; 1: pairs (2i, 2i + 1) as in GPT-J. direction 1 forward, -1 backward (the inverse rotation). Other numbers, and
 * positions outside, are refused. y [S, N, D] has the dtype of x, and may be x. Any D. */
MOE_API moe_status moe_rotary(moe_stream stream, const moe_tensor* x, const moe_tensor* positions,
                              const moe_tensor* cosine, const moe_tensor* sine, int32_t interleaved, int32_t direction,
                              const moe_tensor* y, MOE_HELD);

/* out[b,i,h] = sum_{j<=i} softmax_j(scale * q[b,i,h] . k[b,j,g]) v[b,j,g]. window > 0 keeps j > i - window only; 0
 * keeps all. logsumexp float32 [B, H, L] is saved for the backward, or null. Flash style: no [L, L] tensor. */
MOE_API moe_status moe_attention_forward(moe_stream stream, const moe_tensor* q, const moe_tensor* k,
                                         const moe_tensor* v, float scale, int64_t window, const moe_tensor* out,
                                         const moe_tensor* logsumexp, MOE_HELD);
/* dq, dk, dv from dout, of the forward's q, k, v, out, logsumexp, scale and window. */
MOE_API moe_status moe_attention_backward(moe_stream stream, const moe_tensor* q, const moe_tensor* k,
                                          const moe_tensor* v, const moe_tensor* out, const moe_tensor* logsumexp,
                                          const moe_tensor* dout, float scale, int64_t window, const moe_tensor* dq,
                                          const moe_tensor* dk, const moe_tensor* dv, MOE_HELD);

/* The key/value cache: keys and values [slots, capacity, G, D], one slot a running sequence.
 * Row t of k, v [T, G, D] is stored at (slot[t], position[t]); slot, position int32 [T]. A place outside the cache is
 * refused, here and below; of rows for the same place the last one stays. Any D. */
MOE_API moe_status moe_cache_append(moe_stream stream, const moe_tensor* k, const moe_tensor* v, const moe_tensor* slot,
                                    const moe_tensor* position, const moe_tensor* keys, const moe_tensor* values,
                                    MOE_HELD);
/* Row t of q, out [T, H, D] attends to positions 0..position[t] of its slot (its own key included, appended before).
 * Serves prefill and decode of any mix of sequences; a row's bits depend on its own sequence only. */
MOE_API moe_status moe_attention_decode(moe_stream stream, const moe_tensor* q, const moe_tensor* keys,
                                        const moe_tensor* values, const moe_tensor* slot, const moe_tensor* position,
                                        float scale, int64_t window, const moe_tensor* out, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
