/* Token and learned position embeddings. */
#ifndef MOE_EMBEDDING_H
#define MOE_EMBEDDING_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[s] = table[ids[s]] (+ position_table[positions[s]] when both are given, null together). ids, positions int32 [S];
 * table [V, M] row-major float32 or bfloat16, or packed by moe_gemm_pack, also in blocks; position_table [P, M] and
 * y [S, M] float32 or bfloat16. Refused, also by the backward: an id outside [0, V) and a position outside [0, P). */
MOE_API moe_status moe_embedding_forward(moe_stream stream, const moe_tensor* ids, const moe_tensor* table,
                                         const moe_tensor* positions, const moe_tensor* position_table,
                                         const moe_tensor* y, MOE_HELD);
/* dtable[ids[s]] += dy[s], dposition_table[positions[s]] += dy[s], in token order for every thread count. positions and
 * dposition_table are null together. dy [S, M] float32 or bfloat16; dtable float32 [V, M]; dposition_table float32 [P,
 * M]. */
MOE_API moe_status moe_embedding_backward(moe_stream stream, const moe_tensor* ids, const moe_tensor* positions,
                                          const moe_tensor* dy, const moe_tensor* dtable,
                                          const moe_tensor* dposition_table, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
