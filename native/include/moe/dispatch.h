/* Dispatch: tokens -> rows grouped by expert, by the gate's table of routes (moe/gate.h). A route's row is
 * offsets[expert] + position; a route whose expert is -1 has none. Reads expert, position [S, K] with K up to 16, and
 * offsets [E + 1]. x [S, M]; rows [R, M] with R >= offsets[E]. Rows past offsets[E] keep their values. S * M copies per
 * choice, no arithmetic (DeepSpeed-MoE, section 5.4: S*M*c instead of S*E*M*c).
 *
 * Dispatch and combine refuse a table whose offsets do not rise from 0 to at most R, whose expert is outside [-1, E),
 * or whose position is outside its expert's rows. Two routes may not share a row: the CPU refuses that; on a CUDA
 * device such a row holds one route's values or a mix. */
#ifndef MOE_DISPATCH_H
#define MOE_DISPATCH_H

#include "moe/gate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x and rows are of one dtype, float32 or bfloat16. */
MOE_API moe_status moe_dispatch_forward(moe_stream stream, const moe_tensor* x, const moe_routes* routes,
                                        const moe_tensor* rows, MOE_HELD);
/* dx[s] = sum over kept routes of drows[row], in choice order and float32; 0 for a token without routes. drows [R, M],
 * dx [S, M] float32 or bfloat16. */
MOE_API moe_status moe_dispatch_backward(moe_stream stream, const moe_tensor* drows, const moe_routes* routes,
                                         const moe_tensor* dx, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
